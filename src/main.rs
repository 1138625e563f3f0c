//! `flair-bench`: the evaluation and submission toolkit of the FLAIR #2 challenge.

mod cli;
mod commands;
mod exit;
mod ui;

use std::process::ExitCode;

use clap::Parser;

use exit::{Exit, Failure};

fn main() -> ExitCode {
    let arguments = cli::Cli::parse();
    ui::logging(arguments.verbose);
    match commands::dispatch(arguments) {
        Ok(exit) => exit.into(),
        Err(Failure { exit, error }) => {
            if exit != Exit::Done {
                ui::failure(&error);
            }
            exit.into()
        }
    }
}
