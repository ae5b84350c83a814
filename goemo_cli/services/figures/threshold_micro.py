"""Figure 12: micro-F1 at every threshold, on val and on test."""

import numpy as np

from goemo_cli.core.arrays import DoubleArray
from goemo_cli.core.predictions import Predictions
from goemo_cli.core.thresholds import decide
from goemo_cli.ml.metrics.scoring import f1_micro
from goemo_cli.services.figures.registry import Description, ResampledRanks
from goemo_cli.services.figures.threshold_macro import draw_score
from goemo_cli.services.runs.run_data import RunData


def draw(source: RunData) -> ResampledRanks:
    """As figure 11, over all cells together, so that common labels count most."""
    return draw_score(source, "micro-F1", micro_f1)


FIGURE = Description("12", "threshold_micro", "the predictions of val and test, and thresholds.json", draw)


def micro_f1(predictions: Predictions, thresholds: DoubleArray) -> DoubleArray:
    """Micro-F1 with each threshold for all labels, (n_thresholds,)."""
    return np.array([f1_micro(predictions.y_true, decide(predictions.y_prob, float(t))) for t in thresholds])
