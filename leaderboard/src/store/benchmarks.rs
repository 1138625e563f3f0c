//! The known benchmarks, and the one spelling of each name.

use std::collections::BTreeMap;

use super::published;
use crate::{Entry, FLAIR2_TEST, LeaderboardError, TOY, benchmark_key};

/// The names of benchmarks. All spellings with one [`benchmark_key`] are one benchmark, by the name that was known first.
#[derive(Clone, Debug)]
pub struct Benchmarks {
    /// By key.
    names: BTreeMap<String, String>,
}

impl Benchmarks {
    /// The published benchmarks, [`TOY`], and those of other entries.
    ///
    /// # Errors
    /// See [`published`].
    pub fn known(others: &[Entry]) -> Result<Self, LeaderboardError> {
        let published = published()?;
        let names = published.iter().chain(others).map(|entry| entry.benchmark.trim());
        let mut known = Self { names: BTreeMap::new() };
        for name in [FLAIR2_TEST, TOY].into_iter().chain(names) {
            known.names.entry(benchmark_key(name)).or_insert_with(|| name.to_owned());
        }
        Ok(known)
    }

    /// The known name of a benchmark, however it is spelled; `None` for a new one.
    pub fn name(&self, spelling: &str) -> Option<&str> {
        self.names.get(&benchmark_key(spelling)).map(String::as_str)
    }

    /// The known name that is most like the name of a new benchmark.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        let key = benchmark_key(name);
        let likeness = |other: &str| strsim::normalized_damerau_levenshtein(&key, other);
        let nearest = self.names.iter().max_by(|(a, _), (b, _)| likeness(a).total_cmp(&likeness(b)));
        nearest.map(|(_, name)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::tests::entry;

    #[test]
    fn a_benchmark_has_one_name_however_it_is_spelled() {
        let known = Benchmarks::known(&[entry("My board", "a", 0.1), entry("my-board", "b", 0.1)]).unwrap();
        for spelling in ["FLAIR2 test", "flair #2 Test", "FLAIR#2 test"] {
            assert_eq!(known.name(spelling), Some(FLAIR2_TEST));
        }
        for spelling in ["my board", "My board", "My-board", "MyBoard"] {
            assert_eq!(known.name(spelling), Some("My board"));
        }
        assert_eq!((known.name("Toy"), known.name("FLAIR#1 test")), (Some(TOY), Some("FLAIR#1 test")));
        assert_eq!((known.name("FLAIR#2 tset"), known.nearest("FLAIR#2 tset")), (None, Some(FLAIR2_TEST)));
        assert_eq!((known.name("日本"), known.nearest("my boards")), (None, Some("My board")));
    }
}
