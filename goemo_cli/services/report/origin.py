"""The sections of a report about how runs were made: model, settings, training, data, lineage and environment."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from goemo_cli.core.checkpoint import CONFIG, Checkpoint
from goemo_cli.core.documents.metrics import EpochScores
from goemo_cli.core.errors import DataNotFoundError, GoemoError
from goemo_cli.core.events import duration
from goemo_cli.core.labels import SPLITS
from goemo_cli.core.schema import Kind
from goemo_cli.ml.data.dataset import Dataset, LabelledTexts
from goemo_cli.ml.data.leaks import leaks, normalised_texts
from goemo_cli.services.data.find import GOEMOTIONS, find_goemotions
from goemo_cli.services.data.result_tables import file_size
from goemo_cli.services.model_card.card import repeating
from goemo_cli.services.report.content import (
    CountedData,
    Environment,
    Fact,
    Line,
    Repeating,
    SettingRow,
    SplitFacts,
    Steps,
)
from goemo_cli.services.report.text import data_name
from goemo_cli.services.runs.lineage import trace_lineage
from goemo_cli.services.runs.run_data import RunData
from goemo_cli.services.runs.show import changed_settings, run_settings
from goemo_cli.tracking.journal import LogLine, journal_path, read_journal

MOST_STEPS = 400
"""Points of a curve by step."""
STEP_LOSS = "step/loss"
KIND_WORDS: Mapping[Kind, str] = {
    "transformer": "fine-tuned transformer",
    "static": "static token vectors",
    "tiny": "random tiny transformer",
    "tfidf": "logistic regressions over TF-IDF",
    "ensemble": "mean of several runs",
}


def facts(checkpoint: Checkpoint) -> tuple[Fact, ...]:
    """Model, size, data and training time."""
    metrics, n_labels = checkpoint.metrics, len(checkpoint.labels)
    data, device, n_epochs = metrics.data, metrics.device, len(metrics.history)
    sizes = ", ".join(f"{data.sizes.of(split):,} {split}" for split in SPLITS)
    epochs = f"{n_epochs} epoch{'' if n_epochs == 1 else 's'}" if n_epochs else "of its members"
    place = f" on {device.processor} ({device.type}, {device.precision})" if device else ""
    return (
        Fact("Model", checkpoint.run.model, str(metrics.base_model.get("id") or KIND_WORDS[checkpoint.kind])),
        _size(checkpoint),
        Fact("Data", data_name(data.name), f"{sizes}; {n_labels:,} labels"),
        Fact("Training", duration(metrics.training_seconds), f"{epochs}{place}"),
    )


def _size(checkpoint: Checkpoint) -> Fact:
    """What the weights need on disk, and how many numbers the model learned."""
    if members := checkpoint.metrics.members:
        return Fact("Size", f"{len(members)} members", "an ensemble has no weights itself")
    sizes = {name: entry.size for name, entry in checkpoint.manifest.files.items()}
    weights = [name for name in sizes if name.endswith(".safetensors")] or [
        name for name in sizes if name.endswith(".bin")
    ]
    value = file_size(sum(sizes[name] for name in weights))
    counted = [_n_parameters(checkpoint.path / name) for name in weights if name.endswith(".safetensors")]
    if not counted or None in counted:
        return Fact("Size", value, "of weights")
    return Fact("Size", value, f"{sum(one or 0 for one in counted):,} parameters")


def _n_parameters(path: Path) -> int | None:
    """How many numbers a file of weights holds; None if it cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            n: int = sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118  # it is not a dict
            return n
    except (OSError, SafetensorError):
        return None


def epochs(source: RunData) -> list[EpochScores]:
    """What was recorded of each epoch.

    Raises:
        GoemoError: the run has no epochs, or an entry of an epoch is missing in metrics.json.
    """
    if members := source.checkpoint.metrics.members:
        names = ", ".join(one.run for one in members)
        raise GoemoError(f"an ensemble was not trained itself; its members were: {names}")
    return source.history()


def steps(source: RunData) -> Steps | None:
    """Training by step, from the run's journal; None if it has none that can be read."""
    run = source.checkpoint.run
    try:
        journal = read_journal(journal_path(source.layout.journals, run))
    except (GoemoError, OSError):  # another file than those of the run; the epochs are in metrics.json
        return None
    lines = [line for line in journal.lines if isinstance(line, LogLine)]
    ends = {line.epoch: line.step for line in lines if line.epoch is not None}
    losses = tuple((line.step, line.values[STEP_LOSS]) for line in lines if STEP_LOSS in line.values)
    is_whole = set(ends) >= {epoch.epoch for epoch in source.checkpoint.metrics.history}
    return Steps(ends, _thinned(losses)) if is_whole and ends else None


def _thinned(losses: tuple[tuple[int, float], ...]) -> tuple[tuple[int, float], ...]:
    """At most `MOST_STEPS` points: means of neighbours, at their last step."""
    width = -(-len(losses) // MOST_STEPS) or 1
    groups = [losses[start : start + width] for start in range(0, len(losses), width)]
    return tuple((group[-1][0], float(np.mean([loss for _, loss in group]))) for group in groups)


def lineage(source: RunData) -> list[Line]:
    """The run's lineage, from the data down. Every file of the run is hashed."""
    found = trace_lineage(source.checkpoint, layout=source.layout)
    parents = {node.id: node.name for node in found.nodes if node.kind == "parent run"}
    return [
        Line(depth, node, tuple(parents[one] for one in node.sources if one in parents))
        for depth, node in found.tree()
    ]


def environment(source: RunData) -> Environment:
    """Machine, time, memory and versions.

    Raises:
        GoemoError: metrics.json does not say.
    """
    metrics = source.checkpoint.metrics
    device, memory = metrics.device, metrics.peak_memory_bytes
    if device is None or memory is None or not metrics.versions:
        raise GoemoError("metrics.json has no device, peak_memory_bytes or versions")
    facts = {
        "finished": metrics.finished or "–",
        "processor": f"{device.processor} ({device.type}, {device.precision})",
        "training": f"{metrics.training_seconds:,.0f} s",
        "memory at peak": f"{memory / 2**30:.2f} GiB",
        "W&B run": metrics.wandb_run_id or "none",
    }
    return Environment(facts, metrics.versions)


def settings(sources: Sequence[RunData]) -> list[SettingRow]:
    """Every setting of the runs; a run without a setting, which was trained by another version, has a dash.

    Raises:
        GoemoError: settings that cannot be read.
    """
    every = [run_settings(source.checkpoint) for source in sources]
    changed = {name for source in sources for name in changed_settings(source.checkpoint)}
    names = dict.fromkeys(name for values in every for name in values)
    return [
        SettingRow(name, values, is_changed=name in changed or len(set(values)) > 1)
        for name in names
        for values in [tuple(_shown_setting(one[name]) if name in one else "–" for one in every)]
    ]


def _shown_setting(value: Any) -> str:
    """As YAML writes it on one line."""
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value


def repeat(source: RunData) -> Repeating:
    """The command that repeats the run, and what sets it apart.

    Raises:
        GoemoError: settings that cannot be read.
    """
    checkpoint = source.checkpoint
    folder = source.layout.shown(checkpoint.path)
    return Repeating(
        command=repeating(checkpoint.metrics).replace(CONFIG, f"{folder}/{CONFIG}"),
        settings=changed_settings(checkpoint),
        data_sha256=checkpoint.metrics.data.sha256,
        seed=checkpoint.metrics.seed,
    )


def data_facts(source: RunData) -> CountedData:
    """Count the data set that the run was trained on; nothing is downloaded.

    Raises:
        DataNotFoundError: it is not here.
        DataError: what is here is not what the run recorded.
    """
    _require_at_hand(source)
    return facts_of(source.data())


def facts_of(data: Dataset) -> CountedData:
    """The facts of a data set; two texts are the same if `ml.leaks.normalised` gives the same text."""
    texts = normalised_texts(data)
    facts = {split: _split_facts(data.splits[split], texts[split]) for split in SPLITS}
    return CountedData(facts, leaks(data, texts))


def _require_at_hand(source: RunData) -> None:
    name = source.checkpoint.metrics.data.name
    settings = source.checkpoint.config.data
    if source.data_dir:
        settings = settings.model_copy(update={"dir": source.data_dir})
    if name == GOEMOTIONS:
        found, looked_in = find_goemotions(settings, source.layout.root)
        if found is None:
            raise DataNotFoundError(GOEMOTIONS, looked_in)


def _split_facts(split: LabelledTexts, normalised: Sequence[str]) -> SplitFacts:
    lengths = np.array([len(text) for text in split.texts] or [0])
    median, most = np.quantile(lengths, [0.5, 0.95], method="inverted_cdf")
    labels = split.y_true.sum(axis=1)
    return SplitFacts(
        comments=len(split.texts),
        labels_per_comment=float(labels.mean()) if len(labels) else 0.0,
        unlabelled=int((labels == 0).sum()),
        characters=(int(median), int(most), int(lengths.max())),
        per_label=tuple(split.y_true.sum(axis=0).tolist()),
        repeated=len(split.texts) - len(set(normalised)),
    )
