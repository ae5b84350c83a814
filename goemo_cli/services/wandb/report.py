"""`goemo report --wandb`: the comparison of runs as a report on W&B, of runs that are there."""

from collections.abc import Sequence
from dataclasses import dataclass

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import NotFoundError
from goemo_cli.core.events import EventHandler, Info, ignore
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.services.report.markdown_text import plain, score, table
from goemo_cli.services.runs.references import open_run
from goemo_cli.services.wandb.access import require_network
from goemo_cli.services.wandb.check import reference_of
from goemo_cli.services.wandb.sync import sync_command
from goemo_cli.tracking.wandb.client import RunReference, WandbSource
from goemo_cli.tracking.wandb.reports import Comparison, load_report_library, save_report

_PURPOSE = "goemo report --wandb"
_NAMED = 3


@dataclass(frozen=True)
class WandbReport:
    """A report that is on W&B now."""

    url: str
    runs: tuple[RunName, ...]


def create_wandb_report(
    references: Sequence[str], *, layout: Layout, on_event: EventHandler = ignore
) -> WandbReport:
    """Make a report on W&B that compares runs: their headline scores, run sets of exactly these, panels of their metrics.

    Args:
        references: runs, as `services.runs.references` understands them; the newest finished one where none is named.
        layout: whose runs are meant.
        on_event: called with each event.

    Raises:
        MissingPackageError: wandb or its report library is not installed.
        NotFoundError: no such run, here or on W&B.
        AuthenticationError: no key, or one that W&B refuses.
        RemoteError: W&B did not answer, or GOEMO_OFFLINE is set.
    """
    load_report_library(_PURPOSE)
    named = [open_run(reference, layout, on_event) for reference in references or ["@latest"]]
    checkpoints = list({checkpoint.run: checkpoint for checkpoint in named}.values())
    told = [_told(checkpoint, layout) for checkpoint in checkpoints]
    require_network(", ".join(str(checkpoint.run) for checkpoint in checkpoints))
    source = WandbSource(base_url=checkpoints[0].config.logging.wandb.base_url)
    there = []
    for checkpoint, reference in zip(checkpoints, told, strict=True):
        there.append(_found(source, checkpoint, reference, layout))
        on_event(Info(f"{checkpoint.run} is {there[-1]} on W&B"))
    comparison = Comparison(
        title=_title([checkpoint.run for checkpoint in checkpoints]),
        text=headline_table(checkpoints),
        runs=tuple(there),
        labels=tuple(
            label for label in checkpoints[0].labels if all(label in one.labels for one in checkpoints)
        ),
    )
    return WandbReport(save_report(comparison, _PURPOSE), tuple(one.run for one in checkpoints))


def headline_table(checkpoints: Sequence[Checkpoint]) -> str:
    """Test scores of runs with their intervals, as Markdown; a warning below where they are not of the same comments."""
    rows = []
    for checkpoint in checkpoints:
        metrics = checkpoint.metrics_json
        rule, test = metrics["threshold_rule"], metrics["test"]
        rows.append(
            [
                str(checkpoint.run),
                plain(metrics["data"]["name"]),
                rule,
                score(test[rule], "f1_macro"),
                score(test[rule], "f1_micro"),
                score(test, "auc_micro"),
                score(test, "auc_macro"),
            ]
        )
    header = ["run", "data", "thresholds", "macro-F1", "micro-F1", "AUC micro", "AUC macro"]
    text = f"{table(header, rows)}\n\nTest split; 95 % bootstrap intervals; thresholds fitted on val."
    splits = {checkpoint.metrics_json["data"]["split_sha256"]["test"] for checkpoint in checkpoints}
    if len(splits) > 1:
        text += " **These runs were scored on different test comments: their scores do not compare.**"
    return text


def _title(runs: Sequence[RunName]) -> str:
    more = f" and {len(runs) - _NAMED} more" if len(runs) > _NAMED else ""
    return " vs ".join(map(str, runs[:_NAMED])) + more


def _told(checkpoint: Checkpoint, layout: Layout) -> RunReference:
    """Which W&B run it should be, as its own files say."""
    try:
        return reference_of(checkpoint, layout)
    except NotFoundError as error:
        raise _absent(checkpoint, layout) from error


def _found(source: WandbSource, checkpoint: Checkpoint, told: RunReference, layout: Layout) -> RunReference:
    """The same with project and entity, after W&B was asked whether it has it."""
    reference = source.complete(told)
    try:
        return source.run(reference).reference
    except NotFoundError as error:
        raise _absent(checkpoint, layout) from error


def _absent(checkpoint: Checkpoint, layout: Layout) -> NotFoundError:
    return NotFoundError(f"{checkpoint.run} is not on W&B: {sync_command(layout)} {checkpoint.run}")
