"""The functions: convert arguments, call the Rust part, and convert its records to objects."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _native, _records
from ._errors import ArrayTypeError, InputError
from ._native import Protocol
from ._records import CheckReport, Metrics, Packed, ScoreReport

Path: TypeAlias = "str | os.PathLike[str]"
Patches: TypeAlias = "Path | Iterable[int | str]"
OutOfRange: TypeAlias = Literal["reject", "drop"]
Progress: TypeAlias = Callable[[str, int, int], object]


MAX_THREADS = 1024


def confusion_matrix(
    truth: ArrayLike,
    pred: ArrayLike,
    *,
    protocol: Protocol | Path = "flair2",
    out_of_range: OutOfRange = "reject",
    threads: int | None = None,
) -> NDArray[np.uint64]:
    """Counts the pixels of each class in the truth that were predicted as each class.

    `truth` holds labels as in mask files (1 to 19 for "flair2"), `pred` classes as in prediction files (0 to 12), in
    arrays of the same shape. C-contiguous uint8 arrays are used in place; other layouts and integer types are copied,
    and every value must fit into a byte. The arrays must not be modified during the call.

    `protocol` is a name ("flair2", "flair-hub"), the path of a file that ends in .yml, or a `Protocol`.
    `out_of_range` is the treatment of predicted values that are not a class: "reject" raises, "drop" excludes these
    pixels, as upstream's scorer does silently.

    Returns uint64, [truth, prediction]. Pixels with labels that the protocol ignores are excluded.

    Raises StrayValuesError for values that are not labels or classes, InputError and ArrayTypeError for invalid arrays.
    """
    arrays = _bytes(truth, "truth"), _bytes(pred, "pred")
    if arrays[0].shape != arrays[1].shape:
        raise InputError(f"truth has the shape {arrays[0].shape}, pred {arrays[1].shape}: expected the same")
    flat = [array.reshape(-1) for array in arrays]
    rules = _rules(protocol)
    counts = _native.confusion_matrix(flat[0], flat[1], rules, out_of_range, _threads(threads))
    return counts.reshape(len(rules.classes), -1)


def metrics(matrix: ArrayLike, *, protocol: Protocol | Path = "flair2") -> Metrics:
    """Computes the scores of a confusion matrix, [truth, prediction], or of a sum of confusion matrices.

    `protocol` is the protocol of the matrix; see `confusion_matrix`.

    Raises InputError if the shape does not match the protocol's classes or a count is negative, ArrayTypeError if the
    counts are not integers.
    """
    rules = _rules(protocol)
    array = _integers(matrix, "matrix", "uint64")
    classes = len(rules.classes)
    if array.shape != (classes, classes):
        raise InputError(f"the matrix has the shape {array.shape}, the protocol {classes} classes")
    if array.size and array.min() < 0:
        raise InputError("the matrix has negative counts")
    # The largest count that a JSON number holds exactly; within it, no sum overflows.
    if sum(map(int, array.flat)) > 1 << 53:
        raise InputError("the matrix has more than 2^53 pixels")
    return _records.metrics(_native.metrics(np.ascontiguousarray(array, np.uint64).reshape(-1), rules))


def score(
    truth_dir: Path,
    pred: Path,
    *,
    protocol: Protocol | Path = "flair2",
    out_of_range: OutOfRange = "reject",
    threads: int | None = None,
    progress: Progress | None = None,
) -> ScoreReport:
    """Scores predictions against masks, in parallel.

    `truth_dir` has masks, MSK_*.tif, anywhere below it; `pred` is a folder of predictions, PRED_*.tif, or a submission
    archive. Masks and predictions are paired by their numbers. `protocol` and `out_of_range` are as in
    `confusion_matrix`.
    `progress(stage, done, total)` is called several times a second; an exception in it stops the work, as Ctrl-C does.

    Raises NotScorableError with all findings if there are errors, FileAccessError if the folders cannot be read, and
    InputError.
    """
    rules = _rules(protocol)
    where = os.fspath(truth_dir), os.fspath(pred)
    return _records.score_report(_native.score(*where, rules, out_of_range, (_threads(threads), progress)))


def check(
    path: Path,
    *,
    expected: Patches | None = None,
    protocol: Protocol | Path = "flair2",
    threads: int | None = None,
    progress: Progress | None = None,
) -> CheckReport:
    """Checks a submission, a folder or a zip archive, and returns all findings.

    `expected` are the patches that must be present: numbers or six-digit strings, or the path of a list with one
    number, file name or range (077413-093462) per line. Without it, missing patches are not detected. `protocol`, as
    in `confusion_matrix`, determines the valid values of a prediction.

    Raises FileAccessError if `path` cannot be read, InputError if `expected` is invalid. Problems of the submission
    are findings, never exceptions.
    """
    where, numbers, rules = os.fspath(path), _expected(expected), _rules(protocol)
    return _records.check_report(_native.check(where, numbers, rules, (_threads(threads), progress)))


def package(
    predictions: Path,
    out_dir: Path,
    name: str,
    *,
    expected: Patches | None = None,
    times: tuple[float | str, float | str] | None = None,
    protocol: Protocol | Path = "flair2",
    as_is: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Packed:
    """Checks predictions and packs them as `out_dir`/`name`.zip: flat and sorted; equal files give equal bytes.

    `times` are the times of the challenge's baseline and of this submission on the same machine, in seconds (rounded
    up) or as "M-S" ("5-57"); they become part of the archive's name. `expected` and `protocol` are as in `check`.
    `as_is` packs predictions that look like a usual mistake, such as classes counted from 1; otherwise they are
    refused. A TIFF that is not compressed by LZW is packed with LZW and the same pixels.

    Raises RefusedError with the check's report if it has errors or looks like a mistake, FileAccessError, and
    InputError.
    """
    where = os.fspath(predictions), os.fspath(out_dir)
    clock = None if times is None else (_seconds(times[0]), _seconds(times[1]))
    settings = (_threads(threads), progress)
    made = _native.package(*where, name, _expected(expected), clock, _rules(protocol), as_is, settings)
    path, entries, size, report = made
    return Packed(path, entries, size, _records.check_report(report))


def _integers(values: ArrayLike, name: str, best: str) -> NDArray[Any]:
    # numpy would pass the masked values, and they would be counted.
    if np.ma.isMaskedArray(values):
        raise ArrayTypeError(f"{name} is a masked array: select its pixels first, such as {name}[~{name}.mask].data")
    array = np.asarray(values)
    # numpy converts an empty list to an array of floats.
    if array.dtype.kind not in "iu" and array.size:
        raise ArrayTypeError(f"{name} is of {array.dtype}: expected integers, best {best}")
    return array


def _bytes(values: ArrayLike, name: str) -> NDArray[np.uint8]:
    array = _integers(values, name, "uint8")
    if array.dtype != np.uint8 and array.size:
        least, most = array.min(), array.max()
        if least < 0 or most > 255:
            raise InputError(f"{name} has values from {least} to {most}: expected 0 to 255")
    return np.asarray(array, np.uint8, order="C")


def _rules(protocol: Protocol | Path) -> Protocol:
    if isinstance(protocol, Protocol):
        return protocol
    name = os.fspath(protocol)
    # Only named protocols are cached: a file may change.
    return Protocol(name) if name.lower().endswith((".yml", ".yaml")) else _named(name)


_named = cache(Protocol)


def _threads(threads: int | None) -> int | None:
    if threads is None:
        return None
    if not 1 <= threads <= MAX_THREADS:
        raise InputError(f"threads is {threads}: expected 1 to {MAX_THREADS}, or None for one a core")
    # More threads than this only wait for each other.
    return min(threads, 4 * (os.cpu_count() or 1))


def _expected(patches: Patches | None) -> list[int] | None:
    if patches is None:
        return None
    if isinstance(patches, (str, os.PathLike)):
        return _native.read_ids(os.fspath(patches))
    return [_number(patch) for patch in patches]


def _number(patch: int | str) -> int:
    if isinstance(patch, str):
        if not re.fullmatch(r"[0-9]{6}", patch):
            raise InputError(f"{patch!r} is not a patch: expected a number, or six digits such as '077413'")
        return int(patch)
    number = int(patch)
    if not 0 <= number <= 999_999:
        raise InputError(f"{patch} is not a patch: expected 0 to 999999")
    return number


def _seconds(time: float | str) -> float:
    if not isinstance(time, str):
        return float(time)
    match = re.fullmatch(r"([0-9]+)-([0-5]?[0-9])", time)
    if match is None:
        raise InputError(f"{time!r} is not a time: expected seconds, or minutes and seconds such as '5-57'")
    return 60.0 * int(match[1]) + int(match[2])
