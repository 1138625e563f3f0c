#!/usr/bin/env bash
# The batch scripts of baselines/slurm on a real Slurm of two nodes, which ../shared/tools/slurm-here starts on this
# machine (Debian, root): a training that is stopped by its signal, and then loses a rank, and goes on by itself; a
# prediction as an array, one job of which is lost; its join as a dependent job. All is compared with runs without any of it.
#   tests/slurm.sh DIR       DIR: an empty folder for Slurm, data and runs; some 10 minutes on 2 cores
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p "$1"
work=$(cd "$1" && pwd)
target=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
scripts=$PWD/baselines/slurm

cargo build --locked --release --workspace --features flair-bench/mpi --bin flair-bench --test ranks
program=$target/release/flair-bench
eval "$(../shared/tools/slurm-here start "$work/slurm")"
trap '../shared/tools/slurm-here stop "$work/slurm"' EXIT
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export FLAIR_PROGRAM=$program FLAIR_DATA=$work/data FLAIR_DEVICE=cpu

say() { printf '\n-- %s\n' "$*"; }
fail() {
  echo "tests/slurm.sh: $*" >&2
  tail -n 30 "$work"/*.log >&2 || true
  exit 1
}
state() { squeue -h -j "$1" -o %T 2>/dev/null | head -1; }
# ended JOB: waits until a job has left the queue.
ended() {
  for _ in $(seq 600); do
    [ -z "$(state "$1")" ] && return
    sleep 1
  done
  fail "job $1 is still $(state "$1")"
}
until_file() {
  for _ in $(seq 1200); do
    [ -e "$1" ] && return
    sleep 0.1
  done
  fail "$1 is not there after 120 s"
}
# until_line N TEXT: waits until the log of the training has a text N times.
until_line() {
  for _ in $(seq 300); do
    [ "$(grep -c "$2" "$work/flair-train-$job.log")" -ge "$1" ] && return
    sleep 1
  done
  fail "\`$2\` is not in the job's log $1 times"
}
# A line of `sbatch` for these two nodes: a core each, no GPUs.
submit() { sbatch --parsable --chdir="$work" "$@"; }
for script in train predict finish; do
  sed '/^#SBATCH --gpus/d; s/^\(#SBATCH --cpus-per-task\).*/\1=1/; s/^\(#SBATCH --ntasks-per-node\).*/\1=1/' \
    "$scripts/$script.sbatch" >"$work/$script.sbatch"
done

"$program" data toy "$work/data" --patches 12
export FLAIR_TRAIN_OPTIONS="--preset unet --set num_epochs=8 --set batch_size=1 --set flair_bench.unet_width=8"

say "a training without a stop, in an allocation of two nodes"
salloc -N2 -n2 mpirun --bind-to none "$program" train $FLAIR_TRAIN_OPTIONS --data "$FLAIR_DATA" --out "$work/whole"

say "the training as a job: stopped by Slurm's signal, put back into the queue by itself"
export FLAIR_RUN=$work/trained
job=$(submit "$work/train.sbatch")
until_file "$work/trained/checkpoints/last.state.safetensors"
# What Slurm sends before the time ends (--signal=B:USR1@120).
scancel --signal=USR1 --batch "$job"
until_line 1 'ended with 130: back into the queue'
# Slurm waits some two minutes before it starts a job again.
until_line 1 'continuing the training'
say "… and then a rank is killed, as if its node were lost: the job goes on from the last epoch"
pkill -KILL -n -f "$program train .*--out $work/trained" || fail "there is no rank to kill"
until_line 2 'back into the queue'
until_line 2 'continuing the training'
ended "$job"
cat "$work"/flair-train-*.log
for file in checkpoints/last.state.safetensors checkpoints/best.safetensors metrics.csv; do
  cmp "$work/whole/$file" "$work/trained/$file" || fail "$file differs from that of a training without a stop"
done

say "a prediction as an array of three, of which one is lost and started again, and its join"
export FLAIR_WEIGHTS=$work/trained/checkpoints/best.safetensors FLAIR_PREDICTION=$work/predicted
array=$(submit --array=0-2 "$work/predict.sbatch")
join=$(submit --dependency="afterok:$array" "$work/finish.sbatch")
until_file "$work/predicted/shards/1-of-3/shard.json"
[ "$(squeue -h -r -j "${array}_1" -o %T)" = RUNNING ] || fail "the job to be lost does not run"
scontrol requeue "${array}_1"
ended "$array"
ended "$join"
cat "$work"/flair-predict-*.log "$work"/flair-finish-*.log
"$program" predict --data "$FLAIR_DATA" --weights "$FLAIR_WEIGHTS" --out "$work/single"
diff -r "$work/single/predictions" "$work/predicted/predictions" || fail "predictions differ"
cmp "$work/single/score.json" "$work/predicted/score.json" || fail "scores differ"
cmp "$work"/single/submission/*.zip "$work"/predicted/submission/*.zip || fail "archives differ"

say "tests/slurm.sh: all passed"
