"""Thresholds with a guaranteed recall."""

import numpy as np
import pytest

from goemo_cli.core.settings import ThresholdSettings
from goemo_cli.ml.metrics.guarantees import fewest_rows, recall_thresholds
from goemo_cli.ml.metrics.thresholds import fit_thresholds

LEVEL = 0.8
DRAWS = 2_000


def texts(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Gold labels and probabilities of random texts: some have no label, some several."""
    y_true = rng.random((n, 4)) < [0.6, 0.3, 0.15, 0.08]
    scores = rng.normal(0, 1.5, (n, 4)) + [2.0, 1.0, 0.5, 3.0] * y_true - 1
    return y_true, (1 / (1 + np.exp(-scores))).astype(np.float32)


def test_nine_texts_worked_by_hand():
    """
    Label a, 9 texts with it: (1 - .8) * (9 + 1) = 2, so with one missed text (1 + 1 <= 2) the second lowest is the threshold.
    Label b, 4 texts: .2 * 5 = 1, none may be missed: the lowest. Label c, 3 texts: too few, since .8 / .2 = 4 are needed.
    Each text: texts 0 to 3 have a and b, so a missed label costs 1/2; 9 texts allow a loss of 1 in all:
    below .20 are a of text 4 (1), and with the next lowest, .20, nothing else. At .25 b of text 0 (.5) is lost too.
    """
    y_true = np.zeros((9, 3), dtype=np.bool_)
    y_true[:, 0] = True
    y_true[:4, 1] = True
    a = [0.9, 0.8, 0.7, 0.6, 0.1, 0.3, 0.4, 0.5, 0.55]
    b = [0.2, 0.25, 0.85, 0.95]
    y_prob = np.full((9, 3), 0.01, dtype=np.float32)
    y_prob[:, 0], y_prob[:4, 1] = a, b
    found = recall_thresholds(y_true, y_prob, LEVEL)
    assert found.per_label.tolist() == pytest.approx([0.3, 0.2, found.shared])
    assert found.shared == pytest.approx(0.2)
    assert found.needed == 4
    y_true[:3, 2] = True
    guarantee = recall_thresholds(y_true, y_prob, LEVEL).guarantee(("a", "b", "c"), LEVEL, "per_label")
    assert (guarantee.without, guarantee.n_rows, guarantee.level) == (["c"], 9, LEVEL)


@pytest.mark.parametrize(("level", "rows"), [(0.5, 1), (0.8, 4), (0.9, 9), (0.95, 19), (0.99, 99)])
def test_the_fewest_rows_are_those_of_the_smallest_quantile(level: float, rows: int):
    assert fewest_rows(level) == rows
    gold = np.ones((rows, 1), dtype=np.bool_)
    y_prob = np.linspace(0.3, 0.9, rows, dtype=np.float32)[:, None]
    assert recall_thresholds(gold, y_prob, level).shared == pytest.approx(0.3)
    if rows > 1:
        assert recall_thresholds(gold[1:], y_prob[1:], level).shared == 0


@pytest.mark.parametrize("n_val", [60, 400])
def test_the_expected_recall_on_new_texts_is_at_least_the_level(n_val: int):
    """Many draws of val; new texts come from the same source, 50,000 of them, which are as good as all."""
    rng = np.random.default_rng(n_val)
    new_true, new_prob = texts(rng, 50_000)
    sorted_by_label = [np.sort(new_prob[new_true[:, label], label]) for label in range(4)]
    cells = np.nonzero(new_true)
    order = np.argsort(new_prob[cells])
    cell_prob = new_prob[cells][order]
    lost = np.concatenate([[0], np.cumsum(1 / new_true.sum(axis=1)[cells[0]][order])])
    n_labelled = new_true.any(axis=1).sum()
    recalls, of_texts = [], []
    for _ in range(DRAWS):
        found = recall_thresholds(*texts(rng, n_val), LEVEL)
        recall = [
            1 - np.searchsorted(prob, found.per_label[label]) / len(prob)
            for label, prob in enumerate(sorted_by_label)
        ]
        recalls.append(np.where(found.n_positives >= found.needed, recall, np.nan))
        of_texts.append(1 - lost[np.searchsorted(cell_prob, found.shared)] / n_labelled)
    mean, n_draws = np.nanmean(recalls, axis=0), np.isfinite(recalls).sum(axis=0)
    error = np.nanstd(recalls, axis=0) / np.sqrt(n_draws)
    assert (mean >= LEVEL - 4 * error).all()
    assert (mean[:2] <= LEVEL + 1.5 / (0.3 * n_val)).all()  # no label is simply always predicted
    error = np.std(of_texts) / np.sqrt(DRAWS)
    assert LEVEL - 4 * error <= np.mean(of_texts) <= LEVEL + 2 / (0.7 * n_val)


@pytest.mark.parametrize("rule", ["per_label", "global"])
def test_the_fitted_thresholds_say_what_they_guarantee_and_the_labels_of_val_hold_it(rule: str):
    y_true, y_prob = texts(np.random.default_rng(1), 500)
    settings = ThresholdSettings(rule=rule, objective="recall_guarantee", floor=LEVEL)
    fitted = fit_thresholds(tuple("abcd"), y_true, y_prob, settings, resamples=20)
    recall = (fitted.decide(y_prob) & y_true).sum(axis=0) / y_true.sum(axis=0)
    of_texts = ((fitted.decide(y_prob) & y_true).sum(axis=1) / y_true.sum(axis=1).clip(1))[y_true.any(axis=1)]
    assert fitted.guarantee
    if rule == "per_label":
        assert (recall >= LEVEL).all()
        assert fitted.guarantee.of == "each label"
    else:
        assert of_texts.mean() >= LEVEL
        assert fitted.guarantee.of == "each text"
    assert fitted.per_label_ci is not None
    low, high = fitted.per_label_ci
    assert ((low <= fitted.per_label) & (fitted.per_label <= high)).all()
