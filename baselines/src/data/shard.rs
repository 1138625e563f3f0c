//! Shards of a prediction, which processes on several machines share out among themselves.

use std::{fmt, ops::Range, str::FromStr};

use flair_scoring::PatchId;
use serde::{Deserialize, Serialize};

/// One of the parts into which the patches of a run are divided: the `index`-th of `count`, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    index: u32,
    count: u32,
}

/// A text that is not a shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a shard: expected I/N with I from 0 to N - 1, such as 0/4, and N up to {}", .0, Shard::MOST)]
pub struct InvalidShard(String);

impl Shard {
    /// Maximum number of shards.
    pub const MOST: u32 = 100_000;

    /// The `index`-th of `count` shards, from 0; `None` if there is no such shard, or `count` is above [`Shard::MOST`].
    pub fn new(index: u32, count: u32) -> Option<Self> {
        (index < count && count <= Self::MOST).then_some(Self { index, count })
    }

    /// All shards of that number.
    pub fn all(count: u32) -> impl Iterator<Item = Self> {
        (0..count).filter_map(move |index| Self::new(index, count))
    }

    /// Its number, from 0.
    pub fn index(self) -> u32 {
        self.index
    }

    /// The number of shards of the run.
    pub fn count(self) -> u32 {
        self.count
    }

    /// Its patches: a range of consecutive ones, since neighbours share their Sentinel-2 files. The sizes of the shards
    /// differ by 1 at most. With more shards than patches some have none.
    pub fn of(self, patches: &[PatchId]) -> &[PatchId] {
        &patches[self.range(patches.len())]
    }

    fn range(self, len: usize) -> Range<usize> {
        let bound = |index: u32| {
            let bound = len as u128 * u128::from(index) / u128::from(self.count);
            usize::try_from(bound).unwrap_or(len)
        };
        bound(self.index)..bound(self.index + 1)
    }
}

impl FromStr for Shard {
    type Err = InvalidShard;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // `u32::from_str` takes `+1`.
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?;
        let shard = text.split_once('/').and_then(|(index, count)| Self::new(number(index)?, number(count)?));
        shard.ok_or_else(|| InvalidShard(text.to_owned()))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl TryFrom<String> for Shard {
    type Error = InvalidShard;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::fixture::id;

    #[test]
    fn shards_are_read_and_written() {
        for text in ["0/1", "2/7", "99999/100000"] {
            let shard: Shard = text.parse().unwrap();
            assert_eq!(shard.to_string(), text);
            assert_eq!(serde_json::from_str::<Shard>(&serde_json::to_string(&shard).unwrap()).unwrap(), shard);
        }
        for text in [
            "",
            "1",
            "/",
            "1/",
            "/3",
            "3/3",
            "0/0",
            "-1/3",
            "+1/3",
            " 1/3",
            "1/3/5",
            "1.0/3",
            "0/100001",
            "0/9999999999",
        ] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
        let error = "1 of 3".parse::<Shard>().unwrap_err().to_string();
        insta::assert_snapshot!(error, @"`1 of 3` is not a shard: expected I/N with I from 0 to N - 1, such as 0/4, and N up to 100000");
        assert!(serde_json::from_str::<Shard>("\"3/3\"").is_err());
    }

    #[test]
    fn every_patch_is_dealt_once_and_in_order() {
        let patches: Vec<PatchId> = (10..31).map(id).collect();
        for count in [1, 2, 3, 7, 20, 21, 22, 100] {
            let shards: Vec<_> = Shard::all(count).map(|shard| shard.of(&patches)).collect();
            assert_eq!(shards.concat(), patches, "{count}");
            let sizes = shards.iter().map(|shard| shard.len());
            assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1, "{count}");
        }
        assert!(Shard::all(3).all(|shard| shard.of(&[]).is_empty()));
        let last = Shard::new(Shard::MOST - 1, Shard::MOST).unwrap();
        assert_eq!(last.of(&patches), &patches[20..]);
        assert_eq!(last.range(usize::MAX).end, usize::MAX);
    }
}
