"""Columns and rows of tables: runs, scores, epochs, settings, labels."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from goemo_cli.services.data.result_tables import decimal, span

if TYPE_CHECKING:
    from goemo_cli.core.documents.metrics import EpochScores, Metrics, Score
    from goemo_cli.services.runs.index import ListedRun, TrainingProgress
    from goemo_cli.services.runs.show import RunDetails, RunDiff

_SHORT = {"average_precision_macro": "AP", "f1_macro": "F1", "f1_micro": "micro-F1"}
LABEL_COLUMNS = ("label", "F1", "95 % interval", "precision", "recall", "support")
DIFF_COLUMNS = ("score", "val a", "val b", "b - a", "test a", "test b", "b - a")
EPOCH_COLUMNS = ("epoch", "train loss", "val loss", "val macro-F1", "val micro-F1", "val AUC", "seconds")


def run_facts(
    one: "ListedRun", pinned: frozenset[str], progress: "TrainingProgress | None" = None
) -> dict[str, Any]:
    """A run of a list, for --json; `progress` is that of a training that is not finished."""
    return {
        "run": str(one.run),
        "path": one.path,
        "model": one.run.model,
        "family": one.family,
        "state": one.state,
        **({"saved_step": one.saved_step} if one.state == "interrupted" else {}),
        "pinned": str(one.run) in pinned,
        **({"progress": asdict(progress)} if progress else {}),
        **one.headline.as_json(),
    }


def detail_facts(details: "RunDetails") -> dict[str, Any]:
    """Facts of a run that are shown next to its tables."""
    checkpoint = details.checkpoint
    if checkpoint.is_unscored:
        return {
            "path": checkpoint.path,
            "model": checkpoint.run.model,
            "kind": checkpoint.kind,
            "imported_from": checkpoint.manifest.parents.base_model.get("id"),
            "threshold_rule": checkpoint.rules.rule,
            "pinned": details.is_pinned,
        }
    metrics = checkpoint.metrics
    return {
        "path": checkpoint.path,
        "model": metrics.model,
        "kind": checkpoint.kind,
        "data": metrics.data.name,
        "comments": metrics.data.sizes.as_json(),
        "seed": metrics.seed,
        "best_epoch": metrics.best_epoch,
        "threshold_rule": metrics.threshold_rule,
        "training_seconds": metrics.training_seconds,
        "pinned": details.is_pinned,
    }


def list_columns(metric: str) -> list[str]:
    """The columns of a list of runs; `metric` is the score of val that is shown."""
    split, _, key = metric.partition("/")
    return ["run", "data", "seed", f"{split} {_SHORT.get(key, key)}", "test F1", ""]


def run_row(
    one: "ListedRun", pinned: frozenset[str], metric: str, progress: "TrainingProgress | None" = None
) -> list[object]:
    """The cells of a run, by `list_columns`; `progress` is that of a training that is not finished."""
    marks: list[str] = [] if one.is_finished else [_state_text(one.state, progress)]
    marks += ["pinned"] if str(one.run) in pinned else []
    facts = (one.headline.data, one.headline.seed)
    return [one.run, *facts, one.score(metric), one.score("test/f1_macro"), ", ".join(marks)]


def _state_text(state: str, progress: "TrainingProgress | None") -> str:
    """`running, epoch 2/4`, or `interrupted, epoch 2/4`."""
    if state not in ("running", "interrupted") or progress is None:
        return state
    return f"{state}, epoch {min(progress.finished_epochs + 1, progress.epochs)}/{progress.epochs}"


def score_table(metrics: "Metrics", split: str) -> tuple[list[str], list[list[object]]]:
    """Columns, and a row for each threshold rule; the run's own has a star."""
    scored = metrics.split(split)
    subset = "accuracy" if scored.argmax else "subset acc."
    rows: list[list[object]] = []
    for rule in scored.rules:
        scores, star = scored.rule(rule), " *" if rule == metrics.threshold_rule else ""
        intervals = (scores.score(key) for key in ("f1_macro", "f1_micro"))
        cells = [cell for score in intervals for cell in (score.value, interval_of(score))]
        rows.append([rule + star, *cells, scores.subset_accuracy])
    return ["rule", "macro-F1", "95 % interval", "micro-F1", "95 % interval", subset], rows


def epoch_row(epoch: "EpochScores") -> list[object]:
    """The cells of an epoch, by `EPOCH_COLUMNS`."""
    keys = ("epoch", "train_loss", "val_loss", "val_f1_macro", "val_f1_micro", "val_auc_micro")
    return [*(getattr(epoch, key) for key in keys), round(epoch.epoch_seconds)]


def exact(value: Any) -> Any:
    """A setting for a table: numbers are not rounded, since 2e-05 and 2.4e-05 are different settings."""
    if isinstance(value, (list, tuple)):
        return [exact(entry) for entry in value]
    return str(value) if isinstance(value, (int, float)) else value


def diff_rows(found: "RunDiff") -> list[list[object]]:
    """One row per score that one of the two runs has, by `DIFF_COLUMNS`."""
    rows = []
    for key in dict.fromkeys(name.partition("/")[2] for name in found.scores):
        row: list[object] = [key]
        for split in ("val", "test"):
            a, b = found.scores.get(f"{split}/{key}", (None, None))
            delta = delta_of(a, b)
            row += [_short(a), _short(b), _short(delta, sign="+")]
        rows.append(row)
    return rows


def delta_of(a: float | None, b: float | None) -> float | None:
    """How much the second is above the first; None where one is undefined."""
    return None if a is None or b is None else b - a


def _short(score: float | None, sign: str = "") -> str | None:
    """Three decimals, so that seven columns fit a terminal of 80."""
    return None if score is None else decimal(score, 3, sign=sign)


def interval_of(score: "Score") -> str | None:
    """The 95 % interval of a score; None if it has none."""
    return None if score.low is None or score.high is None else span(score.low, score.high)


def label_row(row: Mapping[str, Any]) -> list[object]:
    """The cells of a label, by `LABEL_COLUMNS`."""
    interval = span(row["f1_ci_low"], row["f1_ci_high"])
    return [row["emotion"], row["f1_score"], interval, row["precision"], row["recall"], row["support"]]


def one_line(text: str, longest: int) -> str:
    """A text as one line of at most `longest` characters; a longer one ends in an ellipsis."""
    line = " ".join(text[: 2 * longest].split())
    return line if len(line) <= longest and len(text) <= 2 * longest else line[:longest] + "…"


def markdown_section(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table with its title as Markdown."""
    from goemo_cli.services.report.text import plain, table

    return f"**{plain(title)}**\n\n" + table(columns, [[plain(_cell(cell)) for cell in row] for row in rows])


def _cell(value: object) -> str:
    return "–" if value is None else decimal(value) if isinstance(value, float) else str(value)
