"""What flair-bench does on a GPU, as Markdown tables. `run.sh` starts this program; see there.

A row is printed as soon as it is known. A step that fails says so in its row, the reason follows at the end, and the
other steps go on.
"""

import argparse
import csv
import json
import os
import pathlib
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
NETWORKS = {"U-Net": "unet", "U-T&T": "utt-filt-avg-aug"}
PRECISIONS = ("f32", "tf32", "bf16")
# A network that guesses agrees in one pixel of 13; rounding to bf16 moves only pixels whose best classes are close.
# Below this share the path is broken, not rounded.
LEAST_AGREEMENT = {"f32": 1.0, "tf32": 0.98, "bf16": 0.90}
# The README's run on a CPU reaches 0.664. Training in f32 amplifies rounding, so that only a wide margin tells a fault
# from another order of sums.
LEAST_TOY_MIOU = 0.5


class Failed(Exception):
    """A step that failed; the message is its reason."""


class Gpu:
    """Samples of the GPU's utilisation and memory, taken by nvidia-smi every 100 ms."""

    def __init__(self, wanted):
        self.samples, self.process = [], None
        if not wanted:
            return
        if not shutil.which("nvidia-smi"):
            failures.append(("GPU utilisation and memory", "no nvidia-smi on the PATH"))
            return
        # Line by line: a pipe would get its output in blocks, and the last seconds never.
        command = ["stdbuf", "-oL"] if shutil.which("stdbuf") else []
        command += ["nvidia-smi", "--id=0", "--query-gpu=utilization.gpu,memory.used", "-lms", "100"]
        command += ["--format=csv,noheader,nounits"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            try:
                utilisation, memory = (float(number) for number in line.split(","))
            except ValueError:
                continue  # "[N/A]", on a GPU that does not tell.
            self.samples.append((time.time(), utilisation, memory))

    def between(self, start, end):
        """Mean utilisation in percent and highest memory in MiB; None without a sample."""
        found = [sample for sample in list(self.samples) if start <= sample[0] <= end]
        if not found:
            return None, None
        return statistics.fmean(s[1] for s in found), max(s[2] for s in found)

    def stop(self):
        if self.process:
            self.process.terminate()


class Run:
    """A finished program: its output, and when it began and ended (seconds since 1970)."""

    def __init__(self, output, begin, end):
        self.output, self.begin, self.end = output, begin, end
        self.seconds = end - begin


failures = []
ahead = []


def left():
    return deadline - time.monotonic()


def execute(command, limit=240, environment=None):
    """Runs a program of this folder, within `limit` seconds on a GPU and within what is left of the time."""
    # A CPU, perhaps shared with others, has ten times as long.
    limit = min(limit if options.device == "cuda" else 10 * limit, left())
    if limit < 5:
        raise Failed("left out: the time is up")
    begin = time.time()
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=HERE,
            env={**os.environ, "RUST_BACKTRACE": "0", **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"took more than {limit:.0f} s: {' '.join(map(str, command))}") from None
    except OSError as error:
        raise Failed(str(error)) from None
    if done.returncode != 0:
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        raise Failed(f"exit code {done.returncode}: {' '.join(map(str, command))}\n" + "\n".join(lines[-12:]))
    return Run(done.stdout, begin, time.time())


def flair_bench(*arguments, precision="f32", limit=240):
    chosen = [] if precision == "f32" else ["--precision", precision]
    return execute(["./flair-bench", *arguments, "--device", options.device, *chosen], limit)


def table(title, *columns):
    print(f"\n## {title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")


def row(*cells):
    print(f"| {' | '.join('–' if cell is None else str(cell) for cell in cells)} |", flush=True)


def check(what, step):
    """A row of the first table: `step` returns what it found, or raises."""
    start = time.monotonic()
    try:
        found, verdict = step(), "passed"
    except Exception as error:  # Also a fault of this program must not end the other steps.
        reason = str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"
        failures.append((what, reason))
        lines = reason.splitlines()
        telling = (line for line in lines if line.startswith(("error", "called", "assertion", "golden", "utt-")))
        found, verdict = next(telling, lines[0])[:120].replace("|", "/"), "**failed**"
    row(what, found, f"{time.monotonic() - start:.0f}", verdict)


# --- numbers -------------------------------------------------------------------------------------------------------


def golden(program, test, kernels="on"):
    """Runs one golden test on the device, which asserts the tolerances, and sums up the figures that it prints."""
    environment = {
        "FLAIR_BENCH_SAMPLE": str(HERE / "sample"),
        "FLAIR_BENCH_GOLDEN": str(HERE / "golden"),
        "FLAIR_BENCH_DEVICE": options.device,
        "FLAIR_BENCH_KERNELS": kernels,
    }
    command = [f"./{program}", "--ignored", "--exact", test, "--nocapture", "--test-threads", "1"]
    done = execute(command, 150, environment)
    # A filter that finds no test passes too.
    if "test result: ok. 1 passed" not in done.output:
        raise Failed(f"`{test}` did not run\n{done.output[-500:]}")
    noise = [float(number) for number in re.findall(r"([0-9.]+) x noise", done.output)]
    relative = [float(number) for number in re.findall(r"(?:relative|off by) ([0-9.e+-]+)", done.output)]
    if not noise and not relative:
        raise Failed(f"`{test}` compared nothing")
    if noise:
        return f"{len(noise)} maps, the worst at {max(noise):.2f} × upstream's own noise"
    return f"{len(relative)} figures, the worst off by {max(relative):.1e}"


def prediction(folder, patch):
    import numpy
    from PIL import Image

    return numpy.array(Image.open(folder / "predictions" / f"PRED_{patch}.tif"))


def agreement(precision):
    """The golden weights through `predict`: pixels that agree with f32, and with upstream where its margin is wide."""
    from safetensors.numpy import load_file

    out = scratch / f"golden-{precision}"
    (weights,) = HERE.glob("golden/*.ckpt")
    flair_bench(
        *("predict", "--preset", "utt-filt-avg-aug", "--set", "aerial_metadata=true", "--weights", weights),
        *("--data", "sample", "--split", "all", "--out", out),
        precision=precision,
    )
    same = sure_same = pixels = sure_pixels = 0
    for file in sorted(HERE.glob(f"golden/{weights.stem}-[0-9]*.safetensors")):
        patch, stored = file.stem.rsplit("-", 1)[1], load_file(file)
        found, sure = prediction(out, patch), stored["sure"][0].astype(bool)
        same += int((found == prediction(scratch / "golden-f32", patch)).sum())
        sure_same += int((found == stored["argmax"][0])[sure].sum())
        pixels, sure_pixels = pixels + found.size, sure_pixels + int(sure.sum())
    if pixels == 0:
        raise Failed("no golden patch was found")
    found = f"{same / pixels:.4%} as in f32; {sure_pixels - sure_same} of {sure_pixels} sure pixels unlike upstream's"
    if min(same / pixels, sure_same / sure_pixels) < LEAST_AGREEMENT[precision]:
        raise Failed(f"{found}, needed {LEAST_AGREEMENT[precision]:.0%}")
    return found


def toy_training(precision):
    """The README's run: trains the U-Net on the synthetic dataset, predicts its test split, scores it."""
    out, is_cuda = scratch / f"baseline-{precision}", options.device == "cuda"
    fast = [] if is_cuda else ["--set", "num_epochs=2", "--set", "batch_size=1"]
    flair_bench("run", "baseline", "--data", toy(48 if is_cuda else 6), "--out", out, *fast, precision=precision)
    with open(out / "metrics.csv", newline="") as file:
        losses = [float(epoch["train_loss"]) for epoch in csv.DictReader(file)]
    (score,) = out.rglob("score.json")
    miou = find(json.loads(score.read_text()), "miou")
    found = f"loss {losses[0]:.3f} → {losses[-1]:.3f} in {len(losses)} epochs, test mIoU {miou:.4f}"
    # Two epochs of three patches teach no classes.
    if not losses[-1] < losses[0] or (is_cuda and miou < LEAST_TOY_MIOU):
        raise Failed(f"{found}, needed a falling loss and {LEAST_TOY_MIOU}")
    return found


def find(record, key):
    """The first value of `key` in nested objects."""
    if isinstance(record, dict):
        if isinstance(record.get(key), (int, float)):
            return record[key]
        for value in record.values():
            if (found := find(value, key)) is not None:
                return found
    return None


def toy(patches):
    root = scratch / f"toy-{patches}"
    execute(["./flair-bench", "data", "toy", root, "--patches", patches])
    return root


# --- speed ---------------------------------------------------------------------------------------------------------


def torch_times():
    """torch's figures by (what, precision, batch): (seconds of a batch, peak MB). A missing one failed."""
    found = {}
    site = scratch / "site"
    try:
        # A pure-Python wheel is a zip of what an installer would copy.
        for wheel in HERE.glob("wheels/*.whl"):
            zipfile.ZipFile(wheel).extractall(site)
        path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
        command = [sys.executable, "torch_times.py", options.device]
        output = execute(command, 200, {"PYTHONPATH": path}).output
    except (Failed, OSError, zipfile.BadZipFile) as error:
        failures.append(("torch", str(error)))
        return found
    for line in output.splitlines():
        if not line.startswith("{"):
            continue  # A warning of torch.
        measured = json.loads(line)
        key = measured["what"], measured["precision"], measured["batch"]
        if "error" in measured:
            failures.append((f"torch, {key[0]}, {key[1]}, batch {key[2]}", measured["error"]))
        else:
            found[key] = measured["seconds"], measured["peak_mb"]
    return found


def predicted(preset, batch, precision, data, count):
    """Seconds a patch from reading to writing, in the steady part of `predict`; and that part, begin to end.

    The times are those of the written files. The first batches choose algorithms, and fill the queues.
    """
    out = scratch / f"predict-{preset}-{batch}-{precision}"
    arguments = ["--preset", preset, "--data", data, "--split", "all", "--batch-size", batch, "--out", out]
    flair_bench("predict", *arguments, precision=precision)
    written = sorted(file.stat().st_mtime_ns / 1e9 for file in (out / "predictions").glob("PRED_*.tif"))
    if len(written) != count:
        raise Failed(f"{len(written)} of {count} patches were predicted")
    # Whole batches: the files of one batch come together.
    batches = len(written) // batch
    warm = max(1, batches // 3) * batch
    last = batches * batch
    shutil.rmtree(out)
    if last <= warm:
        raise Failed(f"{count} patches are too few for batches of {batch}")
    return (written[last - 1] - written[warm - 1]) / (last - warm), written[warm - 1], written[last - 1]


def trained(preset, batch, precision, data):
    """Seconds of a training step, the median of those after the first epoch; and that part, begin to end."""
    out = scratch / f"train-{preset}-{batch}-{precision}"
    epochs = 3 if batch > 1 and options.device == "cuda" else 2
    # torch's step has the same optimiser.
    values = [f"num_epochs={epochs}", f"batch_size={batch}", "lr=0.001", "flair_bench.optimizer={name: sgd}"]
    values += ["flair_bench.schedule={name: constant}"]
    settings = [part for value in values for part in ("--set", value)]
    flair_bench("train", "--preset", preset, "--data", data, *settings, "--out", out, precision=precision)
    with open(out / "metrics.csv", newline="") as file:
        ends = [int(epoch["step"]) for epoch in csv.DictReader(file)]
    times = step_times(out / "tensorboard")
    # The first step of an epoch follows a validation.
    pairs = [(times[step - 1], times[step]) for step in range(ends[0] + 2, ends[-1] + 1) if step - 1 not in ends]
    shutil.rmtree(out)
    if not pairs:
        raise Failed(f"too few steps: the epochs end with the steps {ends}")
    return statistics.median(end - start for start, end in pairs), pairs[0][0], pairs[-1][1]


def step_times(folder):
    """When each step was logged, by its number from 1: the wall times of the event file's first record of each step."""
    times = {}
    for file in sorted(folder.iterdir()):
        data, at = file.read_bytes(), 0
        while at + 12 <= len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            event, at = data[at + 12 : at + 12 + length], at + length + 16
            # An event begins with its wall time, a double (field 1), then its step, a varint (field 2).
            if len(event) > 10 and event[0] == 0x09 and event[9] == 0x10:
                step, position, shift = 0, 10, 0
                while position < len(event):
                    step |= (event[position] & 0x7F) << shift
                    position, shift = position + 1, shift + 7
                    if not event[position - 1] & 0x80:
                        break
                if step > 0:
                    times.setdefault(step, struct.unpack_from("<d", event, 1)[0])
    return times


def speed(name, what, batch, precision, measure, beside, idle_memory):
    """A row of the second table. torch's seconds are of the network alone, ours include files."""
    preset = NETWORKS[name]
    label = f"{name}, {'predict' if what == 'forward' else 'train'}, batch {batch}, {precision}"
    per = batch if what == "forward" else 1
    theirs, their_memory = beside if beside else (None, None)
    theirs = theirs / per if theirs else None
    cells = [name, "a patch" if what == "forward" else "a step", batch, precision]
    try:
        ours, begin, end = measure(preset, batch, precision)
    except Exception as error:  # As in check().
        failures.append((label, str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"))
        row(*cells, "**failed**", theirs and f"{theirs:.5f}", None, None, None, None)
        return
    used, memory = gpu.between(begin, end)
    if theirs:
        ahead.append(ours < theirs)
    row(
        *cells,
        f"{ours:.5f}",
        theirs and f"{theirs:.5f}",
        theirs and f"{theirs / ours:.2f}",
        memory and f"{memory - idle_memory:.0f}",
        their_memory and f"{their_memory:.0f}",
        used is not None and f"{used:.0f}" or None,
    )


def main():
    is_cuda = options.device == "cuda"
    precisions = PRECISIONS if is_cuda else PRECISIONS[:1]
    print("# flair-bench on a GPU" if is_cuda else "# The GPU check's own steps, on the CPU")
    try:
        print("\n" + execute(["./flair-bench", "--version"]).output.strip())
        query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
        print(execute(query).output.strip() if is_cuda else "no GPU", flush=True)
    except Failed as error:
        failures.append(("the machine", str(error)))
    if options.only in (None, "golden", "runs"):
        numbers(precisions)
    if options.only in (None, "speed"):
        speeds(precisions)


def numbers(precisions):
    table("Numbers", "check", "found", "seconds", "verdict")
    if options.only != "runs":
        stages = "golden_forward_in_f32_at_every_stage"
        check("U-T&T forward, f32, every stage", lambda: golden("golden-forward", stages))
        check("U-Net forward, f32", lambda: golden("golden-forward", "golden_forward_of_the_unet_alone"))
        check("U-T&T forward, f64", lambda: golden("golden-forward", "golden_forward_in_f64"))
        check("training, f64, step for step", lambda: golden("golden-training", "golden_training_in_f64_step_for_step"))
        first = "golden_training_in_f32_at_the_first_steps"
        check("training, f32, first steps", lambda: golden("golden-training", first))
        # In f64: in f32 candle lets cuDNN round the factors of convolutions to TF32.
        check("U-T&T forward, f64, plain tensors", lambda: golden("golden-forward", "golden_forward_in_f64", "off"))
    if options.only != "golden":
        for precision in precisions:
            check(f"`predict` with golden weights, {precision}", lambda: agreement(precision))
        for precision in precisions:
            check(f"`run baseline` on the synthetic dataset, {precision}", lambda: toy_training(precision))


def speeds(precisions):
    is_cuda = options.device == "cuda"
    batches = (1, 10, 32) if is_cuda else (1, 2)
    print(
        "\nSeconds: flair-bench from reading files to writing them (`predict`), or from step to step (`train`), without "
        "the first batches; torch's U-Net alone, its batch on the device already, f32 eager, tf32 and bf16 "
        "channels_last. Memory: the GPU's, in MiB, less what was in use before (torch: what its allocator reserved)."
    )
    table(
        "Speed",
        *("network", "seconds of", "batch", "precision", "flair-bench", "torch", "torch / flair-bench"),
        *("memory", "torch's memory", "GPU used, %"),
    )
    torch = torch_times()
    # Whole batches of every size.
    patches = 320 if is_cuda else 8
    try:
        data = toy(patches)
    except Failed as error:
        failures.append(("the synthetic dataset", str(error)))
        return
    # While the dataset was made, nothing ran on the GPU.
    idle_memory = min((memory for _, _, memory in gpu.samples), default=0.0)
    # The most telling precision first: later rows are left out where the time is up.
    for precision in ("bf16", "f32", "tf32"):
        if precision not in precisions:
            continue
        for name in NETWORKS:
            for batch in batches:
                beside = torch.get(("forward", precision, batch)) if name == "U-Net" else None
                measure = lambda preset, b, p: predicted(preset, b, p, data, patches)  # noqa: E731
                speed(name, "forward", batch, precision, measure, beside, idle_memory)
            for batch in batches if is_cuda else batches[1:]:
                beside = torch.get(("step", precision, batch)) if name == "U-Net" else None
                measure = lambda preset, b, p: trained(preset, b, p, data)  # noqa: E731
                speed(name, "step", batch, precision, measure, beside, idle_memory)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
parser.add_argument("--only", choices=["golden", "runs", "speed"], help="only the golden tests, runs or speed")
parser.add_argument("--seconds", type=float, help="time for all steps (default: 570, on the CPU 7200)")
options = parser.parse_args()
deadline = time.monotonic() + (options.seconds or (570 if options.device == "cuda" else 7200))
gpu = Gpu(options.device == "cuda")
with tempfile.TemporaryDirectory() as folder:
    scratch = pathlib.Path(folder)
    try:
        main()
    finally:
        gpu.stop()
if ahead:
    print(f"\nAhead of torch in {sum(ahead)} of {len(ahead)} rows.")
print(f"\n{len(failures)} failed.")
for what, reason in failures:
    print(f"\n- {what}:\n\n```\n{reason}\n```")
sys.exit(1 if failures else 0)
