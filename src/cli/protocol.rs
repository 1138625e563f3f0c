use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct ProtocolArgs {
    /// The protocol or class list to show, or a protocol's file to look through, which ends in .yml; none lists them all
    #[arg(value_name = "NAME|FILE")]
    pub(crate) name: Option<String>,

    /// Print a file with everything that a protocol can say, to begin your own with
    #[arg(long, conflicts_with = "name")]
    pub(crate) example: bool,
}
