//! `flair-bench bundle`: a challenge for Codabench and CodaLab.

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context, anyhow};
use flair_hosting::{
    BundleError, Challenge, Plan, Platform,
    bundle::program::{Linkage, linkage},
    bundle_path, make,
};
use flair_scoring::{dataset::Unit, files::read_limited, score::pairing::Masks, text::shown};

use super::protocol::chosen;
use crate::{
    cli::{BundleArgs, PlatformArg},
    exit::{Exit, OrExit, Outcome},
    ui::{Bars, say, stderr, stdout, write_findings},
};

/// Maximum sizes of input files, in bytes: the settings, the logo, the scoring program.
const MAX_SETTINGS: u64 = 1 << 20;
const MAX_LOGO: u64 = 16 << 20;
const MAX_PROGRAM: u64 = 1 << 30;

/// How to make a program that runs in any image (docs/hosting.md).
const BUILD: &str = "RUSTFLAGS=\"-C target-feature=+crt-static\" cargo build --profile dist --no-default-features \
                     --target x86_64-unknown-linux-gnu";

pub(crate) fn run(arguments: &BundleArgs) -> Outcome {
    let platforms: &[Platform] = match arguments.platform {
        PlatformArg::Codabench => &[Platform::Codabench],
        PlatformArg::Codalab => &[Platform::Codalab],
        PlatformArg::Both => &Platform::ALL,
    };
    let exists = |path: &PathBuf| path.exists() && !arguments.replace;
    if let Some(path) = platforms.iter().map(|platform| bundle_path(&arguments.out, *platform)).find(exists) {
        return Err(anyhow!("`{}` exists: name another folder, or replace it with --replace", path.display()))
            .or_usage();
    }
    let challenge = challenge(arguments, platforms)?;
    let program = program(arguments.program.as_deref())?;
    let logo = arguments.logo.as_deref().map(|path| read(path, MAX_LOGO)).transpose()?;
    if let Some(folder) = arguments.pages.as_deref().filter(|folder| !folder.is_dir()) {
        return Err(anyhow!("`{}` is not a folder", folder.display())).or_input();
    }
    let protocol = chosen(&arguments.by)?;
    let masks = Masks::find(&arguments.truth).or_input()?;
    let plan = Plan {
        challenge: &challenge,
        protocol: &protocol,
        program: &program,
        platforms,
        pages: arguments.pages.as_deref(),
        logo: logo.as_deref(),
    };
    match make(&plan, &arguments.truth, &masks, &arguments.out, &Bars::new()) {
        Ok(made) => {
            let mut out = stdout();
            for bundle in made {
                let (path, bytes) = (bundle.path.display(), bundle.bytes);
                let patches = Unit::Patch.count(masks.len());
                writeln!(out, "{path}: for {}, {patches}, {bytes} bytes", bundle.platform)?;
            }
            Ok(Exit::Done)
        }
        Err(error) => {
            if let BundleError::Masks(findings) | BundleError::Schema { findings, .. } = &error {
                write_findings(&mut stderr(), findings)?;
            }
            match error {
                BundleError::Io { .. } => Err(error).or_environment(),
                // Settings that pass their check make valid bundles; anything else is a fault of that check.
                BundleError::Schema { .. } => Err(error).or_usage(),
                error => Err(error).or_input(),
            }
        }
    }
}

/// The settings of the file, overridden by the command line.
fn challenge(arguments: &BundleArgs, platforms: &[Platform]) -> Outcome<Challenge> {
    let mut challenge = match &arguments.settings {
        Some(path) => {
            let text = String::from_utf8_lossy(&read(path, MAX_SETTINGS)?).into_owned();
            Challenge::from_yaml(&text).with_context(|| format!("`{}`", path.display())).or_usage()?
        }
        None => Challenge::default(),
    };
    if let Some(title) = &arguments.title {
        challenge.title.clone_from(title);
    }
    if let (Some(start), Some(first)) = (&arguments.start, challenge.phases.first_mut()) {
        first.start.clone_from(start);
    }
    if let (Some(end), Some(last)) = (&arguments.end, challenge.phases.last_mut()) {
        last.end.clone_from(end);
    }
    if let Some(most) = arguments.max_per_day {
        challenge.phases.iter_mut().for_each(|phase| phase.max_submissions_per_day = most);
    }
    challenge.check(platforms).or_usage()?;
    Ok(challenge)
}

/// What `--version` of the scoring program must print: the pages and the command of a bundle are those of this version.
const VERSION: &str = concat!("flair-bench ", env!("CARGO_PKG_VERSION"));

/// Maximum time until a program has printed its version.
const VERSION_WITHIN: Duration = Duration::from_secs(10);

/// Checks that a program is a flair-bench of this version, by running it with `--version`. A machine that cannot run
/// programs for Linux on x86-64 cannot tell, and gets a warning.
fn demand_version(path: &Path) -> Outcome<()> {
    let shown_path = path.display();
    let absolute = std::path::absolute(path).with_context(|| format!("cannot find `{shown_path}`")).or_input()?;
    let started = Command::new(absolute)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(anyhow!(
                "`{shown_path}` is not executable: chmod +x it, and check that its folder is not mounted with noexec"
            ))
            .or_usage();
        }
        Err(error) if cfg!(all(target_os = "linux", target_arch = "x86_64")) => {
            return Err(anyhow!("`{shown_path}` is not {VERSION}: it does not start: {error}")).or_usage();
        }
        Err(error) => {
            say(&format!("warning: `{shown_path}` cannot be tried on this machine: {error}"));
            return Ok(());
        }
    };
    // Another thread reads, since a program that prints nothing, or does not end, would block this one.
    let (send, receive) = mpsc::channel();
    if let Some(out) = child.stdout.take() {
        thread::spawn(move || {
            let mut printed = Vec::new();
            let _ = out.take(1 << 12).read_to_end(&mut printed);
            // If nobody waits any more, it was too late.
            let _ = send.send(printed);
        });
    }
    let printed = receive.recv_timeout(VERSION_WITHIN);
    // It has ended, or is to end: either way it must be waited for.
    let _ = child.kill();
    let _ = child.wait();
    let Ok(printed) = printed else {
        let seconds = VERSION_WITHIN.as_secs();
        return Err(anyhow!("`{shown_path}` is not {VERSION}: `--version` printed nothing within {seconds} s"))
            .or_usage();
    };
    let printed = String::from_utf8_lossy(&printed);
    let first = printed.lines().next().unwrap_or_default().trim_end();
    if first == VERSION {
        return Ok(());
    }
    Err(anyhow!("`{shown_path}` is not {VERSION}: `--version` prints `{}`", shown(first))).or_usage()
}

/// Reads the scoring program: the named one as it is, or else this program, if it is linked statically.
fn program(named: Option<&Path>) -> Outcome<Vec<u8>> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => std::env::current_exe().context("cannot find this program's own file").or_environment()?,
    };
    let program = read(&path, MAX_PROGRAM)?;
    if named.is_some() {
        demand_version(&path)?;
    }
    match (linkage(&program), named) {
        (Linkage::Static, _) => {}
        (_, None) => {
            return Err(anyhow!(
                "this program is linked dynamically, and a platform's image may lack its libraries. Build a static \
                 one, and name it with --program:\n  {BUILD}"
            ))
            .or_usage();
        }
        (Linkage::Dynamic, Some(_)) => say(&format!(
            "warning: `{}` is linked dynamically, and the platform's image may lack its libraries; build a static one with\n  \
             {BUILD}",
            path.display()
        )),
        (Linkage::Unknown, Some(_)) => {
            say(&format!("warning: `{}` is not a program for Linux on x86-64", path.display()));
        }
    }
    Ok(program)
}

fn read(path: &Path, limit: u64) -> Outcome<Vec<u8>> {
    read_limited(path, limit).with_context(|| format!("cannot read `{}`", path.display())).or_input()
}
