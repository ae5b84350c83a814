"""Numbers of a run, computed again: thresholds, scores, scores on coarser taxonomies, and probabilities."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from goemo_cli.core.arrays import BoolArray, FloatArray, none_if_nan
from goemo_cli.core.checkpoint import METRICS, THRESHOLDS, Checkpoint
from goemo_cli.core.errors import first_names
from goemo_cli.core.labels import ROLL_UPS, TAXONOMIES, RollUp, TaxonomyName, applicable
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import RANKING_KEYS
from goemo_cli.core.thresholds import LabelRules
from goemo_cli.ml.metrics.confusions import cooccurrence_counts
from goemo_cli.ml.metrics.ranking import ranking_scores
from goemo_cli.ml.metrics.rule_choice import fit_by_rule, fit_rules
from goemo_cli.ml.metrics.scoring import rule_scores, score_split
from goemo_cli.ml.metrics.taxonomy import roll_up_labels, roll_up_probabilities
from goemo_cli.services.evaluation.per_class_metrics import read_per_class_metrics, write_per_class_metrics
from goemo_cli.services.validation.predictions import Evidence
from goemo_cli.services.validation.report import ValidationReport

TOLERANCE = 1e-9
"""Largest difference of a recomputed score: rounding, not another formula."""


def check_val(checkpoint: Checkpoint, val: Evidence, report: ValidationReport) -> None:
    """Fit the thresholds again, and score val."""
    scores = scores_of(val.y_true, val.y_prob, checkpoint.rules)
    compare(checkpoint.path / METRICS, "val", scores, checkpoint.metrics.val.as_json(), "val", report)
    if not checkpoint.rules.is_single_label:
        _check_thresholds(checkpoint, val, report)


def _check_thresholds(checkpoint: Checkpoint, val: Evidence, report: ValidationReport) -> None:
    written = checkpoint.thresholds
    again = fit_by_rule(val.labels, val.y_true, val.y_prob, written.fit_settings, resamples=0)
    odd = [
        label
        for at, label in enumerate(val.labels)
        if not _same(again.per_label[at], written.per_label[at])
        or again.n_positives[at] != written.n_positives[at]
    ]
    if not _same(again.global_threshold, written.global_threshold):
        odd.insert(0, "global")
    if again.rule != written.rule:
        odd.insert(0, "rule")
    report.check(
        "fitted on val",
        checkpoint.path / THRESHOLDS,
        holds=not odd,
        otherwise=f"thresholds do not follow from the val predictions: {', '.join(odd[:5])}",
    )


def check_test(checkpoint: Checkpoint, test: Evidence, layout: Layout, report: ValidationReport) -> None:
    """Score test again: metrics.json and the per-class table follow from the test predictions alone."""
    rules = checkpoint.rules
    scores = score_split(test.y_true, test.y_prob, rules)
    path, metrics = checkpoint.path / METRICS, checkpoint.metrics
    compare(path, "test", scores.summary, metrics.test.as_json(), "test", report)
    written = [row.as_json() for row in metrics.per_class]
    if rules.is_single_label:
        matrix = cooccurrence_counts(test.y_true, rules.decide(test.y_prob)).tolist()
        compare(path, "confusion_matrix", matrix, metrics.confusion_matrix, "test", report)
    agreed = compare(path, "per_class", scores.per_class, written, "test", report)
    table = layout.per_class_metrics(checkpoint.run)
    if not check_table(table, scores.per_class, report) and agreed:
        report.can_be_rebuilt(table, lambda: write_per_class_metrics(table, scores.per_class), test.path)


def scores_of(y_true: BoolArray, y_prob: FloatArray, rules: LabelRules) -> dict[str, Any]:
    """What metrics.json says of a split, but for the intervals: resampling takes longer than all the rest.

    Args:
        y_true: gold labels, bool, (n_examples, n_labels).
        y_prob: probabilities, float32, (n_examples, n_labels).
        rules: fitted on val.
    """
    ranked = ranking_scores(y_true, y_prob, intervals=False)
    ranking = {key: getattr(ranked, key) for key in RANKING_KEYS}
    return {
        **{key: none_if_nan(value) for key, value in ranking.items()},
        **{rule: rule_scores(y_true, rules.decide(y_prob, rule)) for rule in rules.names},
    }


def check_table(path: Path, rows: list[dict[str, Any]], report: ValidationReport) -> bool:
    """Check that a table of per-class metrics says what was computed again, and whether it does."""
    before = len(report.problems)
    if report.check("present", path, holds=path.is_file(), otherwise="is missing"):
        with report.guard(path):
            compare(path, "row", rows, read_per_class_metrics(path), "test", report)
    return len(report.problems) == before


def compare(path: Path, what: str, again: Any, written: Any, split: str, report: ValidationReport) -> bool:
    """Check that a part of a document is what was computed again.

    Keys that were not computed are left alone, and keys that the document does not have: those that it must have are
    checked when it is read.
    """
    differences = list(_differences(again, written, what))
    shown = first_names(differences, most=4)
    return report.check(
        f"{what} follows from the {split} predictions",
        path,
        holds=not differences,
        otherwise=f"does not follow from the {split} predictions: {shown}",
    )


def _differences(again: Any, written: Any, place: str) -> Iterator[str]:
    if isinstance(again, dict) and isinstance(written, dict):
        for key, value in again.items():
            if key in written:
                yield from _differences(value, written[key], f"{place}.{key}")
    elif isinstance(again, (list, tuple)) and isinstance(written, list) and len(again) == len(written):
        for at, (one, other) in enumerate(zip(again, written, strict=True)):
            name = one.get("emotion", at) if isinstance(one, dict) else at
            yield from _differences(one, other, f"{place}[{name}]")
    elif isinstance(again, float) and isinstance(written, (int, float)):
        if not _same(again, written):
            yield f"{place} is {written}, should be {again}"
    elif again != written:
        yield f"{place} is {written!r}, should be {again!r}"


def _same(again: float, written: float) -> bool:
    """Whether two numbers are equal but for rounding; NaN never is."""
    return math.isclose(again, written, rel_tol=0, abs_tol=TOLERANCE)


GroupRules = Mapping[tuple[TaxonomyName, RollUp], LabelRules]
"""What was fitted on val, by taxonomy and way of rolling up: small, so that val itself can be let go."""


def fit_groups(checkpoint: Checkpoint, val: Evidence) -> GroupRules:
    """The thresholds of every taxonomy that the run's labels have."""
    rules = checkpoint.rules
    return {
        (taxonomy, how): fit_rules(
            tuple(TAXONOMIES[taxonomy]),
            roll_up_labels(val.y_true, val.labels, taxonomy),
            roll_up_probabilities(val.y_prob, val.labels, taxonomy, how),
            rules.settings,
            single_label=rules.is_single_label,
            resamples=0,
        )
        for taxonomy in applicable(val.labels)
        for how in ROLL_UPS
    }


def check_taxonomies(
    checkpoint: Checkpoint, test: Evidence, fitted: GroupRules, report: ValidationReport
) -> None:
    """Compare what metrics.json says of coarser taxonomies, but for intervals, with the test predictions."""
    for (taxonomy, how), rules in fitted.items():
        scores = scores_of(
            roll_up_labels(test.y_true, test.labels, taxonomy),
            roll_up_probabilities(test.y_prob, test.labels, taxonomy, how),
            rules,
        )
        place = f"taxonomies.{taxonomy}.{how}"
        compare(
            checkpoint.path / METRICS,
            place,
            scores,
            checkpoint.metrics.taxonomies[taxonomy][how].as_json(),
            "test",
            report,
        )


RECOMPUTE_TOLERANCE = 1e-5
"""Of probabilities in fp32: other batches and other processors round otherwise, by less."""


def check_weights(checkpoint: Checkpoint, test: Evidence, report: ValidationReport) -> None:
    """Compare the file's probabilities of its sampled rows with what the weights say now, in fp32."""
    if not report.sound(checkpoint.path) or not len(test.sample.texts):
        return  # damaged weights are not run
    # Here and not above: nothing else of a validation loads torch.
    from goemo_cli.ml.models.classifier import load_classifier

    with report.guard(checkpoint.path):
        y_prob = load_classifier(checkpoint).predict_proba(test.sample.texts)
        off = np.abs(y_prob - test.y_prob[test.sample.rows])
        largest, n_off = float(off.max()), int((~(off <= RECOMPUTE_TOLERANCE)).any(axis=1).sum())
        report.recomputed[str(checkpoint.run)] = largest
        report.check(
            f"{len(off)} rows recomputed, largest difference {largest:.1e}",
            test.path,
            holds=n_off == 0,
            otherwise=f"is not what the weights of {checkpoint.run} say: probabilities of {n_off} of {len(off)} "
            f"recomputed rows differ, by up to {largest:.1e}",
        )
