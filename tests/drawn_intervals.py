"""Intervals of the scores of predicted labels, with as many draws as a test asks for."""

from collections.abc import Mapping

from goemo_cli.core.arrays import BoolArray
from goemo_cli.ml.metrics.intervals import RESAMPLES, SEED, resampled
from goemo_cli.ml.metrics.scoring import DrawnScores, Intervals


def bootstrap_scores(
    y_true: BoolArray, decided: Mapping[str, BoolArray], *, resamples: int = RESAMPLES, seed: int = SEED
) -> dict[str, Intervals]:
    drawn = DrawnScores(y_true, decided)
    for weights in resampled(len(y_true), resamples, seed):
        drawn.draw(weights)
    return drawn.intervals()
