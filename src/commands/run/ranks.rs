//! The processes of a run that MPI starts: joined at the beginning, ended together.

use std::{fs, path::Path, thread, time::Duration};

use anyhow::{Context, anyhow};
use flair_baselines::ranks::{Job, Ranks, RanksError, cores_of_rank};

use super::super::lock::holder;
use crate::{
    exit::{Exit, Failure, OrExit, Outcome},
    ui::{divert, failure_of_rank, say},
};

/// How long a rank with an error waits before it ends the others, so that only rank 0 prints an error that all ranks have.
const GRACE: Duration = Duration::from_secs(1);

/// Runs a command in the processes of the job. An error of one of them ends all.
pub(super) fn joined(command: impl FnOnce(&Ranks) -> Outcome) -> Outcome {
    let job = Job::of_process();
    share_cores(job);
    let ranks = match Ranks::join(job) {
        Err(error @ RanksError::Job(_)) => Err(error).or_usage()?,
        other => other.or_environment()?,
    };
    if ranks.is_alone() {
        return command(&ranks);
    }
    note_binding(&ranks);
    if !ranks.is_first() {
        // Until the run has a folder.
        divert(Path::new("/dev/null")).context("cannot open `/dev/null`").or_environment()?;
    }
    let outcome = command(&ranks);
    if let Err(Failure { exit, error }) = &outcome {
        if !ranks.is_first() {
            thread::sleep(GRACE);
        }
        // A closed pipe is no error, but leaves the others in an exchange all the same.
        if *exit != Exit::Done {
            failure_of_rank(ranks.rank(), error);
        }
        ranks.abort(*exit as i32);
        #[expect(clippy::exit, reason = "the others wait for this rank, which cannot end MPI in order")]
        std::process::exit(*exit as i32);
    }
    // A launcher ends all ranks once one has ended with another code than 0.
    ranks.barrier().or_environment()?;
    outcome
}

/// Sends what the other ranks than 0 print to files of their own in the run's folder, which all ranks must see.
pub(super) fn log_to(out: &Path, ranks: &Ranks) -> Outcome<()> {
    if ranks.is_alone() {
        return Ok(());
    }
    let folder = out.join("ranks");
    let mark = folder.join(".job");
    let context = |path: &Path| format!("cannot write `{}`", path.display());
    let token = ranks.broadcast(holder().into_bytes()).or_environment()?;
    if ranks.is_first() {
        let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&mark, &token));
        written.with_context(|| context(&mark)).or_environment()?;
    }
    ranks.barrier().or_environment()?;
    if !ranks.is_first() {
        if fs::read(&mark).ok().as_ref() != Some(&token) {
            return Err(anyhow!(
                "`{}` is not the folder that rank 0 has: --out must be on a disk that all nodes share",
                out.display()
            ))
            .or_usage();
        }
        let file = folder.join(format!("rank-{}.log", ranks.rank()));
        divert(&file).with_context(|| context(&file)).or_environment()?;
    }
    ranks.barrier().or_environment()?;
    if ranks.is_first() {
        // A mark that stays is harmless.
        let _ = fs::remove_file(&mark);
    }
    Ok(())
}

/// The cores that this process computes and reads with.
pub(super) fn cores() -> usize {
    let bound = thread::available_parallelism().map_or(1, usize::from);
    // Of an allocation whose cores its tasks share.
    let of_task = std::env::var("SLURM_CPUS_PER_TASK").ok().and_then(|cores| cores.parse().ok());
    let bound = of_task.map_or(bound, |of_task: usize| bound.min(of_task.max(1)));
    match Job::of_process() {
        Job::Mpi { local: Some(local), .. } => cores_of_rank(local, bound, processors().unwrap_or(bound)),
        _ => bound,
    }
}

/// Gives the ranks of a machine equal numbers of threads, unless `RAYON_NUM_THREADS` is set.
fn share_cores(job: Job) {
    const THREADS: &str = "RAYON_NUM_THREADS";
    let Job::Mpi { local: Some(_), .. } = job else { return };
    if std::env::var_os(THREADS).is_some() {
        return;
    }
    #[expect(unsafe_code, reason = "candle reads the number of threads from the environment alone")]
    // SAFETY: the only other thread, that of the signals, reads no variables.
    unsafe {
        std::env::set_var(THREADS, cores().to_string());
    }
}

/// Tells if MPI's launcher leaves a rank one core where it could have more.
fn note_binding(ranks: &Ranks) {
    let (_, local) = ranks.local();
    let all = processors().unwrap_or(1);
    if ranks.is_first() && cores() == 1 && all >= 2 * local && std::env::var_os("SLURM_JOB_ID").is_none() {
        say(&format!("note: MPI binds each rank to one of {all} cores; `mpirun --bind-to none` gives each its share"));
    }
}

/// The processors of the machine, on Linux.
fn processors() -> Option<usize> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    Some(text.lines().filter(|line| line.starts_with("processor")).count()).filter(|&count| count > 0)
}
