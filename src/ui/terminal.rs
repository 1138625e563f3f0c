//! The terminal: its width, log lines and messages.

use std::io::{IsTerminal, Write};

use tracing_subscriber::EnvFilter;

/// Starts logging to standard error: warnings, and more with `-v`. `FLAIR_BENCH_LOG` overrides the level.
pub(crate) fn logging(verbose: u8) {
    let default = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("FLAIR_BENCH_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let is_terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(is_terminal)
        .with_target(false)
        .without_time()
        .log_internal_errors(false)
        .init();
}

/// Prints the error that ends the program, with its causes.
pub(crate) fn failure(error: &anyhow::Error) {
    let mut message = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        // candle's errors append a backtrace to their message if RUST_BACKTRACE is set.
        let text = text.split("\n   0: ").next().unwrap_or(&text).trim_end();
        // Most messages include their cause already.
        if !message.contains(text) {
            let separator = if message.is_empty() { "" } else { ": " };
            message = format!("{message}{separator}{text}");
        }
    }
    say(&format!("error: {message}"));
}

/// Prints a message to standard error. A closed standard error is ignored, so that the work continues.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The width of the terminal in columns; `None` if standard output is not a terminal.
pub(crate) fn terminal_width() -> Option<u16> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0)
}
