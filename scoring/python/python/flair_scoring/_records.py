"""What the functions return: the records that the command line writes as JSON, as typed objects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with somebody's files, or worth to know."""

    #: "error" breaks the rules, "warning" is likely a mistake, "note" is good to know.
    severity: Literal["error", "warning", "note"]
    #: Its kind: a stable word such as "missing-prediction".
    code: str
    #: What it is about: a file, an archive's entry, a range of patches.
    subject: str
    #: What is wrong, and what to do about it.
    message: str

    def __str__(self) -> str:
        return f"{self.severity} [{self.code}] {self.subject}: {self.message}"


@dataclass(frozen=True)
class ClassScores:
    """The scores of one class; a ratio whose denominator is 0 is None."""

    #: Its value in a prediction.
    id: int
    #: Its name.
    name: str
    #: Intersection over union, 0 to 1; None where neither masks nor predictions have the class.
    iou: float | None
    #: Share of the predicted pixels that are right, 0 to 1; None where none is predicted.
    precision: float | None
    #: Share of the class's pixels that are found, 0 to 1; None where the masks have none.
    recall: float | None
    #: Harmonic mean of precision and recall, 0 to 1; None where `iou` is.
    f1: float | None
    #: Pixels of the class in the masks.
    support: int
    #: Pixels predicted as the class.
    predicted: int
    #: Whether its IoU is one of those averaged.
    in_mean: bool


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """The scores of a confusion matrix; a figure that has nothing to be about is None."""

    #: By which classes and rules: the name of a protocol, NAME/CLASSES with another class list, or NAME@DIGEST for one
    #: of a file. Scores of different protocols are not to be compared.
    protocol: str
    #: Mean of the classes' IoUs, 0 to 1.
    miou: float | None
    #: Number of classes that the mean was taken over.
    classes_averaged: int
    #: Share of the counted pixels that are right, 0 to 1.
    overall_accuracy: float | None
    #: Mean of the recalls of the classes that the mean is about, 0 to 1.
    mean_accuracy: float | None
    #: Mean of their F1s, 0 to 1.
    mean_f1: float | None
    #: Sum of the IoUs of all classes, each by its share of the masks' pixels, 0 to 1.
    frequency_weighted_iou: float | None
    #: Cohen's kappa, -1 to 1.
    kappa: float | None
    #: The classes, in the order of their values in a prediction.
    classes: tuple[ClassScores, ...]

    def __getitem__(self, name: str) -> ClassScores:
        """The scores of the class of that name."""
        for scores in self.classes:
            if scores.name == name:
                return scores
        raise KeyError(name)


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoreReport(Metrics):
    """The record of a score, with all that is needed to know what it means."""

    #: Number of patches.
    patches: int
    #: Number of pixels, the dropped and ignored ones included.
    pixels: int
    #: Pixels left out because their prediction was no class.
    dropped_pixels: int
    #: Pixels left out because the protocol ignores their label.
    ignored_pixels: int
    #: What was done with predictions that are no class.
    out_of_range: Literal["reject", "drop"]
    #: Number of pixels, [truth, prediction], uint64; not writable.
    confusion: NDArray[np.uint64] = field(repr=False)
    #: What a reader must know besides, in sentences.
    notes: tuple[str, ...]
    _text: str = field(repr=False)

    def to_json(self) -> str:
        """The record as the command line writes it into score.json, to the byte."""
        return self._text

    def to_dict(self) -> dict[str, Any]:
        """The whole record, the protocol's definition included, as plain Python values."""
        record: dict[str, Any] = json.loads(self._text)
        return record

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ScoreReport) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


@dataclass(frozen=True)
class CheckCounts:
    """How much there is of what in a submission."""

    #: Files of any kind.
    files: int
    #: Patches that have a prediction, without those in `extra`.
    predictions: int
    #: Patches that should have one; None where that isn't known.
    expected: int | None
    #: Patches that should have one and don't.
    missing: int
    #: Patches that have one and shouldn't.
    extra: int
    #: Findings that are errors.
    errors: int
    #: Findings that are warnings.
    warnings: int
    #: Findings that are notes.
    notes: int


@dataclass(frozen=True)
class CheckReport:
    """What a check found. It is true where the submission is valid."""

    #: Whether no finding is an error.
    valid: bool
    #: How much there is of what.
    counts: CheckCounts
    #: Patches without a prediction, as ranges: "077413-077420".
    missing: tuple[str, ...]
    #: Patches with a prediction that are not expected, as ranges.
    extra: tuple[str, ...]
    #: All findings, the weightiest first.
    findings: tuple[Finding, ...]
    _text: str = field(repr=False)

    def __bool__(self) -> bool:
        return self.valid

    def to_json(self) -> str:
        """The record as `flair-bench check --json` writes it."""
        return self._text


@dataclass(frozen=True)
class Packed:
    """An archive that was made."""

    #: Where it is.
    path: Path
    #: Number of predictions in it.
    entries: int
    #: Its size in bytes.
    bytes: int
    #: What the check before it found: no errors, perhaps warnings.
    report: CheckReport


def _pick(kind: type[T], record: Mapping[str, Any], **made: Any) -> T:
    """A dataclass of a record: those fields that it has, and what was made of others."""
    names = {each.name for each in fields(kind)}  # type: ignore[arg-type]
    return kind(**{key: value for key, value in record.items() if key in names} | made)


def metrics(text: str) -> Metrics:
    """Metrics of a score's record."""
    record = json.loads(text)
    return _pick(Metrics, record, classes=tuple(_pick(ClassScores, each) for each in record["classes"]))


def score_report(text: str) -> ScoreReport:
    """A score's record."""
    record = json.loads(text)
    confusion = np.array(record["confusion"], np.uint64)
    confusion.setflags(write=False)
    classes = tuple(_pick(ClassScores, each) for each in record["classes"])
    notes = tuple(record.get("notes", ()))
    return _pick(ScoreReport, record, classes=classes, confusion=confusion, notes=notes, _text=text)


def findings(text: str) -> tuple[Finding, ...]:
    """A list of findings."""
    return tuple(_pick(Finding, each) for each in json.loads(text))


def check_report(text: str) -> CheckReport:
    """A check's record."""
    record = json.loads(text)
    return _pick(
        CheckReport,
        record,
        counts=_pick(CheckCounts, record["counts"]),
        missing=tuple(record["missing"]),
        extra=tuple(record["extra"]),
        findings=tuple(_pick(Finding, each) for each in record["findings"]),
        _text=text,
    )
