use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct ProtocolArgs {
    /// The protocol or class list to show; none lists them all
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
}
