//! What the terminal shows. Standard output is for results, standard error for talk.

#[cfg(feature = "baselines")]
mod audit;
mod findings;
mod progress;
mod score;

#[cfg(feature = "baselines")]
pub(crate) use audit::audit_table;
pub(crate) use findings::write_findings;
pub(crate) use progress::Bars;
pub(crate) use score::{figure, score_table};

use tracing_subscriber::EnvFilter;

/// Log lines on standard error: warnings, and with `-v` more. `FLAIR_BENCH_LOG` overrides.
pub(crate) fn logging(verbose: u8) {
    let default = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("FLAIR_BENCH_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .without_time()
        .init();
}

/// An error that ends the program, with its causes.
#[expect(clippy::print_stderr, reason = "the one place where an error is shown")]
pub(crate) fn failure(error: &anyhow::Error) {
    let text = format!("{error:#}");
    // candle's errors carry a backtrace behind their message where RUST_BACKTRACE is set.
    let message = text.split("\n   0: ").next().unwrap_or(&text);
    eprintln!("error: {}", message.trim_end());
}

/// A line of talk.
#[expect(clippy::print_stderr, reason = "talk goes to standard error")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

/// Columns of the terminal that standard output is, if it is one.
pub(crate) fn terminal_width() -> Option<u16> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0)
}
