"""Test scores of each threshold rule, and of the rule that `thresholds.rule: auto` chooses, for different numbers of val rows.

    python -m benchmarks.threshold_rules VAL_PREDICTIONS TEST_PREDICTIONS [--rows 200 500 1000] [--draws 12]

Thresholds are fitted, and the rule is chosen, on random rows of val; the last line uses all rows. Each cell contains
macro-F1 / micro-F1 on test, the mean over the draws.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from goemo_cli.core.predictions import Predictions, read_predictions
from goemo_cli.core.schema import RULES
from goemo_cli.core.settings import ThresholdSettings
from goemo_cli.ml.metrics.rule_choice import fit_by_rule
from goemo_cli.ml.metrics.scoring import rule_scores


def scores_of_draw(
    val: Predictions, test: Predictions, n_rows: int, seed: int
) -> tuple[str, list[list[float]]]:
    """The chosen rule; macro-F1 and micro-F1 on test of each rule, and of the chosen one at the end."""
    rows = np.random.default_rng(seed).permutation(len(val))[:n_rows]
    fitted = fit_by_rule(val.labels, val.y_true[rows], val.y_prob[rows], ThresholdSettings(), resamples=0)
    scores = []
    for rule in (*RULES, fitted.rule):
        found = rule_scores(test.y_true, fitted.decide(test.y_prob, rule))
        scores.append([found["f1_macro"], found["f1_micro"]])
    return fitted.rule, scores


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("val", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[200, 500, 1000])
    parser.add_argument("--draws", type=int, default=12)
    arguments = parser.parse_args()
    val, test = read_predictions(arguments.val), read_predictions(arguments.test)
    print(f"| val rows | {' | '.join(RULES)} | auto | chosen |\n|{' --- |' * (len(RULES) + 3)}")
    for n_rows in [*(rows for rows in arguments.rows if rows < len(val)), len(val)]:
        draws = [
            scores_of_draw(val, test, n_rows, seed)
            for seed in range(arguments.draws if n_rows < len(val) else 1)
        ]
        means = np.mean([scores for _, scores in draws], axis=0)
        cells = " | ".join(f"{macro:.3f} / {micro:.3f}" for macro, micro in means)
        chosen = ", ".join(f"{rule} {count}" for rule, count in Counter(rule for rule, _ in draws).items())
        print(f"| {n_rows:,} | {cells} | {chosen} |", flush=True)


if __name__ == "__main__":
    main()
