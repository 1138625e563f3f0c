//! The two parts of the dataset and their domains, as published.

use serde::{Deserialize, Serialize};

/// A part of the dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// 61,712 patches of 40 domains, for training and validation.
    Train,
    /// 16,050 patches of 10 domains, for the challenge.
    Test,
}

impl Part {
    /// Number of patches as published.
    pub fn official_patches(self) -> usize {
        match self {
            Self::Train => 61_712,
            Self::Test => 16_050,
        }
    }
}

/// The ten domains of the FLAIR #2 test part.
pub const TEST_DOMAINS: [&str; 10] = [
    "D015_2020",
    "D022_2021",
    "D026_2020",
    "D036_2020",
    "D061_2020",
    "D064_2021",
    "D068_2021",
    "D069_2020",
    "D071_2020",
    "D084_2021",
];

/// The forty domains of the training part.
pub const TRAIN_DOMAINS: [&str; 40] = [
    "D004_2021",
    "D006_2020",
    "D007_2020",
    "D008_2019",
    "D009_2019",
    "D013_2020",
    "D014_2020",
    "D016_2020",
    "D017_2018",
    "D021_2020",
    "D023_2020",
    "D029_2021",
    "D030_2021",
    "D031_2019",
    "D032_2019",
    "D033_2021",
    "D034_2021",
    "D035_2020",
    "D038_2021",
    "D041_2021",
    "D044_2020",
    "D046_2019",
    "D049_2020",
    "D051_2019",
    "D052_2019",
    "D055_2018",
    "D058_2020",
    "D060_2021",
    "D063_2019",
    "D066_2021",
    "D067_2021",
    "D070_2020",
    "D072_2019",
    "D074_2020",
    "D077_2021",
    "D078_2021",
    "D080_2021",
    "D081_2020",
    "D086_2020",
    "D091_2021",
];

/// The domains whose number of patches is published, with that number.
pub(crate) const OFFICIAL_PATCHES: [(Part, &str, usize); 8] = [
    (Part::Train, "D004_2021", 1800),
    (Part::Train, "D014_2020", 1750),
    (Part::Train, "D029_2021", 1800),
    (Part::Train, "D031_2019", 1725),
    (Part::Train, "D058_2020", 1800),
    (Part::Train, "D066_2021", 1750),
    (Part::Train, "D067_2021", 1725),
    (Part::Train, "D070_2020", 1775),
];
