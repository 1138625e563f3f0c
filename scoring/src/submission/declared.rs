//! Checks the times that an archive's name declares against the time limit.

use std::path::Path;

use super::{ArchiveName, MinutesSeconds, Times, split_times, stem_of};
use crate::{Code, Finding, text::shown, timing::Outcome};

/// The form of a name with times.
const FORM: &str = "the challenge's form is NAME_{baseline M-S}_{submission M-S}.zip, such as unet_5-57_14-40.zip";

/// The findings about an archive's name; a submission may take up to `factor` times the baseline's time.
pub(super) fn name(path: &Path, factor: f64) -> Vec<Finding> {
    let Some(text) = path.file_name().map(|name| name.to_string_lossy()) else { return Vec::new() };
    let subject = shown(&text);
    let stem = stem_of(&text).unwrap_or(&text);
    match split_times(stem) {
        Ok(Some((name, times))) => {
            let form = ArchiveName::new(name, Some(times))
                .err()
                .map(|error| Code::ArchiveNameForm.finding(&subject, shown(&error.to_string())));
            let over = over(times, factor).map(|message| Code::OverTime.finding(&subject, message));
            over.into_iter().chain(form).collect()
        }
        Ok(None) => {
            let message = format!("no times are declared: {FORM}");
            vec![Code::ArchiveNameForm.finding(subject, message)]
        }
        Err(error) => vec![Code::MalformedTimes.finding(subject, format!("{error}: {FORM}"))],
    }
}

/// A message if the declared times break the rule.
fn over(times: Times, factor: f64) -> Option<String> {
    let Times { baseline, submission } = times;
    let Outcome::Fail { limit, .. } = times.judge(factor) else { return None };
    let limit = std::time::Duration::try_from_secs_f64(limit).map(MinutesSeconds::from).ok()?;
    Some(format!("it declares {submission}, more than {factor} times the baseline's {baseline}, {limit}"))
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
            "run_5-57_14-54.zip",
            "run_5-57_20-0.ZIP",
            "my run_5-57_20-0.zip",
            "run_5-57_20-0 (1).zip",
            "run_0-0_0-1.zip",
            "run_5-57_014-40.zip",
            "unet_1.5_2.0.zip",
            "run_05-57_14-40.zip",
            "run_5-57_14-60.zip",
            "run_5:57_14:40.zip",
            "my run_5-57_14-40.zip",
            "my run.zip",
        ];
        let describe = |text: &&str| match name(Path::new(text), 2.5).as_slice() {
            [] => vec![format!("{text}: well")],
            findings => findings.iter().map(|f| format!("{text}: {}: {}", f.code, f.message)).collect(),
        };
        insta::assert_snapshot!(names.iter().flat_map(describe).collect::<Vec<_>>().join("\n"), @r"
        run_5-57_14-40.zip: well
        run_5-57_14-52.zip: well
        run_5-57_14-53.zip: well
        run_5-57_14-54.zip: over-time: it declares 14-54, more than 2.5 times the baseline's 5-57, 14-53
        run_5-57_20-0.ZIP: over-time: it declares 20-0, more than 2.5 times the baseline's 5-57, 14-53
        my run_5-57_20-0.zip: over-time: it declares 20-0, more than 2.5 times the baseline's 5-57, 14-53
        my run_5-57_20-0.zip: archive-name: `my run` cannot name an archive: use letters, digits, `_`, `-`, `.` and `+`, and no leading `.` or `-`
        run_5-57_20-0 (1).zip: malformed-times: its times, 5-57 and 20-0 (1), are not minutes and seconds below 60 without signs, spaces or leading zeros: the challenge's form is NAME_{baseline M-S}_{submission M-S}.zip, such as unet_5-57_14-40.zip
        run_0-0_0-1.zip: malformed-times: its times, 0-0 and 0-1, must be above 0 and at most a day: the challenge's form is NAME_{baseline M-S}_{submission M-S}.zip, such as unet_5-57_14-40.zip
        run_5-57_014-40.zip: malformed-times: its times, 5-57 and 014-40, are not minutes and seconds below 60 without signs, spaces or leading zeros: the challenge's form is NAME_{baseline M-S}_{submission M-S}.zip, such as unet_5-57_14-40.zip
        unet_1.5_2.0.zip: archive-name: no times are declared: the challenge's form is NAME_{baseline M-S}_{submission M-S}.zip, such as unet_5-57_14-40.zip
        run_05-57_14-40.zip: malformed-times: its times, 05-57 and 14-40, are not minutes and seconds below 60 without signs, spaces or leading zeros: the challenge's form is NAME_{baseline M-S}_{submission M-S}.zip, such as unet_5-57_14-40.zip
        run_5-57_14-60.zip: malformed-times: its times, 5-57 and 14-60, are not minutes and seconds below 60 without signs, spaces or leading zeros: the challenge's form is NAME_{baseline M-S}_{submission M-S}.zip, such as unet_5-57_14-40.zip
        run_5:57_14:40.zip: malformed-times: its times, 5:57 and 14:40, are not minutes and seconds below 60 without signs, spaces or leading zeros: the challenge's form is NAME_{baseline M-S}_{submission M-S}.zip, such as unet_5-57_14-40.zip
        my run_5-57_14-40.zip: archive-name: `my run` cannot name an archive: use letters, digits, `_`, `-`, `.` and `+`, and no leading `.` or `-`
        my run.zip: archive-name: no times are declared: the challenge's form is NAME_{baseline M-S}_{submission M-S}.zip, such as unet_5-57_14-40.zip
        ");
    }
}
