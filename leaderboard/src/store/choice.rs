//! The benchmark of a run.

use std::path::Path;

use flair_scoring::{Protocol, ScoreReport, dataset::patch_set, submission::official_test, text::counted};

use super::{Benchmarks, record::Run};
use crate::{FLAIR2_TEST, LeaderboardError, TOY, TestSet, benchmark_key};

/// Number of patches of the challenge's test set.
pub(super) const FLAIR2_TEST_PATCHES: u64 = 16_050;

/// The benchmark of the run in `folder`: the requested one, by its known name, or the one that follows from the run. A
/// small or synthetic test set must never share the challenge's.
pub(super) fn choose(
    folder: &Path,
    run: &Run,
    score: &ScoreReport,
    asked: Option<&str>,
    known: &Benchmarks,
) -> Result<String, LeaderboardError> {
    let is_by_its_rules = Protocol::flair2().id() == score.protocol;
    // Records of earlier versions do not name their patches.
    let is_official = score.patch_set.as_ref().map(|ids| *ids == patch_set(official_test()));
    let is_whole = score.patches == FLAIR2_TEST_PATCHES && is_official.unwrap_or(true);
    let Some(asked) = asked else {
        let is_test = run.split.as_deref().map_or(is_official == Some(true), |split| split == "test");
        let is_challenge = is_test && is_whole && is_by_its_rules && !run.is_toy;
        return Ok(if is_challenge { FLAIR2_TEST.to_owned() } else { derived(run, score, is_by_its_rules) });
    };
    let benchmark = known.name(asked).unwrap_or(asked.trim());
    let patches = counted(score.patches, "patch");
    let reason = if run.is_toy && !benchmark_key(benchmark).starts_with(TOY) {
        "it ran on synthetic data".to_owned()
    } else if run.is_real && benchmark == TOY {
        "it ran on real data".to_owned()
    } else if benchmark != FLAIR2_TEST {
        if Benchmarks::known(&[])?.name(benchmark).is_none_or(|name| name == TOY) {
            return Ok(benchmark.to_owned());
        }
        "it is of other data than FLAIR #2's".to_owned()
    } else if score.patches != FLAIR2_TEST_PATCHES {
        format!("the test set has {FLAIR2_TEST_PATCHES} patches, it scored {}", score.patches)
    } else if !is_whole {
        format!("it scored {patches}, but not those of the test set, 077413 to 093462")
    } else if run.split.as_deref().is_some_and(|split| split != "test") {
        "it did not predict the test split".to_owned()
    } else if !is_by_its_rules {
        format!("it was scored by the protocol `{}`, not by the challenge's", score.protocol)
    } else {
        return Ok(benchmark.to_owned());
    };
    Err(LeaderboardError::Benchmark { run: folder.to_owned(), benchmark: benchmark.to_owned(), reason })
}

/// The name of a benchmark of its own: split and test set. Two synthetic datasets have the same IDs, so the name of
/// theirs has the digest of the masks.
fn derived(run: &Run, score: &ScoreReport, is_by_its_rules: bool) -> String {
    let patches = counted(score.patches, "patch");
    let test_set = TestSet::of(score);
    let digest = test_set.map(|set| if run.is_toy { set.masks } else { set.ids });
    let digest = digest.map_or_else(String::new, |digest| format!(", {digest:.8}"));
    let by = if is_by_its_rules { String::new() } else { format!(" by {}", score.protocol) };
    match run.split.as_deref() {
        _ if run.is_toy => format!("{TOY} ({patches}{digest}){by}"),
        Some(split) => format!("FLAIR#2 {split} ({patches}{digest}){by}"),
        None => format!("FLAIR#2, unknown split ({patches}{digest}){by}"),
    }
}
