//! Progress of long runs: a bar in a terminal, or periodic lines in a log.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use flair_scoring::{Event, Progress};
use indicatif::{ProgressBar, ProgressStyle};

use super::say;

/// Interval between the lines of a log.
const LINE_EVERY: Duration = Duration::from_secs(30);
/// Stages shorter than this are not logged.
const WORTH_A_LINE: Duration = Duration::from_secs(2);

/// Shows the stages of a run, one after the other.
#[derive(Debug)]
pub(crate) struct Bars {
    stage: Mutex<Option<Stage>>,
    is_terminal: bool,
}

#[derive(Debug)]
struct Stage {
    name: String,
    steps: u64,
    done: u64,
    started: Instant,
    last_line: Instant,
    detail: String,
    bar: ProgressBar,
}

impl Bars {
    pub(crate) fn new() -> Self {
        Self { stage: Mutex::new(None), is_terminal: io::stderr().is_terminal() }
    }

    fn stage(&self) -> MutexGuard<'_, Option<Stage>> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, name: &str, steps: u64) -> Stage {
        let bar = if self.is_terminal {
            let style = ProgressStyle::with_template("{prefix:>12} {bar:30} {pos}/{len}  {per_sec}, {eta} left  {msg}");
            let bar = ProgressBar::new(steps).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(name.to_owned());
            bar.tick();
            bar
        } else {
            ProgressBar::hidden()
        };
        let now = Instant::now();
        Stage { name: name.to_owned(), steps, done: 0, started: now, last_line: now, detail: String::new(), bar }
    }
}

impl Stage {
    /// The progress of the stage as text, for logs.
    fn line(&self) -> String {
        let elapsed = self.started.elapsed().as_secs_f64();
        let rate = if elapsed > 0.0 { self.done as f64 / elapsed } else { 0.0 };
        let mut line = format!("{}: {} of {} in {elapsed:.1} s, {rate:.2} a second", self.name, self.done, self.steps);
        if rate > 0.0 && self.done < self.steps {
            let _ = write!(line, ", {:.0} s left", (self.steps - self.done) as f64 / rate);
        }
        if !self.detail.is_empty() {
            let _ = write!(line, ", {}", self.detail);
        }
        line
    }
}

impl Progress for Bars {
    fn event(&self, event: Event<'_>) {
        let mut current = self.stage();
        match (event, current.as_mut()) {
            (Event::Started { stage, steps }, _) => *current = Some(self.start(stage, steps)),
            (Event::Step { .. }, Some(stage)) => {
                stage.done += 1;
                stage.bar.inc(1);
                if !self.is_terminal && stage.done < stage.steps && stage.last_line.elapsed() >= LINE_EVERY {
                    stage.last_line = Instant::now();
                    say(&stage.line());
                }
            }
            (Event::Detail { text }, Some(stage)) => {
                text.clone_into(&mut stage.detail);
                stage.bar.set_message(stage.detail.clone());
            }
            (Event::Finished, Some(stage)) => {
                stage.bar.finish_and_clear();
                if stage.started.elapsed() >= WORTH_A_LINE {
                    say(&stage.line());
                }
                *current = None;
            }
            (Event::Warning { message }, Some(stage)) => stage.bar.suspend(|| say(&format!("warning: {message}"))),
            (Event::Warning { message }, None) => say(&format!("warning: {message}")),
            _ => {}
        }
    }
}
