use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct ProtocolArgs {
    /// Protocol or class list to show, or a protocol's file (.yml) to check (default: list all)
    #[arg(value_name = "NAME|FILE")]
    pub(crate) name: Option<String>,

    /// Print a commented file with every key of a protocol, to start your own from
    #[arg(long, conflicts_with = "name")]
    pub(crate) example: bool,
}
