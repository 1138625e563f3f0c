//! Exit codes. They are public: scripts rely on them, and the README lists them.

use std::{io, process::ExitCode};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Done, and the verdict is negative: an invalid submission, a run over time.
    Negative = 1,
    /// The command line or a configuration is wrong. clap's own code.
    Usage = 2,
    /// Data is bad or missing.
    Input = 3,
    /// The device, the disk or the system failed.
    Environment = 4,
    /// An internal error of flair-bench.
    Internal = 70,
    /// Interrupted by a signal: Ctrl-C, TERM or HUP.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error, and the exit code that it causes.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: anyhow::Error,
}

/// The result of a command.
pub(crate) type Outcome<T = Exit> = Result<T, Failure>;

/// Attaches an exit code to an error.
pub(crate) trait OrExit<T> {
    /// Usage: the command line or a configuration is wrong.
    fn or_usage(self) -> Outcome<T>;
    /// Input: data is bad or missing.
    fn or_input(self) -> Outcome<T>;
    /// Environment: the device, the disk or the system failed.
    fn or_environment(self) -> Outcome<T>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_usage(self) -> Outcome<T> {
        self.map_err(|error| Failure { exit: Exit::Usage, error: error.into() })
    }

    fn or_input(self) -> Outcome<T> {
        self.map_err(|error| Failure { exit: Exit::Input, error: error.into() })
    }

    fn or_environment(self) -> Outcome<T> {
        self.map_err(|error| Failure { exit: Exit::Environment, error: error.into() })
    }
}

/// Bare I/O errors come only from writing to the terminal or into a pipe.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // The reader of a pipe may close it at any time: that is not an error.
        let exit = if error.kind() == io::ErrorKind::BrokenPipe { Exit::Done } else { Exit::Environment };
        Self { exit, error: error.into() }
    }
}
