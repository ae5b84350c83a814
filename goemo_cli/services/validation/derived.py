"""Files derived from checkpoints: metric_summary.csv and test_metrics_{model}.json."""

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import GoemoError
from goemo_cli.core.files import read_json
from goemo_cli.core.layout import Layout
from goemo_cli.services.summaries import metric_summary, test_metrics
from goemo_cli.services.validation.report import ValidationReport


def check_derived(layout: Layout, opened: dict[str, Checkpoint], report: ValidationReport) -> None:
    """Compare the derived files with what the checkpoints say now."""
    if not opened:
        return
    path = layout.metric_summary
    if report.check("present", path, holds=path.is_file(), otherwise="is missing"):
        report.check(
            "one row per run, as the checkpoints say",
            path,
            holds=path.read_text(encoding="utf-8") == metric_summary(opened.values()),
            otherwise="differs from the checkpoints' metrics.json: stale or edited",
        )
    for model in sorted({checkpoint.run.model for checkpoint in opened.values()}):
        _check_test_metrics(layout, model, opened, report)


def _check_test_metrics(
    layout: Layout, model: str, opened: dict[str, Checkpoint], report: ValidationReport
) -> None:
    path = layout.test_metrics(model)
    if not report.check("present", path, holds=path.is_file(), otherwise="is missing"):
        return
    newest = max((one for one in opened.values() if one.run.model == model), key=lambda one: one.run)
    try:
        written = read_json(path)
    except GoemoError as error:
        report.problem(path, str(error))
        return
    report.check(
        "of the newest run",
        path,
        holds=written == test_metrics(newest),
        otherwise=f"is not what {newest.run}, the newest run of {model}, says: stale or edited",
    )
