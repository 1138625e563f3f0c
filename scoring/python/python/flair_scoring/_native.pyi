# The Rust part. Arrays are flat and contiguous; records are JSON.

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Protocol",
    "__version__",
    "check",
    "confusion_matrix",
    "metrics",
    "package",
    "read_ids",
    "score",
]

_WorkSettings: TypeAlias = tuple[int | None, Callable[[str, int, int], object] | None]

__version__: Final[str]

@final
class Protocol:
    def __new__(
        cls,
        name_or_file: str | os.PathLike[str],
        *,
        nomenclature: str | os.PathLike[str] | None = None,
    ) -> Protocol: ...
    @property
    def id(self) -> str: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

def confusion_matrix(
    truth: NDArray[np.uint8],
    prediction: NDArray[np.uint8],
    protocol: Protocol,
    out_of_range: str,
    threads: int | None,
) -> NDArray[np.uint64]: ...
def metrics(counts: NDArray[np.uint64], protocol: Protocol) -> str: ...
def score(
    truth: str,
    predictions: str,
    protocol: Protocol,
    out_of_range: str,
    settings: _WorkSettings,
) -> str: ...
def check(
    path: str,
    expected: Sequence[int] | None,
    protocol: Protocol,
    settings: _WorkSettings,
) -> str: ...
def package(
    predictions: str,
    folder: str,
    name: str,
    expected: Sequence[int] | None,
    times: tuple[float, float] | None,
    protocol: Protocol,
    as_is: bool,
    settings: _WorkSettings,
) -> tuple[Path, int, int, str]: ...
def read_ids(path: str) -> list[int]: ...
