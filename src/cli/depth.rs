use std::{num::NonZeroU32, path::PathBuf};

use clap::{Args, ValueEnum};

/// What patches are put together by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum UnitArg {
    Domain,
    Zone,
    Patch,
}

/// The width of an outline.
fn pixels(text: &str) -> Result<NonZeroU32, &'static str> {
    text.parse().map_err(|_| "expected a whole number of pixels, 1 or more; without a number it is 2 % of the diagonal")
}

#[derive(Debug, Args)]
#[command(next_help_heading = "More than one number")]
pub(crate) struct DepthArgs {
    /// The scores of every domain, zone or patch, too
    #[arg(long, value_enum, value_name = "UNIT")]
    pub(crate) by: Option<UnitArg>,

    /// Name the N patches with the lowest mIoU
    #[arg(long, value_name = "N")]
    pub(crate) worst: Option<usize>,

    /// Confidence intervals of mIoU, IoU and accuracy, by drawing domains, zones or patches again (percentile
    /// bootstrap). Where UNIT is left out: zones, or patches where it is not known in which zone they are
    #[arg(long, value_enum, value_name = "UNIT", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "clap's form of an option whose value may be left out")]
    pub(crate) bootstrap: Option<Option<UnitArg>>,

    /// Compare with other predictions of the same patches: a folder or an archive, with intervals of the difference by
    /// giving both the same draw; or the score.json of another run, without
    #[arg(long, value_name = "DIR|ZIP|JSON")]
    pub(crate) against: Option<PathBuf>,

    /// Boundary IoU, too: of what lies within D pixels of an outline; where D is left out, within 2 % of the image's
    /// diagonal (14 pixels for 512 × 512)
    #[arg(long, value_name = "D", num_args = 0..=1, value_parser = pixels)]
    #[expect(clippy::option_option, reason = "clap's form of an option whose value may be left out")]
    pub(crate) boundary: Option<Option<NonZeroU32>>,

    /// How often is drawn for an interval, 10 to 100000; 20 / (1 - level) or more for ends that are not rough
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub(crate) replicates: u32,

    /// Share of what is drawn that an interval holds
    #[arg(long, value_name = "SHARE", default_value_t = 0.95)]
    pub(crate) level: f64,

    /// What the draws follow from
    #[arg(long, value_name = "N", default_value_t = 2022)]
    pub(crate) seed: u64,

    /// Where patches lie, if the masks' folders (`D036_2020/Z17_UA/msk`) do not tell: the dataset's
    /// `flair_aerial_metadata.json`
    #[arg(long, value_name = "FILE")]
    pub(crate) metadata: Option<PathBuf>,
}
