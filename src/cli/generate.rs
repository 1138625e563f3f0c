use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Folder for one page per command (default: the first page goes to standard output)
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}
