//! Log lines and messages.

use std::{io::Write, process::ExitCode};

use flair_scoring::text::is_unsafe;
use tracing_subscriber::EnvFilter;

#[cfg(feature = "baselines")]
use super::screen::shared_stderr;
use super::screen::{is_terminal, log, stderr};

/// Starts logging to standard error: warnings, and more with `-v`. `FLAIR_BENCH_LOG` overrides the level.
pub(crate) fn logging(verbose: u8) {
    let default = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("FLAIR_BENCH_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(log)
        .with_ansi(is_terminal())
        .with_target(false)
        .without_time()
        .log_internal_errors(false)
        .init();
}

/// Prints the error that ends the program, with its causes.
pub(crate) fn failure(error: &anyhow::Error) {
    say(&format!("error: {}", text_of(error)));
}

/// Prints the error with which a rank ends the run, to the standard error that all ranks share.
#[cfg(feature = "baselines")]
pub(crate) fn failure_of_rank(rank: usize, error: &anyhow::Error) {
    let line = format!("error: {}", text_of(error));
    say(&line);
    let _ = writeln!(shared_stderr(), "rank {rank}: {line} (its log in the run's folder: ranks/rank-{rank}.log)");
}

/// An error with its causes.
fn text_of(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        // Most messages include their cause already.
        if !message.contains(&text) {
            let separator = if message.is_empty() { "" } else { ": " };
            message = format!("{message}{separator}{text}");
        }
    }
    message
}

/// Prints clap's message: help and version as they are, errors without what a terminal would interpret in arguments.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let is_safe = !std::env::args_os().any(|argument| argument.to_string_lossy().contains(is_unsafe));
    if !error.use_stderr() || is_safe {
        // A closed stream is ignored, as elsewhere.
        let _ = error.print();
    } else {
        let _ = write!(stderr(), "{}", error.render());
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Prints a message to standard error. A closed standard error is ignored, so that the work continues.
pub(crate) fn say(line: &str) {
    let _ = writeln!(stderr(), "{line}");
}
