//! `flair-bench package`.

use std::{collections::BTreeSet, io::Write};

use anyhow::{Context, anyhow};
use flair_scoring::{
    files::{MAX_RECORD, read_text},
    source::Source,
    submission::{ArchiveName, Doubtful, PackError, Packed, Times, pack, predictions},
    text::counted,
    timing::{Limits, Timing, judge},
};

use super::{check::options, expected::expected};
use crate::{
    cli::PackageArgs,
    exit::{Exit, OrExit, Outcome},
    ui::{Bars, rules, say, stdout, write_first},
};

pub(crate) fn run(arguments: &PackageArgs) -> Outcome {
    let options = options(&arguments.rules)?;
    let source = Source::open(&arguments.predictions).or_input()?;
    let times = match (&arguments.timing, arguments.baseline_time) {
        (Some(file), Some(baseline)) => {
            let timing: Timing = read_text(file, MAX_RECORD)
                .map_err(anyhow::Error::from)
                .and_then(|text| Ok(serde_json::from_str(&text)?))
                .with_context(|| format!("`{}` is not a timing record", file.display()))
                .or_input()?;
            let patches: BTreeSet<_> = predictions(&source).map(|(id, _)| id).collect();
            timing
                .matches(patches.len() as u64)
                .with_context(|| {
                    let (file, folder) = (file.display(), arguments.predictions.display());
                    format!("`{file}` is not the timing record of `{folder}`: enclose that of the run that made them")
                })
                .or_input()?;
            let baseline_seconds = Some(baseline.duration().as_secs_f64());
            let limits = Limits { baseline_seconds, factor: options.factor, ..Limits::default() };
            let verdict = judge(&timing, &limits);
            if verdict.is_over() {
                say(&format!("this run took longer than the rules allow: {}; nothing was packed", rules(&verdict)));
                return Ok(Exit::Negative);
            }
            if !timing.is_whole() {
                return Err(anyhow!(
                    "the clock of `{}` does not cover {} patches, which a stopped run left: predict them again",
                    file.display(),
                    timing.kept_patches
                ))
                .or_input();
            }
            let elapsed = timing.elapsed().with_context(|| format!("`{}` holds no time", file.display())).or_input()?;
            Some(Times { baseline, submission: elapsed.into() })
        }
        _ => None,
    };
    let name = ArchiveName::new(&arguments.name, times).or_usage()?;
    let expected = expected(&arguments.expected)?;
    let source = Source::open(&arguments.predictions).or_input()?;
    let doubtful = if arguments.as_is { Doubtful::Accept } else { Doubtful::Refuse };
    let packed = pack(&source, expected.as_ref(), &options, doubtful, &arguments.out, &name, &Bars::new());
    let mut out = stdout();
    let most = arguments.findings.for_people();
    match packed {
        Ok(packed) => {
            write_first(&mut out, &packed.report.findings, most)?;
            let Packed { path, entries, bytes, recompressed, .. } = packed;
            if recompressed > 0 {
                let files = counted(recompressed, "prediction");
                writeln!(out, "compressed {files} again by LZW, as the challenge asks: the pixels are the same")?;
            }
            writeln!(out, "{}: {}, {bytes} bytes", path.display(), counted(entries, "prediction"))?;
            Ok(Exit::Done)
        }
        Err(PackError::Refused(report)) => {
            write_first(&mut out, &report.findings, most)?;
            writeln!(out, "{}; nothing was packed", report.verdict())?;
            Ok(Exit::Negative)
        }
        Err(PackError::Doubtful(report)) => {
            write_first(&mut out, &report.findings, most)?;
            writeln!(
                out,
                "these predictions look like a mistake; nothing was packed (--as-is packs them as they are)"
            )?;
            Ok(Exit::Negative)
        }
        Err(error @ (PackError::Read(_) | PackError::Changed { .. })) => Err(error).or_input(),
        Err(error) => Err(error).or_environment(),
    }
}
