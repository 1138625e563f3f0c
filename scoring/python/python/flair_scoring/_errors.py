"""Exceptions. Problems of predictions are not exceptions but findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._records import CheckReport, Finding


class FlairScoringError(Exception):
    """Base class of this package's exceptions."""


class InputError(FlairScoringError, ValueError):
    """An argument or the content of a file is invalid."""


class ArrayTypeError(FlairScoringError, TypeError):
    """An array does not have an integer type."""


class FileAccessError(FlairScoringError, OSError):
    """A file or folder (`filename`) cannot be read or written; the reason is in `errno`."""


class StrayValuesError(InputError):
    """Arrays have values that are not labels or classes."""

    def __init__(self, message: str, labels: dict[int, int], predictions: dict[int, int]) -> None:
        super().__init__(message, labels, predictions)
        #: Values of the truth that are not labels, with their numbers of pixels.
        self.labels = labels
        #: Values of the prediction that are not classes, with their numbers of pixels; empty if these are dropped.
        self.predictions = predictions

    def __str__(self) -> str:
        return str(self.args[0])


class NotScorableError(InputError):
    """Masks and predictions do not match, or break the rules: there is no score."""

    def __init__(self, message: str, findings: tuple[Finding, ...]) -> None:
        super().__init__(message, findings)
        #: All findings.
        self.findings = findings

    def __str__(self) -> str:
        return "\n".join([str(self.args[0]), *(f"  {finding}" for finding in self.findings[:10])])


class RefusedError(InputError):
    """The predictions break the rules: there is no archive."""

    def __init__(self, message: str, report: CheckReport) -> None:
        super().__init__(message, report)
        #: The report of the check.
        self.report = report

    def __str__(self) -> str:
        return "\n".join([str(self.args[0]), *(f"  {finding}" for finding in self.report.findings[:10])])
