//! What is wrong with somebody's files. Findings are data, all of them at once; an `Err` is for "could not look".
//!
//! A finding is made from its [`Kind`], and every kind stands in a registry that [`finding_codes!`](crate::finding_codes)
//! declares: [`Code`] here, the dataset's in the crate that reads datasets. So each has a stable code, a severity, a
//! meaning, a usual cause and a fix, and [`page`] makes `docs/findings.md` of them.

pub mod page;
mod registry;
pub(crate) mod remarks;
mod severity;

pub use registry::{Kind, Registry};
pub use remarks::without_numbers;
pub use severity::{Finding, Severity, tally, truncate};
