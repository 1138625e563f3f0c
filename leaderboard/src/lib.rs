//! The leaderboard: entries in files, ranked by benchmark, shown as tables.
//!
//! ```
//! use flair_leaderboard::{FLAIR2_TEST, published, rank};
//!
//! let entries = published()?;
//! let rankings = rank(&entries);
//! let best = &rankings[0].rows[0];
//! assert_eq!((rankings[0].benchmark, best.place), (FLAIR2_TEST, 1));
//! assert_eq!(best.entry.name, "strakajk");
//! # Ok::<(), flair_leaderboard::LeaderboardError>(())
//! ```

pub mod columns;
mod entry;
mod rank;
pub mod render;
mod store;

pub use entry::{Entry, EntrySchema, FLAIR2_TEST, LeaderboardError, TOY, TestSet, benchmark_key, slug};
pub use rank::{Ranking, Row, merge, rank};
pub use render::{Format, render};
pub use store::{Benchmarks, Description, Existing, Store, published};
