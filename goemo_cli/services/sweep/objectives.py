"""What a sweep may search for: scores of val, what a run costs, or a weighted sum. Never a score of test."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import SettingError, TrainingFailedError, did_you_mean
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import read_predictions
from goemo_cli.core.schema import COMBINED, LOWER_IS_BETTER
from goemo_cli.services.runs.index import VAL_METRICS, check_metric
from goemo_cli.services.sweep.sweep_file import Goal, Metric, SweepFile

VAL_LOSS, LATENCY, SIZE, SECONDS = "val/loss", "latency_ms", "checkpoint_mib", "training_seconds"
COSTS = (LATENCY, SIZE, SECONDS)
OBJECTIVES = (*VAL_METRICS, VAL_LOSS, *COSTS)
EPOCH_KEYS = {
    "val/f1_macro": "val/f1_macro",
    "val/f1_micro": "val/f1_micro",
    "val/auc_micro": "val/auc",
    VAL_LOSS: VAL_LOSS,
}
"""Objectives that are also known after every epoch, by their names in the journal and on W&B."""

_TIMED, _WARM_UP = 64, 8


@dataclass(frozen=True)
class Objective:
    """One thing that is searched for."""

    name: str
    """One of `OBJECTIVES`, or combined_score."""
    goal: Goal
    target: float | None = None

    def is_better(self, one: float, other: float) -> bool:
        """Whether one value beats another."""
        return self.cost(one) < self.cost(other)

    def cost(self, value: float) -> float:
        """The value, or the negative one if it is maximized: the lower, the better."""
        return -value if self.goal == "maximize" else value


@dataclass(frozen=True)
class Objectives:
    """All that a sweep searches for."""

    objectives: tuple[Objective, ...]
    weights: Mapping[str, float]
    """Of the parts of combined_score, by their names here; empty without."""

    @property
    def needed(self) -> tuple[str, ...]:
        """What is read off every finished run."""
        return tuple(self.weights) or tuple(one.name for one in self.objectives)

    def values(self, scores: Mapping[str, float]) -> list[float]:
        """Of each objective, from what was read off a run."""
        if self.weights:
            return [sum(weight * scores[name] for name, weight in self.weights.items())]
        return [scores[one.name] for one in self.objectives]


def objectives_of(file: SweepFile) -> Objectives:
    """What a sweep file searches for.

    Raises:
        SettingError: a score of test, no known objective, a goal against the objective's sense, or an early end that
            its objective does not allow.
    """
    weights = {_known(name, file.source): weight for name, weight in file.weights.items()}
    objectives = tuple(_objective(metric, weights, file.source) for metric in file.metrics)
    if weights and [one.name for one in objectives] != [COMBINED]:
        raise SettingError([f"{COMBINED} has weights, so the one metric is {COMBINED}"], file.source)
    if len({one.name for one in objectives}) < len(objectives):
        raise SettingError(["metrics: one of them occurs twice"], file.source)
    if file.early_terminate and (len(objectives) > 1 or objectives[0].name not in EPOCH_KEYS):
        raise SettingError(
            [f"early_terminate needs one metric that is known after every epoch: {', '.join(EPOCH_KEYS)}"],
            file.source,
        )
    return Objectives(objectives, weights)


def scores_of(checkpoint: Checkpoint, names: tuple[str, ...], layout: Layout) -> dict[str, float]:
    """What a finished run reached and cost.

    Args:
        names: of `OBJECTIVES`. Scores are those of the manifest's headline, F1 by the run's own threshold rule;
            `val/loss` is that of the kept epoch; `checkpoint_mib` all files of the checkpoint in MiB;
            `latency_ms` as `latency` measures it.

    Raises:
        TrainingFailedError: the run has no such score.
    """
    found = {name: _score(checkpoint, name, layout) for name in names}
    if missing := [name for name, value in found.items() if value is None]:
        raise TrainingFailedError(f"{checkpoint.run} has no {', '.join(missing)}")
    return {name: value for name, value in found.items() if value is not None}


def latency(checkpoint: Checkpoint, layout: Layout) -> float:
    """Milliseconds from a comment to its probabilities: the median over 64 comments of val, one at a time, on the CPU.

    Tokenising included, loading not. In one thread, right after the training, so that other trials disturb it little.
    """
    import torch  # here, since the sweep itself is light and few sweeps measure this

    from goemo_cli.ml.models.classifier import load_classifier

    texts = read_predictions(layout.split_predictions(checkpoint.run, "val")).texts
    chosen = texts[:: max(1, len(texts) // (_TIMED + _WARM_UP))]
    classifier = load_classifier(checkpoint, device="cpu")
    spans, threads = [], torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for text in chosen[: _TIMED + _WARM_UP]:
            started = time.perf_counter()
            classifier.predict_proba([text])
            spans.append(time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)
    return 1000 * statistics.median(spans[_WARM_UP:] or spans)


def _objective(metric: Metric, weights: Mapping[str, float], source: str) -> Objective:
    if metric.name == COMBINED:
        if not weights:
            raise SettingError(
                [f"{COMBINED}: give the weights of its parts, e.g. {COMBINED}: {{val/f1_macro: 1}}"], source
            )
        return Objective(COMBINED, metric.goal, metric.target)
    name = _known(metric.name, source)
    right: Goal = "minimize" if _is_cost(name) else "maximize"
    if metric.goal != right:
        raise SettingError(
            [f"metric {name} is better {'lower' if right == 'minimize' else 'higher'}: write `goal: {right}` (W&B's default is minimize)"],
            source,
        )  # fmt: skip
    return Objective(name, right, metric.target)


def _known(name: str, source: str) -> str:
    """The objective that a name means; also `val_loss`, `validation_loss` and W&B's `val/auc`."""
    split, _, key = (
        name.replace("validation", "val").replace("_", "/", 1 if "/" not in name else 0).partition("/")
    )
    canonical = (
        {"val/auc": "val/auc_micro"}.get(f"{split}/{key}", f"{split}/{key}")
        if split in ("val", "test")
        else name
    )
    if canonical in OBJECTIVES:
        return canonical
    try:
        if split == "test":
            check_metric(canonical)
    except SettingError as error:
        raise SettingError(error.problems, source) from error
    near = did_you_mean(name, (*OBJECTIVES, COMBINED)) or f"; known: {', '.join((*OBJECTIVES, COMBINED))}"
    raise SettingError([f"unknown metric {name!r}{near}"], source)


def _is_cost(name: str) -> bool:
    return name in COSTS or name == VAL_LOSS or name.partition("/")[2] in LOWER_IS_BETTER


def _score(checkpoint: Checkpoint, name: str, layout: Layout) -> float | None:
    metrics = checkpoint.metrics
    if name == LATENCY:
        return latency(checkpoint, layout)
    if name == SIZE:
        files = [*checkpoint.path.iterdir()]
        return sum(path.stat().st_size for path in files if path.is_file()) / 2**20
    if name == SECONDS:
        return metrics.training_seconds
    if name == VAL_LOSS:
        kept = (epoch.val_loss for epoch in metrics.history if epoch.epoch == metrics.best_epoch)
        return next(kept, None)
    headline = checkpoint.manifest.headline
    return headline.val.get(name.partition("/")[2]) if headline else None
