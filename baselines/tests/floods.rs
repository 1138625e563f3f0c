//! Inputs of megabytes that repeat what a reader might remember. They are a program of their own, since it counts the
//! memory of all its tests.

#[cfg(test)]
#[path = "../../scoring/fuzz/exercise/checkpoint.rs"]
mod checkpoint;
#[cfg(test)]
#[path = "../../scoring/fuzz/exercise/flood.rs"]
mod flood;
#[cfg(test)]
#[path = "../../scoring/fuzz/exercise/memory.rs"]
mod memory;

/// Checkpoints whose values cost more memory than their bytes: texts, memo entries, globals, containers, tensors.
#[test]
fn floods_of_checkpoint_values_cost_little() {
    // Each flood has more than the most values, so that its reader gives up.
    let pickle = |start: &[u8], step: &[u8]| [&b"\x80\x02"[..], start, &step.repeat(2 << 20), b"."].concat();
    let text = [&b"X\xa0\x86\x01\0"[..], &vec![b'a'; 100_000], b"q\0q\x01"].concat();
    for (name, bytes) in [
        ("texts", pickle(b"", b"\x8c\x01a")),
        ("memo", pickle(b")", b"\x94")),
        ("texts and memo", pickle(b"", b"\x8c\x01a\x94")),
        ("globals", pickle(b"", b"ca\nb\n")),
        ("dicts", pickle(b")q\0", b"}h\0h\0s")),
        ("lists", pickle(b")q\0", b"]h\0a")),
        // Joined, twenty thousand of them would have four gigabytes.
        ("globals of long names", [&b"\x80\x02"[..], &text, &b"h\0h\x01\x93".repeat(20_000), b"."].concat()),
    ] {
        flood::flood(name, &bytes, 160 << 20, checkpoint::exercise);
    }
    let tensor = |i: u32| format!(r#""{i:x}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#);
    let header = format!("{{{}}}", (0..200_000).map(tensor).collect::<Vec<_>>().join(","));
    let file = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
    flood::flood("tensors", &file, 32 << 20, checkpoint::exercise);
}
