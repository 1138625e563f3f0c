//! Progress of long runs: a bar in a terminal, or periodic lines in a log.

use std::{
    fmt::Write as _,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use flair_scoring::{Event, Progress};
use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};

use super::{say, screen::is_terminal};

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
    /// Steps that an earlier run did: they say nothing of the speed.
    kept: u64,
    started: Instant,
    last_line: Instant,
    detail: String,
    bar: ProgressBar,
}

impl Bars {
    pub(crate) fn new() -> Self {
        Self { stage: Mutex::new(None), is_terminal: is_terminal() }
    }

    fn stage(&self) -> MutexGuard<'_, Option<Stage>> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, name: &str, steps: u64) -> Stage {
        let bar = if self.is_terminal {
            let style = ProgressStyle::with_template("{prefix:>12} {bar:30} {pos}/{len}  {speed}  {msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("speed", speed);
            let bar = ProgressBar::new(steps).with_style(style);
            bar.set_prefix(name.to_owned());
            bar.tick();
            bar
        } else {
            ProgressBar::hidden()
        };
        let now = Instant::now();
        Stage {
            name: name.to_owned(),
            steps,
            done: 0,
            kept: 0,
            started: now,
            last_line: now,
            detail: String::new(),
            bar,
        }
    }
}

/// Steps a second and the time left; nothing until a step is done.
fn speed(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    let rate = state.per_sec();
    if state.pos() > 0 && rate > 0.0 && rate.is_finite() {
        // Writing to the bar's line cannot fail.
        let _ = write!(out, "{rate:.2} a second, {} left", HumanDuration(state.eta()));
    }
}

impl Stage {
    /// The progress of the stage as text, for logs.
    fn line(&self) -> String {
        let elapsed = self.started.elapsed().as_secs_f64();
        let made = self.done.saturating_sub(self.kept);
        let rate = if elapsed > 0.0 { made as f64 / elapsed } else { 0.0 };
        let mut line = format!("{}: {} of {} in {elapsed:.1} s, {rate:.2} a second", self.name, self.done, self.steps);
        if self.kept > 0 {
            let _ = write!(line, ", {} kept", self.kept);
        }
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
            (Event::Started { stage, steps }, _) => {
                tracing::info!("{stage}: {steps} to do");
                *current = Some(self.start(stage, steps));
            }
            (Event::Step { patch }, Some(stage)) => {
                stage.done += 1;
                stage.bar.inc(1);
                if let Some(patch) = patch {
                    stage.bar.suspend(|| tracing::debug!("{}: patch {patch} done", stage.name));
                }
                if !self.is_terminal && stage.done < stage.steps && stage.last_line.elapsed() >= LINE_EVERY {
                    stage.last_line = Instant::now();
                    say(&stage.line());
                }
            }
            (Event::Kept { steps }, Some(stage)) => {
                stage.done += steps;
                stage.kept += steps;
                stage.bar.inc(steps);
                stage.bar.reset_eta();
            }
            (Event::Detail { text }, Some(stage)) => {
                text.clone_into(&mut stage.detail);
                stage.bar.set_message(stage.detail.clone());
            }
            (Event::Finished, Some(stage)) => {
                stage.bar.finish_and_clear();
                if stage.started.elapsed() >= WORTH_A_LINE {
                    say(&stage.line());
                } else {
                    tracing::info!("{}", stage.line());
                }
                *current = None;
            }
            (Event::Warning { message }, Some(stage)) => stage.bar.suspend(|| say(&format!("warning: {message}"))),
            (Event::Warning { message }, None) => say(&format!("warning: {message}")),
            _ => {}
        }
    }
}
