//! `flair-bench weights`.

use std::{collections::BTreeMap, io::Write};

use anyhow::anyhow;
use flair_baselines::weights::{self, Provenance};
use serde::Serialize;

use crate::{
    cli::{ConvertArgs, InspectArgs},
    exit::{Exit, OrExit, Outcome},
    ui::{stdout, stdout_for_programs},
};

pub(crate) fn convert(arguments: &ConvertArgs) -> Outcome {
    let checkpoint = weights::read(&arguments.from).or_input()?;
    let only = arguments.only.as_deref().unwrap_or("");
    let tensors: BTreeMap<_, _> =
        weights::adapted(checkpoint.tensors).into_iter().filter(|(name, _)| name.starts_with(only)).collect();
    if tensors.is_empty() {
        return Err(anyhow!("`{}` has no tensor whose name begins with `{only}`", arguments.from.display())).or_usage();
    }
    let source = arguments.from.file_name().unwrap_or_default().to_string_lossy();
    let source = format!("{source}, SHA-256 {}", checkpoint.sha256);
    // A part of a network is another network, so its settings are not kept. One entry only: several have no fixed order,
    // and the bytes would differ.
    let known = Provenance::from_metadata(&checkpoint.metadata).filter(|_| arguments.only.is_none());
    let metadata = match known {
        Some(known) => {
            Provenance { trained: format!("{}; converted from {source}", known.trained), ..known }.to_metadata()
        }
        None => BTreeMap::from([("converted_from".to_owned(), source)]),
    };
    weights::save(&arguments.to, &tensors, &metadata).or_environment()?;
    writeln!(stdout(), "{}: {} tensors", arguments.to.display(), tensors.len())?;
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct TensorLine<'a> {
    name: &'a str,
    dtype: &'static str,
    shape: &'a [usize],
}

pub(crate) fn inspect(arguments: &InspectArgs) -> Outcome {
    let checkpoint = weights::read(&arguments.file).or_input()?;
    let lines = checkpoint.tensors.iter().map(|(name, tensor)| TensorLine {
        name,
        dtype: tensor.dtype().as_str(),
        shape: tensor.dims(),
    });
    if arguments.json {
        let mut out = stdout_for_programs();
        let lines: Vec<_> = lines.collect();
        let report = serde_json::json!({ "sha256": checkpoint.sha256, "tensors": lines });
        serde_json::to_writer_pretty(&mut out, &report).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        let mut out = stdout();
        for line in lines {
            writeln!(out, "{:4} {:20} {}", line.dtype, format!("{:?}", line.shape), line.name)?;
        }
        let count: usize = checkpoint.tensors.values().map(|tensor| tensor.dims().iter().product::<usize>()).sum();
        writeln!(out, "{} tensors, {count} numbers, sha256 {}", checkpoint.tensors.len(), checkpoint.sha256)?;
    }
    Ok(Exit::Done)
}
