"""Figure 10: losses and scores of every epoch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from goemo_cli.core.documents.metrics import EpochScores
from goemo_cli.core.settings import SelectionMetric
from goemo_cli.core.thresholds import SELECTION_THRESHOLD
from goemo_cli.services.figures.registry import Drawn, figure
from goemo_cli.services.figures.style import (
    BLUE,
    GREEN,
    INK,
    PURPLE,
    VERMILLION,
    caption,
    new_figure,
    padded_limits,
)
from goemo_cli.services.runs.run_data import RunData

_PANELS: tuple[tuple[str, float, tuple[tuple[str, str, str, str], ...]], ...] = (
    ("Loss", 0.02, (("train_loss", "train", BLUE, "o"), ("val_loss", "val", VERMILLION, "s"))),
    (
        f"F1 on val, at {SELECTION_THRESHOLD:g}",
        0.05,
        (("val_f1_macro", "macro", GREEN, "^"), ("val_f1_micro", "micro", PURPLE, "D")),
    ),
    ("ROC AUC on val", 0.02, (("val_auc_micro", "micro", BLUE, "o"),)),
)
"""(what, least span of its axis, its curves: key of the history, name, colour, marker)."""

_WORDS: dict[SelectionMetric, str] = {
    "val_f1_macro": "val macro-F1", "val_f1_micro": "val micro-F1", "val_auc_micro": "val micro-AUC",
    "val_loss": "val loss",
}  # fmt: skip


@figure("10", "training_curves", needs="the history in metrics.json")
def draw_training_curves(source: RunData) -> Drawn:
    """Figure 10: losses and val scores of every epoch, and the epoch that was kept.

    Three panels over the epochs: loss, F1 and AUC; the kept epoch is marked, its values are above.
    """
    history = source.history()
    best, sizes = source.metrics.best_epoch or len(history), source.metrics.data.sizes
    figure = new_figure(
        _title(history, best, source.checkpoint.config.training.early_stopping.metric),
        source.subtitle(f"train {sizes.train:,}, val {sizes.val:,} {source.terms.texts}"),
        height=4.4,
    )
    epochs = np.array([epoch.epoch for epoch in history])
    size = 6.0 if len(epochs) <= 30 else 3.0
    for axes, (what, span, curves) in zip(figure.subplots(1, len(_PANELS)), _PANELS, strict=True):
        for key, name, color, marker in curves:
            values = _values(history, key)
            kept = values[epochs == best]
            shown = f"{name} {kept[0]:.4f}" if kept.size and np.isfinite(kept[0]) else name
            axes.plot(epochs, values, color=color, marker=marker, markersize=size, label=shown)
        axes.axvline(best, color=INK, linewidth=1.2, linestyle="--", zorder=1)
        axes.set_title(what, pad=44)
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, handlelength=1.4, fontsize=10.5
        )
        axes.set_ylim(
            *padded_limits(
                np.concatenate([_values(history, key) for key, *_ in curves]),
                least_span=span, floor=0.0, ceiling=np.inf if what == "Loss" else 1.0,
            )
        )  # fmt: skip
        axes.set_xlim(epochs.min() - 0.4, epochs.max() + 0.4)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        axes.set_xlabel("epoch")
    caption(figure, f"Dashed: epoch {best}, the one that is kept; its values are next to the names.")
    keys = [key for *_, curves in _PANELS for key, *_ in curves]
    return Drawn(
        figure,
        {"epoch": epochs}
        | {key: _values(history, key) for key in keys}
        | {"kept": (epochs == best).tolist()},
    )


def _title(history: Sequence[EpochScores], best: int, metric: SelectionMetric) -> str:
    kept = next((epoch for epoch in history if epoch.epoch == best), history[-1])
    if len(history) == 1:
        return (
            f"one epoch: loss {kept.train_loss:.3f} on train and {kept.val_loss:.3f} on val, "
            f"val macro-F1 {kept.val_f1_macro:.3f}"
        )
    text = f"epoch {best} of {len(history)} is kept, with a {_WORDS[metric]} of {getattr(kept, metric):.4f}"
    sign = -1 if metric == "val_loss" else 1
    later = [sign * getattr(epoch, metric) for epoch in history if epoch.epoch > best]
    # A gain below min_delta does not count as one, so that a later epoch may be a little better.
    return f"{text}; no later one beat it" if later and max(later) <= sign * getattr(kept, metric) else text


def _values(history: Sequence[EpochScores], key: str) -> Any:
    values = [getattr(epoch, key) for epoch in history]
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
