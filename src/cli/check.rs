use std::path::PathBuf;

use clap::{Args, builder::PossibleValuesParser};

use super::shared::{ExpectedArgs, FindingsArgs, RulesArgs};
use crate::codes;

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The submission: a folder, or a zip
    #[arg(value_name = "DIR|ZIP", required_unless_present = "explain")]
    pub(crate) submission: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) expected: ExpectedArgs,

    #[command(flatten)]
    pub(crate) rules: RulesArgs,

    #[command(flatten)]
    pub(crate) findings: FindingsArgs,

    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Explain a finding's code, such as `one-based`: its meaning, its usual cause and the fix
    #[arg(long, value_name = "CODE", value_parser = PossibleValuesParser::new(codes::all().map(|kind| kind.code)),
          hide_possible_values = true, conflicts_with = "submission")]
    pub(crate) explain: Option<String>,
}
