//! The summary of a run, printed at its end.

use std::{fmt, path::Path};

use flair_baselines::data::{Shard, Split};
use flair_scoring::{
    ScoreReport,
    submission::{CheckReport, Packed},
    timing::{Timing, Verdict},
};

use crate::ui::{quoted, rule, score_table};

/// Reasons for a run to make no archive.
#[derive(Debug)]
pub(super) enum Unpacked {
    /// The run is of another split than the test, and no submission.
    OtherSplit(Split),
    /// The run broke the time rule.
    OverTime(String),
    /// The check failed; its report.
    Invalid(Box<CheckReport>),
}

pub(super) struct Summary<'a> {
    /// The run's folder.
    pub(super) out: &'a Path,
    /// Notes that every output must show.
    pub(super) notes: &'a [String],
    pub(super) timing: &'a Timing,
    pub(super) verdict: &'a Verdict,
    pub(super) score: Option<&'a ScoreReport>,
    pub(super) packed: Result<&'a Packed, &'a Unpacked>,
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { timing, .. } = self;
        let out = self.out.display();
        if let Some(score) = self.score {
            writeln!(f, "{}", score_table(score))?;
        } else {
            self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))?;
        }
        write_time(f, timing)?;
        writeln!(
            f,
            "  absolute  {}",
            rule(self.verdict.absolute, "no judgement: some predictions are from an earlier run")
        )?;
        writeln!(f, "  relative  {}", rule(self.verdict.relative, "no judgement: declare --baseline-time M-S"))?;
        match self.packed {
            Ok(packed) => {
                writeln!(
                    f,
                    "submission  {} ({} files, {} bytes)",
                    packed.path.display(),
                    packed.entries,
                    packed.bytes
                )?;
            }
            Err(Unpacked::OtherSplit(split)) => {
                writeln!(f, "submission  none: a submission has the test patches, and these are of {}", split.name())?;
            }
            Err(Unpacked::Invalid(report)) => writeln!(f, "submission  none: {}", report.verdict())?,
            Err(Unpacked::OverTime(rules)) => {
                writeln!(f, "submission  none: longer than the rules allow ({rules})")?;
            }
        }
        writeln!(f, "results     {out}")?;
        let is_submission = !matches!(self.packed, Err(Unpacked::OtherSplit(_)));
        if self.score.is_some() && !self.verdict.is_over() && is_submission {
            writeln!(f, "next        flair-bench leaderboard add {out} --name NAME")?;
        }
        Ok(())
    }
}

fn write_time(f: &mut fmt::Formatter<'_>, timing: &Timing) -> fmt::Result {
    writeln!(
        f,
        "time        {:.1} s for {} patches ({:.2} s each) on {}, {} threads",
        timing.seconds,
        timing.patches,
        timing.seconds / timing.patches.max(1) as f64,
        timing.device,
        timing.threads
    )
}

/// The summary of a shard, printed at its end.
pub(super) struct ShardSummary<'a> {
    /// The run's folder.
    pub(super) out: &'a Path,
    pub(super) shard: Shard,
    pub(super) timing: &'a Timing,
    /// The file of its record.
    pub(super) record: &'a Path,
}

impl fmt::Display for ShardSummary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { out, shard, timing, record } = self;
        writeln!(f, "shard       {shard}, its record in {}", record.display())?;
        write_time(f, timing)?;
        writeln!(f, "next        flair-bench finish {}", quoted(&out.to_string_lossy()))?;
        writeln!(f, "            as soon as all {} shards are done", shard.count())
    }
}
