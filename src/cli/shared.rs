//! Arguments that several subcommands take.

use std::path::PathBuf;

use clap::Args;

/// Which patches a submission must hold.
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

    /// File with the expected patches: a number, a file name or a range (`077413-093462`) a line, `#` for comments
    #[arg(long, value_name = "FILE")]
    pub(crate) ids: Option<PathBuf>,
}

/// By which classes and rules is scored, and what a prediction may hold.
#[derive(Debug, Args)]
pub(crate) struct ByArgs {
    /// Classes and rules of the mean: flair2 (the challenge's), flair-hub (IGN's later programs), or a file of your own
    /// that ends in .yml (`flair-bench protocol --example` shows how one looks)
    #[arg(long, value_name = "NAME|FILE", default_value = "flair2")]
    pub(crate) protocol: String,

    /// Other classes for the same rules: flair2-13, flair-19, flair-hub-19, or a file that ends in .yml
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) nomenclature: Option<String>,
}

/// By which rules a submission is checked.
#[derive(Debug, Args)]
pub(crate) struct RulesArgs {
    #[command(flatten)]
    pub(crate) by: ByArgs,

    /// How many times the baseline's time a submission may declare
    #[arg(long, value_name = "TIMES", default_value_t = 2.5, value_parser = above_0)]
    pub(crate) factor: f64,
}

/// How many findings are told.
#[derive(Debug, Args)]
pub(crate) struct FindingsArgs {
    /// Most findings to tell, the weightiest first; 0 tells all [default: 50, or all of them as JSON]
    #[arg(long, value_name = "N")]
    pub(crate) max_findings: Option<usize>,
}

impl FindingsArgs {
    /// Most findings for people to read.
    pub(crate) fn for_people(&self) -> usize {
        self.most().unwrap_or(50)
    }

    /// Most findings for a program to read.
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
