//! The columns of a challenge's leaderboard, and a submission's values for them.

use std::{collections::BTreeSet, fmt::Write};

use super::{rules, times::Declared};
use flair_scoring::{Protocol, ScoreReport};

/// Maximum length of a column's key and title (codalab/codabench `src/apps/leaderboards/models.py`, `Column`).
pub const MAX_COLUMN_TEXT: usize = 36;

/// The sorting of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sorting {
    /// Larger values are better.
    Descending,
    /// Smaller values are better.
    Ascending,
}

impl Sorting {
    /// The word in `competition.yaml`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Descending => "desc",
            Self::Ascending => "asc",
        }
    }
}

/// A column of the leaderboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The key of the value in the scoring program's output.
    pub key: String,
    /// Its heading.
    pub title: String,
    /// Which values are better.
    pub sorting: Sorting,
    /// Number of decimals shown.
    pub decimals: u8,
}

const MIOU: &str = "miou";
const ACCURACY: &str = "overall_accuracy";
const SUBMISSION: &str = "time_submission";
const BASELINE: &str = "time_baseline";
const RATIO: &str = "time_ratio";
const OVER: &str = "over_time";

/// The leaderboard's columns, in order: the mean, the verdict on the times, the mean's classes, the times. The first one
/// ranks, and Codabench breaks a tie by the following ones in turn: by the verdict first, so that a submission over time
/// is never above an equal one (`src/apps/api/serializers/leaderboards.py`, `order_by`).
///
/// The scoring program computes the mean: the average of a platform cannot skip absent classes.
pub fn columns(protocol: &Protocol) -> Vec<Column> {
    let (high, low) = (Sorting::Descending, Sorting::Ascending);
    let column = |key: &str, title: &str, sorting, decimals| Column {
        key: key.to_owned(),
        title: title.to_owned(),
        sorting,
        decimals,
    };
    let [times @ .., (over, over_title)] = TIMES;
    let names = rules::averaged(protocol);
    let mut columns = vec![column(MIOU, "mIoU", high, 5), column(over, over_title, low, 1)];
    columns.extend(class_keys(&names).iter().zip(names).map(|(key, name)| column(key, name, high, 5)));
    columns.push(column(ACCURACY, "overall accuracy", high, 5));
    columns.extend(times.into_iter().zip([1, 1, 2]).map(|((key, title), decimals)| column(key, title, low, decimals)));
    let titles = unique(columns.iter().map(|column| column.title.clone()), ' ');
    columns.iter_mut().zip(titles).for_each(|(column, title)| column.title = title);
    columns
}

/// Keys and titles of the time columns, in the order of [`times`].
const TIMES: [(&str, &str); 4] =
    [(SUBMISSION, "time (s)"), (BASELINE, "baseline's time (s)"), (RATIO, "times the baseline"), (OVER, "over time")];

/// The value of "over time" on a leaderboard if the times are not known: between kept (0) and broken (1). Codabench sorts
/// an empty cell after every number, so a submission over time would be above one without times.
const OVER_UNKNOWN: f64 = 0.5;

/// The known times: key, title, value.
pub(super) fn times(declared: &Declared) -> impl Iterator<Item = (&'static str, &'static str, f64)> {
    let over = declared.is_over().map(|is_over| f64::from(u8::from(is_over)));
    let values = [declared.submission_seconds(), declared.baseline_seconds(), declared.ratio(), over];
    TIMES.into_iter().zip(values).filter_map(|((key, title), value)| Some((key, title, value?)))
}

/// Unique keys of the classes, such as `iou_bare_soil` for "bare soil".
fn class_keys(names: &[&str]) -> Vec<String> {
    let word = |name: &&str| {
        let word = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
        format!("iou_{}", word.collect::<String>())
    };
    unique(names.iter().map(word), '_')
}

/// Cuts texts to [`MAX_COLUMN_TEXT`] characters. Of texts that become equal, all but the first get their index appended.
fn unique(texts: impl Iterator<Item = String>, separator: char) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let cut = |text: &str, most: usize| text.chars().take(most).collect::<String>();
    let mut distinct = |(index, text): (usize, String)| {
        let whole = cut(&text, MAX_COLUMN_TEXT);
        let numbered = (index..).map(|number| {
            let number = format!("{separator}{number}");
            format!("{}{number}", cut(&whole, MAX_COLUMN_TEXT - number.len()).trim_end())
        });
        let free =
            std::iter::once(whole.clone()).chain(numbered).find(|text| !taken.contains(text)).unwrap_or_default();
        taken.insert(free.clone());
        free
    };
    texts.enumerate().map(&mut distinct).collect()
}

/// A submission's values by key. A value that does not exist has no key.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores(Vec<(String, f64)>);

impl Scores {
    /// The values of a score and of the declared times.
    pub fn new(report: &ScoreReport, declared: &Declared) -> Self {
        let mut values = vec![(MIOU.to_owned(), report.means.miou)];
        let names: Vec<_> = rules::averaged_of(report).map(|class| class.name.as_str()).collect();
        values.extend(class_keys(&names).into_iter().zip(rules::averaged_of(report).map(|class| class.scores.iou)));
        let counts = [("classes_averaged", report.means.classes_averaged as f64), ("patches", report.patches as f64)];
        let known = times(declared).map(|(key, _, value)| (key, value)).filter(|(key, _)| *key != OVER);
        let over = declared.is_over().map_or(OVER_UNKNOWN, |is_over| f64::from(u8::from(is_over)));
        let rest = known.chain([(OVER, over)]).chain(counts);
        let rest = rest.map(|(key, value)| (key.to_owned(), Some(value)));
        values.extend([(ACCURACY.to_owned(), report.means.overall_accuracy)].into_iter().chain(rest));
        Self(values.into_iter().filter_map(|(key, value)| Some((key, value.filter(|v| v.is_finite())?))).collect())
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<f64> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, value)| *value)
    }

    /// `scores.txt`: `key: value` lines, one colon each. CodaLab splits lines at every colon and takes the second part
    /// as a float (`codalab/apps/web/tasks.py`, `update_submission`); Codabench reads the same text as YAML.
    pub fn to_text(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, (key, value)| {
            let _ = writeln!(text, "{key}: {}", decimal(*value));
            text
        })
    }

    /// `scores.json`, which Codabench prefers: one object of numbers.
    pub fn to_json(&self) -> String {
        let lines: Vec<_> = self.0.iter().map(|(key, value)| format!("  \"{key}\": {}", decimal(*value))).collect();
        format!("{{\n{}\n}}\n", lines.join(",\n"))
    }
}

/// A number with a point and no exponent, of at most 10 decimals, which is what both platforms keep (`DecimalField`).
fn decimal(value: f64) -> String {
    let text = format!("{value:.10}");
    let short = text.trim_end_matches('0');
    if short.ends_with('.') { format!("{short}0") } else { short.to_owned() }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use flair_scoring::{ConfusionMatrix, score::Evaluation};

    pub(crate) fn report() -> ScoreReport {
        let cells = [(0, 0, 60), (0, 2, 38), (0, 12, 2), (2, 2, 1_000_000)];
        let mut counts = vec![0; 13 * 13];
        for (truth, prediction, count) in cells {
            counts[truth * 13 + prediction] = count;
        }
        report_of(Protocol::flair2(), counts, 3)
    }

    /// The record of these counts, `[truth, prediction]` row by row.
    pub(crate) fn report_of(protocol: Protocol, counts: Vec<u64>, patches: u64) -> ScoreReport {
        let matrix = ConfusionMatrix::new(protocol.class_count(), counts, 0, 0).unwrap();
        ScoreReport::new(&Evaluation::of_matrix(protocol, matrix, patches))
    }

    #[test]
    fn columns_have_distinct_short_keys_and_the_mean_comes_first() {
        let columns = columns(&Protocol::flair2());
        assert_eq!(columns.len(), 1 + 12 + 1 + 4);
        let keys: BTreeSet<_> = columns.iter().map(|column| &column.key).collect();
        assert_eq!(keys.len(), columns.len());
        for column in &columns {
            assert!(column.key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", column.key);
            assert!(column.key.len() <= MAX_COLUMN_TEXT && column.title.chars().count() <= MAX_COLUMN_TEXT);
        }
        assert_eq!((columns[0].key.as_str(), columns[0].decimals), ("miou", 5));
        assert_eq!((columns[1].key.as_str(), columns[1].sorting), ("over_time", Sorting::Ascending));
        assert_eq!(columns[11].key, "iou_herbaceous_vegetation");
    }

    #[test]
    fn names_alike_have_keys_of_their_own() {
        let long = "a class whose name begins as that of others";
        let (one, two) = (format!("{long} one"), format!("{long} two"));
        let names = ["e.te", "e-te", "été", "ètè", "e te 1", one.as_str(), two.as_str()];
        assert_eq!(
            class_keys(&names),
            [
                "iou_e_te",
                "iou_e_te_1",
                "iou__t_",
                "iou__t__3",
                "iou_e_te_1_4",
                "iou_a_class_whose_name_begins_as_tha",
                "iou_a_class_whose_name_begins_as_t_6"
            ]
        );
        // Columns and scores agree for any names.
        let file = tempfile::Builder::new().suffix(".yml").tempfile().unwrap();
        let classes = "{name: alike, classes: [{name: e.te, colour: '#000000', labels: [1]}, \
                       {name: e-te, colour: '#000001', labels: [2]}]}";
        std::fs::write(&file, classes).unwrap();
        let protocol = Protocol::flair2().with_nomenclature(file.path().to_str().unwrap()).unwrap();
        let keys: Vec<_> = columns(&protocol).into_iter().map(|column| column.key).collect();
        assert_eq!(keys[2..4], ["iou_e_te", "iou_e_te_1"]);
        let report = report_of(protocol, vec![1, 0, 1, 1], 1);
        let scores = Scores::new(&report, &Declared::default());
        assert_eq!([scores.get("iou_e_te"), scores.get("iou_e_te_1")], [Some(0.5); 2]);
    }

    #[test]
    fn long_names_alike_have_titles_of_their_own() {
        let class = |label: u32, name: &str| format!("{{name: {name}, colour: '#00000{label}', labels: [{label}]}}");
        let long = "forêt de feuillus et de conifères mêlés";
        let classes =
            [class(1, &format!("{long} en plaine")), class(2, &format!("{long} en montagne")), class(3, "mIoU")];
        let yaml = format!("{{name: alike, classes: [{}]}}", classes.join(", "));
        let columns = columns(&Protocol::from_yaml(&yaml, "a test").unwrap());
        let titles: Vec<_> = columns.iter().map(|column| column.title.as_str()).collect();
        assert_eq!(
            titles[2..5],
            ["forêt de feuillus et de conifères mê", "forêt de feuillus et de conifères 3", "mIoU 4"]
        );
        assert_eq!(titles.iter().collect::<BTreeSet<_>>().len(), titles.len());
        assert!(titles.iter().all(|title| title.chars().count() <= MAX_COLUMN_TEXT));
    }

    #[test]
    fn texts_hold_what_exists_and_nothing_else() {
        let scores = Scores::new(&report(), &Declared::default());
        insta::assert_snapshot!(scores.to_text(), @r"
        miou: 0.7999810007
        iou_building: 0.6
        iou_impervious_surface: 0.9999620014
        overall_accuracy: 0.999960004
        over_time: 0.5
        classes_averaged: 2.0
        patches: 3.0
        ");
        for line in scores.to_text().lines() {
            let parts: Vec<_> = line.split(':').collect();
            assert_eq!(parts.len(), 2, "{line}");
            assert!(parts[1].trim().parse::<f64>().is_ok(), "{line}");
        }
        let json: serde_json::Value = serde_json::from_str(&scores.to_json()).unwrap();
        assert_eq!(json["iou_building"].as_f64(), scores.get("iou_building"));
        assert_eq!(json.as_object().unwrap().len(), scores.to_text().lines().count());
    }

    proptest! {
        #[test]
        fn a_number_is_read_back_to_10_decimals(value in 0.0..1e9f64) {
            let text = decimal(value);
            prop_assert!(text.bytes().all(|b| b.is_ascii_digit() || b == b'.'), "{text}");
            prop_assert!((text.parse::<f64>().unwrap() - value).abs() <= 5.1e-11 + value * f64::EPSILON);
        }
    }

    #[test]
    fn numbers_have_no_exponents() {
        let shown = [0.0, 1.0, 1e-7, 2e-11, 0.123_456_789_012, 4_207_411_200.0].map(decimal);
        assert_eq!(shown, ["0.0", "1.0", "0.0000001", "0.0", "0.123456789", "4207411200.0"]);
    }
}
