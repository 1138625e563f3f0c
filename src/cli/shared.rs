//! Arguments that several subcommands take.

use std::path::PathBuf;

use clap::Args;

/// The patches that a submission must contain.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct ExpectedArgs {
    /// Dataset whose test patches are expected (the folder that holds `flair_2_aerial_test` and so on)
    #[cfg(feature = "baselines")]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Expect the challenge's 16,050 test patches, 077413 to 093462
    #[arg(long)]
    pub(crate) official: bool,

    /// File with the expected patches: one number, file name or range (`077413-093462`) per line, `#` for comments
    #[arg(long, value_name = "FILE")]
    pub(crate) ids: Option<PathBuf>,
}

/// The classes and rules of a score.
#[derive(Debug, Args)]
pub(crate) struct ByArgs {
    /// Classes and rules of the mean: flair2 (the challenge's), flair-hub (IGN's later programs), or a file of your own
    /// that ends in .yml (`flair-bench protocol --example` prints one)
    #[arg(long, value_name = "NAME|FILE", default_value = "flair2")]
    pub(crate) protocol: String,

    /// Other classes for the same rules: flair2-13, flair-19, flair-hub-19, or a file that ends in .yml
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) nomenclature: Option<String>,
}

/// The rules that a submission is checked by.
#[derive(Debug, Args)]
pub(crate) struct RulesArgs {
    #[command(flatten)]
    pub(crate) by: ByArgs,

    /// Maximum time that a submission may declare, as a multiple of the baseline's time
    #[arg(long, value_name = "TIMES", default_value_t = 2.5, value_parser = above_0)]
    pub(crate) factor: f64,
}

/// How many findings are shown.
#[derive(Debug, Args)]
pub(crate) struct FindingsArgs {
    /// Maximum number of findings to show, the most severe first; 0 shows all [default: 50; in JSON, all]
    #[arg(long, value_name = "N")]
    pub(crate) max_findings: Option<usize>,
}

impl FindingsArgs {
    /// The limit of output for people.
    pub(crate) fn for_people(&self) -> usize {
        self.most().unwrap_or(50)
    }

    /// The limit of output for programs.
    pub(crate) fn for_programs(&self) -> usize {
        self.most().unwrap_or(usize::MAX)
    }

    fn most(&self) -> Option<usize> {
        self.max_findings.map(|most| if most == 0 { usize::MAX } else { most })
    }
}

pub(super) fn above_0(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && number.is_finite());
    number.ok_or_else(|| "expected a number above 0".to_owned())
}
