//! `flair-bench completions` and `flair-bench man`.

use std::io::Write;

use anyhow::Context;
use clap::CommandFactory;

use crate::{
    cli::{Cli, CompletionsArgs, ManArgs},
    exit::{Exit, OrExit, Outcome},
    ui::stdout_for_programs,
};

pub(crate) fn completions(arguments: &CompletionsArgs) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "flair-bench", &mut script);
    stdout_for_programs().write_all(&script)?;
    Ok(Exit::Done)
}

pub(crate) fn man(arguments: &ManArgs) -> Outcome {
    if let Some(folder) = &arguments.out {
        let context = || format!("cannot write into `{}`", folder.display());
        std::fs::create_dir_all(folder).with_context(context).or_environment()?;
        clap_mangen::generate_to(Cli::command(), folder).with_context(context).or_environment()?;
    } else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        stdout_for_programs().write_all(&page)?;
    }
    Ok(Exit::Done)
}
