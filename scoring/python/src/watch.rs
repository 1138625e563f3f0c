//! Runs long work on a thread pool, while the caller's thread handles Ctrl-C and reports progress.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{self, RecvTimeoutError},
    },
    time::Duration,
};

use flair_scoring::{Event, Progress};
use pyo3::{exceptions::PyRuntimeError, prelude::*};
use rayon::ThreadPoolBuilder;

/// Number of threads, `None` for one per core; and the progress callback, called with the stage, the finished steps and
/// all steps.
pub(crate) type Settings = (Option<usize>, Option<Py<PyAny>>);

/// Interval at which the caller's thread checks for signals and reports progress.
const TICK: Duration = Duration::from_millis(50);

/// State shared with the workers: their progress, and whether to stop.
#[derive(Default)]
struct State {
    stage: Mutex<(String, u64)>,
    done: AtomicU64,
    is_stopped: AtomicBool,
}

impl Progress for State {
    fn event(&self, event: Event<'_>) {
        if self.is_stopped.load(Relaxed) {
            // The caller no longer waits for the result. Unlike a panic, unwinding prints nothing.
            resume_unwind(Box::new("stopped"));
        }
        match event {
            Event::Started { stage, steps } => {
                *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = (stage.to_owned(), steps);
                self.done.store(0, Relaxed);
            }
            Event::Step { .. } => {
                self.done.fetch_add(1, Relaxed);
            }
            _ => {}
        }
    }
}

impl State {
    /// Calls `listener(stage, done, steps)`, if a stage has started.
    fn report(&self, py: Python<'_>, listener: Option<&Py<PyAny>>) -> PyResult<()> {
        let (stage, steps) = self.stage.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match listener {
            Some(listener) if !stage.is_empty() => {
                listener.call1(py, (stage, self.done.load(Relaxed), steps)).map(drop)
            }
            _ => Ok(()),
        }
    }
}

/// Runs `work` on a thread pool of its own.
///
/// The pool ends with the call, so that processes forked later (by data loaders) do not inherit a pool without threads.
///
/// # Errors
/// Exceptions of a signal handler or of the listener; the work then stops at its next step.
pub(crate) fn work<T: Send>(
    py: Python<'_>,
    (threads, listener): Settings,
    work: impl FnOnce(&dyn Progress) -> T + Send,
) -> PyResult<T> {
    let pool = ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
    let pool = pool.map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    let state = State::default();
    py.detach(|| {
        pool.in_place_scope(|scope| {
            let (sender, result) = mpsc::channel();
            let state = &state;
            scope.spawn(move |_| {
                // An interrupted caller no longer receives.
                let _ = sender.send(catch_unwind(AssertUnwindSafe(|| work(state))));
            });
            loop {
                match result.recv_timeout(TICK) {
                    Ok(Ok(value)) => {
                        return Python::attach(|py| state.report(py, listener.as_ref())).map(|()| value);
                    }
                    Ok(Err(panic)) => resume_unwind(panic),
                    Err(RecvTimeoutError::Disconnected) => {
                        return Err(PyRuntimeError::new_err("the worker thread ended without a result"));
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        let reported = Python::attach(|py| {
                            py.check_signals()?;
                            state.report(py, listener.as_ref())
                        });
                        if let Err(error) = reported {
                            state.is_stopped.store(true, Relaxed);
                            return Err(error);
                        }
                    }
                }
            }
        })
    })
}
