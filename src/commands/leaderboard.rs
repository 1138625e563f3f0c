//! `flair-bench leaderboard`.

use std::{io::Write, path::Path};

use anyhow::{Context, anyhow};
use flair_leaderboard::{
    Benchmarks, Description, Entry, Existing, Format, LeaderboardError, Store, benchmark_key, merge, published, rank,
    render, render::markers,
};
use flair_scoring::{
    files::{MAX_RECORD, read_text},
    submission::Doubtful,
    text::shown,
};

use super::results::write_file;
use crate::{
    cli::{AddArgs, LeaderboardArgs, LeaderboardCommand},
    exit::{Exit, OrExit, Outcome},
    ui::{say, stdout, stdout_for_programs, terminal_width},
};

/// The folder of entries in a checkout of the project.
const ENTRIES: &str = "leaderboard/entries";

pub(crate) fn run(arguments: &LeaderboardArgs) -> Outcome {
    if let Some(LeaderboardCommand::Add(arguments)) = &arguments.command {
        return add(arguments);
    }
    // A missing folder is an empty store for `add`; here it is more likely a mistyped name.
    if let Some(folder) = arguments.entries.as_deref().filter(|folder| !folder.is_dir()) {
        return Err(anyhow!("there is no folder `{}` to read entries from", folder.display())).or_input();
    }
    let entries = entries(arguments.entries.as_deref()).or_input()?;
    let mut rankings = rank(&entries);
    if let Some(benchmark) = &arguments.benchmark {
        let known: Vec<_> = rankings.iter().map(|ranking| format!("`{}`", shown(ranking.benchmark))).collect();
        rankings.retain(|ranking| benchmark_key(ranking.benchmark) == benchmark_key(benchmark));
        if rankings.is_empty() {
            let (benchmark, known) = (shown(benchmark), known.join(", "));
            return Err(anyhow!("there is no benchmark `{benchmark}`; there are {known}")).or_usage();
        }
    }
    let Some(file) = &arguments.write else {
        let width = terminal_width();
        let format = match arguments.format {
            Format::Terminal { .. } => Format::Terminal { width },
            other => other,
        };
        let text = render(&rankings, format);
        match format {
            Format::Terminal { .. } => stdout().write_all(text.as_bytes())?,
            _ => stdout_for_programs().write_all(text.as_bytes())?,
        }
        return Ok(Exit::Done);
    };
    let text = read_text(file, MAX_RECORD).with_context(|| format!("cannot read `{}`", file.display())).or_input()?;
    let only = arguments.benchmark.as_ref().and_then(|_| rankings.first()).map(|ranking| ranking.benchmark);
    let new = markers::regenerate(&text, &rankings, only)
        .with_context(|| format!("cannot write the tables into `{}`", file.display()))
        .or_input()?;
    let is_current = new == text;
    if !is_current {
        write_file(file, new.as_bytes())?;
    }
    writeln!(stdout(), "{}: {}", file.display(), if is_current { "is current" } else { "written" })?;
    Ok(Exit::Done)
}

/// The published entries and those of a folder: the named one, else the checkout's, if this is a checkout.
fn entries(folder: Option<&Path>) -> Result<Vec<Entry>, LeaderboardError> {
    let folder = folder.or_else(|| Some(Path::new(ENTRIES)).filter(|folder| folder.is_dir()));
    let own = folder.map(|folder| Store::new(folder).read()).transpose()?.unwrap_or_default();
    Ok(merge(published()?, own))
}

fn add(arguments: &AddArgs) -> Outcome {
    let description = Description {
        name: arguments.name.clone(),
        benchmark: arguments.benchmark.clone(),
        input: arguments.input.clone(),
        notes: arguments.notes.clone(),
        source: arguments.source.clone(),
        date: Some(jiff::Zoned::now().date().to_string()),
        doubtful: if arguments.as_is { Doubtful::Accept } else { Doubtful::Refuse },
    };
    let store = Store::new(&arguments.entries);
    let known = Benchmarks::known(&store.read().or_input()?).or_input()?;
    let entry = Entry::from_run(&arguments.run, &description, &known).or_input()?;
    let existing = if arguments.replace { Existing::Replace } else { Existing::Keep };
    let path = match store.add(&entry, existing) {
        Err(error @ LeaderboardError::Io { .. }) => Err(error).or_environment()?,
        other => other.or_usage()?,
    };
    let (name, benchmark) = (shown(&entry.name), shown(&entry.benchmark));
    writeln!(stdout(), "{}: {name} with mIoU {:.5} on {benchmark}", path.display(), entry.miou)?;
    if known.name(&entry.benchmark).is_none() {
        let nearest =
            known.nearest(&entry.benchmark).map(|name| format!("; the nearest known one is `{}`", shown(name)));
        say(&format!("note: `{benchmark}` is a new benchmark{}", nearest.unwrap_or_default()));
    }
    Ok(Exit::Done)
}
