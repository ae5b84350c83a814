"""`goemo report --wandb`: the comparison of runs as a report on W&B; the runs must be there."""

from collections.abc import Sequence

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.documents.metrics import Score
from goemo_cli.core.errors import NotFoundError
from goemo_cli.core.events import EventHandler, Info, ignore
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.services.data.result_tables import decimal
from goemo_cli.services.report.text import plain, table
from goemo_cli.services.runs.references import open_run
from goemo_cli.services.wandb.check import reference_of
from goemo_cli.services.wandb.sync import sync_command
from goemo_cli.tracking.wandb.client import RunReference, WandbClient, open_client
from goemo_cli.tracking.wandb.reports import Comparison, load_report_library, save_report

_PURPOSE = "goemo report --wandb"
_NAMED = 3


def create_wandb_report(references: Sequence[str], *, layout: Layout, on_event: EventHandler = ignore) -> str:
    """Make a report on W&B that compares runs: their headline scores, a run set of them, panels of their metrics.

    Args:
        references: runs, as `services.runs.references` understands them; the newest finished run by default.

    Returns:
        Its address.

    Raises:
        MissingPackageError: wandb or its report library is not installed.
        NotFoundError: no such run, here or on W&B.
        AuthenticationError: no API key, or W&B refuses it.
        RemoteError: W&B did not answer, or GOEMO_OFFLINE is set.
    """
    load_report_library(_PURPOSE)
    opened = [open_run(reference, layout, on_event) for reference in references or ["@latest"]]
    checkpoints = list({checkpoint.run: checkpoint for checkpoint in opened}.values())
    expected = [_expected(checkpoint, layout) for checkpoint in checkpoints]
    client = open_client(
        ", ".join(str(checkpoint.run) for checkpoint in checkpoints),
        base_url=checkpoints[0].config.logging.wandb.base_url,
    )
    found = []
    for checkpoint, reference in zip(checkpoints, expected, strict=True):
        found.append(_found(client, checkpoint, reference, layout))
        on_event(Info(f"{checkpoint.run} is {found[-1]} on W&B"))
    common = set(checkpoints[0].labels).intersection(*(checkpoint.labels for checkpoint in checkpoints))
    comparison = Comparison(
        title=_title([checkpoint.run for checkpoint in checkpoints]),
        text=headline_table(checkpoints),
        runs=tuple(found),
        labels=tuple(label for label in checkpoints[0].labels if label in common),
    )
    return save_report(comparison, _PURPOSE)


def headline_table(checkpoints: Sequence[Checkpoint]) -> str:
    """Test scores of runs with their intervals, as Markdown; with a warning if they are of different comments."""
    rows = []
    for checkpoint in checkpoints:
        metrics = checkpoint.metrics
        rows.append(
            [
                str(checkpoint.run),
                plain(metrics.data.name),
                metrics.threshold_rule,
                _cell(metrics.test_rule.score("f1_macro")),
                _cell(metrics.test_rule.score("f1_micro")),
                _cell(metrics.test.score("auc_micro")),
                _cell(metrics.test.score("auc_macro")),
            ]
        )
    header = ["run", "data", "thresholds", "macro-F1", "micro-F1", "AUC micro", "AUC macro"]
    text = f"{table(header, rows)}\n\nTest split; 95 % bootstrap intervals; thresholds fitted on val."
    if len({checkpoint.metrics.data.split_sha256.test for checkpoint in checkpoints}) > 1:
        text += " **These runs were scored on different test comments: their scores do not compare.**"
    return text


def _cell(score: Score) -> str:
    if score.value is None:
        return "undefined"
    if score.low is None or score.high is None:
        return decimal(score.value, 3)
    return f"{decimal(score.value, 3)} ({decimal(score.low, 3)} to {decimal(score.high, 3)})"


def _title(runs: Sequence[RunName]) -> str:
    more = f" and {len(runs) - _NAMED} more" if len(runs) > _NAMED else ""
    return " vs ".join(map(str, runs[:_NAMED])) + more


def _expected(checkpoint: Checkpoint, layout: Layout) -> RunReference:
    """The run's W&B run according to its local files."""
    try:
        return reference_of(checkpoint, layout)
    except NotFoundError as error:
        raise _absent(checkpoint, layout) from error


def _found(
    client: WandbClient, checkpoint: Checkpoint, expected: RunReference, layout: Layout
) -> RunReference:
    """The same with project and entity, if W&B has the run."""
    reference = client.complete(expected)
    try:
        return client.run(reference).reference
    except NotFoundError as error:
        raise _absent(checkpoint, layout) from error


def _absent(checkpoint: Checkpoint, layout: Layout) -> NotFoundError:
    return NotFoundError(f"{checkpoint.run} is not on W&B: {sync_command(layout)} {checkpoint.run}")
