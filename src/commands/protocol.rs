//! `flair-bench protocol`.

use std::io::{Write, stdout};

use anyhow::anyhow;
use flair_scoring::protocol::{NOMENCLATURES, PROTOCOLS};

use crate::{
    cli::ProtocolArgs,
    exit::{Exit, OrExit, Outcome},
};

pub(crate) fn run(arguments: &ProtocolArgs) -> Outcome {
    let all = || PROTOCOLS.iter().chain(&NOMENCLATURES);
    let mut out = stdout().lock();
    let Some(name) = &arguments.name else {
        for (title, files) in [("protocols", PROTOCOLS.as_slice()), ("class lists", &NOMENCLATURES)] {
            writeln!(out, "{title}")?;
            for (name, text) in files {
                writeln!(out, "  {name:12}  {}", summary(text))?;
            }
        }
        return Ok(Exit::Done);
    };
    let (_, text) = all()
        .find(|(known, _)| known == name)
        .ok_or_else(|| {
            let names: Vec<_> = all().map(|(name, _)| *name).collect();
            anyhow!("there is neither a protocol nor a class list `{name}`: expected one of {}", names.join(", "))
        })
        .or_usage()?;
    out.write_all(text.as_bytes())?;
    Ok(Exit::Done)
}

/// The first sentence of a file's comment.
fn summary(text: &str) -> String {
    let comment: Vec<_> = text.lines().map_while(|line| line.strip_prefix("# ")).collect();
    let comment = comment.join(" ");
    comment.split_inclusive([':', '.']).next().unwrap_or_default().trim_end_matches([':', '.']).to_owned()
}
