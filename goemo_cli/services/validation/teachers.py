"""Probabilities of teachers: each file is readable and belongs to a run, and those that students name are unchanged."""

from collections.abc import Collection
from pathlib import Path

from goemo_cli.core.checkpoint import METRICS, Checkpoint
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.services.runs.teacher_files import probabilities_sha256, read_probabilities
from goemo_cli.services.validation.report import ValidationReport


def check_teachers(
    layout: Layout, runs: Collection[RunName], students: Collection[Checkpoint], report: ValidationReport
) -> None:
    """Check all files with probabilities of teachers.

    Args:
        runs: every run whose manifest is there, sound or not.
        students: finished runs.
    """
    digests: dict[str, str] = {}
    for path in sorted(layout.teachers.glob("*/*.safetensors")):
        with report.guard(path):
            report.checks.append(("probabilities", path))
            y_prob = read_probabilities(path, {"teacher": path.parent.name})
            digests[layout.shown(path)] = probabilities_sha256(y_prob)
        if RunName.parse(path.parent.name) not in runs:
            report.warn(path, "belongs to no finished run")
    for student in students:
        if not student.is_unscored and student.metrics.distillation:
            _check_lesson(student, digests, layout, report)


def _check_lesson(
    student: Checkpoint, digests: dict[str, str], layout: Layout, report: ValidationReport
) -> None:
    lesson = student.metrics.distillation
    assert lesson
    path = layout.root / Path(lesson.probabilities)
    if not path.is_file():
        report.warn(student.path / METRICS, f"{lesson.probabilities}, from which it learned, is gone")
    elif lesson.probabilities in digests:
        report.check(
            "probabilities learned",
            student.path / METRICS,
            holds=digests[lesson.probabilities] == lesson.sha256,
            otherwise=f"it learned other probabilities than those in {lesson.probabilities}",
        )
