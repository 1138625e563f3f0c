//! The binary as a user meets it. One test program, so that it links once.
#![expect(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests")]

mod architecture;
#[cfg(feature = "baselines")]
mod baseline;
mod bundle;
#[cfg(feature = "baselines")]
mod data;
mod depth;
mod fixture;
#[cfg(feature = "baselines")]
mod golden;
mod help;
mod hosting;
mod imports;
#[cfg(feature = "baselines")]
mod interrupted;
mod leaderboard;
#[cfg(feature = "baselines")]
mod run_folder;
mod score;
#[cfg(all(feature = "baselines", unix))]
mod shards;
#[cfg(unix)]
mod streams;
mod submission;
mod terminal;
#[cfg(feature = "baselines")]
mod weights;
