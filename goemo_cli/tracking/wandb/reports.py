"""A comparison of runs as a report on W&B, made by W&B's own report library: run sets, panels, a table of text."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from goemo_cli.core.errors import MissingPackageError
from goemo_cli.tracking.wandb.client import RunReference
from goemo_cli.tracking.wandb.sdk import asked, require_wandb

PER_EPOCH = ("val/f1_macro", "val/f1_micro", "val/auc", "train/loss", "val/loss", "train/learning_rate")
ON_TEST = (
    "test/f1_macro", "test/f1_micro", "test/auc_macro", "test/auc_micro", "test/precision_macro", "test/recall_macro",
)  # fmt: skip
_LONGEST_TITLE = 128
_WIDTH = 24
"""W&B's columns of a row of panels."""


@dataclass(frozen=True)
class Comparison:
    """What a report says, and of which runs."""

    title: str
    text: str
    """Markdown above the panels."""
    runs: tuple[RunReference, ...]
    """With project and entity. The report is stored in the project of the first."""
    labels: tuple[str, ...]
    """Whose F1 on test is drawn."""


def load_report_library(purpose: str) -> Any:
    """W&B's report library.

    Raises:
        MissingPackageError: it or wandb is not installed.
        NotFoundError: wandb is too old.
    """
    require_wandb(purpose)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # it speaks the pydantic of version 1
            import wandb_workspaces.reports.v2 as library
    except ImportError as error:
        raise MissingPackageError("wandb-workspaces", "wandb-report", purpose) from error
    except Exception as error:  # another version of a package that it needs raises anything
        reason = f"wandb-workspaces, whose import failed with {type(error).__name__}"
        raise MissingPackageError(reason, "wandb-report", purpose) from error
    return library


def save_report(comparison: Comparison, purpose: str) -> str:
    """Make the report on W&B; its URL. Ask for a `WandbClient` first: it says what is wrong with the key or the network.

    Raises:
        MissingPackageError, NotFoundError: as `load_report_library`.
        AuthenticationError, RemoteError: W&B refused or did not answer.
    """
    library = load_report_library(purpose)
    first = comparison.runs[0]
    report = library.Report(
        entity=first.entity,
        project=first.project,
        title=comparison.title[:_LONGEST_TITLE],
        description="Made by goemo report --wandb",
        width="fluid",
        blocks=[
            library.MarkdownBlock(comparison.text),
            library.PanelGrid(
                runsets=_run_sets(library, comparison.runs), panels=_panels(library, comparison.labels)
            ),
        ],
    )
    asked(report.save, f"the report in {first.entity}/{first.project}")
    return str(report.url)


def _run_sets(library: Any, runs: Sequence[RunReference]) -> list[Any]:
    """A run set of exactly these runs for each project, since a run set is of one."""
    from wandb_workspaces import expr

    projects = dict.fromkeys((run.entity, run.project) for run in runs)
    return [
        library.Runset(
            entity=entity,
            project=project,
            name=f"{entity}/{project}",
            filters=[
                expr.Metric("ID").isin(
                    [run.run_id for run in runs if (run.entity, run.project) == (entity, project)]
                )
            ],
            pinned_columns=[f"summary:{metric}" for metric in ON_TEST],
        )
        for entity, project in projects
    ]


def _panels(library: Any, labels: Iterable[str]) -> list[Any]:
    """What happened epoch by epoch, the scores of test, each label's F1, and which settings differ."""
    curves = [
        library.LinePlot(title=metric, x=library.Metric("epoch"), y=[metric], title_x="epoch")
        for metric in PER_EPOCH
    ]
    bars = [library.BarPlot(title=metric, metrics=[metric]) for metric in ON_TEST]
    panels = [*curves, *bars]
    per_row = 3
    for at, panel in enumerate(panels):
        width = _WIDTH // per_row
        panel.layout = library.Layout(x=at % per_row * width, y=at // per_row * 6, w=width, h=6)
    below = -(-len(panels) // per_row) * 6
    each = library.BarPlot(
        title="test/f1 of each label",
        metrics=[f"test/f1_{label}" for label in labels],
        layout=library.Layout(x=0, y=below, w=_WIDTH, h=16),
    )
    differing = library.RunComparer(
        diff_only="split", layout=library.Layout(x=0, y=below + 16, w=_WIDTH, h=12)
    )
    return [*panels, each, differing]
