//! Analyses beyond the score: confidence intervals, scores of groups of patches, comparison of two prediction sets,
//! and the confusions that cost the most `mIoU`.

pub mod bootstrap;
pub mod compare;
pub mod costliest;
pub mod groups;
pub mod normalized;
pub mod uncertainty;
pub mod units;

pub use units::Group;
