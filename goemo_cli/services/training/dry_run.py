"""`goemo train --dry-run`: data, weights and steps of a run; memory predicted, and time estimated from a few real steps and some texts of val."""

import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np
import psutil

from goemo_cli.core.events import EventHandler, Warning, ignore
from goemo_cli.core.layout import Layout
from goemo_cli.core.settings import TrainConfig
from goemo_cli.core.system.variables import launched
from goemo_cli.ml.data.dataset import LabelledTexts
from goemo_cli.ml.models.transformer import TransformerClassifier, predict_encoded
from goemo_cli.ml.training.frozen import frozen_outputs
from goemo_cli.ml.training.loop import Examples, fit, steps_per_epoch
from goemo_cli.ml.training.memory import memory_need
from goemo_cli.ml.training.ranks import Ranks
from goemo_cli.services.data.checks import texts_by_label, texts_without_label
from goemo_cli.services.evaluation.teacher import open_teacher
from goemo_cli.services.training.build import Prepared, prepare
from goemo_cli.services.training.fit import cache_type, encode_examples
from goemo_cli.services.training.train import read_data, training_data

_WARM_UP, _TIMED = 3, 8
_SCORED = 256
"""Texts of val that are predicted to estimate the time of all."""
_RESULTS_BYTES = 100 * 2**20
"""Memory of scores, intervals, files and their libraries after training. Measured: docs/guides/scale.md."""


@dataclass(frozen=True)
class Plan:
    """What would happen."""

    config: TrainConfig
    """Every setting as it would be used."""
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
    memory_mib: dict[str, int]
    """What the memory of a process holds when training needs most; empty for models without steps."""
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
            "epochs": self.config.training.epochs,
            "learning_rate": self.config.training.learning_rate,
            "batch_size": self.config.training.batch_size,
            "steps_per_epoch": self.steps_per_epoch,
            "steps": self.steps,
            "estimated_training_seconds": self.estimated_seconds and round(self.estimated_seconds),
            "memory_mib": self.memory_mib,
            "estimated_peak_memory_mib": self.estimated_peak_mib,
        }


def plan_training(config: TrainConfig, *, layout: Layout, on_event: EventHandler = ignore) -> Plan:
    """Resolve data and model as `train` would, and time a few steps; nothing is written or downloaded.

    Raises:
        DataNotFoundError: the data is not downloaded yet.
        ModelNotFoundError: no such model, or its weights are not downloaded yet.
    """
    data = training_data(config, read_data(config, layout, on_event, may_fetch=False), on_event)
    if config.distillation.teacher:
        open_teacher(config, data, layout, on_event)
    prepared = prepare(config, data, on_event, may_fetch=False)
    config, model, base = prepared.config, prepared.model, prepared.base
    per_epoch = steps_per_epoch(len(data.train), config.training)
    seconds = peak = None
    memory: dict[str, int] = {}
    steps = 1
    if model:
        steps = per_epoch * config.training.epochs
        train, val = encode_examples(model, data, on_event)
        memory, peak = _memory_mib(prepared, model, train, val)
        free = psutil.virtual_memory().available // 2**20 + memory["model_and_data"]
        if prepared.device.type == "cpu" and peak > free:
            on_event(
                Warning(
                    f"training needs about {peak:,} MiB, {free:,} MiB are available: raise training.accumulation, or set "
                    "training.gradient_checkpointing=true; the time was not measured"
                )
            )
        else:
            seconds = _estimated_seconds(prepared, model, train, val)
    return Plan(
        config=config,
        model=prepared.entry.name,
        weights=str(base.get("id", base["kind"])),
        data=data.source,
        sizes={"train": len(data.train), "val": len(data.val), "test": len(data.test)},
        labels=texts_by_label(data),
        without_label=texts_without_label(data),
        steps_per_epoch=per_epoch if model else 1,
        steps=steps,
        estimated_seconds=seconds,
        memory_mib=memory,
        estimated_peak_mib=peak,
    )


def _memory_mib(
    prepared: Prepared, model: TransformerClassifier, train: Examples, val: Examples
) -> tuple[dict[str, int], int]:
    """What the memory will hold, and its peak: of this process on CPUs, else of the device."""
    settings, device = prepared.config.training, prepared.device
    loaded = psutil.Process().memory_info().rss
    if device.type != "cpu":
        loaded = sum(parameter.nbytes for parameter in model.model.parameters())
    need = memory_need(
        model,
        train,
        val.texts,
        settings,
        device=device,
        precision=prepared.precision,
        ranks=Ranks(*launched()),
        cache=cache_type(settings),
    )
    peak = loaded + need.peak
    if device.type == "cpu":
        peak = max(peak, loaded + _RESULTS_BYTES)
    parts = {"model_and_data": loaded, **asdict(need)}
    return {name: size // 2**20 for name, size in parts.items()}, peak // 2**20


def _estimated_seconds(
    prepared: Prepared, model: TransformerClassifier, train: Examples, val: Examples
) -> float:
    """Seconds of all steps, of the pass through the frozen layers before them and of scoring val after each epoch; from few of each."""
    settings, device, precision = prepared.config.training, prepared.device, prepared.precision
    per_epoch = steps_per_epoch(len(train.texts), settings)
    timed = min(_WARM_UP + _TIMED, per_epoch)
    before = 0.0
    if cache := cache_type(settings):
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
                dtype=cache,
                precision=precision,
            )
        before = (time.perf_counter() - started) * len(split) / len(sample)
        train = Examples(texts, sample.y_true, frozen)
    facts = fit(model, train, val, settings, device=device, precision=precision)
    ends = [time.perf_counter()]
    ends += [time.perf_counter() for _ in islice(facts, timed)]
    facts.close()
    spans = [end - start for start, end in pairwise(ends)]
    epoch = statistics.mean(spans[_WARM_UP:] or spans) * per_epoch + _seconds_of_val(model, prepared.data.val)
    return before + epoch * settings.epochs


def _seconds_of_val(model: TransformerClassifier, val: LabelledTexts) -> float:
    """Seconds to predict val, from some of its texts."""
    sample = val.take(np.random.default_rng(0).permutation(len(val))[:_SCORED])
    texts = model.encode(sample.texts)
    started = time.perf_counter()
    predict_encoded(model.model, texts)
    return (time.perf_counter() - started) * len(val) / len(sample)
