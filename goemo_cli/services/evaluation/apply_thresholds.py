"""`goemo export-predictions --predictions FILE`: other thresholds for probabilities that are already there."""

from dataclasses import dataclass, replace
from pathlib import Path

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import DataFileError, NotFoundError, SettingError
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import Predictions, read_predictions, write_predictions
from goemo_cli.core.thresholds import Decision
from goemo_cli.services.runs.run_predictions import run_behind


@dataclass(frozen=True)
class LabelledFile:
    """What was written."""

    path: Path
    rows: int
    rule: str


def apply_thresholds(
    path: Path,
    *,
    layout: Layout,
    output: Path,
    threshold: float | None = None,
    rule: str | None = None,
) -> LabelledFile:
    """Write a predictions file again with labels by other thresholds; no model is needed.

    Args:
        path: the file, which stays as it is.
        layout: where the run in its name is looked for, whose rules `rule` means.
        output: folder to write to, under the same name.
        threshold: one threshold for all labels.
        rule: a threshold rule of its run; the run's own if neither is given.

    Raises:
        NotFoundError: no such file, or no such run.
        DataFileError: not a predictions file.
        SettingError: `output` is the file's folder.
    """
    if not path.is_file():
        raise NotFoundError(f"{path}: no such file")
    target = output / path.name
    if target.resolve() == path.resolve():
        raise SettingError([f"--output {output}: the file would replace itself; name another folder"])
    predictions = read_predictions(path)
    if threshold is not None:
        decision = Decision.fixed(threshold, len(predictions.labels))
    else:
        decision = _run_behind(path, predictions, layout).rules.decision(rule)
    write_predictions(target, replace(predictions, y_pred=decision(predictions.y_prob)))
    return LabelledFile(target, len(predictions), decision.rule)


def _run_behind(path: Path, predictions: Predictions, layout: Layout) -> Checkpoint:
    """The run that a predictions file is named after."""
    checkpoint = run_behind(path, layout)
    if checkpoint is None:
        raise NotFoundError(f"{path}: no run below {layout.root} is in its name; give --threshold")
    if checkpoint.labels != predictions.labels:
        raise DataFileError(path, f"has other labels than {checkpoint.run}")
    return checkpoint
