//! The codes of all findings, whoever makes them.

use flair_scoring::{
    finding::{Code, Kind},
    hosting::HostingCode,
};

/// What the registries say of every kind of finding, in the order of a report.
pub(crate) fn all() -> impl Iterator<Item = &'static Kind> {
    #[cfg(feature = "baselines")]
    let of_datasets = flair_baselines::data::DataCode::KINDS;
    #[cfg(not(feature = "baselines"))]
    let of_datasets: &[Kind] = &[];
    Code::KINDS.iter().chain(of_datasets).chain(HostingCode::KINDS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_code_has_one_meaning() {
        let mut seen = BTreeSet::new();
        assert!(all().all(|kind| seen.insert(kind.code)));
    }
}
