use std::{num::NonZeroU32, path::PathBuf};

use clap::{Args, ValueEnum};

/// The unit that patches are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum UnitArg {
    Domain,
    Zone,
    Patch,
}

/// Parses the width of an outline.
fn pixels(text: &str) -> Result<NonZeroU32, &'static str> {
    text.parse().map_err(|_| "expected a whole number of pixels, 1 or more; without a number it is 2 % of the diagonal")
}

#[derive(Debug, Args)]
#[command(next_help_heading = "More than one number")]
pub(crate) struct DepthArgs {
    /// Also score every domain, zone or patch
    #[arg(long, value_enum, value_name = "UNIT")]
    pub(crate) by: Option<UnitArg>,

    /// Name the N patches with the lowest mIoU
    #[arg(long, value_name = "N")]
    pub(crate) worst: Option<usize>,

    /// Confidence intervals of mIoU, IoU and accuracy, by a percentile bootstrap over domains, zones or patches.
    /// Without UNIT: zones, or patches if their zones are unknown
    #[arg(long, value_enum, value_name = "UNIT", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "clap's form of an option whose value may be left out")]
    pub(crate) bootstrap: Option<Option<UnitArg>>,

    /// Compare with other predictions of the same patches: a folder or an archive, with intervals of the difference (a
    /// paired bootstrap); or the score.json of another run, without intervals
    #[arg(long, value_name = "DIR|ZIP|JSON")]
    pub(crate) against: Option<PathBuf>,

    /// Also compute boundary IoU, over the pixels within D pixels of an outline. Without D: 2 % of the image's diagonal
    /// (14 pixels for 512 × 512)
    #[arg(long, value_name = "D", num_args = 0..=1, value_parser = pixels)]
    #[expect(clippy::option_option, reason = "clap's form of an option whose value may be left out")]
    pub(crate) boundary: Option<Option<NonZeroU32>>,

    /// Number of bootstrap replicates, 10 to 100000; 20 / (1 - level) or more give interval ends that are not rough
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub(crate) replicates: u32,

    /// Confidence level of the intervals: the share of the replicates that an interval contains
    #[arg(long, value_name = "SHARE", default_value_t = 0.95)]
    pub(crate) level: f64,

    /// Seed of the bootstrap
    #[arg(long, value_name = "N", default_value_t = 2022)]
    pub(crate) seed: u64,

    /// The dataset's `flair_aerial_metadata.json`, which has the domain and zone of every patch (default: the masks'
    /// folders, such as `D036_2020/Z17_UA/msk`)
    #[arg(long, value_name = "FILE")]
    pub(crate) metadata: Option<PathBuf>,
}
