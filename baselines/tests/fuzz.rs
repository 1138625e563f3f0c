//! The fuzz targets that need this crate, over their committed inputs: a few seconds of what `docs/fuzzing.md` runs for
//! hours.

#[cfg(test)]
#[path = "../../scoring/fuzz/exercise/checkpoint.rs"]
mod checkpoint;
#[cfg(test)]
#[path = "../../scoring/fuzz/exercise/configuration.rs"]
mod configuration;
#[cfg(test)]
#[path = "../../scoring/fuzz/exercise/memory.rs"]
mod memory;
#[cfg(test)]
#[path = "../../scoring/fuzz/exercise/npy.rs"]
mod npy;
#[cfg(test)]
#[path = "../../scoring/fuzz/exercise/replay.rs"]
mod replay;

#[test]
fn arrays() {
    replay::replay("npy", npy::exercise);
}

#[test]
fn configurations() {
    replay::replay("configuration", configuration::exercise);
}

#[test]
fn checkpoints() {
    replay::replay("checkpoint", checkpoint::exercise);
}
