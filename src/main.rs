//! `flair-bench`: the evaluation and submission toolkit of the FLAIR #2 challenge.

mod cli;
mod codes;
mod commands;
mod exit;
mod interrupt;
mod ui;

use std::{panic, process::ExitCode};

use clap::Parser;

use exit::{Exit, Failure};

#[cfg(feature = "baselines")]
#[global_allocator]
static ALLOCATOR: flair_baselines::runtime::Allocator = flair_baselines::runtime::Allocator;

fn main() -> ExitCode {
    #[cfg(feature = "baselines")]
    flair_baselines::runtime::keep_freed_memory();
    let arguments = match cli::Cli::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return ui::usage(&error),
    };
    ui::logging(arguments.verbose);
    interrupt::listen();
    match panic::catch_unwind(|| commands::dispatch(arguments)) {
        // The panic hook has printed its message to standard error.
        Err(_) => Exit::Internal.into(),
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(Failure { exit, error })) => {
            if exit != Exit::Done {
                ui::failure(&error);
            }
            exit.into()
        }
    }
}
