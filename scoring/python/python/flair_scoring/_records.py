"""Results of the functions: the JSON records of the command line as typed objects."""

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
    """A problem of the input files, or a remark about them."""

    #: "error": breaks the rules; "warning": probably a mistake; "note": information.
    severity: Literal["error", "warning", "note"]
    #: Its stable code, such as "missing-prediction".
    code: str
    #: Its subject: a file, an archive's entry, a range of patches.
    subject: str
    #: The problem, and advice.
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
    #: Intersection over union, 0 to 1; None if neither masks nor predictions have the class.
    iou: float | None
    #: Share of the predicted pixels that are correct, 0 to 1; None if none is predicted.
    precision: float | None
    #: Share of the class's pixels that are predicted as such, 0 to 1; None if the masks have none.
    recall: float | None
    #: Harmonic mean of precision and recall, 0 to 1; None if `iou` is.
    f1: float | None
    #: Pixels of the class in the masks.
    support: int
    #: Pixels predicted as the class.
    predicted: int
    #: Whether the mean includes its IoU.
    in_mean: bool


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """The scores of a confusion matrix; a score whose denominator is 0 is None."""

    #: The protocol: its name, NAME/CLASSES with another class list, or NAME@DIGEST if it is from a file. Scores of
    #: different protocols are not comparable.
    protocol: str
    #: Mean of the classes' IoUs, 0 to 1.
    miou: float | None
    #: Number of classes in the mean.
    classes_averaged: int
    #: Share of the counted pixels that are correct, 0 to 1.
    overall_accuracy: float | None
    #: Mean recall of the classes in the mean, 0 to 1.
    mean_accuracy: float | None
    #: Mean F1 of the classes in the mean, 0 to 1.
    mean_f1: float | None
    #: Sum of the IoUs of all classes, weighted by their shares of the masks' pixels, 0 to 1.
    frequency_weighted_iou: float | None
    #: Cohen's kappa, -1 to 1.
    kappa: float | None
    #: The classes, in the order of their values in a prediction.
    classes: tuple[ClassScores, ...]
    #: Likely mistakes in the predictions: classes counted from 1, and the mIoU of the shifted ones.
    findings: tuple[Finding, ...] = ()

    def __getitem__(self, name: str) -> ClassScores:
        """The scores of the class of that name."""
        for scores in self.classes:
            if scores.name == name:
                return scores
        raise KeyError(name)


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoreReport(Metrics):
    """The record of a score, with everything needed to interpret it."""

    #: Number of patches.
    patches: int
    #: Number of pixels, including dropped and ignored ones.
    pixels: int
    #: Pixels excluded because their predicted value is not a class.
    dropped_pixels: int
    #: Pixels excluded because the protocol ignores their label.
    ignored_pixels: int
    #: Treatment of predicted values that are not a class.
    out_of_range: Literal["reject", "drop"]
    #: Number of pixels, [truth, prediction], uint64; not writable.
    confusion: NDArray[np.uint64] = field(repr=False)
    #: Further information for readers, in sentences.
    notes: tuple[str, ...]
    _text: str = field(repr=False)

    def to_json(self) -> str:
        """The record, byte for byte as `flair-bench score --json` writes it."""
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
    """Counts of a submission's files, patches and findings."""

    #: Files of any kind.
    files: int
    #: Patches with a prediction, excluding those in `extra`.
    predictions: int
    #: Expected patches; None if unknown.
    expected: int | None
    #: Expected patches without a prediction.
    missing: int
    #: Predictions of patches that are not expected.
    extra: int
    #: Findings that are errors.
    errors: int
    #: Findings that are warnings.
    warnings: int
    #: Findings that are notes.
    notes: int


@dataclass(frozen=True)
class CheckReport:
    """The result of a check. It is true if the submission is valid."""

    #: Whether no finding is an error.
    valid: bool
    #: Counts of files, patches and findings.
    counts: CheckCounts
    #: Patches without a prediction, as ranges: "077413-077420".
    missing: tuple[str, ...]
    #: Patches with a prediction that are not expected, as ranges.
    extra: tuple[str, ...]
    #: All findings, the most severe first.
    findings: tuple[Finding, ...]
    _text: str = field(repr=False)

    def __bool__(self) -> bool:
        return self.valid

    def to_json(self) -> str:
        """The record as `flair-bench check --json` writes it."""
        return self._text


@dataclass(frozen=True)
class Packed:
    """A packed archive."""

    #: Its path.
    path: Path
    #: Number of predictions in it.
    entries: int
    #: Its size in bytes.
    bytes: int
    #: The report of the check: no errors, perhaps warnings.
    report: CheckReport


def _pick(kind: type[T], record: Mapping[str, Any], **made: Any) -> T:
    """Makes a dataclass from the record's fields of the same names, and from `made`."""
    names = {each.name for each in fields(kind)}  # type: ignore[arg-type]
    return kind(**{key: value for key, value in record.items() if key in names} | made)


def metrics(text: str) -> Metrics:
    """Metrics of a score's record."""
    record = json.loads(text)
    classes = tuple(_pick(ClassScores, each) for each in record["classes"])
    return _pick(Metrics, record, classes=classes, findings=_findings(record))


def score_report(text: str) -> ScoreReport:
    """A score's record."""
    record = json.loads(text)
    confusion = np.array(record["confusion"], np.uint64)
    confusion.setflags(write=False)
    classes = tuple(_pick(ClassScores, each) for each in record["classes"])
    notes = tuple(record.get("notes", ()))
    found = _findings(record)
    return _pick(
        ScoreReport, record, classes=classes, confusion=confusion, findings=found, notes=notes, _text=text
    )


def _findings(record: Mapping[str, Any]) -> tuple[Finding, ...]:
    return tuple(_pick(Finding, each) for each in record.get("findings", ()))


def findings(text: str) -> tuple[Finding, ...]:
    """A list of findings."""
    return _findings({"findings": json.loads(text)})


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
