# The Rust half. Arrays are flat and contiguous here; records are JSON.

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "__version__",
    "check",
    "class_count",
    "confusion_matrix",
    "metrics",
    "package",
    "read_ids",
    "score",
]

_Rules: TypeAlias = tuple[str, str | None]
_Crew: TypeAlias = tuple[int | None, Callable[[str, int, int], object] | None]

__version__: Final[str]

def class_count(rules: _Rules) -> int: ...
def confusion_matrix(
    truth: NDArray[np.uint8],
    prediction: NDArray[np.uint8],
    rules: _Rules,
    out_of_range: str,
    threads: int | None,
) -> NDArray[np.uint64]: ...
def metrics(counts: NDArray[np.uint64], rules: _Rules) -> str: ...
def score(
    truth: str,
    predictions: str,
    rules: _Rules,
    out_of_range: str,
    crew: _Crew,
) -> str: ...
def check(
    path: str,
    expected: Sequence[int] | None,
    crew: _Crew,
) -> str: ...
def package(
    predictions: str,
    folder: str,
    name: str,
    expected: Sequence[int] | None,
    times: tuple[float, float] | None,
    crew: _Crew,
) -> tuple[Path, int, int, str]: ...
def read_ids(path: str) -> list[int]: ...
