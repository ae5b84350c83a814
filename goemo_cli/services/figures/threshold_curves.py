"""Figures 11 to 15: scores at every threshold, and the thresholds of a run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from goemo_cli.core.arrays import BoolArray, DoubleArray, IntArray
from goemo_cli.core.labels import Split
from goemo_cli.core.predictions import Predictions
from goemo_cli.core.thresholds import Thresholds, decide
from goemo_cli.ml.metrics.scoring import count, f1_macro, f1_micro
from goemo_cli.ml.metrics.thresholds import GRID, counts_on_grid, reached_on_grid
from goemo_cli.services.figures.label_grid import ENOUGH
from goemo_cli.services.figures.registry import Drawn, figure
from goemo_cli.services.figures.style import (
    BLUE,
    FAINT,
    INK,
    MUTED,
    PAPER,
    SPLIT_COLOR,
    SPLIT_MARKER,
    LabelRows,
    caption,
    counted,
    limit_note,
    limited,
    mark_places,
    new_figure,
    percent,
    round_limit,
    shown,
)
from goemo_cli.services.runs.run_data import RunData

FIXED = (0.3, 0.5)
SPLIT_LINES: tuple[tuple[Split, str], ...] = (("val", "-"), ("test", "--"))

_SAME = 1e-9


@figure("11", "threshold_macro", needs="the predictions of val and test, and thresholds.json")
def draw_threshold_macro(source: RunData) -> Drawn:
    """Figure 11: macro-F1 at every threshold, on val and on test.

    One curve per split; vertical lines at the global threshold, fitted on val, and at the fixed ones.
    """
    return draw_score(source, "macro-F1", f1_macro)


def draw_score(source: RunData, name: str, score: Callable[[BoolArray, BoolArray], float]) -> Drawn:
    """A score over the thresholds, with its values at the global and the fixed ones, and at the best one on val."""
    thresholds = source.thresholds
    chosen = thresholds.global_threshold
    places = np.union1d(GRID, [chosen, *FIXED])  # so that the marked points are on the curves
    predictions = {split: source.predictions(split) for split, _ in SPLIT_LINES}
    curves = {
        split: np.array([score(part.y_true, decide(part.y_prob, float(place))) for place in places])
        for split, part in predictions.items()
    }
    best = float(places[curves["val"].argmax()])
    marks = {"global": chosen} | {f"fixed {fixed:g}": fixed for fixed in FIXED}
    if curves["val"][places == chosen] < curves["val"].max() - _SAME:
        marks["best on val"] = best
    at_marks = {
        split: curve[np.searchsorted(places, list(marks.values()))] for split, curve in curves.items()
    }
    figure = new_figure(
        _score_title(thresholds, name, dict(zip(marks, at_marks["test"], strict=True)), best),
        source.subtitle(
            ", ".join(f"{split} {len(part):,}" for split, part in predictions.items())
            + f" {source.terms.texts}",
            f"{len(source.labels)} labels",
        ),
        height=4.9,
    )
    axes, table = figure.subplots(1, 2, width_ratios=(3, 1))
    for split, line in SPLIT_LINES:
        color, marker = SPLIT_COLOR[split], SPLIT_MARKER[split]
        axes.plot(places, curves[split], color=color, linestyle=line, label=split)
        axes.plot(
            list(marks.values()), at_marks[split], color=color, marker=marker, linestyle="", markersize=7,
            zorder=4, clip_on=False,
        )  # fmt: skip
    mark_thresholds(axes, chosen, best=marks.get("best on val"))
    axes.set_xlim(0, 1)
    axes.set_ylim(0, axes.get_ylim()[1])
    axes.set_xlabel("threshold for all labels")
    axes.set_ylabel(name)
    caption(
        figure,
        f"The global threshold was chosen on val alone, for {purpose(thresholds)}. The test curve is shown only for "
        "comparison.",
    )
    _tabulate(table, name, list(marks), at_marks)
    return Drawn(
        figure,
        {
            "threshold": places,
            "val": curves["val"],
            "test": curves["test"],
            "mark": [", ".join(mark for mark, place in marks.items() if place == one) for one in places],
        },
    )


def purpose(thresholds: Thresholds) -> str:
    """What the thresholds were chosen for on val: `macro-F1`."""
    settings = thresholds.settings
    if settings.objective == "f1_micro":
        return "micro-F1"
    if settings.objective == "precision_floor":
        return f"recall with a precision of at least {settings.floor:g}"
    if settings.objective == "recall_floor":
        return f"precision with a recall of at least {settings.floor:g}"
    if settings.objective == "recall_guarantee":
        return f"an expected recall of at least {settings.floor:g}"
    return "macro-F1" if settings.beta == 1 else f"macro-F-beta (beta {settings.beta:g})"


def mark_thresholds(axes: Any, chosen: float, *, best: float | None = None) -> None:
    """Lines at the global threshold, at the fixed ones, and at the best one on val if that is another."""
    marks = [
        (chosen, f"global {chosen:g}", "-", INK),
        *((fixed, f"fixed {fixed:g}", ":", MUTED) for fixed in FIXED),
    ]
    if best is not None:
        marks.append((best, f"best on val {best:g}", "--", SPLIT_COLOR["val"]))
    mark_places(axes, marks)


def _score_title(thresholds: Thresholds, name: str, on_test: Mapping[str, float], best: float) -> str:
    aim, value = purpose(thresholds), on_test["global"]
    start = f"the global threshold {thresholds.global_threshold:g}, chosen on val for {aim}, gives "
    if aim == name:
        return f"{start}{value:.3f} on test; 0.5 gives {on_test['fixed 0.5']:.3f}"
    start += f"{name} {value:.3f} on test"
    if "best on val" not in on_test:
        return f"{start}; no other threshold does better on val"
    return f"{start}; {best:g}, the best on val for {name}, gives {on_test['best on val']:.3f}"


def _tabulate(axes: Any, name: str, names: Sequence[str], scores: Mapping[Split, DoubleArray]) -> None:
    """The marked values in numbers, which is also the legend."""
    axes.axis("off")
    words: dict[str, Any] = {"transform": axes.transAxes, "va": "center"}
    axes.text(0, 0.93, name, color=MUTED, **words)
    for column, (split, line) in enumerate(SPLIT_LINES):
        right = 0.66 + 0.36 * column
        axes.text(right, 0.93, split, ha="right", weight="bold", color=SPLIT_COLOR[split], **words)
        axes.plot(
            [right - 0.24, right - 0.12, right], [0.86] * 3, transform=axes.transAxes, color=SPLIT_COLOR[split],
            linestyle=line, marker=SPLIT_MARKER[split], markevery=[1], clip_on=False,
        )  # fmt: skip
        for row, rule in enumerate(names):
            height, weight = 0.77 - 0.09 * row, "normal" if row else "bold"
            axes.text(right, height, f"{scores[split][row]:.3f}", ha="right", weight=weight, **words)
            if column == 0:
                axes.text(0, height, rule, weight=weight, **words)


@figure("12", "threshold_micro", needs="the predictions of val and test, and thresholds.json")
def draw_threshold_micro(source: RunData) -> Drawn:
    """Figure 12: micro-F1 at every threshold, on val and on test.

    As figure 11, over all cells together, so that common labels count most.
    """
    return draw_score(source, "micro-F1", f1_micro)


NEAR = 0.95
"""A threshold is good enough if F1 reaches this share of the label's best."""
_STEP = float(GRID[1] - GRID[0])
_SCALE = 0.09
"""Inches of the colour scale."""
_VISIBLE = 0.01
"""Two F1 that are nearer are the same in a title."""


@figure("13", "threshold_f1", needs="the predictions of val and test, and thresholds.json")
def draw_threshold_f1(source: RunData) -> Drawn:
    """Figure 13: F1 of every label at every threshold on val, with its own threshold.

    A row per label, by falling val positives; blank where F1 is 0, a bar over the good thresholds.
    """
    thresholds, val = source.thresholds, source.predictions("val")
    title, order, curves = _label_curves(source)
    labels = [source.labels[at] for at in order]
    rows = LabelRows.of(len(labels))
    figure = new_figure(
        title,
        source.subtitle(f"val, {len(val):,} {source.terms.texts}, commonest label first"),
        height=rows.height + 2.1,
    )
    parts = figure.add_gridspec(2, 2, height_ratios=(_SCALE, rows.height), width_ratios=(3, 2))
    axes = figure.add_subplot(parts[1, :])
    image = axes.imshow(
        np.ma.masked_equal(curves.f1.T, 0), aspect="auto", interpolation="nearest", vmin=0, vmax=max(float(curves.f1.max()), 0.1),
        extent=(GRID[0] - _STEP / 2, GRID[-1] + _STEP / 2, len(labels) - 0.5, -0.5),
    )  # fmt: skip
    _mark(axes, curves.good, curves.own, curves.below, rows)
    axes.axvline(thresholds.global_threshold, color=PAPER, linewidth=2.4, zorder=2)
    axes.axvline(thresholds.global_threshold, color=INK, linewidth=1.4, linestyle="--", zorder=2)
    rows.label(axes, labels)
    axes.grid(visible=False)
    axes.set_xlim(0, 1)
    axes.set_xlabel("threshold")
    rows.column(
        axes, "val", [f"{value:.2f}" for value in curves.reached["val"]], at=38, color=SPLIT_COLOR["val"]
    )
    rows.column(
        axes, "test", [f"{value:.2f}" for value in curves.reached["test"]], at=78, color=SPLIT_COLOR["test"]
    )
    rows.column(axes, "positives", [f"{n:,}" for n in curves.positives], at=146, color=MUTED)
    bar = figure.colorbar(
        image, cax=figure.add_subplot(parts[0, 0]), orientation="horizontal", ticklocation="top"
    )
    bar.outline.set_visible(False)
    bar.set_label("F1 on val", loc="left")
    caption(
        figure,
        f"Dot: the label's own threshold; val and test: F1 there. Bar: F1 is at least {percent(NEAR)} of the label's best"
        f"{_hollow(curves.below, thresholds)}. Blank: F1 is 0. Dashed: the global threshold {thresholds.global_threshold:g}. "
        f"All are chosen on val alone.{limit_note(len(source.labels), f'val {source.terms.texts}')}",
    )
    return Drawn(figure, curves.columns(labels))


@dataclass(frozen=True)
class _LabelCurves:
    """F1 of the labels of the figure over the thresholds, in its order."""

    f1: DoubleArray
    """On val, (n_grid, n_labels)."""
    own: DoubleArray
    """The thresholds of the labels, (n_labels,)."""
    reached: dict[Split, DoubleArray]
    """F1 at these, (n_labels,)."""
    positives: IntArray
    """Of val, (n_labels,)."""

    @property
    def good(self) -> BoolArray:
        return good_cells(self.f1, self.own, self.reached["val"])

    @property
    def below(self) -> BoolArray:
        """Labels whose own threshold is not near their best, (n_labels,)."""
        below: BoolArray = self.reached["val"] < NEAR * self.f1.max(axis=0)
        return below

    def columns(self, labels: Sequence[str]) -> dict[str, Any]:
        """The numbers of the figure, a row per label and threshold."""
        n_grid = len(GRID)
        return {
            "emotion": [label for label in labels for _ in range(n_grid)],
            "threshold": np.tile(GRID, len(labels)),
            "f1_val": self.f1.T.ravel(),
            "in_bar": self.good.T.ravel(),
            "own_threshold": np.repeat(self.own, n_grid),
            "own_f1_val": np.repeat(self.reached["val"], n_grid),
            "own_f1_test": np.repeat(self.reached["test"], n_grid),
            "val_positives": np.repeat(self.positives, n_grid),
        }


def _label_curves(source: RunData) -> tuple[str, IntArray, _LabelCurves]:
    """Title, the labels that are shown, commonest on val first, and their curves."""
    thresholds, parts = source.thresholds, {split: source.predictions(split) for split, _ in SPLIT_LINES}
    val = parts["val"]
    f1 = counts_on_grid(val.y_true, reached_on_grid(val.y_prob)).f_beta()  # (n_grid, n_labels)
    positives = val.y_true.sum(axis=0)
    shared = count(val.y_true, decide(val.y_prob, thresholds.global_threshold)).f1
    order = np.lexsort((-f1.max(axis=0), -positives))
    title = _label_title(
        [source.labels[at] for at in order],
        f1[:, order],
        shared[order],
        positives[order],
        thresholds.global_threshold,
    )
    order = limited(order, positives)
    reached: dict[Split, DoubleArray] = {
        split: count(part.y_true, decide(part.y_prob, thresholds.per_label)).f1[order]
        for split, part in parts.items()
    }
    return title, order, _LabelCurves(f1[:, order], thresholds.per_label[order], reached, positives[order])


def good_cells(f1: DoubleArray, own: DoubleArray, reached: DoubleArray) -> BoolArray:
    """Thresholds of the grid that the bars cover, bool, (n_grid, n_labels): F1 near the best, or as at the own threshold.

    The own threshold is always covered; a label whose F1 is 0 everywhere has no bar.

    Args:
        f1: (n_grid, n_labels).
        own: the thresholds of the labels, (n_labels,).
        reached: F1 at these, (n_labels,).
    """
    best = f1.max(axis=0)
    good: BoolArray = f1 >= np.minimum(NEAR * best, reached)
    nearest = np.abs(GRID[:, None] - own).argmin(axis=0)
    good[nearest, np.arange(len(own))] = True
    good &= best > 0
    return good


def bars(good: BoolArray, own: DoubleArray) -> list[tuple[int, float, float]]:
    """Each run of good thresholds: label, lowest and highest; out to the own threshold if it is beyond the grid."""
    found = []
    for label, column in enumerate(good.T):
        changes = np.flatnonzero(np.diff(np.concatenate([[False], column, [False]]).astype(int)))
        for start, end in list(pairwise(changes.tolist()))[::2]:
            low, high = float(GRID[start] - _STEP / 2), float(GRID[end - 1] + _STEP / 2)
            if start == 0:
                low = min(low, float(own[label]))
            if end == len(GRID):
                high = max(high, float(own[label]))
            found.append((label, low, high))
    return found


def _mark(axes: Any, good: BoolArray, own: DoubleArray, below: BoolArray, rows: LabelRows) -> None:
    """Bars and dots that show on every colour: the paper's, edged with ink."""
    for place, low, high in bars(good, own):
        axes.hlines(place, low, high, color=INK, linewidth=3.4, zorder=3)
        axes.hlines(place, low, high, color=PAPER, linewidth=1.6, zorder=3)
    places = np.arange(rows.count)
    for chosen, face in ((~below, INK), (below, PAPER)):
        if not chosen.any():
            continue  # to the layout, unclipped marks without a place are at the corner of the figure
        axes.plot(
            own[chosen], places[chosen], linestyle="", marker="o", markersize=rows.marker(), color=face,
            markeredgecolor=PAPER if face == INK else INK, markeredgewidth=1.3, zorder=4, clip_on=False,
        )  # fmt: skip


def _hollow(below: BoolArray, thresholds: Thresholds) -> str:
    if not below.any():
        return ""
    text = "; with a hollow dot, at least what its own threshold reaches, which is less"
    aim = purpose(thresholds)
    if aim != "macro-F1":
        return f"{text}: it was chosen for {aim}"
    return f"{text}: few val positives draw it to the global one" if thresholds.settings.shrinkage else text


def _label_title(
    labels: Sequence[str], f1: DoubleArray, f1_shared: DoubleArray, positives: IntArray, shared: float
) -> str:
    best = f1.max(axis=0)
    if not best.any():
        return f"no threshold gives any of the {len(labels)} labels an F1 above 0 on val"
    suited = int(((f1_shared >= NEAR * best) & (best > 0)).sum())
    start = (
        f"on val, the global threshold {shared:g} gives at least {percent(NEAR)} of the best F1 for {suited or 'none'} of "
        f"{counted(len(labels), 'label')}"
    )
    loss = np.where(positives >= ENOUGH, best - f1_shared, 0.0)
    worst = int(loss.argmax())
    if loss[worst] < _VISIBLE:
        return start
    return f"{start}; {shown(labels[worst])} loses most by it ({f1_shared[worst]:.2f} instead of {best[worst]:.2f})"


@figure("14", "threshold_coverage", needs="the predictions of val and test, and thresholds.json")
def draw_threshold_coverage(source: RunData) -> Drawn:
    """Figure 14: how many texts get a label at every threshold, and how many labels each.

    On the left the share of texts with a label, on the right labels per text; thin lines: the gold labels.
    """
    chosen, terms = source.thresholds.global_threshold, source.terms
    parts = {split: source.predictions(split) for split, _ in SPLIT_LINES}
    curves = {split: coverage(part, GRID) for split, part in parts.items()}
    gold = {
        split: (part.y_true.any(axis=1).mean(), part.y_true.sum(axis=1).mean())
        for split, part in parts.items()
    }
    covered, each = coverage(parts["test"], np.array([chosen]))[:, 0]
    figure = new_figure(
        f"at the global threshold {chosen:g}, {percent(covered)} of test {terms.texts} get a label; there are {each:.2f} "
        f"labels per {terms.text}, {gold['test'][1]:.2f} in gold",
        source.subtitle(
            ", ".join(f"{split} {len(part):,}" for split, part in parts.items()) + f" {terms.texts}",
            f"{len(source.labels)} labels",
        ),
        height=4.9,
    )
    panels = figure.subplots(1, 2)
    for at, (axes, name) in enumerate(
        zip(panels, (f"{terms.texts} with a label, %", f"labels per {terms.text}"), strict=True)
    ):
        factor = 1 if at else 100
        for split, line in SPLIT_LINES:
            color = SPLIT_COLOR[split]
            axes.plot(GRID, factor * curves[split][at], color=color, linestyle=line, label=split)
            axes.axhline(factor * gold[split][at], color=color, linestyle=line, linewidth=1.0, zorder=1)
        _finish(axes, name, chosen, curves, at)
    panels[1].legend(loc="upper right")  # the curves fall
    caption(
        figure,
        f"Thin: the gold labels. Global: chosen on val for {purpose(source.thresholds)}.{_own_rule(source, parts)}",
    )
    columns = [
        (f"{split}_{name}", curves[split][at])
        for at, name in enumerate(("coverage", "labels_per_comment"))
        for split, _ in SPLIT_LINES
    ]
    return Drawn(figure, {"threshold": GRID, **dict(columns)})


def coverage(predictions: Predictions, thresholds: DoubleArray) -> DoubleArray:
    """The share of texts with a label, and labels per text, with each threshold for all labels, (2, n_thresholds)."""
    counts = [decide(predictions.y_prob, float(t)).sum(axis=1) for t in thresholds]
    return np.array([[(each > 0).mean() for each in counts], [each.mean() for each in counts]])


def _finish(axes: Any, name: str, chosen: float, curves: dict[Split, DoubleArray], at: int) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, None if at else 102)
    if at:  # what happens below a threshold of 0.1 would press the rest to the floor
        usual = max(float(curve[1][GRID >= 0.1].max()) for curve in curves.values())
        axes.set_ylim(0, max(1.2 * usual, 1.0))
    mark_thresholds(axes, chosen)
    axes.set_xlabel("threshold for all labels")
    axes.set_ylabel(name)


def _own_rule(source: RunData, parts: dict[Split, Predictions]) -> str:
    """What the run's own labels are like, which the curves cannot show if thresholds differ by label."""
    own = parts["test"].y_pred
    return (
        f" The run's own labels, by {source.rules.rule}: {percent(own.any(axis=1).mean())} of test "
        f"{source.terms.texts} get one; {own.sum(axis=1).mean():.2f} labels per {source.terms.text}."
    )


@figure("15", "per_class_thresholds", needs="thresholds.json")
def draw_per_class_thresholds(source: RunData) -> Drawn:
    """Figure 15: the threshold of every label, the global one, and the val positives it was fitted on.

    All labels by falling val positives: the fewer, the closer to the global threshold.
    """
    thresholds = source.thresholds
    n_positives = np.array(thresholds.n_positives)
    order = limited(np.lexsort((-thresholds.per_label, -n_positives)), n_positives)
    values, positives = thresholds.per_label[order], n_positives[order]
    places = np.arange(len(order))
    rows = LabelRows.of(len(order))
    figure = new_figure(
        _own_title(thresholds),
        source.subtitle(
            f"fitted on val, {source.metrics.data.sizes.val:,} {source.terms.texts}",
            f"the run's labels follow the rule {thresholds.rule}",
        ),
        height=rows.height + 1.3,
    )
    axes = figure.subplots()
    shared = thresholds.global_threshold
    axes.hlines(places, 0, 1, color=FAINT, linewidth=0.8, zorder=0)
    axes.hlines(places, shared, values, color=BLUE, linewidth=2.2)
    axes.plot(values, places, linestyle="", marker="o", markersize=min(7.0, rows.font * 0.62), color=BLUE)
    without = positives == 0
    axes.plot(
        values[without], places[without], linestyle="", marker="o", markersize=min(7.0, rows.font * 0.62),
        color=BLUE, markerfacecolor=PAPER,
    )  # fmt: skip
    axes.axvline(shared, color=INK, linewidth=1.4, linestyle="--", zorder=1)
    rows.label(axes, [source.labels[at] for at in order])
    axes.set_xlim(0, round_limit(max(shared, float(values.max()))))
    rows.column(axes, "threshold", [f"{value:.3f}" for value in values], at=66, color=BLUE)
    rows.column(axes, "val positives", [f"{n:,}" for n in positives], at=152, color=MUTED)
    axes.set_xlabel("threshold")
    hollow = " Hollow: no positives in val, so the global one is taken." if without.any() else ""
    note = limit_note(len(source.labels), f"val {source.terms.texts}")
    caption(figure, f"Dashed: the global threshold {shared:g}.{hollow}{note}")
    return Drawn(
        figure,
        {
            "emotion": [source.labels[at] for at in order],
            "threshold": values,
            "n_positives": positives,
            "global_threshold": np.full(len(order), shared),
        },
    )


def _own_title(thresholds: Thresholds) -> str:
    values, shared = thresholds.per_label, thresholds.global_threshold
    below, above = int((values < shared).sum()), int((values > shared).sum())
    if not below + above:
        return f"every label keeps the global threshold of {shared:g}"
    furthest = int(np.abs(values - shared).argmax())
    return (
        f"{above or 'none'} of {counted(len(values), 'label')} {'has' if above == 1 else 'have'} a higher threshold than the global "
        f"{shared:g}, {below or 'none'} a lower one; {shown(thresholds.labels[furthest])} is furthest, at {values[furthest]:.2f}"
    )
