//! Long work, done by threads of its own while the caller's thread listens to Ctrl-C and tells how it goes.

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

/// Who works and who listens: how many threads, `None` for one a core, and what is called with the stage, the steps
/// done and the steps to do.
pub(crate) type Crew = (Option<usize>, Option<Py<PyAny>>);

/// How often the caller's thread looks.
const TICK: Duration = Duration::from_millis(50);

/// What the workers write down, and where they look whether to stop.
#[derive(Default)]
struct Board {
    stage: Mutex<(String, u64)>,
    done: AtomicU64,
    is_stopped: AtomicBool,
}

impl Progress for Board {
    fn event(&self, event: Event<'_>) {
        if self.is_stopped.load(Relaxed) {
            // Nobody waits for the result any more. Unwinding, unlike a panic, prints nothing.
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

impl Board {
    /// Calls `listener(stage, done, steps)`, once there is a stage.
    fn tell(&self, py: Python<'_>, listener: Option<&Py<PyAny>>) -> PyResult<()> {
        let (stage, steps) = self.stage.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match listener {
            Some(listener) if !stage.is_empty() => {
                listener.call1(py, (stage, self.done.load(Relaxed), steps)).map(drop)
            }
            _ => Ok(()),
        }
    }
}

/// Does `work` on threads of its own.
///
/// The threads live as long as the call: a process that was forked later, as data loaders do, finds no pool whose
/// threads are gone.
///
/// # Errors
/// What a signal's handler or the listener raises; the work is given up then, at its next step.
pub(crate) fn work<T: Send>(
    py: Python<'_>,
    (threads, listener): Crew,
    work: impl FnOnce(&dyn Progress) -> T + Send,
) -> PyResult<T> {
    let pool = ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
    let pool = pool.map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    let board = Board::default();
    py.detach(|| {
        pool.in_place_scope(|scope| {
            let (sender, result) = mpsc::channel();
            let board = &board;
            scope.spawn(move |_| {
                // A caller that was interrupted has gone.
                let _ = sender.send(catch_unwind(AssertUnwindSafe(|| work(board))));
            });
            loop {
                match result.recv_timeout(TICK) {
                    Ok(Ok(value)) => {
                        return Python::attach(|py| board.tell(py, listener.as_ref())).map(|()| value);
                    }
                    Ok(Err(panic)) => resume_unwind(panic),
                    Err(RecvTimeoutError::Disconnected) => return Err(PyRuntimeError::new_err("the work was lost")),
                    Err(RecvTimeoutError::Timeout) => {
                        let heard = Python::attach(|py| {
                            py.check_signals()?;
                            board.tell(py, listener.as_ref())
                        });
                        if let Err(error) = heard {
                            board.is_stopped.store(true, Relaxed);
                            return Err(error);
                        }
                    }
                }
            }
        })
    })
}
