"""Holds every figure of `flair-bench score` against scikit-learn's and torchmetrics', over a grid of hard cases.

    pip install numpy pillow scikit-learn [torch torchmetrics]
    python tests/parity.py [--binary target/release/flair-bench] [--seed N]

Each cell of the grid is a folder of random masks and one of predictions (TIFF, LZW, written by Pillow), scored by the
program and by the libraries: the protocol × where a class is absent × where "other" is × values out of range × what is
done with them. A cell a line. Exits with 1 where a figure is off; at the end one figure after the other is put off, and
it fails unless each of them is noticed. Without torchmetrics that half is left out, and said so.
"""

import argparse
import itertools
import json
import math
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn import metrics as sk

try:
    import torch
    from torchmetrics import classification as tm
except ImportError:
    torch = tm = None

Array = np.ndarray
PATCHES, HEIGHT, WIDTH = 3, 40, 56
OTHER, WATER, VINEYARD = 12, 4, 8
NOT_SCORED = 255  # what a truth becomes here where the protocol ignores its label

# The libraries and the program divide the same integers, so a few units in the last place are all that may differ;
# torchmetrics divides in f32.
TOLERANCE, TOLERANCE_F32 = 1e-12, 1e-6


@dataclass
class Protocol:
    """A protocol as this script understands it: told apart from the program's own understanding."""

    name: str
    classes: int = 13
    excluded: tuple[int, ...] = (OTHER,)
    removes: bool = False
    counts_absent: bool = False
    ignored: tuple[int, ...] = ()
    nomenclature: str = ""  # a class list in place of its own
    text: str = ""  # its file; without one it is known to the program by its name

    def truth(self, mask: Array) -> Array:
        """Labels to classes, as upstream's src/metrics.py:38-40 does it."""
        truth = mask - 1
        if self.classes == 13:
            truth[truth > 12] = 12
        truth[np.isin(mask, self.ignored)] = NOT_SCORED
        return truth


FLAIR_CLASSES = ", ".join(f"{{name: c{i}, colour: '#0000{i:02x}', labels: [{i + 1}]}}" for i in range(12))
PROTOCOLS = [
    Protocol("flair2"),
    Protocol("flair-hub", removes=True, counts_absent=True),
    Protocol("flair-hub", 19, tuple(range(12, 19)), removes=True, counts_absent=True, nomenclature="flair-19"),
    Protocol(
        "kept-zero",
        excluded=(WATER, OTHER),
        counts_absent=True,
        text="{name: kept-zero, nomenclature: flair2-13, excluded: [water, other], absent: zero}",
    ),
    Protocol(
        "removed-skipped",
        excluded=(WATER, OTHER),
        removes=True,
        text="{name: removed-skipped, nomenclature: flair2-13, excluded: [water, other], excluded_pixels: removed}",
    ),
    Protocol(
        "twelve",
        classes=12,
        excluded=(),
        ignored=(0, *range(13, 20)),
        text=f"{{name: twelve, classes: [{FLAIR_CLASSES}], ignored_labels: [0, 13, 14, 15, 16, 17, 18, 19]}}",
    ),
]


@dataclass
class Cell:
    """A case: what the random maps are like, and how they are scored."""

    protocol: Protocol
    absent: str  # from "neither", "truth", "prediction", "both": where vineyard is missing
    other: str  # in "neither", "truth", "both": where "other" is found
    strays: bool  # whether predictions hold values above the last class
    drops: bool  # whether the program is told to drop these

    def __str__(self) -> str:
        rule = "drop" if self.drops else "reject"
        stray = "strays" if self.strays else "clean"
        name = f"{self.protocol.name} {self.protocol.nomenclature}"
        return f"{name:18} absent from {self.absent:11} other in {self.other:8} {stray:6} {rule}"

    def maps(self, random: np.random.Generator) -> Iterator[tuple[Array, Array]]:
        """Masks and predictions: areas and specks, right more often than not."""
        labels = [label for label in range(1, 20) if label - 1 != VINEYARD or self.absent in ("neither", "prediction")]
        labels = [label for label in labels if label <= 12 or self.other != "neither"]
        values = range(self.protocol.classes)
        values = [value for value in values if value != VINEYARD or self.absent in ("neither", "truth")]
        values = [value for value in values if value < OTHER or self.other == "both"]
        if self.protocol.ignored and self.other == "both":
            labels = [0, *labels]
        for _ in range(PATCHES):
            areas = random.choice(labels, (HEIGHT // 8, WIDTH // 8)).repeat(8, 0).repeat(8, 1)
            mask = np.where(random.random(areas.shape) < 0.2, random.choice(labels, areas.shape), areas)
            mask = mask.astype(np.uint8)
            right = self.protocol.truth(mask)
            is_right = np.isin(right, values) & (random.random(mask.shape) < 0.6)
            prediction = np.where(is_right, right, random.choice(values, mask.shape)).astype(np.uint8)
            if self.strays:
                far = random.choice([self.protocol.classes, 100, 255], mask.shape)
                prediction = np.where(random.random(mask.shape) < 0.05, far, prediction).astype(np.uint8)
            yield mask, prediction


@dataclass
class Complaints:
    """What is off."""

    lines: list[str] = field(default_factory=list)
    figures: int = 0

    def same(self, what: str, found: object, due: object) -> None:
        self.figures += 1
        if found != due:
            self.lines.append(f"{what}: the program has {found}, expected {due}")

    def close(self, what: str, found: float | None, due: float, tolerance: float = TOLERANCE) -> None:
        """NaN is how the libraries say None."""
        self.figures += 1
        is_none = found is None or math.isnan(due)
        if (found is None) != math.isnan(due) if is_none else abs(found - due) > tolerance:
            self.lines.append(f"{what}: the program has {found!r}, expected {due!r}")


def compare_with_sklearn(report: dict, cell: Cell, pairs: list[tuple[Array, Array]]) -> Complaints:
    """All figures, by scikit-learn's functions."""
    protocol, off = cell.protocol, Complaints()
    classes = range(protocol.classes)
    matrix, dropped, ignored = np.zeros((protocol.classes, protocol.classes), np.int64), 0, 0
    truths, predictions = [], []
    for mask, prediction in pairs:
        truth = protocol.truth(mask)
        scored = truth != NOT_SCORED
        ignored += int((~scored).sum())
        truth, prediction = truth[scored], prediction[scored]
        # Upstream's line, src/metrics.py:42. It leaves out what is in neither list, silently.
        matrix += sk.confusion_matrix(truth, prediction, labels=list(classes))
        known = prediction < protocol.classes
        dropped += int((~known).sum())
        truths.append(truth[known])
        predictions.append(prediction[known])
    off.same("matrix", report["confusion"], matrix.tolist())
    off.same("patches", report["patches"], len(pairs))
    off.same("pixels", report["pixels"], sum(mask.size for mask, _ in pairs))
    off.same("dropped_pixels", report["dropped_pixels"], dropped)
    off.same("ignored_pixels", report["ignored_pixels"], ignored)

    y, p = np.concatenate(truths), np.concatenate(predictions)
    kept = [c for c in classes if not (protocol.removes and c in protocol.excluded)]
    inside = np.isin(y, kept) & np.isin(p, kept)
    y, p = y[inside], p[inside]
    averaged = [c for c in classes if c not in protocol.excluded]
    present = [c for c in averaged if (y == c).any() or (p == c).any()]
    in_truth = [c for c in averaged if (y == c).any()]
    if protocol.counts_absent:
        present = in_truth = averaged

    listed = [report["classes"][c] for c in kept]
    jaccard = sk.jaccard_score(y, p, labels=kept, average=None, zero_division=0)
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        y, p, labels=kept, average=None, zero_division=np.nan
    )
    for i, scores in enumerate(listed):
        name, union = scores["name"], (y == kept[i]).sum() + (p == kept[i]).sum()
        off.close(f"IoU of {name}", scores["iou"], jaccard[i] if union else math.nan)
        off.close(f"precision of {name}", scores["precision"], precision[i])
        off.close(f"recall of {name}", scores["recall"], recall[i])
        off.close(f"F1 of {name}", scores["f1"], f1[i])
        off.same(f"support of {name}", scores["support"], int(support[i]))
        off.same(f"predicted of {name}", scores["predicted"], int((p == kept[i]).sum()))
        off.same(f"in_mean of {name}", scores["in_mean"], kept[i] in present)
    for c in set(classes) - set(kept):
        scores = report["classes"][c]
        found = [scores[key] for key in ("iou", "support", "predicted", "in_mean")]
        off.same(f"{scores['name']}, removed", found, [None, 0, 0, False])

    macro = {"average": "macro", "zero_division": 0}
    off.same("classes_averaged", report["classes_averaged"], len(present))
    off.close("miou", report["miou"], sk.jaccard_score(y, p, labels=present, **macro))
    off.close("mean_f1", report["mean_f1"], sk.f1_score(y, p, labels=present, **macro))
    off.close("mean_accuracy", report["mean_accuracy"], sk.recall_score(y, p, labels=in_truth, **macro))
    off.close("overall_accuracy", report["overall_accuracy"], sk.accuracy_score(y, p))
    weighted = sk.jaccard_score(y, p, labels=kept, average="weighted", zero_division=0)
    off.close("frequency_weighted_iou", report["frequency_weighted_iou"], weighted)
    off.close("kappa", report["kappa"], sk.cohen_kappa_score(y, p, labels=kept))
    if set(np.unique(y)) <= set(averaged) and not protocol.counts_absent:
        # It is about all classes of the truth, so it is the same only where all of them are averaged.
        off.close("mean_accuracy (balanced)", report["mean_accuracy"], sk.balanced_accuracy_score(y, p))
    return off


def compare_with_torchmetrics(report: dict, cell: Cell, pairs: list[tuple[Array, Array]]) -> Complaints:
    """The matrix and most figures, by torchmetrics' streaming metrics: one update a patch."""
    protocol, off = cell.protocol, Complaints()
    kept = [c for c in range(protocol.classes) if not (protocol.removes and c in protocol.excluded)]
    place = np.full(256, NOT_SCORED)
    place[kept] = range(len(kept))
    count = len(kept)
    matrix = tm.MulticlassConfusionMatrix(protocol.classes, ignore_index=NOT_SCORED)
    each = {
        "iou": tm.MulticlassJaccardIndex(count, average=None, ignore_index=NOT_SCORED),
        "precision": tm.MulticlassPrecision(count, average=None, ignore_index=NOT_SCORED),
        "recall": tm.MulticlassRecall(count, average=None, ignore_index=NOT_SCORED),
        "f1": tm.MulticlassF1Score(count, average=None, ignore_index=NOT_SCORED),
    }
    whole = {
        "overall_accuracy": tm.MulticlassAccuracy(count, average="micro", ignore_index=NOT_SCORED),
        "frequency_weighted_iou": tm.MulticlassJaccardIndex(count, average="weighted", ignore_index=NOT_SCORED),
        "kappa": tm.MulticlassCohenKappa(count, ignore_index=NOT_SCORED),
    }
    if not protocol.counts_absent and (protocol.removes or not protocol.excluded):
        # Its own mean is over all classes that are not absent.
        whole["miou"] = tm.MulticlassJaccardIndex(count, average="macro", ignore_index=NOT_SCORED)
    for mask, prediction in pairs:
        truth, prediction = protocol.truth(mask).astype(int), prediction.astype(int)
        # It refuses predictions that are no class, so these pixels are ignored by their truth.
        stray = prediction >= protocol.classes
        truth[stray], prediction[stray] = NOT_SCORED, 0
        matrix.update(torch.from_numpy(prediction), torch.from_numpy(truth))
        truth, prediction = place[truth], place[prediction]
        outside = prediction == NOT_SCORED
        truth[outside], prediction[outside] = NOT_SCORED, 0
        for metric in (*each.values(), *whole.values()):
            metric.update(torch.from_numpy(prediction), torch.from_numpy(truth))
    off.same("matrix", report["confusion"], matrix.compute().tolist())
    for figure, metric in each.items():
        for c, due in zip(kept, metric.compute().tolist(), strict=True):
            scores = report["classes"][c]
            # It has no None: what has nothing to be about is 0.
            off.close(f"{figure} of {scores['name']}", scores[figure] or 0.0, due, TOLERANCE_F32)
    for figure, metric in whole.items():
        off.close(figure, report[figure], metric.compute().item(), TOLERANCE_F32)
    return off


COMPARISONS = {"scikit-learn": compare_with_sklearn}
if tm is not None:
    COMPARISONS["torchmetrics"] = compare_with_torchmetrics


def run(binary: Path, folder: Path, cell: Cell, pairs: list[tuple[Array, Array]]) -> subprocess.CompletedProcess:
    """Writes the maps and calls the program."""
    for kind, prefix in enumerate(["MSK", "PRED"]):
        (folder / prefix).mkdir(parents=True)
        for number, pair in enumerate(pairs):
            name = folder / prefix / f"{prefix}_{77413 + number:06}.tif"
            Image.fromarray(pair[kind]).save(name, compression="tiff_lzw")
    protocol = cell.protocol.name
    if cell.protocol.text:
        protocol = folder / f"{protocol}.yml"
        protocol.write_text(cell.protocol.text)
    rule = "drop" if cell.drops else "reject"
    command = [binary, "score", "--truth", folder / "MSK", "--pred", folder / "PRED"]
    command += ["--protocol", protocol, "--out-of-range", rule, "--json", "-"]
    if cell.protocol.nomenclature:
        command += ["--nomenclature", cell.protocol.nomenclature]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def notices_what_is_put_off(report: dict, cell: Cell, pairs: list[tuple[Array, Array]]) -> list[str]:
    """Changes one figure of a right report at a time by as little as matters; returns those that nobody noticed."""

    def changed(value: object) -> object:
        if isinstance(value, float):
            return value + 1e-11
        return value + 1 if type(value) is int else not value

    places = [[key] for key in report if type(report[key]) in (int, float)]
    places += [["confusion", 3, 5]]
    for c, scores in enumerate(report["classes"]):
        places += [["classes", c, key] for key in scores if key != "id" and type(scores[key]) in (int, float, bool)]
    missed = []
    for *path, key in places:
        wrong = json.loads(json.dumps(report))
        part = wrong
        for step in path:
            part = part[step]
        part[key] = changed(part[key])
        if not compare_with_sklearn(wrong, cell, pairs).lines:
            missed.append(" ".join(map(str, [*path, key])))
    # torchmetrics' tolerance is coarser, its matrix exact.
    if "torchmetrics" in COMPARISONS:
        for figure in ("miou", "kappa", "overall_accuracy", "frequency_weighted_iou"):
            wrong = report | {figure: report[figure] + 3 * TOLERANCE_F32}
            if not compare_with_torchmetrics(wrong, cell, pairs).lines:
                missed.append(f"{figure}, by torchmetrics")
    return missed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=Path("target/release/flair-bench"))
    parser.add_argument("--seed", type=int, default=2)
    arguments = parser.parse_args()
    # Told as None by the program, and by the numbers here.
    warnings.filterwarnings("ignore", module="sklearn")
    if tm is None:
        print("note: torchmetrics is not installed, so only scikit-learn is compared with")

    grid = itertools.product(
        PROTOCOLS,
        ["neither", "truth", "prediction", "both"],
        ["neither", "truth", "both"],
        [False, True],
        [False, True],
    )
    random = np.random.default_rng(arguments.seed)
    cells = figures = failed = 0
    kept = None
    for parts in grid:
        cell = Cell(*parts)
        pairs = list(cell.maps(random))
        with tempfile.TemporaryDirectory() as folder:
            done = run(arguments.binary, Path(folder), cell, pairs)
        complaints = []
        if cell.strays and not cell.drops:
            codes = [finding["code"] for finding in json.loads(done.stdout or "{}").get("findings", [])]
            is_refused = done.returncode == 3 and codes == ["value-out-of-range"]
            complaints += [] if is_refused else [f"expected a refusal, got {done.returncode}: {done.stderr}"]
            count = "refused"
        elif done.returncode != 0:
            complaints, count = [done.stderr or f"ended with {done.returncode}"], "no report"
        else:
            report = json.loads(done.stdout)
            results = {name: compare(report, cell, pairs) for name, compare in COMPARISONS.items()}
            complaints = [f"{name}: {line}" for name, off in results.items() for line in off.lines]
            figures += sum(off.figures for off in results.values())
            count = ", ".join(f"{off.figures} with {name}" for name, off in results.items())
            if cell.protocol.name == "removed-skipped":
                kept = report, cell, pairs
        cells += 1
        failed += bool(complaints)
        print(f"{'FAILED' if complaints else 'ok':6} {cell}  {count}")
        for line in complaints:
            print(f"       {line}")
    if failed:
        sys.exit(f"{failed} of {cells} cells are off")
    missed = notices_what_is_put_off(*kept)
    if missed:
        sys.exit(f"this script would not notice a wrong figure: {', '.join(missed)}")
    print(f"{cells} cells, {figures} figures: all as {' and '.join(COMPARISONS)} have them; a wrong one is noticed")


if __name__ == "__main__":
    main()
