//! The terminal itself: its width, log lines and lines of talk.

use std::io::{IsTerminal, Write};

use tracing_subscriber::EnvFilter;

/// Log lines on standard error: warnings, and with `-v` more. `FLAIR_BENCH_LOG` overrides.
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

/// An error that ends the program, with its causes.
pub(crate) fn failure(error: &anyhow::Error) {
    let mut message = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        // candle's errors carry a backtrace behind their message where RUST_BACKTRACE is set.
        let text = text.split("\n   0: ").next().unwrap_or(&text).trim_end();
        // Most messages tell their cause themselves.
        if !message.contains(text) {
            let separator = if message.is_empty() { "" } else { ": " };
            message = format!("{message}{separator}{text}");
        }
    }
    say(&format!("error: {message}"));
}

/// A line of talk. Whoever listens may have gone: that is no reason to stop working.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Columns of the terminal that standard output is, if it is one.
pub(crate) fn terminal_width() -> Option<u16> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0)
}
