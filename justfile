# The commands of CONTRIBUTING.md. `just` lists them.

_list:
    @just --list --unsorted

# The gate: all of what follows, the Python package and the golden tests. It must end with 0.
gate:
    .ci/run

# The CUDA build, on a machine without a GPU.
cuda:
    .ci/cuda

# Several processes under MPI, on this machine.
mpi:
    tests/mpi.sh

# Format the sources.
format:
    cargo fmt --all
    cargo fmt --manifest-path scoring/python/Cargo.toml

# Lints, warnings denied.
lint:
    cargo clippy --locked --workspace --all-targets -- -D warnings

# Tests of one crate, or of all.
test crate="":
    cargo test --release {{ if crate == "" { "--workspace" } else { "--package " + crate } }}

# Compare with upstream's outputs: SAMPLE is a dataset's root, GOLDEN the folder of outputs.
golden sample golden:
    FLAIR_BENCH_SAMPLE="{{ sample }}" FLAIR_BENCH_GOLDEN="{{ golden }}" \
        cargo test --release --workspace -- --ignored

# Accept changed snapshots, and rewrite the generated parts of docs/. Look at `git diff` afterwards.
snapshots:
    INSTA_UPDATE=always cargo test --release --workspace

# The README's leaderboard, from the entries.
leaderboard:
    cargo run --release -- leaderboard --benchmark "FLAIR#2 test" --write README.md

# The documentation, warnings denied.
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps
