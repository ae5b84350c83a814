"""What a validation found: every check that ran, every problem, what is odd but allowed, what can be rebuilt."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from goemo_cli.core.errors import DataFileError, GoemoError

if TYPE_CHECKING:
    from goemo_cli.services.runs.outdated import OutdatedFile

MOST_CELLS = 100_000
"""Bad cells of one file that are described one by one, which bounds memory; the rest is counted."""

# What Python raises if a document does not have the expected form.
_OTHER_SHAPE = (
    ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, SyntaxError, TypeError, ValueError
)  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """Something that is not as promised."""

    path: Path
    message: str


@dataclass(frozen=True)
class Repair:
    """A file that can be made again from what is sound, and how."""

    path: Path
    verb: Literal["rebuilt", "removed"]
    act: Callable[[], object]
    source: Path | None = None
    """Only if nothing is wrong with this file."""


@dataclass
class ValidationReport:
    """The outcome; `ok` decides the exit code."""

    root: Path
    checks: list[tuple[str, Path]] = field(default_factory=list)
    """(what was checked, of which file), in order; with or without problems."""
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    outdated: "list[OutdatedFile]" = field(default_factory=list)
    """Derived files whose sources have changed since: they need to be renewed, which is not a problem."""
    repairs: list[Repair] = field(default_factory=list)
    """What `--fix` would do."""
    repaired: list[tuple[Path, str]] = field(default_factory=list)
    """(file, "rebuilt" or "removed"): what was done before this validation."""
    recomputed: dict[str, float] = field(default_factory=dict)
    """By run: the largest difference between a recomputed probability and the file's."""

    _faulty: set[Path] = field(default_factory=set)
    """Every path with a problem: a file may have many."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def check(self, what: str, path: Path, *, holds: bool = True, otherwise: str = "") -> bool:
        """Record a check; if it does not hold, `otherwise` says what is wrong. Returns `holds`."""
        self.checks.append((what, path))
        if not holds:
            self.problem(path, otherwise or f"{what}: no")
        return holds

    def problem(self, path: Path, message: str) -> None:
        """Record something wrong."""
        self.problems.append(Problem(path, message))
        self._faulty.add(path)

    def warn(self, path: Path, message: str) -> None:
        """Record something odd."""
        self.warnings.append(Problem(path, message))

    def can_be_rebuilt(self, path: Path, act: Callable[[], object], source: Path | None = None) -> None:
        """Record how a derived file that is wrong or missing is made again from a source, if that is sound."""
        self.repairs.append(Repair(path, "rebuilt", act, source))

    def drop_unsound_repairs(self) -> None:
        """Forget the repairs whose source has a problem, once every check ran."""
        self.repairs = [one for one in self.repairs if one.source is None or self.sound(one.source)]

    def sound(self, path: Path) -> bool:
        """Whether nothing was found wrong with a file, or anywhere below a folder."""
        return not any(faulty == path or path in faulty.parents for faulty in self._faulty)

    @contextmanager
    def guard(self, path: Path) -> Iterator[None]:
        """Files come from anywhere: whatever they make the checks in the block raise is a problem of theirs."""
        try:
            yield
        except GoemoError as error:
            self.problem(getattr(error, "path", path), reason_of(error))
        except OSError as error:
            self.problem(path, f"cannot be read ({error.strerror or error})")
        except _OTHER_SHAPE as error:
            self.problem(path, f"does not have the promised form ({type(error).__name__}: {error})")


def reason_of(error: GoemoError) -> str:
    """What is wrong, without the path, which is shown next to it."""
    reason = getattr(error, "reason", None)
    if reason is None:
        return str(error)
    return f"line {error.line}: {reason}" if isinstance(error, DataFileError) and error.line else str(reason)


class CellProblems:
    """Collects bad cells of one file."""

    def __init__(self) -> None:
        self.total = 0
        self._messages: list[str] = []

    def __call__(self, row: int, column: str, reason: str) -> None:
        """Add a bad cell: data row counted from 1, column, what is wrong."""
        self.total += 1
        if len(self._messages) < MOST_CELLS:
            self._messages.append(f"row {row}{f', column {column}' if column else ''}: {reason}")

    def report_to(self, report: ValidationReport, path: Path) -> None:
        """Hand over what was collected."""
        for message in self._messages:
            report.problem(path, message)
        if self.total > len(self._messages):
            report.problem(
                path, f"… and {self.total - len(self._messages):,} more bad cells ({self.total:,} in all)"
            )
