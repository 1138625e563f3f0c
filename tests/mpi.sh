#!/usr/bin/env bash
# Several processes of one run, under MPI on this machine: sums against those of one process, and the program on a
# synthetic dataset: equal bytes, a stop, a killed rank, an error, a prediction in shards. It needs Open MPI (Debian:
# openmpi-bin libopenmpi-dev libclang-dev); some minutes on 2 cores.
#   tests/mpi.sh
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}

# The workspace as a whole, as in the other tests, so that their crates fit.
build=(--locked --release --workspace --features flair-bench/mpi --bin flair-bench --test ranks)
cargo build "${build[@]}"
ranks=$(cargo test "${build[@]}" --no-run 2>&1 |
  sed -n 's/.*(\(.*ranks-[0-9a-f]*\)).*/\1/p')
program=$target/release/flair-bench

# Root in a container, more ranks than cores, and no network.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
run=(mpirun --oversubscribe --bind-to none --mca btl vader,self)

for n in 2 4; do
  "${run[@]}" -n "$n" "$ranks"
done

work=$target/mpi-runs
rm -rf "$work" && mkdir -p "$work"
"$program" data toy "$work/data" --patches 20
options=(train --data "$work/data" --set num_epochs=3 --set batch_size=1 --set flair_bench.unet_width=8)
options+=(--set "flair_bench.schedule={name: constant}")
state=checkpoints/last.state.safetensors

say() { printf '\n-- %s\n' "$*"; }
fail() {
  echo "tests/mpi.sh: $*" >&2
  exit 1
}
# same WHAT: the run in that folder ended with the same bytes as the first one.
same() {
  local file
  for file in $state checkpoints/best.safetensors metrics.csv training.svg; do
    cmp "$work/whole/$file" "$work/$1/$file" || fail "$1/$file differs"
  done
}
# until_file FILE: waits until a run has written it.
until_file() {
  local _
  for _ in $(seq 300); do
    [ -e "$1" ] && return
    sleep 0.1
  done
  fail "$1 is not there after 30 s"
}

say "two runs of two ranks have the same bytes"
"${run[@]}" -n 2 "$program" "${options[@]}" --out "$work/whole"
"${run[@]}" -n 2 "$program" "${options[@]}" --out "$work/again"
same again
[ -e "$work/whole/ranks/rank-1.log" ] || fail "rank 1 has no log"

say "a signal stops all ranks after the same step, and --resume goes on to the same bytes"
"${run[@]}" -n 2 "$program" "${options[@]}" --out "$work/stopped" &
job=$!
until_file "$work/stopped/run.json"
sleep 1
kill -USR1 "$job"
status=0
wait "$job" || status=$?
[ "$status" -eq 130 ] || fail "a stopped run ends with $status, not 130"
"${run[@]}" -n 2 "$program" "${options[@]}" --out "$work/stopped" --resume
same stopped

say "a killed rank ends all, and --resume goes on from the last epoch to the same bytes"
"${run[@]}" -n 2 "$program" "${options[@]}" --out "$work/killed" &
job=$!
until_file "$work/killed/$state"
pkill -KILL -n -f "$program train .*--out $work/killed" || fail "there is no rank to kill"
status=0
wait "$job" || status=$?
[ "$status" -ne 0 ] || fail "the job of a killed rank ends with 0"
! pgrep -f "$program train .*--out $work/killed" >/dev/null || fail "a rank lives on"
"${run[@]}" -n 2 "$program" "${options[@]}" --out "$work/killed" --resume
same killed

say "another number of ranks goes on at an epoch's end, told, and an error of a rank ends all with its code"
"${run[@]}" -n 3 "$program" "${options[@]}" --set num_epochs=4 --out "$work/killed" --resume 2>&1 | tee "$work/log"
grep -q 'the number of ranks changes from 2 to 3' "$work/log" || fail "the change is not told"
status=0
"${run[@]}" -n 2 "$program" train --data "$work/nothing" --out "$work/refused" 2>"$work/log" || status=$?
cat "$work/log"
[ "$status" -eq 3 ] || fail "missing data end with $status, not 3"

say "ranks predict shards, to the same bytes as one process"
weights=$work/whole/checkpoints/best.safetensors
"$program" predict --data "$work/data" --weights "$weights" --split all --out "$work/one" >"$work/one.txt"
"${run[@]}" -n 3 "$program" predict --data "$work/data" --weights "$weights" --split all --out "$work/three" >"$work/three.txt"
diff -r "$work/one/predictions" "$work/three/predictions" || fail "predictions differ"
cmp "$work/one/score.json" "$work/three/score.json" || fail "scores differ"
grep -q '^mIoU' "$work/three.txt" || fail "rank 0 has not scored"

say "tests/mpi.sh: all passed"
