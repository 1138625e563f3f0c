//! `flair-bench finish`: joins the shards of a prediction, and does what an unsharded one does at its end.

use std::path::Path;

use anyhow::anyhow;
use flair_baselines::{
    data::{Dataset, Files, Preprocessor, Shard},
    predict::unpredicted,
};
use flair_scoring::{
    PatchId,
    dataset::{fold_ranges, list_ranges},
    lock::{FolderLock, LockError},
    text::counted,
    timing::Timing,
};

use super::{
    super::lock::{granted, holder},
    conclusion::{Conclusion, limits},
    folder::{PREDICTIONS, remove_incomplete},
    record::{RunRecord, TIMING, check_strays, write_json},
    shard::{self, Ended},
};
use crate::{
    cli::TimeRuleArgs,
    exit::{OrExit, Outcome},
    ui::{Bars, stderr, write_findings},
};

/// Joins the shards in the run's folder `out`. `data` is the dataset's folder, if it is not the record's.
pub(super) fn join(out: &Path, data: Option<&Path>, rule: &TimeRuleArgs) -> Outcome {
    let bars = Bars::new();
    limits(rule)?;
    // A lock creates its folder: look first whether there is a run.
    RunRecord::read(out)?;
    let _lock = take(out)?;
    let mut record = RunRecord::read(out)?;
    let (Some(identity), Some(split)) = (record.identity.clone(), record.split) else {
        return Err(anyhow!("`{}` holds a training, and no prediction", out.display())).or_input();
    };
    if let Some(data) = data {
        record.data = Some(data.to_owned());
    }
    let dataset = Dataset::open(record.data.as_deref(), &record.config.data).or_input()?;
    write_findings(&mut stderr(), &dataset.findings)?;
    let patches = split.patches(&dataset, &record.config.split()).or_input()?;
    if fold_ranges(patches.iter().copied()) != record.patch_ranges {
        return Err(anyhow!(
            "the data have other patches than the run: {} in the split `{}`, not {}; name their folder with --data DIR",
            list_ranges(patches.iter().copied(), 3),
            split.name(),
            record.patch_ranges.iter().take(3).cloned().collect::<Vec<_>>().join(", ")
        ))
        .or_input();
    }
    let preprocessor = Preprocessor::new(&record.config.inputs(), &dataset).or_input()?;
    let data = preprocessor.identity(&patches, Files::Inputs).or_input()?;
    let ended = shard::ended(out, &identity, &data)?;
    check_patches(out, &patches, &ended)?;

    let (timings, findings): (Vec<_>, Vec<_>) = ended.into_iter().map(|shard| (shard.timing, shard.findings)).unzip();
    remove_incomplete(out)?;
    record.reopen(out)?;
    let timing = sum(&timings);
    write_json(&out.join(TIMING), &timing)?;
    let conclusion = Conclusion { out, dataset: &dataset, split, patches: &patches, rule, record };
    conclusion.write(&timing, findings.concat(), &bars)
}

/// Takes the run's folder for this process, as soon as no shard runs.
fn take(out: &Path) -> Outcome<FolderLock> {
    match FolderLock::take(out, &holder()) {
        Err(error @ LockError::Held { .. }) => Err(anyhow!("{error}: wait for its end")).or_usage(),
        other => granted(other),
    }
}

/// Checks that every patch of the run, and no other, has a complete prediction, and that the shards timed them all.
fn check_patches(out: &Path, patches: &[PatchId], ended: &[Ended]) -> Outcome<()> {
    for Ended { shard, timing, .. } in ended {
        if let Err(error) = timing.matches(shard.of(patches).len() as u64) {
            return Err(anyhow!("the time of shard {shard} is of other patches: {error}; predict it again")).or_input();
        }
    }
    let folder = out.join(PREDICTIONS);
    check_strays(&folder, patches)?;
    let missing = unpredicted(&folder, patches);
    if missing.is_empty() {
        return Ok(());
    }
    let is_incomplete = |shard: &Shard| shard.of(patches).iter().any(|id| missing.binary_search(id).is_ok());
    let shards = ended.iter().map(|ended| ended.shard).filter(is_incomplete).map(|shard| shard.to_string());
    Err(anyhow!(
        "{} of {} have no complete prediction in `{}`: {}; repeat the `predict` command with --shard {}",
        missing.len(),
        counted(patches.len() as u64, "patch"),
        folder.display(),
        list_ranges(missing.iter().copied(), 5),
        shards.collect::<Vec<_>>().join(", ")
    ))
    .or_input()
}

/// The time of the run: the device-seconds of all its shards.
fn sum(timings: &[Timing]) -> Timing {
    let mut sum = Timing::sum(timings);
    sum.notes.push(format!("the sum of {}, each timed by itself", counted(timings.len() as u64, "shard")));
    sum
}
