"""What a validation found: every check that ran, every problem, and what is odd but allowed."""

from dataclasses import dataclass, field
from pathlib import Path

SHOWN_PER_FILE = 20
"""Bad cells of one file that are described one by one; the rest is counted."""


@dataclass(frozen=True)
class Problem:
    """Something that is not as promised."""

    path: Path
    message: str


@dataclass
class ValidationReport:
    """The outcome; `ok` decides the exit code."""

    root: Path
    checks: list[tuple[str, Path]] = field(default_factory=list)
    """(what was checked, of which file), in order; with or without problems."""
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def check(self, what: str, path: Path, *, holds: bool = True, otherwise: str = "") -> bool:
        """Record a check; where it does not hold, `otherwise` says what is wrong. Gives `holds` back."""
        self.checks.append((what, path))
        if not holds:
            self.problem(path, otherwise or f"{what}: no")
        return holds

    def problem(self, path: Path, message: str) -> None:
        """Record something wrong."""
        self.problems.append(Problem(path, message))

    def warn(self, path: Path, message: str) -> None:
        """Record something odd."""
        self.warnings.append(Problem(path, message))


class CellProblems:
    """Collects bad cells of one file: the first ones in words, all of them counted."""

    def __init__(self) -> None:
        self.total = 0
        self._shown: list[str] = []

    def __call__(self, row: int, column: str, reason: str) -> None:
        """Told of a bad cell: data row counted from 1, column, what is wrong."""
        self.total += 1
        if len(self._shown) < SHOWN_PER_FILE:
            self._shown.append(f"row {row}{f', column {column}' if column else ''}: {reason}")

    def report_to(self, report: ValidationReport, path: Path) -> None:
        """Hand over what was collected."""
        for message in self._shown:
            report.problem(path, message)
        if self.total > len(self._shown):
            report.problem(
                path, f"… and {self.total - len(self._shown)} more bad cells ({self.total} in all)"
            )
