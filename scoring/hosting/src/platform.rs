//! The platforms that challenges are hosted on.

use std::fmt;

/// A platform that challenges are hosted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Codabench: `competition.yaml` of version 2.
    Codabench,
    /// CodaLab 1.5.
    Codalab,
}

impl Platform {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Codabench, Self::Codalab];

    /// Its name in lower case, for file names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Codabench => "codabench",
            Self::Codalab => "codalab",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Codabench => "Codabench",
            Self::Codalab => "CodaLab 1.5",
        })
    }
}
