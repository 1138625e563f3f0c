//! `flair-bench protocol`.

use std::io::Write;

use anyhow::anyhow;
use flair_scoring::{
    Protocol,
    protocol::{EXAMPLE, NOMENCLATURES, PROTOCOLS, ProtocolError},
};

use crate::{
    cli::{ByArgs, ProtocolArgs},
    exit::{Exit, OrExit, Outcome},
    ui::{protocol_text, stdout},
};

/// Loads the protocol of `--protocol`, with the classes of `--nomenclature`, if given.
pub(super) fn chosen(by: &ByArgs) -> Outcome<Protocol> {
    let protocol = Protocol::find(&by.protocol).or_usage()?;
    match &by.nomenclature {
        Some(classes) => protocol.with_nomenclature(classes).or_usage(),
        None => Ok(protocol),
    }
}

pub(crate) fn run(arguments: &ProtocolArgs) -> Outcome {
    let all = || PROTOCOLS.iter().chain(&NOMENCLATURES);
    let mut out = stdout();
    if arguments.example {
        out.write_all(EXAMPLE.as_bytes())?;
        return Ok(Exit::Done);
    }
    let Some(name) = &arguments.name else {
        for (title, files) in [("protocols", PROTOCOLS.as_slice()), ("class lists", &NOMENCLATURES)] {
            writeln!(out, "{title}")?;
            for (name, text) in files {
                writeln!(out, "  {name:12}  {}", summary(text))?;
            }
        }
        return Ok(Exit::Done);
    };
    if let Some((_, text)) = all().find(|(known, _)| known == name) {
        out.write_all(text.as_bytes())?;
        return Ok(Exit::Done);
    }
    match Protocol::find(name) {
        Ok(protocol) => write!(out, "{}", protocol_text(&protocol))?,
        Err(ProtocolError::Unknown { what: "protocol", .. }) => {
            let names: Vec<_> = all().map(|(name, _)| *name).collect();
            let known = names.join(", ");
            let error = anyhow!(
                "there is neither a protocol nor a class list `{name}`: expected one of {known}, or a file that ends in .yml"
            );
            return Err(error).or_usage();
        }
        Err(error) => return Err(error).or_usage(),
    }
    Ok(Exit::Done)
}

/// The first sentence of a file's comment.
fn summary(text: &str) -> String {
    let comment: Vec<_> = text.lines().map_while(|line| line.strip_prefix("# ")).collect();
    let comment = comment.join(" ");
    comment.split_inclusive([':', '.']).next().unwrap_or_default().trim_end_matches([':', '.']).to_owned()
}
