"""Seconds and memory of torch's U-Net, for the comparison in check.py.

    python torch_times.py cuda|cpu

Prints one JSON object a line: `what` (forward or step), `precision`, `batch`, and either `seconds` of one batch, the
median, with `peak_mb`, the GPU memory that torch took at most, or `error`. The network is
segmentation_models_pytorch's, the one that upstream trains. The batch lies on the device already: reading and writing
files is left out, in torch's favour.

- f32: TF32 off, NCHW, eager: what upstream's code does on a GPU without TF32.
- tf32: TF32 on, channels_last.
- bf16: autocast to bfloat16, channels_last, TF32 on for what stays f32.
"""

import json
import statistics
import sys
import time

import segmentation_models_pytorch as smp
import torch

DEVICE = sys.argv[1]
IS_CUDA = DEVICE == "cuda"
BATCHES = (1, 10, 32) if IS_CUDA else (1, 2)
ROUNDS = 12 if IS_CUDA else 1
# (name, TF32, memory format, autocast)
MODES = [
    ("f32", False, torch.contiguous_format, False),
    ("tf32", True, torch.channels_last, False),
    ("bf16", True, torch.channels_last, True),
]


def synchronise() -> None:
    if IS_CUDA:
        torch.cuda.synchronize()


def median_seconds(run) -> float:
    # The first rounds choose algorithms and allocate.
    for _ in range(3 if IS_CUDA else 1):
        run()
    synchronise()
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run()
        synchronise()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def measure(what: str, batch: int, layout, autocast: bool) -> float:
    torch.manual_seed(0)
    network = smp.Unet("resnet34", encoder_weights=None, in_channels=5, classes=13).to(DEVICE, memory_format=layout)
    images = torch.rand(batch, 5, 512, 512, device=DEVICE).to(memory_format=layout)
    reduced = lambda: torch.autocast(DEVICE, torch.bfloat16, enabled=autocast)  # noqa: E731
    if what == "forward":
        network.eval()

        def run() -> None:
            with torch.inference_mode(), reduced():
                network(images).argmax(1)
    else:
        network.train()
        labels = torch.randint(0, 13, (batch, 512, 512), device=DEVICE)
        optimizer = torch.optim.SGD(network.parameters(), 0.001)

        def run() -> None:
            optimizer.zero_grad()
            with reduced():
                loss = torch.nn.functional.cross_entropy(network(images), labels)
            loss.backward()
            optimizer.step()
            # Every training logs its loss.
            loss.item()

    return median_seconds(run)


def main() -> None:
    torch.backends.cudnn.benchmark = True
    for name, tf32, layout, autocast in MODES if IS_CUDA else MODES[:1]:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        for what in ("forward", "step"):
            for batch in BATCHES:
                if what == "step" and batch == 1 and not IS_CUDA:
                    continue
                row = {"what": what, "precision": name, "batch": batch}
                try:
                    if IS_CUDA:
                        torch.cuda.empty_cache()
                        torch.cuda.reset_peak_memory_stats()
                    row["seconds"] = measure(what, batch, layout, autocast)
                    row["peak_mb"] = torch.cuda.max_memory_reserved() / 2**20 if IS_CUDA else None
                except Exception as error:  # One row that fails must not take the others along.
                    row["error"] = f"{type(error).__name__}: {error}".splitlines()[0]
                print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
