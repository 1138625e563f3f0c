//! What an archive's name declares, held against the rule about time.

use std::path::Path;

use super::{ArchiveName, Times, shown};
use crate::{Code, Finding, timing::Limits};

/// What is to be said of an archive's name.
pub(super) fn name(path: &Path) -> Option<Finding> {
    let text = path.file_name()?.to_string_lossy();
    let name = text.parse::<ArchiveName>();
    if let Some(times) = name.as_ref().ok().and_then(ArchiveName::times) {
        return over(times).map(|message| Code::OverTime.finding(shown(&text), message));
    }
    let message = "no times are declared: the challenge's form is NAME_{baseline M-S}_{submission M-S}.zip, such as \
                   unet_5-57_14-40.zip";
    Some(Code::ArchiveNameForm.finding(shown(&text), message))
}

/// What is wrong with the declared times, if anything is: times are floored, so the limit may be passed by a second.
fn over(Times { baseline, submission }: Times) -> Option<String> {
    let factor = Limits::default().factor;
    let limit = baseline.duration().mul_f64(factor);
    if limit.is_zero() {
        return Some("the baseline is said to have taken no time, so no rule can be held against it".to_owned());
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
            "my run.zip",
        ];
        let told = |text: &&str| match name(Path::new(text)) {
            Some(finding) => format!("{text}: {}: {}", finding.code, finding.message),
            None => format!("{text}: well"),
        };
        insta::assert_snapshot!(names.iter().map(told).collect::<Vec<_>>().join("\n"), @r"
        run_5-57_14-40.zip: well
        run_5-57_14-52.zip: well
        run_5-57_14-53.zip: over-time: it declares 14-53, more than 2.5 times the baseline's 5-57, 14-52
        run_0-0_0-1.zip: over-time: the baseline is said to have taken no time, so no rule can be held against it
        run_05-57_14-40.zip: archive-name: no times are declared: the challenge's form is NAME_{baseline M-S}_{submission M-S}.zip, such as unet_5-57_14-40.zip
        my run.zip: archive-name: no times are declared: the challenge's form is NAME_{baseline M-S}_{submission M-S}.zip, such as unet_5-57_14-40.zip
        ");
    }
}
