//! Shards of a run: which one this process predicts, and their records in the run's folder.
//!
//! `RUN/shards/I-of-N/shard.json` is the record of shard `I/N`. It is written when the shard begins and when it ends. The
//! lock of its folder keeps a second process from the same shard; the lock of `RUN/shards` lets shards begin one by one.

use std::{
    env, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, anyhow};
use flair_baselines::{data::Shard, ranks::Ranks, runtime::Environment};
use flair_scoring::{
    Finding,
    files::{MAX_RECORD, read_text, remove_parts},
    lock::{FolderLock, LockError},
    text::counted,
    timing::Timing,
};
use serde::{Deserialize, Serialize};

use super::{
    super::lock::{free, holder, now},
    folder::patiently,
    record::{Extent, write_json},
};
use crate::{
    exit::{OrExit, Outcome},
    ui::{quoted, say},
};

/// The folder of the shards' records, in a run's folder.
const SHARDS: &str = "shards";
/// The file of a shard's record, in its folder.
const RECORD: &str = "shard.json";
/// How long a shard waits for others that begin at the same time.
const BEGINNINGS: Duration = Duration::from_mins(2);

/// The shard that this process predicts: `--shard`, else that of its environment. `None` for all patches in one process.
pub(super) fn choose(argument: Option<Shard>, out: Option<&Path>, ranks: &Ranks) -> Outcome<Option<Shard>> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let task = match (argument, of_rank(ranks)) {
        (Some(_), Some(_)) => {
            return Err(anyhow!("--shard is for one process: each rank of MPI has its own")).or_usage();
        }
        (Some(shard), None) => return Ok(Some(shard)),
        (None, Some(task)) => Some(task),
        (None, None) => of_slurm(variable).or_usage()?,
    };
    let Some(Task { shard, why }) = task else { return Ok(None) };
    let whole = if ranks.is_alone() { "`--shard 0/1`" } else { "one process" };
    if out.is_none() {
        return Err(anyhow!("shard {shard}, chosen by {why}, needs --out; {whole} with an --out predicts all patches"))
            .or_usage();
    }
    say(&format!("note: predicting shard {shard}, chosen by {why}; {whole} predicts all patches"));
    Ok(Some(shard))
}

/// The part of a process in a job of several.
#[derive(Debug, PartialEq, Eq)]
struct Task {
    shard: Shard,
    /// How it was chosen, in words.
    why: String,
}

/// The task of one of several ranks.
fn of_rank(ranks: &Ranks) -> Option<Task> {
    let number = |count: usize| u32::try_from(count).ok();
    let shard = Shard::new(number(ranks.rank())?, number(ranks.size())?).filter(|_| !ranks.is_alone())?;
    Some(Task { shard, why: format!("MPI's rank {} of {}", ranks.rank(), ranks.size()) })
}

/// The task of a Slurm array; `None` outside of one.
fn of_slurm(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Option<Task>> {
    const ID: &str = "SLURM_ARRAY_TASK_ID";
    let number = |name: &str, default: Option<u32>| match (variable(name), default) {
        (Some(text), _) => {
            text.parse().map_err(|_| anyhow!("{name} is `{text}`, not a number: name the shard with --shard I/N"))
        }
        (None, Some(default)) => Ok(default),
        (None, None) => Err(anyhow!("{ID} is set, but not {name}: name the shard with --shard I/N")),
    };
    if variable(ID).is_none() {
        return Ok(None);
    }
    let (id, min) = (number(ID, None)?, number("SLURM_ARRAY_TASK_MIN", None)?);
    let (step, count) = (number("SLURM_ARRAY_TASK_STEP", Some(1))?, number("SLURM_ARRAY_TASK_COUNT", None)?);
    let index = id.checked_sub(min).filter(|distance| step > 0 && distance.is_multiple_of(step));
    match index.and_then(|distance| Shard::new(distance / step, count)) {
        Some(shard) => Ok(Some(Task { shard, why: format!("{ID}={id} of {}", counted(u64::from(count), "task")) })),
        None => Err(anyhow!(
            "{ID}={id} is no task of an array of {count} from {min} by {step}: name the shard with --shard I/N"
        )),
    }
}

/// The schema of [`ShardRecord`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum ShardSchema {
    #[serde(rename = "flair-bench/shard/1")]
    V1,
}

/// The record of a shard.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShardRecord {
    schema: ShardSchema,
    shard: Shard,
    /// That of the run (`run.json`).
    pub(super) identity: String,
    /// The identity of the data of all patches of the run.
    pub(super) data: String,
    /// Start of the last process, in UTC.
    started: String,
    /// End of the shard, in UTC; `null` while it runs, or if it was stopped.
    finished: Option<String>,
    /// The time of its prediction; `null` before the first end.
    pub(super) timing: Option<Timing>,
    /// Findings about the data, made during the prediction.
    pub(super) findings: Vec<Finding>,
    environment: Environment,
}

/// The folder of a shard's record in a run's folder.
fn folder(out: &Path, shard: Shard) -> PathBuf {
    out.join(SHARDS).join(format!("{}-of-{}", shard.index(), shard.count()))
}

/// The shard that has a folder of that name.
fn of_folder(name: &str) -> Option<Shard> {
    let (index, count) = name.split_once("-of-")?;
    format!("{index}/{count}").parse().ok()
}

/// The shards that have a record in a run's folder.
fn begun(out: &Path) -> Outcome<Vec<Shard>> {
    let path = out.join(SHARDS);
    let context = || format!("cannot list `{}`", path.display());
    let entries = match fs::read_dir(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.with_context(context).or_environment()?,
    };
    let mut shards = Vec::new();
    for entry in entries {
        let entry = entry.with_context(context).or_environment()?;
        let shard = of_folder(&entry.file_name().to_string_lossy());
        shards.extend(shard.filter(|shard| folder(out, *shard).join(RECORD).exists()));
    }
    shards.sort_unstable_by_key(|shard| (shard.count(), shard.index()));
    Ok(shards)
}

/// Reads a shard's record; `None` without one.
fn read(out: &Path, shard: Shard) -> Outcome<Option<ShardRecord>> {
    let path = folder(out, shard).join(RECORD);
    let text = match read_text(&path, MAX_RECORD) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.with_context(|| format!("cannot read `{}`", path.display())).or_environment()?,
    };
    let not_one = || format!("`{}` is not the record of shard {shard}: {}", path.display(), again(shard, &path));
    let record: ShardRecord = serde_json::from_str(&text).with_context(not_one).or_input()?;
    if record.shard != shard {
        return Err(anyhow!(not_one())).or_input();
    }
    Ok(Some(record))
}

/// How to make a record again.
fn again(shard: Shard, path: &Path) -> String {
    let path = quoted(&path.to_string_lossy());
    format!("remove {path}, and repeat the `predict` command with --shard {shard}")
}

/// Refuses a folder with records of shards, for a prediction of all patches in one process: its time would replace
/// theirs.
pub(super) fn refuse_shards(out: &Path) -> Outcome<()> {
    match begun(out)?.first() {
        Some(shard) => Err(anyhow!(
            "`{}` is predicted in shards, such as {shard}: repeat the missing ones with --shard, join them with \
             `flair-bench finish`, or remove {} (the predictions are then kept, and cannot pass the time rule)",
            out.display(),
            quoted(&out.join(SHARDS).to_string_lossy())
        ))
        .or_usage(),
        None => Ok(()),
    }
}

/// The permission to begin a shard: others that begin at the same time wait.
pub(super) struct Turn<'a> {
    out: &'a Path,
    shard: Shard,
    pub(super) extent: Extent,
    /// Keeps a second process from this shard.
    lock: FolderLock,
    /// Makes others wait.
    _others: FolderLock,
}

/// A shard that this process predicts, and its record.
pub(super) struct Begun {
    record: ShardRecord,
    path: PathBuf,
    _lock: FolderLock,
}

impl<'a> Turn<'a> {
    /// Waits for the turn of a shard. Refuses a folder with another number of shards, and a shard that runs already.
    pub(super) fn wait(out: &'a Path, shard: Shard) -> Outcome<Self> {
        let holder = holder();
        let turn = free(patiently(BEGINNINGS, || FolderLock::take(&out.join(SHARDS), &holder)))?;
        let begun = begun(out)?;
        if let Some(other) = begun.iter().find(|other| other.count() != shard.count()) {
            return Err(anyhow!(
                "`{}` is predicted in {}, and {shard} is none of them: name one of I/{}, choose another --out, or remove {} \
                 (the predictions are then kept, and cannot pass the time rule)",
                out.display(),
                counted(u64::from(other.count()), "shard"),
                other.count(),
                quoted(&out.join(SHARDS).to_string_lossy())
            ))
            .or_usage();
        }
        let lock = match FolderLock::take(&folder(out, shard), &holder) {
            Err(error @ LockError::Held { .. }) => {
                Err(anyhow!("shard {shard} is being predicted already: {error}")).or_usage()?
            }
            other => other.or_environment()?,
        };
        // A process that was killed while it wrote the record.
        remove_parts(lock.folder(), RECORD).or_environment()?;
        let extent = if begun.is_empty() { Extent::FirstShard } else { Extent::FurtherShard };
        Ok(Self { out, shard, extent, lock, _others: turn })
    }

    /// The shard's record by an earlier process, which must be of the same run.
    pub(super) fn earlier(&self, identity: &str) -> Outcome<Option<ShardRecord>> {
        let earlier = read(self.out, self.shard)?;
        if earlier.as_ref().is_some_and(|earlier| earlier.identity != identity) {
            let path = folder(self.out, self.shard).join(RECORD);
            return Err(anyhow!(
                "`{}` is of a run with other settings, weights, data or device: remove it, or choose another --out",
                path.display()
            ))
            .or_usage();
        }
        Ok(earlier)
    }

    /// Writes the record of the shard that begins, and gives others their turn.
    pub(super) fn begin(
        self,
        earlier: Option<ShardRecord>,
        identity: String,
        data: String,
        environment: Environment,
    ) -> Outcome<Begun> {
        let (timing, findings) = earlier.map_or((None, Vec::new()), |earlier| (earlier.timing, earlier.findings));
        let record = ShardRecord {
            schema: ShardSchema::V1,
            shard: self.shard,
            identity,
            data,
            started: now(),
            finished: None,
            timing,
            findings,
            environment,
        };
        let path = folder(self.out, self.shard).join(RECORD);
        write_json(&path, &record)?;
        Ok(Begun { record, path, _lock: self.lock })
    }
}

impl Begun {
    /// The time that an earlier process recorded.
    pub(super) fn earlier_timing(&self) -> Option<&Timing> {
        self.record.timing.as_ref()
    }

    /// Records the end of the shard. The findings of patches that were kept are those of the earlier process.
    pub(super) fn finish(&mut self, timing: Timing, findings: Vec<Finding>) -> Outcome<&Path> {
        let known = &mut self.record.findings;
        known.retain(|known| findings.iter().all(|new| new.subject != known.subject));
        known.extend(findings);
        known.sort_by(|a, b| a.subject.cmp(&b.subject));
        self.record.timing = Some(timing);
        self.record.finished = Some(now());
        write_json(&self.path, &self.record)?;
        Ok(&self.path)
    }
}

/// The time and the findings of a shard that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) shard: Shard,
    pub(super) timing: Timing,
    pub(super) findings: Vec<Finding>,
}

/// All shards of a run, in order, each with its time. `identity` is the run's; `data` is the identity of the data that
/// are there now.
pub(super) fn ended(out: &Path, identity: &str, data: &str) -> Outcome<Vec<Ended>> {
    let shards = begun(out)?;
    let Some(count) = shards.last().map(|shard| shard.count()) else {
        return Err(anyhow!(
            "`{}` has no shards: `flair-bench predict --shard I/N` makes them, and `predict` without it needs no `finish`",
            out.display()
        ))
        .or_usage();
    };
    if let Some(other) = shards.iter().find(|shard| shard.count() != count) {
        return Err(anyhow!(
            "`{}` has shards of two divisions, {} and {count}: remove the folders of one",
            out.join(SHARDS).display(),
            other.count()
        ))
        .or_usage();
    }
    let (mut ended, mut open) = (Vec::new(), Vec::new());
    for shard in Shard::all(count) {
        let path = folder(out, shard).join(RECORD);
        let Some(record) = read(out, shard)? else {
            open.push(format!("{shard} (there is no `{}`)", path.display()));
            continue;
        };
        if record.identity != identity {
            return Err(anyhow!(
                "`{}` is of a run with other settings, weights, data or device than `run.json`: {}",
                path.display(),
                again(shard, &path)
            ))
            .or_usage();
        }
        if record.data != data {
            return Err(anyhow!(
                "the data are not those that `{}` was predicted from: name their folder with --data DIR (files that were \
                 changed, or copied without their times, are other data)",
                path.display()
            ))
            .or_input();
        }
        match record.timing.filter(|_| record.finished.is_some()) {
            Some(timing) if timing.elapsed().is_none() => {
                return Err(anyhow!("`{}` has no valid time: {}", path.display(), again(shard, &path))).or_input();
            }
            Some(timing) => ended.push(Ended { shard, timing, findings: record.findings }),
            None => open.push(format!("{shard} (stopped: `{}`)", path.display())),
        }
    }
    if open.is_empty() {
        return Ok(ended);
    }
    let shown = open.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    let more = if open.len() > 5 { ", …" } else { "" };
    Err(anyhow!(
        "{} of {} are not done: {shown}{more}; repeat the `predict` command with --shard of each",
        open.len(),
        counted(u64::from(count), "shard")
    ))
    .or_input()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slurm(variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(suffix, _)| name.strip_prefix("SLURM_ARRAY_TASK_") == Some(suffix));
            found.map(|(_, value)| (*value).to_owned())
        };
        of_slurm(variable).map(|task| task.map(|task| task.shard.to_string())).map_err(|error| error.to_string())
    }

    #[test]
    fn a_task_of_a_slurm_array_is_a_shard() {
        let shard = |id, min, step, count| slurm(&[("ID", id), ("MIN", min), ("STEP", step), ("COUNT", count)]);
        let is = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(slurm(&[]), Ok(None));
        assert_eq!(slurm(&[("COUNT", "7"), ("MIN", "0")]), Ok(None));
        assert_eq!(shard("0", "0", "1", "4"), is("0/4"));
        assert_eq!(shard("3", "0", "1", "4"), is("3/4"));
        // `--array=1-7`, `--array=10-40:10`
        assert_eq!(shard("7", "1", "1", "7"), is("6/7"));
        assert_eq!(shard("30", "10", "10", "4"), is("2/4"));
        assert_eq!(slurm(&[("ID", "2"), ("MIN", "1"), ("COUNT", "2")]), is("1/2"));
        // `--array=1,5,7` is not a range.
        insta::assert_snapshot!(shard("5", "1", "1", "3").unwrap_err(), @"SLURM_ARRAY_TASK_ID=5 is no task of an array of 3 from 1 by 1: name the shard with --shard I/N");
        for [id, min, step, count] in
            [["0", "1", "1", "3"], ["2", "1", "2", "3"], ["1", "1", "0", "3"], ["0", "0", "1", "0"]]
        {
            assert!(shard(id, min, step, count).unwrap_err().contains("--shard I/N"));
        }
        insta::assert_snapshot!(shard("a", "1", "1", "3").unwrap_err(), @"SLURM_ARRAY_TASK_ID is `a`, not a number: name the shard with --shard I/N");
        insta::assert_snapshot!(slurm(&[("ID", "1"), ("MIN", "1")]).unwrap_err(), @"SLURM_ARRAY_TASK_ID is set, but not SLURM_ARRAY_TASK_COUNT: name the shard with --shard I/N");
    }

    #[test]
    fn shards_have_folders_of_their_own() {
        let out = Path::new("run");
        for shard in Shard::all(12) {
            let folder = folder(out, shard);
            assert_eq!(of_folder(&folder.file_name().unwrap().to_string_lossy()), Some(shard));
        }
        for name in ["0-of", "of", "3-of-3", "0-of-3.old", ".0-of-3", "-1-of-3"] {
            assert_eq!(of_folder(name), None, "{name}");
        }
    }
}
