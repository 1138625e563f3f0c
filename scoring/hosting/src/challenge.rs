//! The settings of a challenge, which an organiser chooses. They are checked before a bundle is made.

use jiff::civil::DateTime;
use serde::Deserialize;

use super::Platform;
use flair_scoring::{
    timing::Limits,
    yaml::{self, YamlError},
};

/// A settings file with all keys, their defaults and their meaning.
pub const EXAMPLE: &str = include_str!("../assets/challenge.yaml");

/// The rules of Codabench's leaderboard (codalab/codabench `src/apps/leaderboards/models.py`, `SUBMISSION_RULES`).
pub const SUBMISSION_RULES: [&str; 6] =
    ["Add", "Add_And_Delete", "Add_And_Delete_Multiple", "Force_Last", "Force_Latest_Multiple", "Force_Best"];

/// The settings of a challenge. Every field has a default, shown in [`EXAMPLE`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Challenge {
    /// Title, 8 to 100 characters.
    pub title: String,
    /// Description, a sentence.
    pub description: String,
    /// The organiser; may be empty.
    pub organiser: String,
    /// The organiser's e-mail address; may be empty.
    pub contact: String,
    /// Whether registrations are accepted automatically.
    pub registration_auto_approve: bool,
    /// The Docker image that the scoring program runs in.
    pub docker_image: String,
    /// Time limit of the scoring program, in seconds.
    pub execution_time_limit: u32,
    /// Codabench's leaderboard rule, one of [`SUBMISSION_RULES`].
    pub submission_rule: String,
    /// Maximum device-seconds of a prediction.
    pub device_seconds: f64,
    /// Maximum time of a prediction, as a multiple of the baseline's time.
    pub factor: f64,
    /// The phases, in order.
    pub phases: Vec<Phase>,
}

/// A phase of a challenge.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Phase {
    /// Name, 1 to 50 characters.
    pub name: String,
    /// Description, a sentence; may be empty.
    pub description: String,
    /// Start: `YYYY-MM-DD` or `YYYY-MM-DD HH:MM:SS`, UTC.
    pub start: String,
    /// End, in the same form; empty for an open end.
    pub end: String,
    /// Maximum submissions per participant and day.
    pub max_submissions_per_day: u32,
    /// Maximum submissions per participant.
    pub max_submissions: u32,
}

/// Errors in the settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChallengeError {
    /// The file does not have the form of [`EXAMPLE`].
    #[error("not the settings of a challenge: {0}")]
    Syntax(YamlError),
    /// A value that the platforms refuse.
    #[error("`{key}` {reason}")]
    Value {
        /// The setting's key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Default for Challenge {
    fn default() -> Self {
        Self {
            title: "FLAIR #2: land cover from aerial images and Sentinel-2 series".to_owned(),
            description: "Name the land cover of every pixel of 512 × 512 aerial patches.".to_owned(),
            organiser: String::new(),
            contact: String::new(),
            registration_auto_approve: false,
            docker_image: "codalab/codalab-legacy:py37".to_owned(),
            execution_time_limit: 3600,
            // Under the rules that let participants choose, Codabench puts a failed submission on the leaderboard if it is
            // asked to through its API (`src/apps/api/views/submissions.py`, `submission_leaderboard_connection`, does
            // not look at the status), and PostgreSQL sorts missing scores first. `Force_Best` refuses such requests,
            // and takes finished submissions only (`src/apps/leaderboards/strategies.py`, `BestModeStrategy`).
            submission_rule: "Force_Best".to_owned(),
            device_seconds: Limits::default().device_seconds,
            factor: Limits::default().factor,
            phases: vec![Phase::default()],
        }
    }
}

impl Default for Phase {
    fn default() -> Self {
        Self {
            name: "Test".to_owned(),
            description: "Predictions of the test patches".to_owned(),
            start: "2026-01-01".to_owned(),
            end: String::new(),
            max_submissions_per_day: 2,
            max_submissions: 100,
        }
    }
}

impl Phase {
    /// The start; `None` if the text is not a time.
    pub fn starts(&self) -> Option<DateTime> {
        self.start.trim().parse().ok()
    }

    /// The end; `None` if it is open, or if the text is not a time.
    pub fn ends(&self) -> Option<DateTime> {
        self.end.trim().parse().ok()
    }
}

/// Formats a time for both platforms.
pub(super) fn moment(time: DateTime) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

impl Challenge {
    /// Reads settings from YAML; missing keys have their defaults.
    ///
    /// # Errors
    /// [`ChallengeError::Syntax`], with the line.
    pub fn from_yaml(text: &str) -> Result<Self, ChallengeError> {
        yaml::from_str(text).map_err(ChallengeError::Syntax)
    }

    /// The time rule.
    pub fn limits(&self) -> Limits {
        Limits { device_seconds: self.device_seconds, factor: self.factor, baseline_seconds: None }
    }

    /// Checks for values that one of the platforms would refuse or misread.
    ///
    /// # Errors
    /// [`ChallengeError::Value`], the first bad value.
    pub fn check(&self, platforms: &[Platform]) -> Result<(), ChallengeError> {
        // Titles: codalab-competitions `Competition.title` is of 100, `CompetitionPhase.label` of 50 characters; the
        // validator of v2 bundles (codalab/codalab-bundle-validator, `schema.yaml`) wants 8 or more.
        line("title", &self.title, 8, 100)?;
        line("description", &self.description, 1, 1000)?;
        line("organiser", &self.organiser, 0, 200)?;
        line("contact", &self.contact, 0, 200)?;
        line("docker_image", &self.docker_image, 1, 128)?;
        let is_image = |b: u8| b.is_ascii_alphanumeric() || b"/.:-_@".contains(&b);
        demand(self.docker_image.bytes().all(is_image), "docker_image", "is not the name of an image")?;
        demand(self.contact.is_empty() || self.contact.contains('@'), "contact", "is not an e-mail address")?;
        demand((1..=86_400).contains(&self.execution_time_limit), "execution_time_limit", "is not 1 to 86400 seconds")?;
        let rule = self.submission_rule.as_str();
        let rules = format!("is none of {}", SUBMISSION_RULES.join(", "));
        demand(SUBMISSION_RULES.contains(&rule), "submission_rule", &rules)?;
        for (key, value) in [("device_seconds", self.device_seconds), ("factor", self.factor)] {
            demand(value > 0.0 && value <= 1e9, key, "is not a number above 0")?;
        }
        demand(!self.phases.is_empty(), "phases", "has no phase")?;
        for (number, phase) in self.phases.iter().enumerate() {
            let key = |field: &str| format!("phases[{number}].{field}");
            line(&key("name"), &phase.name, 1, 50)?;
            line(&key("description"), &phase.description, 0, 1000)?;
            for (field, value) in
                [("max_submissions_per_day", phase.max_submissions_per_day), ("max_submissions", phase.max_submissions)]
            {
                demand((1..=1_000_000).contains(&value), &key(field), "is not 1 to 1000000")?;
            }
            let not_a_time = "is not a time: expected YYYY-MM-DD or \"YYYY-MM-DD HH:MM:SS\"";
            demand(phase.starts().is_some(), &key("start"), not_a_time)?;
            demand(phase.end.trim().is_empty() || phase.ends().is_some(), &key("end"), not_a_time)?;
            demand(phase.ends().is_none_or(|end| Some(end) > phase.starts()), &key("end"), "is not after the start")?;
            if let Some(next) = self.phases.get(number + 1) {
                demand(phase.ends().is_some(), &key("end"), "is missing, and another phase follows")?;
                let start = format!("phases[{}].start", number + 1);
                let is_before = next.starts() < phase.ends();
                demand(!is_before, &start, "is before the end of the previous phase")?;
                // Codabench's `_validate_phase_ordering` (`src/apps/competitions/unpackers/base_unpacker.py`).
                let is_too_early = next.starts() == phase.ends() && platforms.contains(&Platform::Codabench);
                let reason = "is the end of the previous phase, and on Codabench a phase starts after that: let the \
                              previous phase end a second earlier";
                demand(!is_too_early, &start, reason)?;
            }
        }
        Ok(())
    }
}

fn demand(is_met: bool, key: &str, reason: &str) -> Result<(), ChallengeError> {
    let error = || ChallengeError::Value { key: key.to_owned(), reason: reason.to_owned() };
    is_met.then_some(()).ok_or_else(error)
}

/// Checks for a text of one line, safe in YAML and HTML.
fn line(key: &str, text: &str, least: usize, most: usize) -> Result<(), ChallengeError> {
    let count = text.chars().count();
    demand((least..=most).contains(&count), key, &format!("has {count} characters, expected {least} to {most}"))?;
    demand(!text.chars().any(char::is_control), key, "has a line break or another control character")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_the_default_and_holds() {
        let example = Challenge::from_yaml(EXAMPLE).unwrap();
        assert_eq!(example, Challenge::default());
        example.check(&Platform::ALL).unwrap();
        assert_eq!(example.limits(), Limits::default());
        let changed = Challenge::from_yaml("title: Another challenge\nphases: [{name: A, start: 2027-03-01 08:30:00}]");
        let changed = changed.unwrap();
        assert_eq!((changed.title.as_str(), changed.factor), ("Another challenge", 2.5));
        assert_eq!(moment(changed.phases[0].starts().unwrap()), "2027-03-01 08:30:00");
    }

    #[test]
    fn invalid_challenges_are_errors() {
        let error = |yaml: &str| match Challenge::from_yaml(yaml) {
            Ok(challenge) => challenge.check(&Platform::ALL).unwrap_err().to_string(),
            Err(error) => error.to_string().lines().next().unwrap_or_default().to_owned(),
        };
        let errors = [
            "title: short",
            "title: \"two\\nlines here\"",
            "docker_image: \"a b\"",
            "contact: nobody",
            "submission_rule: Best",
            "factor: .nan",
            "phases: []",
            "phases: [{start: tomorrow}]",
            "phases: [{start: 2026-01-02, end: 2026-01-01}]",
            "phases: [{name: A}, {name: B}]",
            "phases: [{end: 2026-02-01}, {start: 2026-01-15}]",
            "phases: [{end: 2026-02-01}, {start: 2026-02-01 00:00:00}]",
            "phases: [{max_submissions: 0}]",
        ];
        insta::assert_snapshot!(errors.map(error).join("\n"));
        assert!(Challenge::from_yaml("titel: x").is_err());
    }

    #[test]
    fn phases_that_touch_are_for_codalab_only() {
        let phases = |end: &str| format!("phases: [{{name: A, end: {end}}}, {{name: B, start: 2026-02-01}}]");
        let touching = Challenge::from_yaml(&phases("2026-02-01")).unwrap();
        touching.check(&[Platform::Codalab]).unwrap();
        assert!(touching.check(&[Platform::Codabench]).is_err() && touching.check(&Platform::ALL).is_err());
        Challenge::from_yaml(&phases("2026-01-31 23:59:59")).unwrap().check(&Platform::ALL).unwrap();
    }
}
