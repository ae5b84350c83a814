"""`goemo train --dry-run`: data, weights and steps of a run; time and memory estimated from a few real steps."""

import statistics
import tempfile
import time
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np

from goemo_cli.core.events import EventHandler, ignore
from goemo_cli.core.layout import Layout
from goemo_cli.core.settings import TrainConfig
from goemo_cli.ml.models.transformer import TransformerClassifier
from goemo_cli.ml.training.frozen import frozen_outputs
from goemo_cli.ml.training.loop import Examples, fit, steps_per_epoch
from goemo_cli.services.data.checks import texts_by_label, texts_without_label
from goemo_cli.services.training.build import Prepared, encode_examples, is_cached, prepare
from goemo_cli.services.training.train import read_data, training_data
from goemo_cli.tracking.environment import peak_memory_bytes

_WARM_UP, _TIMED = 3, 8


@dataclass(frozen=True)
class Plan:
    """What would happen."""

    model: str
    weights: str
    data: str
    sizes: dict[str, int]
    labels: dict[str, int]
    """The number of texts with each label, the most common first."""
    without_label: int
    """The number of texts without any label."""
    steps_per_epoch: int
    steps: int
    estimated_seconds: float | None
    """Of training, from a few timed steps; None for models without steps."""
    estimated_peak_mib: int | None

    def values(self) -> dict[str, Any]:
        """By name, in the order of the output."""
        return {
            "model": self.model,
            "weights": self.weights,
            "data": self.data,
            "comments": self.sizes,
            "labels": self.labels,
            "texts_without_label": self.without_label,
            "steps_per_epoch": self.steps_per_epoch,
            "steps": self.steps,
            "estimated_training_seconds": self.estimated_seconds and round(self.estimated_seconds),
            "estimated_peak_memory_mib": self.estimated_peak_mib,
        }


def plan_training(config: TrainConfig, *, layout: Layout, on_event: EventHandler = ignore) -> Plan:
    """Resolve data and model as `train` would, and time a few steps; nothing is written or downloaded.

    Raises:
        DataNotFoundError: the data is not downloaded yet.
        ModelNotFoundError: no such model, or its weights are not downloaded yet.
    """
    data = training_data(config, read_data(config, layout, on_event, may_fetch=False), on_event)
    prepared = prepare(config, data, layout, on_event, is_plan=True)
    model, base = prepared.model, prepared.base
    per_epoch = steps_per_epoch(len(data.train), config.training)
    seconds = peak = None
    steps = 1
    if model:
        steps = per_epoch * config.training.epochs
        seconds = _estimated_seconds(prepared, model, on_event)
        peak = peak_memory_bytes() // 2**20
    return Plan(
        model=prepared.entry.name,
        weights=str(base.get("id", base["kind"])),
        data=data.source,
        sizes={"train": len(data.train), "val": len(data.val), "test": len(data.test)},
        labels=texts_by_label(data),
        without_label=texts_without_label(data),
        steps_per_epoch=per_epoch if model else 1,
        steps=steps,
        estimated_seconds=seconds,
        estimated_peak_mib=peak,
    )


def _estimated_seconds(prepared: Prepared, model: TransformerClassifier, on_event: EventHandler) -> float:
    """Seconds of all steps, and of the pass through the frozen layers before them, from a few timed steps."""
    settings, device, precision = prepared.config.training, prepared.device, prepared.precision
    train, val = encode_examples(model, prepared.data, on_event)
    per_epoch = steps_per_epoch(len(train.texts), settings)
    timed = min(_WARM_UP + _TIMED, per_epoch)
    before = 0.0
    if is_cached(settings):
        split = prepared.data.train
        sample = split.take(np.random.default_rng(0).permutation(len(split))[: timed * settings.batch_size])
        texts = model.encode(sample.texts)
        started = time.perf_counter()
        with tempfile.TemporaryFile() as file:
            frozen = frozen_outputs(
                model.model.to(device),
                settings.frozen_layers,
                texts,
                file,
                dtype="float16",
                precision=precision,
            )
        before = (time.perf_counter() - started) * len(split) / len(sample)
        train = Examples(texts, sample.y_true, frozen)
    facts = fit(model, train, val, settings, device=device, precision=precision)
    ends = [time.perf_counter()]
    ends += [time.perf_counter() for _ in islice(facts, timed)]
    facts.close()
    spans = [end - start for start, end in pairwise(ends)]
    return before + statistics.mean(spans[_WARM_UP:] or spans) * per_epoch * settings.epochs
