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
    /// A fault of flair-bench.
    Internal = 70,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error with the code that it ends the program with.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: anyhow::Error,
}

/// What commands give back.
pub(crate) type Outcome<T = Exit> = Result<T, Failure>;

/// Says which code an error ends the program with.
pub(crate) trait OrExit<T> {
    /// The command line or a configuration is to blame.
    fn or_usage(self) -> Outcome<T>;
    /// The data is.
    fn or_input(self) -> Outcome<T>;
    /// The machine is.
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

/// Writing to the terminal or into a pipe is the only place where a bare I/O error comes from.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // Whoever reads a pipe may stop when they have seen enough.
        let exit = if error.kind() == io::ErrorKind::BrokenPipe { Exit::Done } else { Exit::Environment };
        Self { exit, error: error.into() }
    }
}
