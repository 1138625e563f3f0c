"""What can go wrong. What is wrong with somebody's predictions is data, and comes as findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._records import CheckReport, Finding


class FlairScoringError(Exception):
    """Whatever this package raises of its own."""


class InputError(FlairScoringError, ValueError):
    """An argument, or what a file says, makes no sense."""


class ArrayTypeError(FlairScoringError, TypeError):
    """An array is not of integers."""


class FileAccessError(FlairScoringError, OSError):
    """A file or folder cannot be read or written; `errno` and `filename` say which and why."""


class StrayValuesError(InputError):
    """Arrays hold values that mean nothing."""

    def __init__(self, message: str, labels: dict[int, int], predictions: dict[int, int]) -> None:
        super().__init__(message, labels, predictions)
        #: Values of the truth that are no label, each with its number of pixels.
        self.labels = labels
        #: Values of the prediction that are no class; empty where these may be dropped.
        self.predictions = predictions

    def __str__(self) -> str:
        return str(self.args[0])


class NotScorableError(InputError):
    """Masks and predictions do not fit, or break the rules: nothing is scored."""

    def __init__(self, message: str, findings: tuple[Finding, ...]) -> None:
        super().__init__(message, findings)
        #: Everything that is wrong.
        self.findings = findings

    def __str__(self) -> str:
        return "\n".join([str(self.args[0]), *(f"  {finding}" for finding in self.findings[:10])])


class RefusedError(InputError):
    """The predictions break the rules: nothing is packaged."""

    def __init__(self, message: str, report: CheckReport) -> None:
        super().__init__(message, report)
        #: What the check found.
        self.report = report

    def __str__(self) -> str:
        return "\n".join([str(self.args[0]), *(f"  {finding}" for finding in self.report.findings[:10])])
