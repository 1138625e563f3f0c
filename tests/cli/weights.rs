//! `flair-bench weights`.

use std::fs;

use predicates::str::contains;

use crate::fixture::flair_bench;

#[test]
fn a_file_that_is_not_a_checkpoint_is_bad_input() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("x.ckpt"), b"PK\x03\x04 cut short").unwrap();
    fs::write(dir.path().join("empty.safetensors"), b"\x02\0\0\0\0\0\0\0{}").unwrap();
    let inspect = ["weights", "inspect", "empty.safetensors"];
    flair_bench(dir.path()).args(inspect).assert().code(3).stderr(contains("no tensors"));
    for command in [["weights", "inspect", "x.ckpt", "--json"], ["weights", "convert", "x.ckpt", "y.safetensors"]] {
        flair_bench(dir.path())
            .args(command)
            .assert()
            .code(3)
            .stderr(contains("`x.ckpt` is not a readable checkpoint"));
    }
    assert!(!dir.path().join("y.safetensors").exists());
    flair_bench(dir.path())
        .args(["run", "baseline", "--weights", "none.ckpt"])
        .assert()
        .code(3)
        .stderr(contains("none.ckpt"));
}
