//! What the environment tells of the job that a process belongs to.

/// How a process was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// By itself.
    Alone,
    /// By an MPI launcher: `mpirun`, or `srun --mpi=…`.
    Mpi {
        /// Ranks of the job, if the launcher tells.
        size: Option<usize>,
        /// Ranks on this machine, if the launcher tells.
        local: Option<usize>,
    },
    /// By `srun` as one of several tasks, without MPI.
    Tasks(usize),
}

/// Several processes that cannot be joined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// A build without MPI.
    #[error("MPI started this process, but this build of flair-bench has no MPI: build it with `--features mpi`")]
    NotBuilt,
    /// Slurm's tasks without MPI.
    #[error(
        "Slurm started {0} tasks without MPI: start them with `mpirun`, or with `srun --mpi=pmix` where `srun --mpi=list` \
         names it (`predict` needs no MPI if each task has its `--shard I/N`)"
    )]
    Tasks(usize),
    /// The launcher is of another MPI than the program.
    #[error("MPI joined {joined} of {size} processes: the launcher and this program use different MPIs")]
    Unjoined {
        /// Processes that were joined.
        joined: usize,
        /// Processes that the launcher started.
        size: usize,
    },
}

impl Job {
    /// The job of this process.
    pub fn of_process() -> Self {
        Self::of(|name| std::env::var(name).ok())
    }

    /// The job that environment variables tell of.
    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let number = |name: &str| variable(name)?.trim().parse::<usize>().ok();
        // Open MPI; MPICH, Intel MPI and `srun --mpi=pmi2`; `srun --mpi=pmix`.
        let is_mpi = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK"].iter().any(|name| variable(name).is_some());
        if is_mpi {
            let local = ["OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"].into_iter().find_map(number);
            // `4(x2),3`: of the first machine, which has no fewer tasks than the others.
            let of_slurm =
                || variable("SLURM_STEP_TASKS_PER_NODE")?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
            let size = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"].into_iter().find_map(number);
            return if size == Some(1) { Self::Alone } else { Self::Mpi { size, local: local.or_else(of_slurm) } };
        }
        match number("SLURM_STEP_NUM_TASKS") {
            Some(tasks) if tasks > 1 => Self::Tasks(tasks),
            _ => Self::Alone,
        }
    }

    /// Why its processes cannot be joined.
    pub(super) fn refused(self) -> JobError {
        match self {
            Self::Tasks(tasks) => JobError::Tasks(tasks),
            Self::Mpi { .. } | Self::Alone => JobError::NotBuilt,
        }
    }
}

/// The cores that one of `local` ranks on a machine computes with: its share of `machine`, all cores, or those that the
/// launcher has bound it to, `bound`, if they are fewer.
pub fn cores_of_rank(local: usize, bound: usize, machine: usize) -> usize {
    if bound < machine { bound } else { (machine / local.max(1)).max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(variables: &[(&str, &str)]) -> Job {
        Job::of(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn launchers_are_known_by_their_variables() {
        assert_eq!(job(&[]), Job::Alone);
        assert_eq!(
            job(&[("OMPI_COMM_WORLD_SIZE", "8"), ("OMPI_COMM_WORLD_LOCAL_SIZE", "4"), ("SLURM_STEP_NUM_TASKS", "2")]),
            Job::Mpi { size: Some(8), local: Some(4) }
        );
        assert_eq!(
            job(&[("PMIX_RANK", "3"), ("SLURM_STEP_NUM_TASKS", "8"), ("SLURM_STEP_TASKS_PER_NODE", "4(x2)")]),
            Job::Mpi { size: Some(8), local: Some(4) }
        );
        assert_eq!(job(&[("PMI_SIZE", "2")]), Job::Mpi { size: Some(2), local: None });
        // `srun -n 1` where MPI is the default, as in a job of an array.
        assert_eq!(job(&[("PMIX_RANK", "0"), ("SLURM_STEP_NUM_TASKS", "1")]), Job::Alone);
        // A shell of `salloc -n 8`, and a step of one task: one process.
        assert_eq!(job(&[("SLURM_NTASKS", "8")]), Job::Alone);
        assert_eq!(job(&[("SLURM_STEP_NUM_TASKS", "1")]), Job::Alone);
        assert_eq!(job(&[("SLURM_STEP_NUM_TASKS", "8")]), Job::Tasks(8));
    }

    #[test]
    fn a_rank_has_its_share_of_the_cores_or_what_it_is_bound_to() {
        assert_eq!(cores_of_rank(2, 64, 64), 32);
        assert_eq!(cores_of_rank(4, 16, 64), 16);
        assert_eq!(cores_of_rank(2, 1, 64), 1);
        assert_eq!(cores_of_rank(4, 2, 2), 1);
    }
}
