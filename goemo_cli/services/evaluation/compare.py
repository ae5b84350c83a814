"""`goemo compare`: whether runs or predictions files differ by more than chance, on the same rows."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from goemo_cli.core.arrays import DoubleArray, IntArray, none_if_nan
from goemo_cli.core.events import (
    EventHandler,
    FileWritten,
    Warning,
    ignore,
    progress,
)
from goemo_cli.core.files import sha256_file, write_sealed_json
from goemo_cli.core.labels import Split
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import DISPLAY_NAMES, LOWER_IS_BETTER, SCHEMA_VERSION, SIGNIFICANCE_COLUMNS
from goemo_cli.ml.metrics.comparison import (
    SCORES,
    Differences,
    agreement,
    paired_differences,
)
from goemo_cli.ml.metrics.intervals import ALPHA, RESAMPLES, SEED, holm
from goemo_cli.services.data.checks import macro_doubt
from goemo_cli.services.data.result_tables import decimal, write_table
from goemo_cli.services.evaluation.compared_models import ComparedModel, open_sources
from goemo_cli.services.runs.show import differing_settings

LABEL_METRIC = "f1_score"
"""`metric` of the rows with an emotion."""
SAME = "not distinguishable"
"""`better` where the interval of the difference holds 0 or the corrected p-value is not below .05; else `a` or `b`."""


@dataclass(frozen=True)
class Comparison:
    """What was found and written."""

    path: Path
    pairs: tuple[tuple[Mapping[str, Any], ...], ...]
    """Of each model with the first: rows by `SIGNIFICANCE_COLUMNS`, scores before emotions; None where undefined."""
    differing: tuple[Mapping[str, tuple[Any, Any]] | None, ...]
    """Of each pair the settings and training sizes that differ, by name; None if one of the two has no run below the root."""

    @property
    def rows(self) -> list[Mapping[str, Any]]:
        """The rows of all pairs, as they are written."""
        return [row for pair in self.pairs for row in pair]

    def verdicts(self, metric: str) -> list[str]:
        """One sentence per pair: which one is better by a score, or that they are not distinguishable.

        Numbers are in the order of the tables: A, B, and B - A.
        """
        return [
            _verdict(row, len(self.pairs)) for pair in self.pairs for row in pair if row["metric"] == metric
        ]


def compare(
    references: Sequence[str],
    *,
    layout: Layout,
    split: Split | None = None,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    on_event: EventHandler = ignore,
) -> Comparison:
    """Compare models by their predictions, each with the first, and write significance_tests.csv.

    Labels are those that each model decided itself: the `pred_labels` of its predictions file.

    Args:
        references: two or more; a predictions CSV, or anything `open_run` takes, whose written predictions are read.
        split: which predictions of the runs; test by default. Files have theirs.
        resamples: draws of rows.

    Raises:
        SettingError: fewer than two references, or a split where only files are compared.
        NotFoundError: no such file or run, or a run without predictions of the split.
        DataFileError: no predictions file, no gold labels, or other rows or labels than the first.
    """
    sources = open_sources(references, split=split, layout=layout, on_event=on_event)
    first = sources[0].checkpoint
    comparison = Comparison(
        layout.significance_tests,
        _pairs(sources, resamples, seed, on_event),
        tuple(
            differing_settings(first, other.checkpoint) if first and other.checkpoint else None
            for other in sources[1:]
        ),
    )
    write_table(comparison.path, SIGNIFICANCE_COLUMNS, comparison.rows)
    write_sealed_json(
        layout.significance_record,
        {
            "schema_version": SCHEMA_VERSION,
            "sources": {source.shown_path: source.sha256 for source in sources},
            "files": {comparison.path.name: sha256_file(comparison.path)},
        },
    )
    on_event(FileWritten(comparison.path))
    gold = sources[0].predictions
    if doubt := macro_doubt(gold.labels, gold.y_true, sources[0].path.name):
        on_event(Warning(doubt))
    return comparison


def _pairs(
    sources: Sequence[ComparedModel], resamples: int, seed: int, on_event: EventHandler
) -> tuple[tuple[Mapping[str, Any], ...], ...]:
    with progress(on_event, "Resampling", resamples, "resamples") as advance:
        found = paired_differences(
            sources[0].predictions.y_true,
            [source.predictions.y_pred for source in sources],
            [source.predictions.y_prob for source in sources],
            resamples=resamples,
            seed=seed,
            on_draws=advance,
        )
    corrected, families = _corrected(np.stack([pair.p_value for pair in found]))
    _warn_of_few_resamples(int(found[0].resamples.max()), int(families.max()), on_event)
    return tuple(
        tuple(_pair(sources[0], other, pair, p_holm, families, seed))
        for other, pair, p_holm in zip(sources[1:], found, corrected, strict=True)
    )


def _pair(
    a: ComparedModel, b: ComparedModel, found: Differences, p_holm: DoubleArray, families: IntArray, seed: int
) -> Iterator[Mapping[str, Any]]:
    shared = _about_pair(a, b)
    tested = [(score, None) for score in SCORES] + [(LABEL_METRIC, label) for label in a.predictions.labels]
    for at, (metric, emotion) in enumerate(tested):
        row = {
            "metric": metric,
            "emotion": emotion,
            "a_value": none_if_nan(found.a[at]),
            "b_value": none_if_nan(found.b[at]),
            "difference": none_if_nan(found.difference[at]),
            "ci_low": none_if_nan(found.low[at]),
            "ci_high": none_if_nan(found.high[at]),
            "p_value": none_if_nan(found.p_value[at]),
            "p_holm": none_if_nan(p_holm[at]),
            "family_size": int(families[at]),
            "resamples": int(found.resamples[at]),
            "seed": seed,
        }
        yield {**shared, **row, "better": _better(row)}


def _corrected(p_values: DoubleArray) -> tuple[DoubleArray, IntArray]:
    """P-values (n_pairs, n_columns) corrected by Holm, and the size of each column's family, (n_columns,).

    A score is a family over the pairs; the F1 of all labels of all pairs together are another.
    """
    n_scores = len(SCORES)
    corrected, families = p_values.copy(), (~np.isnan(p_values)).sum(axis=0)
    for column in range(n_scores):
        corrected[:, column] = holm(p_values[:, column])
    corrected[:, n_scores:] = holm(p_values[:, n_scores:].ravel()).reshape(len(p_values), -1)
    families[n_scores:] = families[n_scores:].sum()
    return corrected, families


def _warn_of_few_resamples(resamples: int, tests: int, on_event: EventHandler) -> None:
    """No p-value is below 1 / (1 + resamples); times the number of tests it must be able to fall below .05."""
    if tests / (1 + resamples) >= ALPHA:
        on_event(
            Warning(
                f"{resamples} resamples are too few to tell any emotion apart: over {tests} tests no corrected "
                f"p-value falls below {ALPHA:g}; take --resamples {math.ceil(tests / ALPHA)} or more"
            )
        )


def _about_pair(a: ComparedModel, b: ComparedModel) -> dict[str, Any]:
    found = agreement(a.predictions.y_true, a.predictions.y_pred, b.predictions.y_pred)
    return {
        "a": a.name,
        "b": b.name,
        "split": a.split or b.split,
        "n_examples": len(a.predictions),
        "equal_rows": found.equal_rows,
        "cohen_kappa": found.kappa,
        "only_a_right": found.only_a_right,
        "only_b_right": found.only_b_right,
        "mcnemar_p": found.mcnemar_p,
        "a_source": a.shown_path,
        "a_sha256": a.sha256,
        "b_source": b.shown_path,
        "b_sha256": b.sha256,
    }


def _better(row: Mapping[str, Any]) -> str | None:
    if row["p_holm"] is None:
        return None
    if row["ci_low"] <= 0 <= row["ci_high"] or row["p_holm"] >= ALPHA:
        return SAME
    return "b" if (row["difference"] > 0) != (row["metric"] in LOWER_IS_BETTER) else "a"


def _verdict(row: Mapping[str, Any], n_pairs: int) -> str:
    spoken, a, b = DISPLAY_NAMES[row["metric"]], f"A = {row['a']}", f"B = {row['b']}"
    if row["difference"] is None:
        return f"{a} and {b}: {spoken} is undefined on these rows"
    numbers = (
        f"{spoken} A {decimal(row['a_value'])}, B {decimal(row['b_value'])}, "
        f"B - A {decimal(row['difference'], sign='+')}"
    )
    if row["better"] is None:
        return f"{a} and {b}: {numbers}; no interval: too many rows"
    low, high = (decimal(row[end], sign="+") for end in ("ci_low", "ci_high"))
    corrected = f", corrected for {n_pairs} comparisons" if n_pairs > 1 else ""
    numbers += f" (95 % interval {low} to {high}, p = {row['p_holm']:.2g}{corrected})"
    if row["better"] == SAME:
        return f"{a} and {b} are {SAME}: {numbers}"
    better, other = (a, b) if row["better"] == "a" else (b, a)
    return f"{better} is better than {other}: {numbers}"
