//! Checks the times that an archive's name declares against the time limit.

use std::{path::Path, time::Duration};

use super::{ArchiveName, Times, name::split_times};
use crate::{Code, Finding, text::shown};

/// The finding about an archive's name, if any; a submission may take up to `factor` times the baseline's time.
pub(super) fn name(path: &Path, factor: f64) -> Option<Finding> {
    let text = path.file_name()?.to_string_lossy();
    let name = text.parse::<ArchiveName>();
    if let Some(times) = name.as_ref().ok().and_then(ArchiveName::times) {
        return over(times, factor).map(|message| Code::OverTime.finding(shown(&text), message));
    }
    let form = "the challenge's form is NAME_{baseline M-S}_{submission M-S}.zip, such as unet_5-57_14-40.zip";
    let stem = text.strip_suffix(".zip").unwrap_or(&text);
    let message = match (seeming_times(stem), name) {
        (None, _) => format!("no times are declared: {form}"),
        (Some(_), Err(error)) if split_times(stem).is_some() => {
            format!("its times cannot be read: {}", shown(&error.to_string()))
        }
        (Some([baseline, submission]), _) => format!(
            "its times, {} and {}, are not in the expected form, minutes and seconds below 60 without leading zeros: \
             {form}",
            shown(baseline),
            shown(submission)
        ),
    };
    Some(Code::ArchiveNameForm.finding(shown(&text), message))
}

/// The last two parts of a name, if they look like times: two numbers each.
fn seeming_times(stem: &str) -> Option<[&str; 2]> {
    let (rest, submission) = stem.rsplit_once('_')?;
    let (_, baseline) = rest.rsplit_once('_')?;
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let is_time = |part: &str| part.split_once(['-', ':', '.']).is_some_and(|(m, s)| is_number(m) && is_number(s));
    (is_time(baseline) && is_time(submission)).then_some([baseline, submission])
}

/// A message if the declared times break the rule. Times are floored, so a submission may exceed the limit by up to a
/// second without a message.
fn over(Times { baseline, submission }: Times, factor: f64) -> Option<String> {
    // A product that does not fit a duration is no limit.
    let limit = Duration::try_from_secs_f64(baseline.duration().as_secs_f64() * factor).ok()?;
    if limit.is_zero() {
        return Some("it declares a baseline time of 0, so the time limit cannot be checked".to_owned());
    }
    let limit = super::MinutesSeconds::from(limit);
    let message = format!("it declares {submission}, more than {factor} times the baseline's {baseline}, {limit}");
    (submission > limit).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_held_against_the_form_and_the_rule() {
        let names = [
            "run_5-57_14-40.zip",
            "run_5-57_14-52.zip",
            "run_5-57_14-53.zip",
            "run_0-0_0-1.zip",
            "run_05-57_14-40.zip",
            "run_5-57_14-60.zip",
            "run_5:57_14:40.zip",
            "my run_5-57_14-40.zip",
            "my run.zip",
        ];
        let describe = |text: &&str| match name(Path::new(text), 2.5) {
            Some(finding) => format!("{text}: {}: {}", finding.code, finding.message),
            None => format!("{text}: well"),
        };
        insta::assert_snapshot!(names.iter().map(describe).collect::<Vec<_>>().join("\n"), @r"
        run_5-57_14-40.zip: well
        run_5-57_14-52.zip: well
        run_5-57_14-53.zip: over-time: it declares 14-53, more than 2.5 times the baseline's 5-57, 14-52
        run_0-0_0-1.zip: over-time: it declares a baseline time of 0, so the time limit cannot be checked
        run_05-57_14-40.zip: archive-name: its times, 05-57 and 14-40, are not in the expected form, minutes and seconds below 60 without leading zeros: the challenge's form is NAME_{baseline M-S}_{submission M-S}.zip, such as unet_5-57_14-40.zip
        run_5-57_14-60.zip: archive-name: its times, 5-57 and 14-60, are not in the expected form, minutes and seconds below 60 without leading zeros: the challenge's form is NAME_{baseline M-S}_{submission M-S}.zip, such as unet_5-57_14-40.zip
        run_5:57_14:40.zip: archive-name: its times, 5:57 and 14:40, are not in the expected form, minutes and seconds below 60 without leading zeros: the challenge's form is NAME_{baseline M-S}_{submission M-S}.zip, such as unet_5-57_14-40.zip
        my run_5-57_14-40.zip: archive-name: its times cannot be read: `my run` cannot name an archive: use letters, digits, `_`, `-`, `.` and `+`, and no leading `.` or `-`
        my run.zip: archive-name: no times are declared: the challenge's form is NAME_{baseline M-S}_{submission M-S}.zip, such as unet_5-57_14-40.zip
        ");
    }
}
