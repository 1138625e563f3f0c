//! The splits of the dataset: training, validation, test.

use std::{collections::BTreeSet, str::FromStr};

use flair_scoring::PatchId;
use serde::{Deserialize, Serialize};

use super::{DataError, Dataset, domains::Part};
use crate::random::Generator;

/// The eight validation domains of the Hugging Face card and of the paper.
pub const VALIDATION_HF: [&str; 8] =
    ["D004_2021", "D014_2020", "D029_2021", "D031_2019", "D058_2020", "D066_2021", "D067_2021", "D077_2021"];

/// The eight validation domains of the FLAIR #1 repository.
pub const VALIDATION_FLAIR1: [&str; 8] =
    ["D004_2021", "D014_2020", "D029_2021", "D031_2019", "D058_2020", "D066_2021", "D067_2021", "D070_2020"];

/// The validation domains among the training domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Validation {
    /// The eight of the Hugging Face card and of the paper.
    Hf,
    /// The eight of the FLAIR #1 repository's lists: D070 in place of D077.
    Flair1,
    /// A fifth of the domains, drawn by the seed, as upstream does.
    Random,
}

/// Settings of the division into training and validation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitSettings {
    /// The validation domains.
    pub validation: Validation,
    /// Seed of [`Validation::Random`].
    pub seed: u64,
}

/// A choice of patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// The test part.
    Test,
    /// The validation domains of the training part.
    Val,
    /// The rest of the training part.
    Train,
    /// Everything.
    All,
}

impl Split {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Val => "val",
            Self::Train => "train",
            Self::All => "all",
        }
    }

    /// The patches of this split that have an image, in ascending order.
    ///
    /// # Errors
    /// [`DataError::EmptySplit`] if there are none.
    pub fn patches(self, dataset: &Dataset, settings: &SplitSettings) -> Result<Vec<PatchId>, DataError> {
        let validation = validation_domains(dataset, settings);
        let patches: Vec<_> = dataset
            .patches
            .values()
            .filter(|record| record.image.is_some())
            .filter(|record| match self {
                Self::All => true,
                Self::Test => record.part == Part::Test,
                Self::Val => record.part == Part::Train && validation.contains(record.domain.as_str()),
                Self::Train => record.part == Part::Train && !validation.contains(record.domain.as_str()),
            })
            .map(|record| record.id)
            .collect();
        if patches.is_empty() {
            let reason = self.why_empty(dataset, settings);
            return Err(DataError::EmptySplit { split: self.name(), reason });
        }
        Ok(patches)
    }

    fn why_empty(self, dataset: &Dataset, settings: &SplitSettings) -> String {
        let train: Vec<_> = dataset.domains(Part::Train).into_iter().collect();
        let named = match settings.validation {
            Validation::Hf => Some(("hf", VALIDATION_HF)),
            Validation::Flair1 => Some(("flair1", VALIDATION_FLAIR1)),
            Validation::Random => None,
        };
        match (self, named) {
            (Self::All, _) => "the dataset has no aerial images".to_owned(),
            (Self::Test, _) => "the dataset has no aerial images of the test part; choose another split".to_owned(),
            (_, _) if train.is_empty() => {
                "the dataset has no aerial images of the training part; choose another split".to_owned()
            }
            (Self::Val, Some((name, domains))) => format!(
                "none of the validation domains `{name}` ({}) is among the dataset's ({}); set \
                 flair_bench.validation=random, or choose another split",
                domains.join(", "),
                train.join(", ")
            ),
            _ => format!("the dataset's training domains ({}) all validate; choose another split", train.join(", ")),
        }
    }
}

impl FromStr for Split {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Test, Self::Val, Self::Train, Self::All]
            .into_iter()
            .find(|split| split.name() == text)
            .ok_or_else(|| format!("`{text}` is no split: expected test, val, train or all"))
    }
}

/// The validation domains. Upstream's fifth, drawn at random, depends on the order in which the file system lists
/// the folders (`src/load_data.py:53-56`); here it depends on the seed alone.
fn validation_domains<'a>(dataset: &'a Dataset, settings: &SplitSettings) -> BTreeSet<&'a str> {
    match settings.validation {
        Validation::Hf => VALIDATION_HF.into(),
        Validation::Flair1 => VALIDATION_FLAIR1.into(),
        Validation::Random => {
            let mut domains: Vec<_> = dataset.domains(Part::Train).into_iter().collect();
            Generator::new(settings.seed, "validation domains").shuffle(&mut domains);
            // int(0.8 n) of them train
            domains.split_off(domains.len() * 4 / 5).into_iter().collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::data::{
        PatchRecord,
        domains::{OFFICIAL_PATCHES, TEST_DOMAINS, TRAIN_DOMAINS},
        fixture::id,
    };

    /// A dataset of two patches a domain, without files.
    fn dataset(train: &[&str], test: &[&str]) -> Dataset {
        let domains = train.iter().map(|d| (Part::Train, *d)).chain(test.iter().map(|d| (Part::Test, *d)));
        let mut patches = BTreeMap::new();
        for (index, (part, domain)) in (0..).zip(domains) {
            for number in [2 * index, 2 * index + 1] {
                let record = PatchRecord {
                    id: id(number),
                    part,
                    domain: domain.to_owned(),
                    zone: "Z1_UA".to_owned(),
                    image: Some("IMG.tif".into()),
                    mask: None,
                    sentinel: None,
                };
                patches.insert(id(number), record);
            }
        }
        Dataset { trees: Vec::new(), patches, centroids: None, metadata: None, findings: Vec::new() }
    }

    fn settings(validation: Validation) -> SplitSettings {
        SplitSettings { validation, seed: 2022 }
    }

    fn numbers(split: Split, dataset: &Dataset, validation: Validation) -> Vec<u32> {
        split.patches(dataset, &settings(validation)).unwrap().into_iter().map(PatchId::number).collect()
    }

    #[test]
    fn named_lists_differ_in_one_domain() {
        let dataset = dataset(&["D004_2021", "D006_2020", "D070_2020", "D077_2021"], &["D015_2020"]);
        assert_eq!(numbers(Split::Val, &dataset, Validation::Hf), [0, 1, 6, 7]);
        assert_eq!(numbers(Split::Val, &dataset, Validation::Flair1), [0, 1, 4, 5]);
        assert_eq!(numbers(Split::Train, &dataset, Validation::Hf), [2, 3, 4, 5]);
        assert_eq!(numbers(Split::Test, &dataset, Validation::Hf), [8, 9]);
        assert_eq!(numbers(Split::All, &dataset, Validation::Hf), (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn a_fifth_of_the_domains_is_drawn_by_the_seed() {
        let dataset = dataset(&TRAIN_DOMAINS, &TEST_DOMAINS);
        let val = numbers(Split::Val, &dataset, Validation::Random);
        let train = numbers(Split::Train, &dataset, Validation::Random);
        assert_eq!((val.len(), train.len()), (16, 64));
        assert!(val.iter().all(|number| *number < 80 && !train.contains(number)));
        assert_eq!(val, numbers(Split::Val, &dataset, Validation::Random));
        let other = SplitSettings { validation: Validation::Random, seed: 1 };
        let other: Vec<_> = Split::Val.patches(&dataset, &other).unwrap().into_iter().map(PatchId::number).collect();
        assert_ne!(val, other);
    }

    #[test]
    fn lists_are_the_published_ones() {
        assert!(VALIDATION_HF.iter().chain(&VALIDATION_FLAIR1).all(|domain| TRAIN_DOMAINS.contains(domain)));
        assert!(TEST_DOMAINS.iter().all(|domain| !TRAIN_DOMAINS.contains(domain)));
        assert!(TRAIN_DOMAINS.is_sorted_by(|a, b| a < b) && TEST_DOMAINS.is_sorted_by(|a, b| a < b));
        // The published number of patches of the validation domains.
        let validation = OFFICIAL_PATCHES.iter().filter(|(_, domain, _)| VALIDATION_FLAIR1.contains(domain));
        assert_eq!(validation.map(|(_, _, patches)| patches).sum::<usize>(), 14_125);
    }

    #[test]
    fn an_empty_split_says_what_would_help() {
        let error = |split: Split, dataset: &Dataset| {
            split.patches(dataset, &settings(Validation::Hf)).unwrap_err().to_string()
        };
        insta::assert_snapshot!(error(Split::Val, &dataset(&["D006_2020", "D007_2020"], &[])), @"no patches in the split `val`: none of the validation domains `hf` (D004_2021, D014_2020, D029_2021, D031_2019, D058_2020, D066_2021, D067_2021, D077_2021) is among the dataset's (D006_2020, D007_2020); set flair_bench.validation=random, or choose another split");
        insta::assert_snapshot!(error(Split::Train, &dataset(&["D004_2021"], &[])), @"no patches in the split `train`: the dataset's training domains (D004_2021) all validate; choose another split");
        insta::assert_snapshot!(error(Split::Train, &dataset(&[], &["D015_2020"])), @"no patches in the split `train`: the dataset has no aerial images of the training part; choose another split");
        insta::assert_snapshot!(error(Split::Test, &dataset(&["D006_2020"], &[])), @"no patches in the split `test`: the dataset has no aerial images of the test part; choose another split");
        insta::assert_snapshot!(error(Split::All, &dataset(&[], &[])), @"no patches in the split `all`: the dataset has no aerial images");
        insta::assert_snapshot!("everything".parse::<Split>().unwrap_err(), @"`everything` is no split: expected test, val, train or all");
    }
}
