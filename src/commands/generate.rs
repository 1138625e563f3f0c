//! `flair-bench completions` and `flair-bench man`.

use std::io::{Write, stdout};

use anyhow::Context;
use clap::CommandFactory;

use super::score::write_file;
use crate::{
    cli::{Cli, CompletionsArgs, ManArgs},
    exit::{Exit, OrExit, Outcome},
};

pub(crate) fn completions(arguments: &CompletionsArgs) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "flair-bench", &mut script);
    stdout().write_all(&script)?;
    Ok(Exit::Done)
}

pub(crate) fn man(arguments: &ManArgs) -> Outcome {
    let mut command = Cli::command();
    command.build();
    let Some(folder) = &arguments.out else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page).or_environment()?;
        stdout().write_all(&page)?;
        return Ok(Exit::Done);
    };
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display())).or_environment()?;
    let mut pages = vec![("flair-bench".to_owned(), command)];
    while let Some((name, command)) = pages.pop() {
        pages.extend(command.get_subcommands().filter(|sub| sub.get_name() != "help").map(|sub| {
            let name = format!("{name}-{}", sub.get_name());
            (name.clone(), sub.clone().name(name))
        }));
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page).or_environment()?;
        write_file(&folder.join(format!("{name}.1")), &page)?;
    }
    Ok(Exit::Done)
}
