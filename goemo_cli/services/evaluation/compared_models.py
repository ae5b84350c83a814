"""Models to compare: runs or files found, their predictions read, and the same rows required of all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import DataFileError, SettingError
from goemo_cli.core.events import EventHandler, Warning, ignore
from goemo_cli.core.files import sha256_file
from goemo_cli.core.labels import SPLITS, Split
from goemo_cli.core.layout import EVALUATED, Layout, parse_predictions_name
from goemo_cli.core.predictions import Predictions
from goemo_cli.services.runs.run_predictions import find_predictions, read_rows, readable_run_behind

_SHOWN_TEXT = 60


@dataclass(frozen=True)
class ComparedModel:
    """A model under comparison."""

    name: str
    """Its run; the file's path where that names none."""
    path: Path
    shown_path: str
    """Relative to the root if it is below it, with forward slashes."""
    split: str | None
    sha256: str
    predictions: Predictions
    checkpoint: Checkpoint | None
    """Its run, if there is one below the root."""


def open_sources(
    references: Sequence[str], *, split: Split | None, layout: Layout, on_event: EventHandler = ignore
) -> list[ComparedModel]:
    """Every model with its predictions; all are looked up before anything is read.

    Args:
        references: two or more; a predictions CSV, or anything `open_run` takes, whose written predictions are read.
        split: which predictions of the runs; None is test. Files have theirs.

    Raises:
        SettingError: fewer than two references, or a split where only files are named.
        NotFoundError: no such file or run, or a run without predictions of the split.
        DataFileError: no predictions file, no gold labels, or other rows or labels than the first.
    """
    if len(references) < 2:
        raise SettingError(["compare needs two or more runs or predictions files"])
    found = [find_predictions(reference, split or "test", layout, on_event) for reference in references]
    if split and not any(checkpoint for _, checkpoint in found):
        raise SettingError(["--split picks the predictions of runs; only files are compared here"])
    sources = _told_apart([_read(path, checkpoint, layout, on_event) for path, checkpoint in found])
    first = sources[0]
    for other in sources[1:]:
        _require_same_labels(first, other)
        _require_same_rows(first, other)
    if not first.predictions.y_true.any():
        raise DataFileError(first.path, "has no gold labels: there is nothing to compare by")
    return sources


def _read(path: Path, checkpoint: Checkpoint | None, layout: Layout, on_event: EventHandler) -> ComparedModel:
    predictions = read_rows(path)
    if checkpoint:
        _warn_of_other_rule(path, checkpoint, predictions, on_event)
    named = parse_predictions_name(path)
    shown = layout.shown(path)
    return ComparedModel(
        name=str(named[1]) if named and _is_final(named[0]) else shown,
        path=path,
        shown_path=shown,
        split=named[0] if named else None,
        sha256=sha256_file(path),
        predictions=predictions,
        checkpoint=checkpoint or readable_run_behind(path, layout),
    )


def _is_final(split: str) -> bool:
    """Whether a run has only one file of the split, unlike epochs."""
    return split in SPLITS or split.startswith(EVALUATED)


def _told_apart(sources: list[ComparedModel]) -> list[ComparedModel]:
    """Different files of one run are named by their paths."""
    files = {
        name: {one.shown_path for one in sources if one.name == name}
        for name in {one.name for one in sources}
    }
    return [replace(one, name=one.shown_path) if len(files[one.name]) > 1 else one for one in sources]


def _warn_of_other_rule(
    path: Path, checkpoint: Checkpoint, predictions: Predictions, on_event: EventHandler
) -> None:
    own = checkpoint.labels == predictions.labels and np.array_equal(
        checkpoint.rules.decide(predictions.y_prob), predictions.y_pred
    )
    if not own:
        on_event(
            Warning(
                f"{path.name}: pred_labels do not follow the rule of {checkpoint.run}; they are compared as they are"
            )
        )


def _require_same_labels(first: ComparedModel, other: ComparedModel) -> None:
    ours, theirs = first.predictions.labels, other.predictions.labels
    if ours == theirs:
        return
    lacking, added = [x for x in ours if x not in theirs], [x for x in theirs if x not in ours]
    reason = (
        f"{lacking[0]!r} is missing"
        if lacking
        else f"it adds {added[0]!r}"
        if added
        else "their order is another"
    )
    raise DataFileError(other.path, f"has other labels than {first.path}: {reason}")


def _require_same_rows(first: ComparedModel, other: ComparedModel) -> None:
    """Texts, gold labels and order.

    Raises:
        DataFileError: with the first row that differs, counted from 1.
    """
    ours, theirs = first.predictions, other.predictions
    common = min(len(ours), len(theirs))
    texts = np.array(
        [left != right for left, right in zip(ours.texts[:common], theirs.texts[:common], strict=True)],
        dtype=np.bool_,
    )
    gold = (ours.y_true[:common] != theirs.y_true[:common]).any(axis=1)
    if (texts | gold).any():
        row = int((texts | gold).argmax())
        what = (
            f"another text, {_short(theirs.texts[row])} for {_short(ours.texts[row])}"
            if texts[row]
            else f"other gold labels, {_names(theirs, row)} for {_names(ours, row)}"
        )
    elif len(ours) != len(theirs):
        row, what = common, f"{len(theirs)} rows in all for {len(ours)}"
    else:
        return
    order = "; it holds the same rows in another order" if _sorted_rows(ours) == _sorted_rows(theirs) else ""
    raise DataFileError(
        other.path, f"row {row + 1} differs from {first.path}: {what}{order}; only the same rows compare"
    )


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_TEXT else text[: _SHOWN_TEXT - 1] + "…")


def _names(predictions: Predictions, row: int) -> str:
    return repr(",".join(np.asarray(predictions.labels, dtype=object)[predictions.y_true[row]]))


def _sorted_rows(predictions: Predictions) -> list[tuple[str, bytes]]:
    return sorted(zip(predictions.texts, map(bytes, predictions.y_true), strict=True))
