"""Scores, checks and packages predictions of the FLAIR #2 land-cover challenge.

    >>> import numpy as np
    >>> import flair_scoring as fs
    >>> truth = np.array([[1, 1], [5, 19]], np.uint8)  # labels as in masks: from 1
    >>> prediction = np.array([[0, 0], [4, 4]], np.uint8)  # classes as in predictions: from 0
    >>> scores = fs.metrics(fs.confusion_matrix(truth, prediction))
    >>> scores.miou, scores.classes_averaged  # building 1, water 1/2
    (0.75, 2)

flair-bench's Rust library, which its command line uses, too, does the work without holding the GIL.
"""

from ._api import check, confusion_matrix, metrics, package, score
from ._errors import (
    ArrayTypeError,
    FileAccessError,
    FlairScoringError,
    InputError,
    NotScorableError,
    RefusedError,
    StrayValuesError,
)
from ._native import Protocol, __version__
from ._records import CheckCounts, CheckReport, ClassScores, Finding, Metrics, Packed, ScoreReport

__all__ = [
    "ArrayTypeError",
    "CheckCounts",
    "CheckReport",
    "ClassScores",
    "FileAccessError",
    "Finding",
    "FlairScoringError",
    "InputError",
    "Metrics",
    "NotScorableError",
    "Packed",
    "Protocol",
    "RefusedError",
    "ScoreReport",
    "StrayValuesError",
    "__version__",
    "check",
    "confusion_matrix",
    "metrics",
    "package",
    "score",
]
