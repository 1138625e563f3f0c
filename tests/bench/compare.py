"""Compares flair-bench on a processor with torch, ONNX Runtime and OpenVINO, and prints the tables in Markdown.

    cargo build --release && cargo build --release -p flair-baselines --example step
    python3 -m venv peers
    peers/bin/pip install torch torchvision segmentation-models-pytorch onnx onnxruntime openvino
    peers/bin/python tests/bench/compare.py [--only predict,train] [--rounds 5] [--json FILE]

It needs Linux, and nothing else should run meanwhile. Packages that cannot be imported are left out, with a note;
without any of them flair-bench is measured alone. All data are synthetic and made here, in a temporary folder.

The network is the U-Net with a ResNet34 encoder, 5 bands, 13 classes, f32, on images of 512 x 512. In a round every
program runs once, one after the other, so that a machine that slows down slows all of them. A table has the median of
the rounds, their minimum and maximum, and the ratio of a program to flair-bench: above 1, flair-bench is faster. A
ratio is the median, minimum and maximum of the ratios within a round.

memory   peak memory of `predict` and of the training step
start    seconds from starting `predict` to its first written prediction, and without the time of one patch
levels   `predict` with the levels of vector instructions that FLAIR_BENCH_SIMD masks; ratios are to no mask
scaling  `predict` with 1, 2, 4, ... threads, and the speed-up over one thread
predict  seconds a patch at batch 1. Peers: the network alone, the median of 5 calls. flair-bench: a whole run, which
         also reads the images and writes the predictions. The ratio of U-T&T is to flair-bench's U-Net
train    one SGD step on a batch of 2, the median of 3, and the share of the cores that was busy meanwhile
"""

import argparse
import functools
import importlib
import json
import os
import platform
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

Series = dict[str, list[float]]  # the number of each round, by program
CALLS, STEPS = 5, 3  # of a peer's network and of a training step, in one round
PAUSE_S = 0.3  # before each program, so that the threads of the one before stop spinning
OURS = "flair-bench"
PEERS = ("torch", "torchvision", "segmentation-models-pytorch", "onnx", "onnxruntime", "openvino")
LEVELS = {
    "avx512": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
    "avx2": {"avx2", "fma", "f16c", "bmi1", "bmi2", "abm"},
}


class Child(NamedTuple):
    """A program that has ended."""

    started: float  # seconds since 1970
    peak_mb: float
    output: str


class Prediction(NamedTuple):
    """A run of `predict`."""

    child: Child
    patch_s: float
    first_s: float  # from its start to its first written prediction


def run(command: list[object], environment: dict[str, str]) -> Child:
    with tempfile.TemporaryFile("w+") as output:
        started = time.time()
        child = subprocess.Popen([str(word) for word in command], stdout=output, stderr=output, env=environment)
        try:
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        except BaseException:
            child.kill()
            child.wait()
            raise
        output.seek(0)
        text = output.read()
    if child.returncode:
        sys.exit(f"`{' '.join(map(str, command))}` ended with {child.returncode}:\n{text}")
    return Child(started, usage.ru_maxrss / 1000, text)


@dataclass(frozen=True)
class Setup:
    binary: Path
    step_binary: Path
    rounds: int
    threads: int
    patches: int
    folder: Path

    @property
    def few(self) -> int:
        return max(3, self.patches // 3)

    def run(self, *command: object, threads: int = 0, level: str = "") -> Child:
        environment = os.environ | {"RAYON_NUM_THREADS": str(threads or self.threads), "FLAIR_BENCH_SIMD": level}
        if not level:
            del environment["FLAIR_BENCH_SIMD"]
        return run(list(command), environment)

    @functools.cache
    def toy(self, patches: int) -> Path:
        folder = self.folder / f"toy{patches}"
        self.run(self.binary, "data", "toy", "--patches", patches, folder)
        return folder

    @functools.cache
    def weights(self) -> Path:
        note("training for the weights of the U-Net")
        out = self.folder / "weights"
        options = ["--preset", "unet", "--data", self.toy(6), "--set", "num_epochs=1", "--device", "cpu", "--out", out]
        self.run(self.binary, "train", *options)
        return out / "checkpoints" / "last.safetensors"

    def predict(self, patches: int, *what: object, threads: int = 0, level: str = "") -> Prediction:
        """The U-Net with weights, unless `what` names another network."""
        out, what = self.folder / "out", what or ("--weights", self.weights())
        options = ["--data", self.toy(patches), "--split", "all", "--device", "cpu", "--out", out]
        child = self.run(self.binary, "predict", *what, *options, threads=threads, level=level)
        record = json.loads((out / "timing.json").read_text())
        # A file's time is that of its last write, to a tick of the kernel. Polling would take time from the run.
        written = min(file.stat().st_mtime for file in out.glob("predictions/PRED_*.tif"))
        shutil.rmtree(out)
        return Prediction(child, record["seconds"] / record["patches"], written - child.started)

    def step(self) -> tuple[float, float, Child]:
        """Seconds of a training step, and the cores that were busy."""
        child = self.run(self.step_binary, "unet", STEPS)
        found = re.search(r"SGD step, batch 2 .*median +([\d.]+) s +busy cores ([\d.]+)", child.output)
        if not found:
            sys.exit(f"`{self.step_binary}` prints no median of an SGD step of batch 2:\n{child.output}")
        return float(found[1]), float(found[2]), child


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def importable(program: str, *packages: str) -> bool:
    for package in packages:
        try:
            importlib.import_module(package)
        except (ImportError, OSError) as error:
            note(f"note: {program} left out, as the package {package} cannot be imported: {error}")
            return False
    return True


def interleaved(rounds: int, programs: dict[str, Callable[[], float]]) -> Series:
    series: Series = {name: [] for name in programs}
    for index in range(rounds):
        for name, program in programs.items():
            time.sleep(PAUSE_S)
            series[name].append(program())
            note(f"  round {index + 1} of {rounds}: {name} {series[name][-1]:.3f}")
    return series


def over(series: Series, base: str) -> Series:
    return {name: [a / b for a, b in zip(row, series[base])] for name, row in series.items() if name != base}


def table(unit: str, series: Series, ratios: Series, heading: str = "ratio (min–max)", digits: int = 3) -> None:
    print(f"| program | median, {unit} | min–max, {unit} | {heading} |\n|---|---:|---:|---:|")
    for name, row in series.items():
        ratio = "–"
        if values := ratios.get(name):
            ratio = f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"
        median, least, most = (f"{value:.{digits}f}" for value in (statistics.median(row), min(row), max(row)))
        print(f"| {name} | {median} | {least}–{most} | {ratio} |")


def median_seconds(call: Callable[[], object], calls: int) -> float:
    seconds = []
    for _ in range(calls):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def torch_unet():
    import segmentation_models_pytorch as smp
    import torch

    torch.manual_seed(0)
    return smp.Unet("resnet34", encoder_weights=None, in_channels=5, classes=13)


def peers(setup: Setup) -> dict[str, Callable[[], object]]:
    """A call of the network on one image, by peer."""
    if not importable("torch, ONNX Runtime and OpenVINO are", "torch", "segmentation_models_pytorch"):
        return {}
    import torch

    torch.set_num_threads(setup.threads)
    network, image = torch_unet().eval(), torch.rand(1, 5, 512, 512)
    last = torch_unet().eval().to(memory_format=torch.channels_last)
    image_last = image.to(memory_format=torch.channels_last)
    calls = {
        "torch eager": torch.inference_mode()(lambda: network(image)),
        "torch eager, channels_last": torch.inference_mode()(lambda: last(image_last)),
    }
    if not importable("ONNX Runtime and OpenVINO are", "onnx"):
        return calls
    path, array = str(setup.folder / "unet.onnx"), image.numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter is called deprecated
        torch.onnx.export(network, (image,), path, opset_version=17, dynamo=False)
    if importable("ONNX Runtime is", "onnxruntime"):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = setup.threads
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        calls["ONNX Runtime"] = lambda: session.run(None, {name: array})
    if importable("OpenVINO is", "openvino"):
        import openvino

        hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        compiled = openvino.Core().compile_model(path, "CPU", hints | {"INFERENCE_NUM_THREADS": setup.threads})
        calls["OpenVINO, f32"] = lambda: compiled(array)
    return calls


def torch_step(threads: int) -> Callable[[], None]:
    import torch

    torch.set_num_threads(threads)
    network, images, labels = torch_unet().train(), torch.rand(2, 5, 512, 512), torch.randint(0, 13, (2, 512, 512))
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    loss = torch.nn.CrossEntropyLoss(weight=torch.tensor([1.0] * 12 + [0.0]))

    def step() -> None:
        optimizer.zero_grad()
        loss(network(images), labels).backward()
        optimizer.step()

    return step


def memory(setup: Setup) -> Series:
    programs = {f"predict, {n} patches": lambda n=n: setup.predict(n).child.peak_mb for n in (setup.few, setup.patches)}
    programs["examples/step, batch 2"] = lambda: setup.step()[2].peak_mb
    series = interleaved(setup.rounds, programs)
    table("MB", series, {}, digits=0)
    return series


def start(setup: Setup) -> Series:
    first, patch = "start to first prediction", f"one patch, in a run of {setup.few}"
    setup.predict(3)  # reads the program and the weights into the page cache
    programs = {first: lambda: setup.predict(3).first_s, patch: lambda: setup.predict(setup.few).patch_s}
    series = interleaved(setup.rounds, programs)
    series["the first without the second"] = [a - b for a, b in zip(series[first], series[patch])]
    table("s", series, {})
    return series


def levels(setup: Setup) -> Series:
    flags = set(cpu_info("flags").split())
    best = next((level for level, needed in LEVELS.items() if needed <= flags), "portable")
    names = {f"{best} (not masked)": "", "masked to avx2": "avx2", "masked to portable": "portable"}
    programs = {name: lambda mask=mask: setup.predict(setup.few, level=mask).patch_s for name, mask in names.items()}
    series = interleaved(setup.rounds, programs)
    table("s a patch", series, over(series, next(iter(names))))
    print(f"\nThe best level of this machine is {best}, by the flags of /proc/cpuinfo.")
    return series


def scaling(setup: Setup) -> Series:
    counts = sorted({setup.threads} | {2**n for n in range(setup.threads.bit_length()) if 2**n <= setup.threads})
    names = {n: f"{n} thread{'s' * (n > 1)}" for n in counts}
    programs = {name: lambda n=n: setup.predict(setup.few, threads=n).patch_s for n, name in names.items()}
    series = interleaved(setup.rounds, programs)
    speed_ups = {name: [1 / ratio for ratio in row] for name, row in over(series, names[1]).items()}
    table("s a patch", series, speed_ups, "speed-up (min–max)")
    return series


def predict(setup: Setup) -> Series:
    programs: dict[str, Callable[[], float]] = {OURS: lambda: setup.predict(setup.patches).patch_s}
    for name, call in peers(setup).items():
        call()
        programs[name] = functools.partial(median_seconds, call, CALLS)
    files = setup.toy(setup.patches).rglob("*_products.txt")
    dates = sorted(len(file.read_text().splitlines()) for file in files)
    utt = f"{OURS}, U-T&T on {dates[0]} to {dates[-1]} dates"
    programs[utt] = lambda: setup.predict(setup.patches, "--preset", "utt").patch_s
    setup.weights()
    series = interleaved(setup.rounds, programs)
    table("s a patch", series, over(series, OURS))
    return series


def train(setup: Setup) -> Series:
    busy: Series = {OURS: []}

    def ours() -> float:
        seconds, cores, _ = setup.step()
        busy[OURS].append(cores / setup.threads)
        return seconds

    programs: dict[str, Callable[[], float]] = {OURS: ours}
    if importable("torch is", "torch", "segmentation_models_pytorch"):
        busy["torch"] = []
        step = torch_step(setup.threads)
        step()

        def torch() -> float:
            before, begin = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
            seconds = median_seconds(step, STEPS)
            wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF)
            busy_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            busy["torch"].append(busy_s / wall / setup.threads)
            return seconds

        programs["torch"] = torch
    series = interleaved(setup.rounds, programs)
    table("s a step", series, over(series, OURS))
    shares = ", ".join(f"{name} {statistics.median(row):.0%}" for name, row in busy.items())
    print(f"\nShare of {setup.threads} cores that was busy (median): {shares}.")
    return series | {f"{name}, busy share": row for name, row in busy.items()}


# memory is first: Linux gives a new program the peak of the process that starts it, and the peers make that one large.
SECTIONS = {section.__name__: section for section in (memory, start, levels, scaling, predict, train)}


def cpu_info(key: str) -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), "")


def version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"


def load() -> str:
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target, cores = Path("target/release"), len(os.sched_getaffinity(0))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=cores, help="of every program (default: the cores, %(default)s)")
    parser.add_argument("--patches", type=int, default=48, help="of a run, or a third of it (default: %(default)s)")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, with commas (default: %(default)s)")
    parser.add_argument("--binary", type=Path, default=target / "flair-bench", help="default: %(default)s")
    parser.add_argument("--step", type=Path, default=target / "examples/step", help="default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers of all rounds")
    options = parser.parse_args()
    options.only = options.only.split(",")
    if unknown := set(options.only) - set(SECTIONS):
        parser.error(f"no section is called {', '.join(sorted(unknown))}: there are {', '.join(SECTIONS)}")
    if min(options.rounds, options.threads) < 1 or options.patches < 3:
        parser.error("at least 1 round, 1 thread and 3 patches are needed")
    needed = [options.binary] + [options.step] * bool({"memory", "train"} & set(options.only))
    if missing := [str(path) for path in needed if not path.is_file()]:
        parser.error(f"{', '.join(missing)} not found: build it first, see --help")
    return options


def main() -> None:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exit by exception, which removes the temporary folder
    load_before, results = load(), {}
    with tempfile.TemporaryDirectory(prefix="flair-bench-compare-") as folder:
        programs = options.binary.resolve(), options.step.resolve()
        setup = Setup(*programs, options.rounds, options.threads, options.patches, Path(folder))
        for name in (name for name in SECTIONS if name in options.only):
            note(name)
            print(f"## {name}\n")
            results[name] = SECTIONS[name](setup)
            print(flush=True)
    machine = {
        "processor": cpu_info("model name") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": options.threads,
        "rounds": options.rounds,
        "load before": load_before,
        "load after": load(),
    } | {package: version(package) for package in PEERS}
    print("; ".join(f"{key} {value}" for key, value in machine.items()))
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "sections": results}, indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
