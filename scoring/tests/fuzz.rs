//! The fuzz targets that need no network, over their committed inputs: a few seconds of what `docs/fuzzing.md` runs for
//! hours.

#[cfg(test)]
#[path = "../fuzz/exercise/archive.rs"]
mod archive;
#[cfg(test)]
#[path = "../fuzz/exercise/memory.rs"]
mod memory;
#[cfg(test)]
#[path = "../fuzz/exercise/protocol.rs"]
mod protocol;
#[cfg(test)]
#[path = "../fuzz/exercise/raster.rs"]
mod raster;
#[cfg(test)]
#[path = "../fuzz/exercise/record.rs"]
mod record;
#[cfg(test)]
#[path = "../fuzz/exercise/replay.rs"]
mod replay;

#[test]
fn rasters() {
    replay::replay("raster", raster::exercise);
}

#[test]
fn archives() {
    replay::replay("archive", archive::exercise);
}

#[test]
fn protocols() {
    replay::replay("protocol", protocol::exercise);
}

#[test]
fn records() {
    replay::replay("record", record::exercise);
}
