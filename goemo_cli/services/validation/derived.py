"""Files derived from checkpoints: the tables over all runs and test_metrics_{model}.json."""

from collections.abc import Mapping
from pathlib import Path

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.files import read_json, write_json, write_text
from goemo_cli.core.layout import Layout
from goemo_cli.services.summaries import summary_tables, test_metrics
from goemo_cli.services.validation.report import ValidationReport


def check_derived(layout: Layout, opened: Mapping[str, Checkpoint], report: ValidationReport) -> None:
    """Compare the derived files with what the checkpoints say now; they can be rebuilt where those are sound."""
    if not opened:
        return
    for path, expected in summary_tables(layout, opened.values()).items():
        if expected is not None:
            _check_table(path, expected, layout, report)
    for model in sorted({checkpoint.run.model for checkpoint in opened.values()}):
        _check_test_metrics(layout, model, opened, report)


def _check_table(path: Path, expected: str, layout: Layout, report: ValidationReport) -> None:
    before = len(report.problems)
    if report.check("present", path, holds=path.is_file(), otherwise="is missing"):
        with report.guard(path):
            report.check(
                "as the checkpoints say",
                path,
                holds=path.read_bytes() == expected.encode("utf-8"),
                otherwise="differs from the checkpoints' metrics.json: stale or edited",
            )
    if len(report.problems) > before and report.sound(layout.models):
        report.can_be_rebuilt(path, lambda: write_text(path, expected))


def _check_test_metrics(
    layout: Layout, model: str, opened: Mapping[str, Checkpoint], report: ValidationReport
) -> None:
    before, path = len(report.problems), layout.test_metrics(model)
    newest = max((one for one in opened.values() if one.run.model == model), key=lambda one: one.run)
    expected = test_metrics(newest)
    if report.check("present", path, holds=path.is_file(), otherwise="is missing"):
        with report.guard(path):
            report.check(
                "of the newest run",
                path,
                holds=read_json(path) == expected,
                otherwise=f"is not what {newest.run}, the newest run of {model}, says: stale or edited",
            )
    if len(report.problems) > before and report.sound(layout.models):
        report.can_be_rebuilt(path, lambda: write_json(path, expected))
