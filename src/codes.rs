//! The codes of all findings, from every crate.

use flair_hosting::HostingCode;
use flair_scoring::{finding::Kind, submission::Code};

/// The registries, by their names in `docs/findings.md`.
const REGISTRIES: &[(&str, &[Kind])] = &[
    ("submissions", Code::KINDS),
    #[cfg(feature = "baselines")]
    ("datasets", flair_baselines::data::DataCode::KINDS),
    ("hosting", HostingCode::KINDS),
];

/// Every kind of finding, in the order of the registries.
pub(crate) fn all() -> impl Iterator<Item = &'static Kind> {
    REGISTRIES.iter().flat_map(|(_, kinds)| *kinds)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use flair_scoring::finding::page::{section, spliced};

    use super::*;

    #[test]
    fn a_code_has_one_meaning() {
        let mut seen = BTreeSet::new();
        assert!(all().all(|kind| seen.insert(kind.code)));
    }

    #[test]
    fn the_page_says_what_the_registries_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/findings.md");
        let page = std::fs::read_to_string(path).unwrap();
        let due = REGISTRIES.iter().fold(page.clone(), |page, (name, kinds)| {
            spliced(&page, name, &section(kinds)).expect("the page has lost its marks")
        });
        if std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always") {
            std::fs::write(path, &due).unwrap();
        } else {
            assert!(page == due, "docs/findings.md is out of date: run the tests with INSTA_UPDATE=always");
        }
    }
}
