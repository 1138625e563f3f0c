"""The functions: arguments made plain, the Rust half called, its records made objects."""

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
    """How often each class of the truth was predicted as each class.

    `truth` holds labels as they are in mask files (1 to 19 for "flair2"), `pred` classes as they are in prediction
    files (from 0: 0 to 12), in arrays of the same shape, whatever that is. They are best C-contiguous uint8, which is
    used in place; other layouts are copied, other integers too where every value fits a byte. Nobody may write into
    them meanwhile.

    `protocol` is the name of one ("flair2", "flair-hub"), the path of a file that ends in .yml, or a `Protocol`.
    `out_of_range` tells what becomes of predictions that are no class: "reject" raises, "drop" leaves these pixels
    out, as upstream's scorer silently does.

    Returns uint64, [truth, prediction]. Labels that the protocol ignores are left out.

    Raises StrayValuesError where values mean nothing, InputError and ArrayTypeError where the arrays do not fit.
    """
    arrays = _bytes(truth, "truth"), _bytes(pred, "pred")
    if arrays[0].shape != arrays[1].shape:
        raise InputError(f"truth has the shape {arrays[0].shape}, pred {arrays[1].shape}: expected the same")
    flat = [array.reshape(-1) for array in arrays]
    rules = _rules(protocol)
    counts = _native.confusion_matrix(flat[0], flat[1], rules, out_of_range, _threads(threads))
    return counts.reshape(len(rules.classes), -1)


def metrics(matrix: ArrayLike, *, protocol: Protocol | Path = "flair2") -> Metrics:
    """The scores of a confusion matrix, [truth, prediction], or of the sum of several.

    `protocol` is the one that it was made by; see `confusion_matrix`.

    Raises InputError where it is no matrix of the protocol's classes or has negative counts, ArrayTypeError where
    it is not of integers.
    """
    rules = _rules(protocol)
    array = _integers(matrix, "matrix", "uint64")
    classes = len(rules.classes)
    if array.shape != (classes, classes):
        raise InputError(f"the matrix has the shape {array.shape}, the protocol {classes} classes")
    if array.size and array.min() < 0:
        raise InputError("the matrix has negative counts")
    # Beyond this a sum need not fit; it is also what a JSON number holds exactly.
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
    archive. They are paired by their numbers. `protocol` and `out_of_range` are as in `confusion_matrix`.
    `progress(stage, done, total)` is called some times a second, and stops the work where it raises, as Ctrl-C does.

    Raises NotScorableError with everything that is wrong, if anything is; FileAccessError where the folders cannot be
    read; InputError.
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
    """Checks a submission, a folder or a zip archive, and tells all that is wrong with it at once.

    `expected` are the patches that must be there: numbers or six-digit texts, or the path of a list, a number, a file
    name or a range (077413-093462) a line. Without it none can be missing. `protocol`, as in `confusion_matrix`, tells
    which values a prediction may hold.

    Raises FileAccessError where there is nothing to read, InputError where `expected` makes no sense. What is wrong
    with the submission is never raised.
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
    threads: int | None = None,
    progress: Progress | None = None,
) -> Packed:
    """Checks predictions and packs them as `out_dir`/`name`.zip: flat, sorted, the same bytes for the same files.

    `times` are what the challenge's baseline and this submission took on the same machine, in seconds or as "M-S"
    ("5-57"); they become part of the archive's name. `expected` and `protocol` are as in `check`.

    Raises RefusedError with the check's report where it finds errors; FileAccessError; InputError.
    """
    where = os.fspath(predictions), os.fspath(out_dir)
    clock = None if times is None else (_seconds(times[0]), _seconds(times[1]))
    crew = (_threads(threads), progress)
    made = _native.package(*where, name, _expected(expected), clock, _rules(protocol), crew)
    path, entries, size, report = made
    return Packed(path, entries, size, _records.check_report(report))


def _integers(values: ArrayLike, name: str, best: str) -> NDArray[Any]:
    # numpy would hand over what is under the mask, and it would be counted.
    if np.ma.isMaskedArray(values):
        raise ArrayTypeError(f"{name} is a masked array: select its pixels first, such as {name}[~{name}.mask].data")
    array = np.asarray(values)
    # An empty list is an array of floats to numpy.
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
    # A file may change; reading one takes longer than counting a patch.
    return Protocol(name) if name.lower().endswith((".yml", ".yaml")) else _named(name)


_named = cache(Protocol)


def _threads(threads: int | None) -> int | None:
    if threads is None:
        return None
    if not 1 <= threads <= MAX_THREADS:
        raise InputError(f"threads is {threads}: expected 1 to {MAX_THREADS}, or None for one a core")
    # More of them only wait for each other.
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
