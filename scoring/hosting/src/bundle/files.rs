//! The text files of a bundle: pages, the scoring program's command, the starting kit's README.

use std::{fmt::Write, io, path::Path};

use super::plan::Plan;
use crate::{page::Escaped, rules};
use flair_scoring::{
    PatchId, Protocol,
    dataset::fold_ranges,
    files::read_text,
    timing::{Hms, Limits},
};

pub(crate) const LOGO: &str = "logo.png";
pub(crate) const PROGRAM: &str = "scoring_program.zip";
pub(crate) const REFERENCE: &str = "reference_data.zip";
pub(crate) const KIT: &str = "starting_kit.zip";
pub(crate) const SAMPLE: &str = "sample_submission.zip";
pub(crate) const TERMS: &str = "terms.html";

/// A page about the challenge. Both platforms show HTML; Codabench reads it as Markdown, so no line may be indented.
pub(super) struct PageFile {
    /// CodaLab's key.
    pub(super) key: &'static str,
    pub(super) title: &'static str,
    pub(super) file: &'static str,
    text: &'static str,
}

pub(super) const PAGES: [PageFile; 4] = [
    PageFile {
        key: "overview",
        title: "Overview",
        file: "overview.html",
        text: include_str!("../../assets/overview.html"),
    },
    PageFile {
        key: "evaluation",
        title: "Evaluation",
        file: "evaluation.html",
        text: include_str!("../../assets/evaluation.html"),
    },
    PageFile { key: "terms", title: "Terms", file: TERMS, text: include_str!("../../assets/terms.html") },
    PageFile { key: "data", title: "Data", file: "data.html", text: include_str!("../../assets/data.html") },
];

/// Maximum size of an organiser's own page, in bytes.
const MAX_PAGE: u64 = 1 << 20;

/// The pages and their names: the organiser's own page if `Plan::pages` has one, else the default one. Each `{{word}}`
/// is replaced by the challenge's value.
pub(super) fn pages(plan: &Plan<'_>, ids: &[PatchId]) -> io::Result<Vec<(&'static str, String)>> {
    let read = |page: &PageFile| {
        let own = plan.pages.map(|folder| folder.join(page.file)).filter(|path| path.exists());
        own.map_or_else(|| Ok(page.text.to_owned()), |path| read_page(&path))
    };
    PAGES.iter().map(|page| Ok((page.file, ascii(&fill(&read(page)?, plan, ids, Markup::Html))))).collect()
}

/// Escapes non-ASCII characters: the platforms read pages in the encoding of their server.
fn ascii(html: &str) -> String {
    html.chars().fold(String::new(), |mut text, c| {
        if c.is_ascii() {
            text.push(c);
        } else {
            let _ = write!(text, "&#{};", u32::from(c));
        }
        text
    })
}

fn read_page(path: &Path) -> io::Result<String> {
    let invalid = |reason: &str| io::Error::new(io::ErrorKind::InvalidData, format!("`{}` {reason}", path.display()));
    let text = read_text(path, MAX_PAGE).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => invalid("is too large for a page"),
        io::ErrorKind::NotFound => error,
        _ => io::Error::new(error.kind(), format!("`{}`: {error}", path.display())),
    })?;
    // Codabench refuses empty pages.
    if text.trim().is_empty() { Err(invalid("is empty")) } else { Ok(text) }
}

/// The markup language of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Markup {
    Html,
    Markdown,
}

/// Replaces the `{{word}}`s of a template.
fn fill(text: &str, plan: &Plan<'_>, ids: &[PatchId], markup: Markup) -> String {
    let challenge = plan.challenge;
    let own = |text: &str| match markup {
        Markup::Html => Escaped(text).to_string(),
        Markup::Markdown => text.to_owned(),
    };
    let score_options = protocol(plan.protocol, "");
    let list = |names: &[&str]| names.join(", ");
    let by = if challenge.organiser.is_empty() {
        String::new()
    } else {
        format!("<p>Organised by {}.</p>", Escaped(&challenge.organiser))
    };
    let contact = if challenge.contact.is_empty() {
        "the forum".to_owned()
    } else {
        format!("<a href=\"mailto:{0}\">{0}</a>", Escaped(&challenge.contact))
    };
    let (mut classes, mut phases) = (String::new(), String::new());
    for (value, name) in rules::classes(plan.protocol).iter().enumerate() {
        let _ = writeln!(classes, "<tr><td>{value}</td><td>{}</td></tr>", Escaped(name));
    }
    for phase in &challenge.phases {
        let end = if phase.end.trim().is_empty() { "open" } else { phase.end.trim() };
        let _ = writeln!(
            phases,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            Escaped(&phase.name),
            Escaped(phase.start.trim()),
            Escaped(end),
            phase.max_submissions_per_day,
            phase.max_submissions
        );
    }
    let minutes = |seconds: f64| Hms(seconds).to_string().trim_start_matches("0:").to_owned();
    let words = [
        ("title", own(&challenge.title)),
        ("description", Escaped(&challenge.description).to_string()),
        ("organiser", by),
        ("contact", contact),
        ("phases", phases.trim_end().to_owned()),
        ("patches", ids.len().to_string()),
        ("classes", classes.trim_end().to_owned()),
        ("averaged", Escaped(&list(&rules::averaged(plan.protocol))).to_string()),
        ("averaged_count", rules::averaged(plan.protocol).len().to_string()),
        ("excluded", Escaped(&list(&rules::excluded(plan.protocol))).to_string()),
        ("protocol", Escaped(plan.protocol.id()).to_string()),
        ("explained", rules::explained(plan.protocol.definition())),
        ("check_options", format!("{score_options}{}", factor(challenge.factor))),
        ("score_options", score_options),
        ("last_class", plan.protocol.class_count().saturating_sub(1).to_string()),
        ("device_limit", minutes(challenge.device_seconds)),
        ("device_seconds", challenge.device_seconds.to_string()),
        ("factor", challenge.factor.to_string()),
        ("first", ids.first().map_or_else(String::new, |id| id.file_name("PRED"))),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    // One pass, so that a `{{word}}` within a value is not replaced.
    let (mut filled, unknown) = (String::new(), "{{".to_owned());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let word = after.split_once("}}").and_then(|(word, rest)| {
            words.iter().find(|(name, _)| *name == word.trim()).map(|(_, value)| (value, rest))
        });
        let (value, behind) = word.unwrap_or((&unknown, after));
        filled.push_str(value);
        rest = behind;
    }
    filled.push_str(rest);
    filled
}

/// The scoring program's `metadata` and `metadata.yaml`. CodaLab splits the command at spaces and ignores quotes
/// (`worker.py`, `run`); Codabench passes it to the container unchanged. Neither uses a shell.
pub(super) const METADATA: &str = "command: sh $program/score.sh $input $output\ndescription: flair-bench, the scorer of the FLAIR land-cover challenge\n";

/// The protocol's file in the scoring program and the starting kit, for protocols that are not built in.
pub(super) const PROTOCOL: &str = "protocol.yml";

/// Whether the protocol comes from a file and is not built in.
pub(super) fn is_of_a_file(protocol: &Protocol) -> bool {
    protocol.id().contains('@')
}

/// The command-line options for the protocol. Its file is in `folder`, which ends with `/` or is empty.
fn protocol(protocol: &Protocol, folder: &str) -> String {
    // Built-in names are plain words; the names in a file are untrusted.
    match protocol.id().split_once('/') {
        _ if is_of_a_file(protocol) && folder.is_empty() => format!("--protocol {PROTOCOL}"),
        _ if is_of_a_file(protocol) => format!("--protocol \"{folder}{PROTOCOL}\""),
        Some((name, classes)) => format!("--protocol {name} --nomenclature {classes}"),
        None => format!("--protocol {}", protocol.id()),
    }
}

/// The command-line option for the time rule's factor, if it is not the default.
fn factor(factor: f64) -> String {
    let is_known = factor.total_cmp(&Limits::default().factor).is_eq();
    if is_known { String::new() } else { format!(" --factor {factor}") }
}

/// `score.sh`, which the command runs. Both platforms unpack with Python's `ZipFile.extractall`, which leaves no file
/// executable, and may mount the program read-only or a folder with `noexec`: so the script takes the program where it
/// starts, or copies it to the first folder where a copy starts.
pub(super) fn score_sh(plan: &Plan<'_>) -> String {
    let challenge = plan.challenge;
    format!(
        "{SCORE_SH}\"$program\" codalab {} --device-seconds {} --factor {} \"$1\" \"$2\"\n",
        protocol(plan.protocol, "$here/"),
        challenge.device_seconds,
        challenge.factor
    )
}

/// The script without its last line. `OUTPUT` is the last folder that is tried, since the platforms upload what a killed
/// script leaves in it.
const SCORE_SH: &str = r#"#!/bin/sh
# Scores INPUT/res against INPUT/ref into OUTPUT: sh score.sh INPUT OUTPUT
set -e
here=$(cd "$(dirname "$0")" && pwd)
work=
trap 'rm -rf "$work"' EXIT
starts() {
  chmod 755 "$1" 2>/dev/null
  "$1" --version >/dev/null 2>&1
}
program=$here/flair-bench
if ! starts "$program"; then
  for folder in "${TMPDIR:-/tmp}" /var/tmp /dev/shm "$2"; do
    work=$(mktemp -d "$folder/flair-bench.XXXXXX" 2>/dev/null) || continue
    program=$work/flair-bench
    cp "$here/flair-bench" "$program" 2>/dev/null && starts "$program" && break
    rm -rf "$work"
    program=
  done
fi
if [ -z "$program" ]; then
  echo "flair-bench does not start: this image is not Linux on x86-64, or forbids programs in $here, ${TMPDIR:-/tmp}, /var/tmp, /dev/shm and $2" >&2
  exit 4
fi
"#;

/// The starting kit's `README.md` and `ids.txt`.
pub(super) fn kit_texts(plan: &Plan<'_>, ids: &[PatchId]) -> (String, String) {
    let readme = fill(include_str!("../../assets/kit.md"), plan, ids, Markup::Markdown);
    let ranges = fold_ranges(ids.iter().copied()).join("\n");
    (readme, format!("# The patches to predict, for `flair-bench check --ids ids.txt`.\n{ranges}\n"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{Challenge, rules::FLAIR2};

    fn plan(challenge: &Challenge) -> Plan<'_> {
        Plan { challenge, protocol: &FLAIR2, program: b"", platforms: &[], pages: None, logo: None }
    }

    #[test]
    fn pages_are_filled_whole_and_escaped() {
        let challenge = Challenge {
            title: "<b>Bold</b> {{contact}}".to_owned(),
            organiser: "A & B".to_owned(),
            contact: "jury@example.org".to_owned(),
            ..Challenge::default()
        };
        let ids: Vec<_> = (77_413..77_420).filter_map(PatchId::new).collect();
        let pages = pages(&plan(&challenge), &ids).unwrap();
        for (name, text) in &pages {
            let left = text.replace("{{contact}}", "");
            assert!(!left.contains("{{") && !left.contains("}}"), "{name}");
            assert!(!text.contains("<b>Bold") && !text.contains("<script"), "{name}");
            // Markdown would take an indented line for code.
            assert!(text.is_ascii() && text.lines().all(|line| !line.starts_with(' ')), "{name}");
        }
        let all = pages.into_iter().map(|(_, text)| text).collect::<String>();
        for text in
            ["&lt;b&gt;Bold&lt;/b&gt; {{contact}}", "A &amp; B", "25:00", "2.5 times", "flair2", "PRED_077413.tif"]
        {
            assert!(all.contains(text), "{text}");
        }
        let (readme, list) = kit_texts(&plan(&challenge), &ids);
        assert!(!readme.replace("{{contact}}", "").contains("{{") && list.ends_with("077413-077419\n"));
    }

    #[test]
    fn the_kit_tells_the_commands_of_this_challenge() {
        let commands = |challenge: &Challenge, protocol| {
            let (readme, _) = kit_texts(&Plan { protocol, ..plan(challenge) }, &[]);
            let lines = readme.lines().filter(|line| line.starts_with("# ") || line.starts_with("./"));
            lines.collect::<Vec<_>>().join("\n")
        };
        let ours = commands(&Challenge::default(), &FLAIR2);
        let challenge = Challenge { title: "Trees & <water>".to_owned(), factor: 3.0, ..Challenge::default() };
        let text = "{name: trees, nomenclature: flair-19, excluded: [other]}";
        let theirs = commands(&challenge, &Protocol::from_yaml(text, "a test").unwrap());
        insta::assert_snapshot!(format!("{ours}\n\n{theirs}"));
    }

    #[test]
    fn an_organisers_own_page_takes_the_place_of_ours() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("data.html"), "<p>{{patches}} of ours, {{unknown}}</p>").unwrap();
        let challenge = Challenge::default();
        let plan = Plan { pages: Some(dir.path()), ..plan(&challenge) };
        let pages_of = || pages(&plan, &[]);
        assert_eq!(pages_of().unwrap()[3].1, "<p>0 of ours, {{unknown}}</p>");
        fs::write(dir.path().join("data.html"), " \n").unwrap();
        assert!(pages_of().unwrap_err().to_string().ends_with("data.html` is empty"));
    }

    #[test]
    fn the_command_has_no_quotes_and_the_script_has_the_rules() {
        assert!(METADATA.starts_with("command: sh $program/score.sh $input $output\n"));
        insta::assert_snapshot!(score_sh(&plan(&Challenge::default())));
    }
}
