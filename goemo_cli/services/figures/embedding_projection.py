"""Figure 21: where the model puts the test texts, in two dimensions. The one figure that loads a model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from goemo_cli.core.errors import DataError
from goemo_cli.core.labels import TAXONOMIES, Terms, applicable
from goemo_cli.core.predictions import LABEL_JOINER, Predictions
from goemo_cli.services.figures.registry import Drawn, figure
from goemo_cli.services.figures.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    VERMILLION,
    caption,
    counted,
    named,
    new_figure,
    percent,
    shown,
    text_width,
)
from goemo_cli.services.runs.run_data import RunData

MOST = 2_000
"""Texts that are drawn at most."""
LEAST = 10
NEIGHBOURS = 10
SEVERAL, NONE = "several groups", "no label"
_NAMED = 60
"""Labels that are named at most."""
_STYLES = ((BLUE, "o"), (VERMILLION, "s"), (GREEN, "^"), (PURPLE, "v"), (ORANGE, "D"))
_ROOM = (9.6, 7.2)
"""Inches of the axes, about."""
_GROUP = "group "
"""Beginning of the names by which the marks of a group are found."""
_LONGEST = 20
"""Characters of a name in the margin."""
_GAP, _EDGE = 24.0, 8.0
"""Points between names and texts, and above and below the texts."""


@figure(
    "21",
    "embedding_projection",
    needs="the checkpoint's weights and the predictions of test (their texts)",
)
def draw_embedding_projection(source: RunData) -> Drawn:
    """Figure 21: where the model puts the test texts, in two dimensions.

    A seeded sample of test texts by t-SNE of their embeddings, coloured by the group of their gold labels.
    """
    from goemo_cli.ml.models.embedding import embed

    test = source.predictions("test")
    _require_enough(source, len(test))
    rows = sample(len(test))
    return drawn(source, rows, embed(source.classifier(), [test.texts[row] for row in rows]))


def drawn(source: RunData, rows: IntArray, embeddings: FloatArray) -> Drawn:
    """The figure of given texts.

    Args:
        rows: which texts of test, (n_examples,).
        embeddings: their vectors, each of length 1, (n_examples, size).

    Raises:
        DataError: fewer than `LEAST` texts, or all have the same vector.
    """
    from goemo_cli.ml.models.embedding import project

    test = source.predictions("test")
    _require_enough(source, len(rows))
    if (embeddings == embeddings[0]).all():
        raise DataError(
            f"all {len(rows):,} {source.terms.texts} have the same vector, so there is nothing to project"
        )
    y_true = test.y_true[rows]
    points = project(embeddings)
    groups = groups_of(test.labels, y_true)
    names = list(groups)
    at = group_of_row(np.stack(list(groups.values())), y_true)

    figure = new_figure(
        _title(names, embeddings, at, source.terms),
        source.subtitle(
            f"test, {len(rows):,} of {counted(len(test), source.terms.text)}",
            _what(source.checkpoint.kind, embeddings),
        ),
        height=_ROOM[1] + 1.0,
    )
    axes = figure.subplots()
    _draw_points(axes, points, at, names)
    missing = _name_labels(axes, test.labels, points, y_true)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    _add_legend(axes)
    caption(figure, _caption(groups, missing, source.terms))
    return Drawn(figure, _table(test, rows, points, [*names, SEVERAL, NONE], at))


def _require_enough(source: RunData, n_texts: int) -> None:
    if n_texts < LEAST:
        path = source.layout.split_predictions(source.checkpoint.run, "test")
        raise DataError(f"{path} holds {n_texts} rows; a projection needs at least {LEAST}")


def sample(n_texts: int) -> IntArray:
    """The rows that are drawn, in order: all, or `MOST` of them by a fixed seed."""
    chosen = np.random.default_rng(0).choice(n_texts, min(MOST, n_texts), replace=False)
    return np.sort(chosen).astype(np.int64)


def groups_of(labels: Sequence[str], y_true: BoolArray) -> dict[str, BoolArray]:
    """Which labels each group holds, bool, (n_labels,) each; every label is in one.

    The paper's sentiment groups; of labels of the user's own the commonest, each by itself, and the rest.
    """
    if "grouped" in applicable(labels):
        return {group: np.isin(labels, members) for group, members in TAXONOMIES["grouped"].items()}
    order = np.argsort(-y_true.sum(axis=0), kind="stable")
    alone = order if len(order) <= len(_STYLES) else order[: len(_STYLES) - 1]
    groups = {labels[at]: np.arange(len(labels)) == at for at in alone}
    rest = ~np.isin(np.arange(len(labels)), alone)
    return groups | ({f"{int(rest.sum())} other labels": rest} if rest.any() else {})


def group_of_row(groups: BoolArray, y_true: BoolArray) -> IntArray:
    """The group that all labels of a row are in, (n_examples,); n_groups: in several; n_groups + 1: no label.

    Args:
        groups: bool, (n_groups, n_labels).
        y_true: gold labels, bool, (n_examples, n_labels).
    """
    inside = np.stack(
        [y_true[:, members].any(axis=1) for members in groups], axis=1
    )  # (n_examples, n_groups)
    number = inside.sum(axis=1)
    found: IntArray = np.where(number == 1, inside.argmax(axis=1), len(groups) + (number == 0)).astype(
        np.int64
    )
    return found


def neighbour_agreement(embeddings: FloatArray, at: IntArray) -> tuple[float, float]:
    """The share of nearest neighbours that are of the same group, and the share to expect by chance.

    Args:
        embeddings: of texts in one group each, (n_examples, size); more than `NEIGHBOURS`.
        at: their groups, (n_examples,).
    """
    from sklearn.neighbors import NearestNeighbors

    nearest = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute", n_jobs=1).fit(embeddings)
    same = at[nearest.kneighbors(return_distance=False)] == at[:, None]
    sizes = np.bincount(at)
    return float(same.mean()), float((sizes * (sizes - 1)).sum() / (len(at) * (len(at) - 1)))


def _what(kind: str, embeddings: FloatArray) -> str:
    if kind == "tfidf":
        return f"TF-IDF vectors, reduced to {embeddings.shape[1]} dimensions by truncated SVD"
    return "mean of the last hidden state over the tokens"


def _title(names: Sequence[str], embeddings: FloatArray, at: IntArray, terms: Terms) -> str:
    alone = at < len(names)
    if alone.sum() <= NEIGHBOURS:
        return (
            f"{counted(int(alone.sum()), terms.text)} of one group: too few to say whether groups are apart"
        )
    found, chance = neighbour_agreement(embeddings[alone], at[alone])
    return (
        f"{percent(found)} of the {NEIGHBOURS} {terms.texts} nearest to a {terms.text} are of its group, "
        f"{percent(chance)} by chance"
    )


def _draw_points(axes: Any, points: FloatArray, at: IntArray, names: Sequence[str]) -> None:
    """Small marks, the largest group first, so that the others are on top."""
    size = 4.5 if len(points) > 500 else 6.0
    styles = [
        (MUTED, ".") if name == "neutral" or name.endswith("other labels") else _STYLES[number]
        for number, name in enumerate(names)
    ]
    extra = [(INK, "x"), (MUTED, "+")]
    order = sorted(range(len(names) + 2), key=lambda group: -int((at == group).sum()))
    for group in order:
        chosen, (color, marker) = at == group, [*styles, *extra][group]
        if not chosen.any():
            continue
        axes.plot(
            points[chosen, 0], points[chosen, 1], linestyle="", color=color, marker=marker, alpha=0.65,
            markeredgewidth=0 if group < len(names) else 0.8,
            markersize=size * (1.5 if marker == "." else 1.0) * (1.0 if group < len(names) else 0.8),
            label=f"{shown([*names, SEVERAL, NONE][group], 18)} ({chosen.sum():,})", gid=f"{_GROUP}{group}",
        )  # fmt: skip


def _add_legend(axes: Any) -> None:
    """Above the points, in one line if it fits: the groups in their order, then the rest."""
    groups = [line for line in axes.lines if line.get_gid().startswith(_GROUP)]
    drawn = sorted(groups, key=lambda line: line.get_gid())
    widths = [text_width(line.get_label(), 10) + 34 for line in drawn]
    room = _ROOM[0] * 72
    axes.legend(
        handles=drawn, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, handletextpad=0.1,
        columnspacing=1.2, fontsize=10, markerscale=1.6,
        ncols=len(drawn) if sum(widths) <= room else max(1, int(room / max(widths))),
    )  # fmt: skip


def _name_labels(axes: Any, labels: Sequence[str], points: FloatArray, y_true: BoolArray) -> list[str]:
    """Name labels in the margins, with lines to where their texts are densest; returns the labels without a text."""
    support = y_true.sum(axis=0)
    chosen = np.argsort(-support, kind="stable")[:_NAMED]
    chosen = chosen[support[chosen] > 0]
    font = 9.5 if len(chosen) <= 30 else 7.5
    names = [shown(labels[at], _LONGEST) for at in chosen]
    anchors = np.array([densest(points[y_true[:, at]]) for at in chosen]).reshape(-1, 2)
    room = np.array(_ROOM) * 72
    margin = max((text_width(name, font, "bold") for name in names), default=0.0) + _GAP
    low, high = points.min(axis=0), points.max(axis=0)
    scale = (high - low) / (room - (2 * margin, 2 * _EDGE))  # of the data per point
    edge = np.array((margin, _EDGE)) * scale
    axes.set_xlim(low[0] - edge[0], high[0] + edge[0])
    axes.set_ylim(low[1] - edge[1], high[1] + edge[1])
    places = margin_places((anchors - low + edge) / scale, room, gap=margin - _GAP / 2, height=1.25 * font)
    for name, anchor, place in zip(names, anchors, places, strict=True):
        is_left = place[0] < room[0] / 2
        axes.annotate(
            name, anchor, place * scale + low - edge, ha="right" if is_left else "left", va="center", size=font,
            weight="bold", color=INK, zorder=5,
            arrowprops={
                "arrowstyle": "-", "color": INK, "linewidth": 0.7, "alpha": 0.75, "shrinkA": 2, "shrinkB": 4.5,
                "relpos": (1 if is_left else 0, 0.5),
            },
        )  # fmt: skip
    axes.plot(
        *anchors.T, linestyle="", marker="o", markersize=9, color=INK, fillstyle="none", zorder=4, gid="names"
    )
    return [labels[at] for at in np.flatnonzero(support == 0).tolist()]


def densest(points: FloatArray) -> DoubleArray:
    """The point that is closest to its neighbours, about a third of all points, (2,)."""
    distance = np.linalg.norm(points[:, None].astype(np.float64) - points[None], axis=2)
    near = np.sort(distance, axis=1)[:, : max(2, len(points) // 3)]
    middle: DoubleArray = points[int(near.mean(axis=1).argmin())].astype(np.float64)
    return middle


def margin_places(anchors: DoubleArray, room: DoubleArray, *, gap: float, height: float) -> DoubleArray:
    """Places in the left and the right margin for the names of anchors, so that no two lines to them cross.

    Of all ways to share the places, the one with the shortest lines is taken: two lines that cross can always be
    exchanged for shorter ones.

    Args:
        anchors: (n_names, 2), within the room.
        room: width and height, (2,).
        gap: distance of the places from the left and the right edge.
        height: of a name; places on one side are at least as far apart.

    Returns:
        (n_names, 2), in the order of the anchors; distinct as long as there are not more names than places.
    """
    from scipy.optimize import linear_sum_assignment

    n_rows = max(-(-len(anchors) // 2), int(room[1] // height))
    rows = (np.arange(n_rows) + 0.5) * room[1] / n_rows
    places = np.stack([np.repeat((gap, room[0] - gap), n_rows), np.tile(rows, 2)], axis=1)  # (2 * n_rows, 2)
    lengths = np.linalg.norm(anchors[:, None] - places[None], axis=2)
    _, chosen = linear_sum_assignment(lengths)
    return np.asarray(places[chosen], dtype=np.float64)


def _caption(groups: Mapping[str, BoolArray], missing: Sequence[str], terms: Terms) -> str:
    text = (
        f"t-SNE: {terms.texts} that are near each other are alike to the model; long distances and the axes mean nothing. "
        f"Each name points to where the {terms.texts} with that label are densest."
    )
    if any(members.sum() > 1 for members in groups.values()) and "positive" in groups:
        text += " Groups: those of the GoEmotions paper."
    if missing:
        text += (
            f" Not in the sample: {len(missing)} labels{named(missing)}."
            if len(missing) > 1
            else (f" Not in the sample{named(missing)}.")
        )
    return text


def _table(
    test: Predictions, rows: IntArray, points: FloatArray, names: Sequence[str], at: IntArray
) -> dict[str, Sequence[Any]]:
    labels = np.asarray(test.labels, dtype=object)
    return {
        "row": (rows + 1).tolist(),
        "x": points[:, 0],
        "y": points[:, 1],
        "group": [names[group] for group in at],
        "true_labels": [LABEL_JOINER.join(labels[test.y_true[row]]) for row in rows],
    }
