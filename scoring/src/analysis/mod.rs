//! What one confusion matrix does not say: intervals, groups of patches, differences between prediction sets, the
//! confusions that cost most.

pub mod bootstrap;
pub mod compare;
pub mod costliest;
pub mod groups;
pub mod normalized;
pub mod uncertainty;
pub mod units;

pub use units::Group;
