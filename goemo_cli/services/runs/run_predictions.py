"""Written predictions: found by a run or a path, the command that writes them, and a check that they are the run's own."""

from pathlib import Path

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import (
    CorruptArtifactError,
    DataFileError,
    NoScoresError,
    NotFoundError,
    SettingError,
)
from goemo_cli.core.events import EventHandler
from goemo_cli.core.hints import command_line
from goemo_cli.core.labels import SPLITS, Split, applicable
from goemo_cli.core.layout import Layout, parse_predictions_name
from goemo_cli.core.predictions import Predictions, read_predictions
from goemo_cli.services.runs.references import open_run


def export_command(checkpoint: Checkpoint, split: Split, layout: Layout) -> str:
    """What to type for the predictions of a split."""
    command = "goemo export-predictions --checkpoint"
    return command_line(command, checkpoint.path, "--split", split, root=layout.root)


def require_predictions(checkpoint: Checkpoint, split: Split, layout: Layout) -> Path:
    """The file of a run's predictions of a split.

    Raises:
        NotFoundError: there are none; the sentence says how to make them.
        NoScoresError: the run was imported without data, and no known data has its labels.
        SettingError: an unknown split.
    """
    if split not in SPLITS:
        raise SettingError([f"there are predictions of train, val and test, not of {split!r}"])
    path = layout.split_predictions(checkpoint.run, split)
    if not path.is_file():
        if checkpoint.is_unscored and not applicable(checkpoint.labels):
            raise NoScoresError(str(checkpoint.run))
        raise NotFoundError(
            f"{checkpoint.run} has no {split} predictions: {path} is missing; make it with: "
            f"{export_command(checkpoint, split, layout)}"
        )
    return path


def find_predictions(
    reference: str, split: Split, layout: Layout, on_event: EventHandler
) -> tuple[Path, Checkpoint | None]:
    """The predictions that a reference means: a CSV file; or those of a run, which is returned too.

    Args:
        reference: a file, or a run as `open_run` understands it.
        split: of a run; a file has its own.

    Raises:
        NotFoundError: no such file or run, or a run without predictions of the split.
    """
    path = Path(reference).expanduser()
    if path.is_file():
        return path, None
    if path.suffix.lower() == ".csv":
        raise NotFoundError(f"{path}: no such file")
    checkpoint = open_run(reference, layout, on_event)
    return require_predictions(checkpoint, split, layout), checkpoint


def read_rows(path: Path) -> Predictions:
    """A predictions file that has rows.

    Raises:
        NotFoundError: no such file.
        DataFileError: not a predictions file, or no rows.
    """
    if not path.is_file():
        raise NotFoundError(f"{path}: no such file")
    predictions = read_predictions(path)
    if not len(predictions):
        raise DataFileError(path, "holds no rows")
    return predictions


def run_behind(path: Path, layout: Layout) -> Checkpoint | None:
    """The run that a predictions file is named after; None if it is not named after a run below the root.

    Raises:
        CheckpointNotFoundError, CorruptArtifactError: the run is unfinished or damaged.
    """
    named = parse_predictions_name(path)
    folder = layout.find_checkpoint(named[1]) if named else None
    return Checkpoint.open(folder) if folder else None


def readable_run_behind(path: Path, layout: Layout) -> Checkpoint | None:
    """As `run_behind`, for work that needs only the file: None if the run cannot be opened."""
    try:
        return run_behind(path, layout)
    except (NotFoundError, CorruptArtifactError, OSError):
        return None


def read_recorded(checkpoint: Checkpoint, split: Split, layout: Layout) -> Predictions:
    """A run's predictions of a split, over its labels and with the very rows that it recorded.

    Raises:
        NotFoundError: there are none.
        DataFileError: no predictions file, or labels, texts, gold labels or an order that are not the run's.
    """
    path = require_predictions(checkpoint, split, layout)
    predictions = read_predictions(path)
    if predictions.labels != checkpoint.labels:
        raise DataFileError(path, f"its columns are not the labels of {checkpoint.run} in their order")
    if predictions.sha256() != checkpoint.metrics.data.split_sha256.of(split):
        raise DataFileError(
            path,
            f"its rows are not the {split} split: texts, gold labels or their order are not those of the {split} "
            f"split that {checkpoint.run} recorded",
        )
    return predictions
