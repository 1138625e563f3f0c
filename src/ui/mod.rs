//! Terminal output. Results go to standard output, progress and messages to standard error.

#[cfg(feature = "baselines")]
mod audit;
mod cells;
#[cfg(feature = "baselines")]
mod command;
mod comparison;
mod findings;
mod fitted;
mod groups;
mod progress;
mod protocol;
mod score;
mod screen;
mod terminal;
mod time;

#[cfg(feature = "baselines")]
pub(crate) use audit::{Rows, audit_table};
#[cfg(feature = "baselines")]
pub(crate) use cells::figure;
#[cfg(feature = "baselines")]
pub(crate) use command::quoted;
pub(crate) use findings::{explanation, write_findings, write_first};
pub(crate) use progress::Bars;
pub(crate) use protocol::protocol_text;
pub(crate) use score::score_table;
#[cfg(feature = "baselines")]
pub(crate) use screen::divert;
pub(crate) use screen::{Screen, stderr, stdout, stdout_for_programs, terminal_width};
#[cfg(feature = "baselines")]
pub(crate) use terminal::failure_of_rank;
pub(crate) use terminal::{failure, logging, say, usage};
#[cfg(feature = "baselines")]
pub(crate) use time::rule;
pub(crate) use time::rules;
