//! Findings: problems in a user's files. A check returns all of them at once as data; an `Err` means that the check
//! could not run.
//!
//! Every finding has a [`Kind`]: a stable code, a severity, a meaning, a usual cause and a fix. The macro
//! [`finding_codes!`](crate::finding_codes) declares a registry of kinds: [`Code`](crate::Code) in this crate, another
//! one in the crate that reads datasets. [`page`] writes `docs/findings.md` from the registries.

pub mod page;
mod registry;
pub(crate) mod remarks;
mod severity;

pub use registry::{Kind, Registry};
pub use remarks::without_numbers;
pub use severity::{Finding, Severity, tally, truncate};
