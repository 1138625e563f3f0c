//! Ranks entries, each benchmark by itself, the best first.

use std::collections::BTreeMap;

use crate::{Entry, FLAIR2_TEST, entry::folder_name};

/// The entries of one benchmark, the best first.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking<'a> {
    /// The benchmark.
    pub benchmark: &'a str,
    /// Its entries.
    pub rows: Vec<Row<'a>>,
    /// The first and last of the official ranks that no entry has, before the last known one.
    pub unknown_ranks: Vec<(u32, u32)>,
}

/// An entry and its rank.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<'a> {
    /// Its rank among the entries of its benchmark, from 1. Equal scores share a rank, and the next is skipped: 1, 2,
    /// 2, 4.
    pub place: usize,
    /// Whether another entry has the same rank.
    pub is_tied: bool,
    /// The entry.
    pub entry: &'a Entry,
}

/// Ranks entries by [`Entry::miou`], each benchmark by itself: the challenge's first, the others by name.
///
/// The order of the entries does not matter: equal scores are listed by official rank, then by name.
pub fn rank<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<Ranking<'a>> {
    let mut benchmarks = BTreeMap::<_, Vec<&Entry>>::new();
    for entry in entries {
        benchmarks.entry((entry.benchmark != FLAIR2_TEST, entry.benchmark.as_str())).or_default().push(entry);
    }
    let ranking = |((_, benchmark), mut entries): (_, Vec<&'a Entry>)| {
        let known = |entry: &Entry| entry.rank.unwrap_or(u32::MAX);
        entries.sort_by(|a, b| {
            let tie = || (known(a), &a.name, a.to_json()).cmp(&(known(b), &b.name, b.to_json()));
            b.miou.total_cmp(&a.miou).then_with(tie)
        });
        let better = |miou: f64| entries.partition_point(|e| e.miou.total_cmp(&miou).is_gt());
        let equal = |miou: f64| entries.iter().filter(|e| e.miou.total_cmp(&miou).is_eq()).count();
        let row = |&entry: &&'a Entry| Row { place: better(entry.miou) + 1, is_tied: equal(entry.miou) > 1, entry };
        Ranking { benchmark, rows: entries.iter().map(row).collect(), unknown_ranks: unknown_ranks(&entries) }
    };
    benchmarks.into_iter().map(ranking).collect()
}

fn unknown_ranks(entries: &[&Entry]) -> Vec<(u32, u32)> {
    let mut known: Vec<_> = entries.iter().filter_map(|entry| entry.rank).collect();
    known.sort_unstable();
    let mut unknown = Vec::new();
    let mut next = 1;
    for rank in known {
        if rank > next {
            unknown.push((next, rank - 1));
        }
        next = next.max(rank.saturating_add(1));
    }
    unknown
}

/// Adds own entries to others, none of which they replace; equal ones are listed once. An own entry's benchmark gets the
/// name of the first one that has its folder in a [`crate::Store`].
pub fn merge(theirs: Vec<Entry>, own: Vec<Entry>) -> Vec<Entry> {
    let mut names = BTreeMap::new();
    let mut all: Vec<Entry> = Vec::new();
    for mut entry in theirs.into_iter().chain(own) {
        let name = names.entry(folder_name(&entry.benchmark)).or_insert_with(|| entry.benchmark.clone());
        entry.benchmark.clone_from(name);
        if !all.contains(&entry) {
            all.push(entry);
        }
    }
    all
}

impl Ranking<'_> {
    /// Notes on the ranking as a whole, in sentences.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for &(first, last) in &self.unknown_ranks {
            notes.push(if first == last {
                format!("The official rank {first} is not known.")
            } else {
                format!("The official ranks {first} to {last} are not known.")
            });
        }
        let mut protocols: Vec<_> = self.rows.iter().map(|row| row.entry.protocol.as_str()).collect();
        protocols.sort_unstable();
        protocols.dedup();
        if protocols.len() > 1 {
            notes.push("Scores by different protocols, or by an unstated one, may not be comparable.".to_owned());
        }
        let mut test_sets: Vec<_> = self.rows.iter().filter_map(|row| row.entry.test_set.as_ref()).collect();
        test_sets.dedup_by_key(|test_set| &test_set.ids);
        if test_sets.len() > 1 {
            notes.push("Scores of different patches are not comparable.".to_owned());
        }
        if self.rows.iter().any(|row| row.entry.untrained) {
            notes.push("An untrained model's score shows only that the program works.".to_owned());
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{TestSet, entry::tests::entry};

    fn places<'a>(ranking: &Ranking<'a>) -> Vec<(usize, bool, &'a str)> {
        ranking.rows.iter().map(|row| (row.place, row.is_tied, row.entry.name.as_str())).collect()
    }

    #[test]
    fn equal_scores_share_a_place() {
        let mut entries = ["d", "b", "a", "c"].map(|name| entry("x", name, 0.5));
        entries[0].miou = 0.6;
        entries[3].miou = 0.4;
        entries[2].rank = Some(7);
        assert_eq!(places(&rank(&entries)[0]), [(1, false, "d"), (2, true, "a"), (2, true, "b"), (4, false, "c")]);
    }

    #[test]
    fn benchmarks_are_apart_and_the_challenge_comes_first() {
        let entries = [entry("A", "1", 0.9), entry(FLAIR2_TEST, "2", 0.1), entry("B", "3", 0.5), entry("A", "4", 0.95)];
        let rankings = rank(&entries);
        let found: Vec<_> = rankings.iter().map(|r| (r.benchmark, places(r))).collect();
        assert_eq!(
            found,
            [
                (FLAIR2_TEST, vec![(1, false, "2")]),
                ("A", vec![(1, false, "4"), (2, false, "1")]),
                ("B", vec![(1, false, "3")]),
            ]
        );
    }

    #[test]
    fn gaps_in_official_ranks_are_known() {
        let mut entries = ["a", "b", "c", "d"].map(|name| entry("x", name, 0.5));
        for (entry, rank) in entries.iter_mut().zip([2, 3, 8, 8]) {
            entry.rank = Some(rank);
        }
        let ranking = &rank(&entries)[0];
        assert_eq!(ranking.unknown_ranks, [(1, 1), (4, 7)]);
        insta::assert_snapshot!(ranking.notes().join("\n"), @r"
        The official rank 1 is not known.
        The official ranks 4 to 7 are not known.
        ");
    }

    #[test]
    fn no_entry_removes_another_and_benchmarks_are_one_however_spelled() {
        let published = vec![entry(FLAIR2_TEST, "strakajk", 0.6413), entry("x", "c", 0.2)];
        let own = ["strakajk", "Strakajk!", "STRAKAJK"].map(|name| entry("FLAIR2 test", name, 0.1));
        let own =
            own.into_iter().chain([entry("x", "c", 0.2), entry("My board", "a", 0.1), entry("my-board", "b", 0.2)]);
        let merged = merge(published, own.collect());
        let rankings = rank(&merged);
        let found: Vec<_> = rankings.iter().map(|r| (r.benchmark, r.rows.len())).collect();
        assert_eq!(found, [(FLAIR2_TEST, 4), ("My board", 2), ("x", 1)]);
        assert_eq!(places(&rankings[0])[0], (1, false, "strakajk"));
    }

    #[test]
    fn scores_of_different_patches_are_noted() {
        let on = |ids: &str| {
            let test_set = TestSet { patches: 3, ids: ids.to_owned(), masks: String::new() };
            Entry { test_set: Some(test_set), ..entry("x", "a", 0.5) }
        };
        assert_eq!(rank(&[on("1"), on("1")])[0].notes(), Vec::<String>::new());
        assert_eq!(rank(&[on("1"), on("2")])[0].notes(), ["Scores of different patches are not comparable."]);
    }

    proptest! {
        #[test]
        fn ranking_is_total_and_independent_of_order(
            rows in prop::collection::vec((0u8..3, 0u8..4, "[a-c]{1,2}", prop::option::of(1u32..4)), 0..20),
            seed in any::<u64>(),
        ) {
            let mut entries: Vec<_> = rows.iter().map(|(benchmark, miou, name, rank)| {
                let mut entry = entry(&format!("b{benchmark}"), name, f64::from(*miou) / 4.0);
                entry.rank = *rank;
                entry
            }).collect();
            let before = rank(&entries).iter().map(|r| format!("{r:?}")).collect::<Vec<_>>();
            prop_assert_eq!(rank(&entries).iter().map(|r| r.rows.len()).sum::<usize>(), entries.len());
            for ranking in rank(&entries) {
                prop_assert!(ranking.rows.is_sorted_by_key(|row| row.place));
                prop_assert!(ranking.rows.iter().all(|row| row.entry.benchmark == ranking.benchmark));
                for row in &ranking.rows {
                    let better = ranking.rows.iter().filter(|r| r.entry.miou > row.entry.miou).count();
                    prop_assert_eq!(row.place, better + 1);
                }
            }
            let len = entries.len().max(1);
            for i in 0..entries.len() {
                entries.swap(i, usize::try_from(seed.rotate_left(u32::try_from(i).unwrap()) % len as u64).unwrap());
            }
            prop_assert_eq!(rank(&entries).iter().map(|r| format!("{r:?}")).collect::<Vec<_>>(), before);
        }
    }
}
