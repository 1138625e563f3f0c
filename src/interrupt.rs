//! Ctrl-C, TERM, HUP and USR1: a training finishes its step and saves, anything else ends at once. Nothing unfinished
//! stays on the disk. An abort for lack of memory gets an exit code of the table.

use std::sync::atomic::{AtomicBool, Ordering};

use flair_scoring::unfinished;

use crate::{exit::Exit, ui::say};

/// Set by the first signal during [`stoppable`] work.
static STOP: AtomicBool = AtomicBool::new(false);
/// Whether work polls [`STOP`].
static IS_POLLED: AtomicBool = AtomicBool::new(false);

/// Runs work that ends early, and in order, if a signal sets the flag.
#[cfg(feature = "baselines")]
pub(crate) fn stoppable<T>(work: impl FnOnce(&AtomicBool) -> T) -> T {
    IS_POLLED.store(true, Ordering::SeqCst);
    let result = work(&STOP);
    IS_POLLED.store(false, Ordering::SeqCst);
    result
}

/// Handles signals from now on.
pub(crate) fn listen() {
    if let Err(error) = system::listen() {
        say(&format!("warning: an interruption will stop at once, and may leave temporary files: {error}"));
    }
}

/// What a signal does. A polite one, as Slurm sends before it takes a node back, never ends polled work at once: Slurm may
/// send it to a process and to its launcher, which passes it on.
fn interrupted(is_polite: bool) {
    if IS_POLLED.load(Ordering::SeqCst) && (!STOP.swap(true, Ordering::SeqCst) || is_polite) {
        say("stopping after this step; once more to stop at once");
        return;
    }
    unfinished::remove_all();
    say("interrupted");
    #[expect(clippy::exit, reason = "the user asked for it")]
    std::process::exit(Exit::Interrupted as i32);
}

#[cfg(unix)]
mod system {
    use std::{
        env, fs, io, panic,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        thread,
    };

    use signal_hook::{
        consts::{SIGABRT, SIGHUP, SIGINT, SIGTERM, SIGUSR1},
        flag::register_conditional_shutdown,
        iterator::Signals,
    };

    use super::{Exit, interrupted};

    pub(super) fn listen() -> io::Result<()> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1].into_iter().chain((!is_nohup()).then_some(SIGHUP)))?;
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || signals.forever().for_each(|signal| interrupted(is_polite(signal))))?;
        code_aborts()
    }

    /// USR1 is; TERM is in a job of Slurm or MPI.
    fn is_polite(signal: i32) -> bool {
        let is_job =
            || ["SLURM_JOB_ID", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE"].iter().any(|name| env::var_os(name).is_some());
        signal == SIGUSR1 || (signal == SIGTERM && is_job())
    }

    /// Rust aborts after a failed allocation, which no safe code can prevent, and has then told its size. Any other abort
    /// follows a panic.
    fn code_aborts() -> io::Result<()> {
        let has_panicked = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&has_panicked);
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            flag.store(true, Ordering::SeqCst);
            report(panic);
        }));
        register_conditional_shutdown(SIGABRT, Exit::Internal as i32, has_panicked)?;
        register_conditional_shutdown(SIGABRT, Exit::Environment as i32, Arc::new(AtomicBool::new(true)))?;
        Ok(())
    }

    /// Whether this process was started to ignore HUP, as `nohup` does. Known on Linux only.
    fn is_nohup() -> bool {
        let status = fs::read_to_string("/proc/self/status").ok();
        let ignored = status.as_deref().and_then(|status| status.lines().find_map(|line| line.strip_prefix("SigIgn:")));
        let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        ignored.is_some_and(|mask| mask >> (SIGHUP - 1) & 1 == 1)
    }
}

#[cfg(not(unix))]
mod system {
    pub(super) fn listen() -> Result<(), ctrlc::Error> {
        ctrlc::set_handler(|| super::interrupted(false))
    }
}
