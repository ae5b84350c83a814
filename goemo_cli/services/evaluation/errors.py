"""`goemo errors`: where a run goes wrong, from its predictions file alone. No model, nothing fitted."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from goemo_cli.core.arrays import BoolArray, DoubleArray
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import (
    CorruptArtifactError,
    SettingError,
    did_you_mean,
)
from goemo_cli.core.events import EventHandler, FileWritten, Warning, ignore
from goemo_cli.core.files import sha256_file
from goemo_cli.core.labels import Split
from goemo_cli.core.layout import Layout, parse_predictions_name
from goemo_cli.core.names import RunName
from goemo_cli.core.predictions import Predictions
from goemo_cli.core.schema import SCHEMA_VERSION
from goemo_cli.ml.metrics.confusions import (
    RowOutcomes,
    confident_disagreements,
    confused_pairs,
    row_losses,
    row_outcomes,
)
from goemo_cli.services.evaluation.error_tables import (
    Confusion,
    LabelBalance,
    confusions,
    label_balances,
    write_summary,
    write_tables,
)
from goemo_cli.services.runs.run_predictions import find_predictions, read_rows, readable_run_behind


@dataclass(frozen=True)
class CommentView:
    """One row of the predictions file, as far as its mistakes go."""

    row: int
    """Counted from 1, without the header."""
    id: str | None
    text: str
    gold: Mapping[str, float]
    """Probability of each gold label."""
    predicted: Mapping[str, float]
    """Probability of each predicted label."""
    loss: float
    """Binary cross-entropy summed over the labels, in nats."""


@dataclass(frozen=True)
class Mistakes:
    """The worst rows of an emotion."""

    emotion: str
    n_missed: int
    n_false_alarms: int
    missed: tuple[CommentView, ...]
    """Gold and not predicted, lowest probability first."""
    false_alarms: tuple[CommentView, ...]
    """Predicted and not gold, highest probability first."""


@dataclass(frozen=True)
class DoubtfulComment:
    """A row whose gold labels may be wrong."""

    doubted: tuple[str, ...]
    """Gold labels at most as probable here as on average in the rows without them."""
    comment: CommentView


@dataclass(frozen=True)
class ErrorAnalysis:
    """Everything `goemo errors` says; lists are cut to what was asked for, the files are not."""

    source: Path
    sha256: str
    run: str | None
    split: str | None
    rule: str | None
    """The threshold rule that explains every `pred_labels`; None where none does."""
    outcomes: RowOutcomes
    balance: tuple[LabelBalance, ...]
    confusions: tuple[Confusion, ...]
    """The significant ones, highest lift first."""
    n_confusions: int
    """The total number of significant ones."""
    wrong_rows: int
    """Rows with both a missed and a false label."""
    mistakes: tuple[Mistakes, ...]
    doubtful: tuple[DoubtfulComment, ...]
    """Highest loss first."""
    n_doubtful: int
    written: tuple[Path, ...]

    @property
    def out_of_balance(self) -> tuple[LabelBalance, ...]:
        """Labels predicted too often or too rarely, the farthest from 1 first, beyond chance."""
        off = [one for one in self.balance if one.is_off]
        return tuple(sorted(off, key=lambda one: -_times_off(one)))

    @property
    def most_mistaken(self) -> str:
        """The emotion with the most missed and falsely predicted rows together."""
        return max(self.mistakes, key=lambda one: one.n_missed + one.n_false_alarms).emotion

    def worst_missed(self, top: int) -> list[CommentView]:
        """The comments whose gold labels were missed with the lowest probability, each once, over all emotions."""
        rows = [(comment.gold[one.emotion], comment) for one in self.mistakes for comment in one.missed]
        return _first(sorted(rows, key=lambda row: row[0]), top)

    def worst_false_alarms(self, top: int) -> list[CommentView]:
        """The comments with the highest probability of a label that is not gold, each once, over all emotions."""
        rows = [
            (comment.predicted[one.emotion], comment) for one in self.mistakes for comment in one.false_alarms
        ]
        return _first(sorted(rows, key=lambda row: -row[0]), top)

    def document(self) -> dict[str, Any]:
        """The whole as one JSON object, texts included."""
        paths = {"source": str(self.source), "written": [str(path) for path in self.written]}
        return {"schema_version": SCHEMA_VERSION, **asdict(self), **paths}


@dataclass(frozen=True)
class _Source:
    path: Path
    run: RunName | None
    split: str | None
    checkpoint: Checkpoint | None

    @property
    def stem(self) -> str:
        """What derived files are named after: the run, and the split unless it is test."""
        if self.run is None:
            return self.path.stem
        return self.run.file_stem if self.split == "test" else f"{self.split}_{self.run.file_stem}"


def analyse_errors(
    reference: str,
    *,
    layout: Layout,
    split: Split | None = None,
    emotions: Sequence[str] = (),
    top: int = 5,
    on_event: EventHandler = ignore,
) -> ErrorAnalysis:
    """Say what a run gets wrong, and write its co-occurrence tables.

    Args:
        reference: a run as `open_run` understands it, or a predictions CSV.
        split: of a run, test by default; a predictions CSV has its own.
        emotions: labels to look at; all by default. The tables that are written always hold all.
        top: rows and pairs per list.

    Raises:
        NotFoundError: no such run or file.
        DataFileError: no predictions file, or no rows.
        SettingError: an unknown emotion, or a split for a file.
    """
    source = _find(reference, layout, split, on_event)
    predictions = read_rows(source.path)
    chosen = _chosen(emotions, predictions.labels)
    confused = confused_pairs(predictions.y_true, predictions.y_pred)
    pairs, balances = confusions(predictions, confused), label_balances(predictions)
    outcomes = row_outcomes(predictions.y_true, predictions.y_pred)
    digest, rule = sha256_file(source.path), _rule(source, predictions, on_event)
    run = str(source.run) if source.run else None
    tables = write_tables(layout, source.stem, predictions, pairs)
    summary = layout.cooccurrence_summary(source.stem)
    facts = {"run": run, "split": source.split, "rule": rule, "sources": {layout.shown(source.path): digest}}
    write_summary(
        summary,
        facts=facts,
        outcomes=outcomes,
        wrong_rows=confused.wrong_rows,
        balances=balances,
        tables=tables,
    )
    for path in (*tables, summary):
        on_event(FileWritten(path))
    standing_out = _standing_out(pairs, chosen)
    losses = row_losses(predictions.y_true, predictions.y_prob)
    doubtful = _doubtful(predictions, losses, chosen)
    return ErrorAnalysis(
        source=source.path,
        sha256=digest,
        run=run,
        split=source.split,
        rule=rule,
        outcomes=outcomes,
        balance=tuple(one for one in balances if one.emotion in chosen),
        confusions=tuple(standing_out[:top]),
        n_confusions=len(standing_out),
        wrong_rows=confused.wrong_rows,
        mistakes=tuple(_mistakes(predictions, losses, label, top) for label in chosen),
        doubtful=tuple(
            DoubtfulComment(names, _view(predictions, losses, row)) for row, names in doubtful[:top]
        ),
        n_doubtful=len(doubtful),
        written=(*tables, summary),
    )


def _standing_out(pairs: Sequence[Confusion], chosen: tuple[str, ...]) -> list[Confusion]:
    """Pairs beyond chance with one of the chosen labels, highest lift first."""
    found = [one for one in pairs if one.stands_out and {one.gold, one.predicted} & set(chosen)]
    return sorted(found, key=lambda one: -(one.lift or 0))


def _find(reference: str, layout: Layout, split: Split | None, on_event: EventHandler) -> _Source:
    wanted = split or "test"
    path, checkpoint = find_predictions(reference, wanted, layout, on_event)
    if checkpoint:
        return _Source(path, checkpoint.run, wanted, checkpoint)
    if split:
        raise SettingError([f"--split {split} is for a run; {path.name} is one split already"])
    split_name, run = parse_predictions_name(path) or (None, None)
    return _Source(path, run, split_name, readable_run_behind(path, layout))


def _chosen(emotions: Sequence[str], labels: tuple[str, ...]) -> tuple[str, ...]:
    """The labels to look at, each once, in label order."""
    known = {label.lower(): label for label in labels} | {label: label for label in labels}
    typed = {emotion: known.get(emotion, known.get(emotion.strip().lower())) for emotion in emotions}
    if unknown := [emotion for emotion, label in typed.items() if label is None]:
        raise SettingError(
            [
                f"unknown emotion {emotion!r}"
                + (did_you_mean(emotion.strip().lower(), labels) or f"; known: {', '.join(labels)}")
                for emotion in unknown
            ]
        )
    return tuple(label for label in labels if label in typed.values()) if emotions else labels


def _rule(source: _Source, predictions: Predictions, on_event: EventHandler) -> str | None:
    """The rule of the run that `pred_labels` follow to the last cell: its own, or another one."""
    if source.checkpoint is None:
        return None
    try:
        rules = source.checkpoint.rules
    except CorruptArtifactError as error:
        on_event(Warning(str(error)))
        return None
    if rules.labels == predictions.labels:
        for rule in (rules.rule, *rules.names):
            if (rules.decide(predictions.y_prob, rule) == predictions.y_pred).all():
                return rule
    on_event(
        Warning(
            f"{source.path.name}: pred_labels follow no threshold rule of {source.run}; taken as they are"
        )
    )
    return None


def _mistakes(predictions: Predictions, losses: DoubleArray, label: str, top: int) -> Mistakes:
    at = predictions.labels.index(label)
    gold, predicted, y_prob = predictions.y_true[:, at], predictions.y_pred[:, at], predictions.y_prob[:, at]
    missed, alarms = np.flatnonzero(gold & ~predicted), np.flatnonzero(~gold & predicted)
    lowest = missed[np.argsort(y_prob[missed], kind="stable")][:top]
    highest = alarms[np.argsort(-y_prob[alarms], kind="stable")][:top]
    return Mistakes(
        label,
        len(missed),
        len(alarms),
        tuple(_view(predictions, losses, row) for row in lowest),
        tuple(_view(predictions, losses, row) for row in highest),
    )


def _doubtful(
    predictions: Predictions, losses: DoubleArray, chosen: tuple[str, ...]
) -> list[tuple[int, tuple[str, ...]]]:
    """Rows with doubtful gold labels among the chosen, highest loss first, and those labels."""
    doubted = confident_disagreements(predictions.y_true, predictions.y_prob).missed
    doubted &= np.isin(predictions.labels, chosen)
    rows = np.flatnonzero(doubted.any(axis=1))
    ordered = rows[np.argsort(-losses[rows], kind="stable")]
    return [
        (int(row), tuple(predictions.labels[at] for at in np.flatnonzero(doubted[row]))) for row in ordered
    ]


def _view(predictions: Predictions, losses: DoubleArray, row: int) -> CommentView:
    def probabilities(chosen: BoolArray) -> dict[str, float]:
        return {
            predictions.labels[at]: float(str(predictions.y_prob[row, at])) for at in np.flatnonzero(chosen)
        }

    return CommentView(
        row=int(row) + 1,
        id=predictions.ids[row] if predictions.ids is not None else None,
        text=predictions.texts[row],
        gold=probabilities(predictions.y_true[row]),
        predicted=probabilities(predictions.y_pred[row]),
        loss=float(losses[row]),
    )


def _times_off(one: LabelBalance) -> float:
    if not one.gold or not one.predicted:
        return float(max(one.gold, one.predicted))
    return max(one.predicted / one.gold, one.gold / one.predicted)


def _first(rows: Sequence[tuple[float, CommentView]], top: int) -> list[CommentView]:
    return list({comment.row: comment for _, comment in rows}.values())[:top]
