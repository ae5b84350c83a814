"""Figures 07, 08, 22 and 23: how well each label is predicted on test."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray
from goemo_cli.core.errors import DataError
from goemo_cli.core.labels import PAPER_F1, PAPER_F1_MACRO, PAPER_F1_ROUNDING, Terms
from goemo_cli.ml.data.goemotions import is_published_test
from goemo_cli.ml.metrics.intervals import beyond
from goemo_cli.ml.metrics.ranking import ranking_scores
from goemo_cli.services.figures.registry import Drawn, figure
from goemo_cli.services.figures.several_runs import (
    DIFFERENCES,
    RUN_STYLES,
    by_run,
    highest,
    legend_height,
    name_runs,
    offsets,
    subtitle_of,
)
from goemo_cli.services.figures.style import (
    BLUE,
    FAINT,
    INK,
    MUTED,
    PAPER,
    VERMILLION,
    LabelRows,
    caption,
    counted,
    limit_note,
    limited,
    mark_intervals,
    named,
    new_figure,
    round_limit,
    shown,
    signed,
    span,
)
from goemo_cli.services.runs.run_data import RunData


@figure("07", "per_emotion_f1_scores", needs="the per-class metrics CSV")
def draw_per_emotion_f1_scores(source: RunData) -> Drawn:
    """Figure 07: F1 of every label on test, with intervals and support.

    All labels by falling F1, also those at zero; whiskers are 95 % intervals.
    """
    everything = sorted(source.per_class(), key=lambda row: -row["f1_score"])
    support = np.array([row["support"] for row in everything])
    rows = [everything[at] for at in limited(np.arange(len(everything)), support)]
    f1 = np.array([row["f1_score"] for row in rows])
    places = np.arange(len(rows))
    sizes = LabelRows.of(len(rows))
    figure = new_figure(
        _f1_title(everything), source.subtitle(*_facts(source, rows[0])), height=sizes.height + 1.25
    )
    axes = figure.subplots()
    axes.barh(places, f1, height=0.66, color=BLUE, label="F1")
    low, high = (
        np.array([np.nan if row[key] is None else row[key] for row in rows])
        for key in ("f1_ci_low", "f1_ci_high")
    )
    axes.hlines(places, low, high, color=INK, linewidth=1.3)
    for ends in (low, high):
        axes.plot(ends, places, linestyle="", marker="|", color=INK, markersize=min(6.0, sizes.font * 0.55))
    zero = f1 == 0
    if zero.any():
        axes.plot(
            f1[zero], places[zero], linestyle="", marker="D", markersize=5, color=VERMILLION, clip_on=False,
            zorder=4,
        )  # fmt: skip
    macro = float(np.mean([row["f1_score"] for row in everything]))
    axes.axvline(macro, color=INK, linewidth=1.4, linestyle="--")
    sizes.label(axes, [row["emotion"] for row in rows])
    axes.set_xlim(0, round_limit(float(np.nanmax([f1, high]))))
    sizes.column(axes, "F1", [f"{value:.2f}" for value in f1], at=42, color=BLUE)
    sizes.column(axes, "support", [f"{row['support']:,}" for row in rows], at=104, color=MUTED)
    axes.set_xlabel("F1 on test")
    note = limit_note(len(everything), f"test {source.terms.texts}")
    caption(figure, _f1_legend(macro, low, zero, source.terms) + note)
    columns = ("emotion", "f1_score", "f1_ci_low", "f1_ci_high", "support")
    return Drawn(figure, {column: [row[column] for row in rows] for column in columns})


def _f1_title(rows: Sequence[dict[str, Any]]) -> str:
    best, names = rows[0], [row["emotion"] for row in rows]
    macro = sum(row["f1_score"] for row in rows) / len(rows)
    if best["f1_score"] == 0:
        return f"F1 is 0 for {'all ' if len(rows) > 1 else ''}{counted(len(rows), 'label')}"
    highest = f"{best['f1_score']:.2f} ({shown(best['emotion'])})"
    if zero := [row["emotion"] for row in rows if row["f1_score"] == 0]:
        verb = "has" if len(zero) == 1 else "have"
        return f"{len(zero)} of {len(rows)} labels {verb} F1 = 0{named(zero)}; the highest F1 is {highest}"
    return (
        f"F1 {span([row['f1_score'] for row in rows], names)}; "
        f"macro-F1 over {counted(len(rows), 'label')} is {macro:.3f}"
    )


def _facts(source: RunData, row: dict[str, Any]) -> list[str]:
    n_texts = sum(row[key] or 0 for key in ("tp", "fp", "fn", "tn"))
    return [f"test, {n_texts:,} {source.terms.texts}", f"threshold rule {source.rules.rule}"]


def _f1_legend(macro: float, low: DoubleArray, zero: BoolArray, terms: Terms) -> str:
    text = f"Dashed: macro-F1 {macro:.3f}."
    if np.isfinite(low).any():
        text += f" Whiskers: 95\u00a0% interval over the {terms.texts} of test."
    return f"{text} Diamond: F1 = 0." if zero.any() else text


_VISIBLE = 0.01
"""Differences that are smaller are not worth a title."""
_AUC_COLUMNS = ("f1_score", "f1_ci_low", "f1_ci_high", "roc_auc")


@figure("08", "auc_vs_f1_tradeoff", needs="the per-class metrics CSV and metrics.json", several=True)
def draw_auc_vs_f1_tradeoff(source: RunData) -> Drawn:
    """Figure 08: how well each label is ranked (ROC AUC) and how well it is decided (F1).

    All labels by the F1 of the first run: F1 with its interval on the left, AUC on the right, each run a colour.
    """
    runs = source.comparable()
    values = np.stack([[run.by_label(column) for column in _AUC_COLUMNS] for run in runs])
    order = np.argsort(-values[0, 0], kind="stable")
    title = _auc_title(runs, [source.labels[at] for at in order], values[:, 0, order], values[:, 3, order])
    order = limited(order, source.by_label("support"))
    labels = [source.labels[at] for at in order]
    values = values[..., order]  # (n_runs, columns, n_labels)
    f1, low, high, auc = values.transpose(1, 0, 2)
    places = np.arange(len(labels))
    rows = LabelRows.of(len(labels), n_runs=len(runs))
    figure = new_figure(
        title,
        subtitle_of(runs, source.test_size()),
        height=rows.height + 1.45 + legend_height(runs),
    )
    left, right = figure.subplots(1, 2, sharey=True)
    without = np.full(len(labels), np.nan)
    for at, offset in enumerate(offsets(len(runs))):
        color, marker = RUN_STYLES[at]
        style: dict[str, Any] = {"color": color, "marker": marker, "size": rows.marker(len(runs))}
        name = str(runs[at].checkpoint.run)
        mark_intervals(left, places + offset, f1[at], low[at], high[at], label=name, **style)
        mark_intervals(right, places + offset, auc[at], without, without, **style)
    rows.label(left, labels)
    left.set_xlim(0, round_limit(float(np.nanmax([f1, high]))))
    right.set_xlim(np.floor(10 * np.nanmin([0.5, *auc.ravel()])) / 10, 1)
    right.tick_params(axis="y", labelleft=False, length=0)
    right.tick_params(axis="x", top=len(labels) > 40, labeltop=len(labels) > 40)
    for axes in (left, right):
        axes.hlines(places, *axes.get_xlim(), color=FAINT, linewidth=0.8, zorder=0)
    left.set_xlabel("F1 on test, by the run's thresholds")
    right.set_xlabel("ROC AUC on test, without a threshold (0.5: guessing)")
    if len(runs) == 1:
        rows.column(left, "F1", [f"{value:.2f}" for value in f1[0]], at=40)
        rows.column(right, "AUC", [f"{value:.3f}" if np.isfinite(value) else "–" for value in auc[0]], at=50)
    name_runs(figure, left, runs)
    note = limit_note(len(source.labels), f"test {source.terms.texts}")
    caption(figure, _auc_legend(low, auc, source.terms) + note + (DIFFERENCES if len(runs) > 1 else ""))
    tables = [{"emotion": labels, **dict(zip(_AUC_COLUMNS, run, strict=True))} for run in values]
    return Drawn(figure, by_run(runs, tables))


def _auc_title(runs: Sequence[RunData], labels: Sequence[str], f1: DoubleArray, auc: DoubleArray) -> str:
    if not np.isfinite(auc).any(axis=1).all():
        return f"without positives and negatives in test, {counted(len(labels), 'label')} have no AUC"
    if len(runs) > 1:
        return highest(runs, {"macro-F1": f1.mean(axis=1), "macro-AUC": np.nanmean(auc, axis=1)})
    start = f"AUC of {counted(len(labels), 'label')} {span(auc[0], digits=3)}, F1 {span(f1[0])}"
    gaps = auc[0] - f1[0]
    if np.nanmax(gaps) - np.nanmin(gaps) < _VISIBLE:
        return start
    return f"{start}; furthest apart is {shown(labels[int(np.nanargmax(gaps))])}"


def _auc_legend(low: DoubleArray, auc: DoubleArray, terms: Terms) -> str:
    text = "AUC asks only for the right order of probabilities, F1 also for the right threshold."
    if np.isfinite(low).any():
        text += f" Whiskers: 95\u00a0% interval over the {terms.texts} of test."
    return f"{text} No AUC where test has no positives." if np.isnan(auc).any() else text


_MOST_POINTS = 101
_MOST_COLUMNS, _PANEL = 5, 1.9
"""Panels in a row; inches of one panel."""
_LONGEST = 22


@figure("22", "precision_recall_curves", needs="the predictions of test, and thresholds.json")
def draw_precision_recall_curves(source: RunData) -> Drawn:
    """Figure 22: precision against recall of every label on test, and the point of the run's own labels.

    A panel per label, by falling average precision; dotted is guessing, the dot is what the run decides.
    """
    test, rule = source.predictions("test"), source.rules.rule
    support = test.y_true.sum(axis=0)
    area = ranking_scores(test.y_true, test.y_prob, intervals=False).average_precision
    order = limited(np.lexsort((-support, np.where(np.isfinite(area), -area, np.inf))), support).tolist()
    n_columns = min(_MOST_COLUMNS, len(order))
    n_rows = -(-len(order) // n_columns)
    figure = new_figure(
        _curve_title(source.labels, area),
        source.subtitle(f"test, {len(test):,} {source.terms.texts}", f"threshold rule {rule}"),
        height=max(1, 6 - n_columns) ** 0.5 * n_rows * _PANEL + 1.1,
    )
    panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False).ravel()
    panels[0].set(xlim=(0, 1), ylim=(0, 1.02))  # of all panels
    panels[0].set_xticks((0, 0.5, 1), ("0", "0.5", "1"))
    panels[0].set_yticks((0, 0.5, 1), ("0", "0.5", "1"))
    kinds: set[str] = set()
    table: dict[str, list[Any]] = {
        key: [] for key in ("emotion", "threshold", "recall", "precision", "point")
    }
    for place, at in enumerate(order):
        label, axes = source.labels[at], panels[place]
        words = (
            f"AP {area[at]:.2f}, {counted(int(support[at]), 'positive')}" if support[at] else "no positives"
        )
        axes.set_title(shown(label, _LONGEST), size=10.5, pad=16)
        axes.annotate(
            words, (0, 1), (0, 3), xycoords="axes fraction", textcoords="offset points", size=9, color=MUTED
        )
        axes.axhline(support[at] / len(test), color=MUTED, linewidth=1.2, linestyle=":")
        _finish(axes, is_left=place % n_columns == 0, is_lowest=place + n_columns >= len(order))
        if place < (n_rows - 1) * n_columns:
            axes.xaxis.set_in_layout(False)  # the axis label may reach into a blank panel below
        if not support[at]:
            continue
        y_true, y_prob, y_pred = test.y_true[:, at], test.y_prob[:, at], test.y_pred[:, at]
        cut = cut_of(y_prob, y_pred)
        threshold, recall, precision = curve(y_true, y_prob, also=cut)
        # Before the first positive nothing is known: the curve begins level.
        axes.plot([0, *recall], [precision[0], *precision], color=BLUE, linewidth=1.6, drawstyle="steps-pre")
        found = [None if cut is None else float(cut), *_point(y_true, y_pred)]
        kind = "off" if cut is None and y_pred.any() else "on" if y_pred.any() else "none"
        kinds.add(kind)
        axes.plot(
            found[1], precision[0] if found[2] is None else found[2], marker="D" if kind == "off" else "o",
            markersize=6, color=VERMILLION, markerfacecolor=PAPER if kind == "none" else VERMILLION, zorder=4,
            clip_on=False,
        )  # fmt: skip
        vertices = [[*row, "curve"] for row in zip(threshold, recall, precision, strict=True)]
        for row in [*vertices, [*found, "run"]]:
            for key, cell in zip(table, [label, *row], strict=True):
                table[key].append(cell)
    for axes in panels[len(order) :]:
        axes.set_axis_off()
    note = limit_note(len(source.labels), f"test {source.terms.texts}")
    caption(figure, _caption(rule, kinds, source.terms) + note)
    return Drawn(figure, table)


def curve(
    y_true: BoolArray, y_prob: FloatArray, *, also: float | None = None
) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
    """Falling thresholds, and recall and precision at each: the corners of a curve of steps.

    At the probability of every positive recall rises; from there precision falls until the next one. Both ends of each
    fall are corners; if there are many positives, they are thinned evenly. The area of the steps that end at each
    corner is the average precision.

    Args:
        y_true: gold labels, bool, (n_examples,), with at least one positive.
        y_prob: probabilities, float32, (n_examples,).
        also: a probability that is a corner in any case.
    """
    cuts = np.unique(y_prob)[::-1]
    tp, predicted = (
        len(scores) - np.searchsorted(np.sort(scores), cuts) for scores in (y_prob[y_true], y_prob)
    )
    rises = np.flatnonzero(np.diff(tp, prepend=0))
    falls = np.append(rises[1:] - 1, rises[-1])
    kept = np.unique(np.linspace(0, len(rises) - 1, _MOST_POINTS).round().astype(int))
    extra = np.flatnonzero(cuts == also)  # none if it is None
    corners = np.unique(np.concatenate([rises[kept], falls[kept], extra]).astype(int))
    return cuts[corners].astype(np.float64), tp[corners] / y_true.sum(), tp[corners] / predicted[corners]


def cut_of(y_prob: FloatArray, y_pred: BoolArray) -> Any:
    """The lowest probability of a predicted label, if all at or above it are predicted; else None.

    None: nothing is predicted, or not by a threshold alone (never_empty, top_k).

    Args:
        y_prob: probabilities, float32, (n_examples,).
        y_pred: predicted labels, bool, (n_examples,).
    """
    if not y_pred.any():
        return None
    lowest = y_prob[y_pred].min()
    return lowest if ((y_prob >= lowest) == y_pred).all() else None


def _point(y_true: BoolArray, y_pred: BoolArray) -> tuple[float, float | None]:
    """Recall and precision of the run's own labels; precision is None if nothing is predicted."""
    if not y_pred.any():
        return 0.0, None
    hits = int((y_true & y_pred).sum())
    return hits / int(y_true.sum()), hits / int(y_pred.sum())


def _caption(rule: str, kinds: set[str], terms: Terms) -> str:
    text = (
        f"Dot: the run's own labels, by the rule {rule}. Dotted: guessing, the label's share of the {terms.texts}. AP: average "
        "precision, the area below the steps. The highest comes first."
    )
    if "none" in kinds:
        text += " Hollow: nothing is predicted."
    if "off" in kinds:
        text += " Diamond: not decided by a threshold alone (never_empty, top_k), so not on the curve."
    return text


def _finish(axes: Any, *, is_left: bool, is_lowest: bool) -> None:
    axes.tick_params(labelbottom=is_lowest, labelsize=9.5)
    if is_lowest:
        axes.set_xlabel("recall")
    if is_left:
        axes.set_ylabel("precision")


def _curve_title(labels: tuple[str, ...], area: DoubleArray) -> str:
    if not np.isfinite(area).any():
        return f"test has no positives of any of the {len(labels)} labels"
    return f"average precision {span(area, labels)}; the mean over labels is {np.nanmean(area):.3f}"


_PAPER_COLUMNS = ("f1_score", "f1_ci_low", "f1_ci_high")


@figure(
    "23",
    "paper_comparison",
    needs="the per-class metrics CSV, metrics.json and thresholds.json of a run on GoEmotions",
    several=True,
)
def draw_paper_comparison(source: RunData) -> Drawn:
    """Figure 23: our F1 of each emotion, with intervals, next to that of the paper's BERT-base.

    All emotions, what we gain most first; the paper's F1 is an upright bar, each run a colour.
    """
    runs = source.comparable()
    if set(source.labels) != set(PAPER_F1):
        raise DataError(f"the labels of {source.checkpoint.run} are not the {len(PAPER_F1)} of the paper")
    if not is_published_test(source.labels, source.test_sha256()):
        raise DataError(f"{source.checkpoint.run} was not scored on the test split of GoEmotions")
    paper = np.array([PAPER_F1[label] for label in source.labels])
    ours = np.stack([[run.by_label(column) for column in _PAPER_COLUMNS] for run in runs])
    order = np.argsort(paper - ours[0, 0], kind="stable")
    labels, paper, ours = [source.labels[at] for at in order], paper[order], ours[..., order]
    places = np.arange(len(labels))
    rows = LabelRows.of(len(labels), n_runs=len(runs))
    rules = ", ".join(dict.fromkeys(run.rules.rule for run in runs))
    figure = new_figure(
        _paper_title(runs, ours, paper),
        subtitle_of(runs, source.test_size(), f"threshold rule {rules}"),
        height=rows.height + 1.5 + legend_height(runs),
    )
    axes = figure.subplots()
    for at, offset in enumerate(offsets(len(runs))):
        color, marker = RUN_STYLES[at]
        mark_intervals(
            axes, places + offset, *ours[at], color=color, marker=marker, size=rows.marker(len(runs)),
            label=str(runs[at].checkpoint.run),
        )  # fmt: skip
    axes.vlines(paper, places - 0.38, places + 0.38, color=INK, linewidth=2.6, zorder=4)
    rows.label(axes, labels)
    axes.set_xlim(-0.01, 1)
    axes.hlines(places, 0, 1, color=FAINT, linewidth=0.8, zorder=0)
    axes.set_xlabel("F1 on test")
    rows.column(axes, "paper", [f"{value:.2f}" for value in paper], at=40, color=MUTED)
    color = RUN_STYLES[0][0]
    rows.column(axes, "ours", [f"{value:.2f}" for value in ours[0, 0]], at=84, color=color)
    gain = [signed(value) for value in ours[0, 0] - paper]
    rows.column(axes, "difference", gain, at=156, color=color)
    name_runs(figure, axes, runs)
    caption(figure, _paper_legend(runs))
    tables = [
        {"emotion": labels, "paper_f1": paper, **dict(zip(_PAPER_COLUMNS, run, strict=True))} for run in ours
    ]
    return Drawn(figure, by_run(runs, tables))


def _paper_title(runs: Sequence[RunData], ours: DoubleArray, paper: DoubleArray) -> str:
    above, below = beyond(ours[0], paper, rounding=PAPER_F1_ROUNDING)
    whose = f" of {runs[0].checkpoint.run}" if len(runs) > 1 else ""
    return (
        f"the whole interval of F1{whose} is above the paper's BERT-base for {above or 'none'} of the {len(paper)} emotions, "
        f"below for {below or 'none'}; macro-F1 {ours[0, 0].mean():.2f} against {PAPER_F1_MACRO['full']:.2f}"
    )


def _paper_legend(runs: Sequence[RunData]) -> str:
    text = (
        "Upright bar: the paper's F1 (Demszky et al. 2020, table 4; BERT-base, threshold 0.3, two decimals, no interval). "
        "Whiskers: our 95\u00a0% interval over the comments of test; chance alone would put about one emotion on each side."
    )
    return (
        f"{text} The numbers are those of {runs[0].checkpoint.run}.{DIFFERENCES}" if len(runs) > 1 else text
    )
