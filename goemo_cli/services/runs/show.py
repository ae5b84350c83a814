"""`goemo runs list`, `show` and `diff`: what there is, what one run is, how two differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goemo_cli.core.checkpoint import CONFIG, Checkpoint
from goemo_cli.core.documents.manifest import Headline
from goemo_cli.core.errors import GoemoError, SettingError, did_you_mean
from goemo_cli.core.events import EventHandler, ignore
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import SCORE_KEYS
from goemo_cli.services.runs.index import (
    VAL_METRICS,
    ListedRun,
    best_first,
    check_metric,
    listed_runs,
    ranked,
    run_files,
)
from goemo_cli.services.runs.pins import pinned_or_none

SORTS = ("newest", "oldest", "best", "model", "seconds", *VAL_METRICS)


@dataclass(frozen=True)
class RunList:
    """Some of the runs below a root."""

    runs: tuple[ListedRun, ...]
    total: int
    """How many there are before the limit."""
    pinned: frozenset[str]


@dataclass(frozen=True)
class RunDetails:
    """One run, opened."""

    checkpoint: Checkpoint
    is_pinned: bool
    settings: Mapping[str, Any]
    """Those that differ from the defaults of its model, by dotted name."""
    files: Mapping[Path, int]
    """Every file of the run with its size in bytes; those of the checkpoint first."""


@dataclass(frozen=True)
class RunDiff:
    """What sets two runs apart."""

    runs: tuple[str, str]
    settings: Mapping[str, tuple[Any, Any]]
    """Those that differ, by dotted name, and training sizes: see `differing_settings`."""
    scores: Mapping[str, tuple[float | None, float | None]]
    """By `split/key`, F1, precision and recall each by its run's own threshold rule; undefined in both left out."""
    rules: tuple[str | None, str | None]
    other_data: tuple[str, ...]
    """Splits on which the two were scored with different comments: their scores do not compare."""
    without_positives: Mapping[str, int]
    """By split, how many labels none of its comments has, if there are any: they count as 0 in macro averages."""


def list_runs(
    layout: Layout,
    *,
    model: str | None = None,
    sort: str = "newest",
    limit: int | None = None,
    on_event: EventHandler = ignore,
) -> RunList:
    """The runs below a root, unfinished and damaged ones too.

    Args:
        model: only those of this model or family.
        sort: one of `SORTS`; by a score the best comes first, and runs without it last; `best` is the order of `@best`.
        limit: maximum number of runs; None for all.

    Raises:
        SettingError: unknown order, or one by a test score.
    """
    if sort not in SORTS:
        _refuse_sort(sort)
    if limit is not None and limit < 0:
        raise SettingError([f"limit is {limit}, less than 0"])
    runs = [
        listed
        for listed in listed_runs(layout, on_event)
        if model is None or model in (listed.run.model, listed.family)
    ]
    ordered = _ordered(runs[::-1], sort)
    return RunList(tuple(ordered[:limit]), len(runs), pinned_or_none(layout, on_event))


def describe_run(checkpoint: Checkpoint, *, layout: Layout, on_event: EventHandler = ignore) -> RunDetails:
    """What `goemo runs show` tells of a run beyond metrics.json."""
    inside = {checkpoint.path / name: entry.size for name, entry in checkpoint.manifest.files.items()}
    every = {listed.run for listed in listed_runs(layout)} | {checkpoint.run}
    outside = {path: path.stat().st_size for path in run_files(layout, every)[checkpoint.run]}
    return RunDetails(
        checkpoint,
        is_pinned=str(checkpoint.run) in pinned_or_none(layout, on_event),
        settings=changed_settings(checkpoint),
        files=inside | outside,
    )


def diff_runs(first: Checkpoint, second: Checkpoint) -> RunDiff:
    """Settings that differ and scores side by side."""
    headlines = Headline.of(first.metrics), Headline.of(second.metrics)
    pairs = {
        f"{split}/{key}": (headlines[0].scores(split)[key], headlines[1].scores(split)[key])
        for key in SCORE_KEYS
        for split in ("val", "test")
    }
    return RunDiff(
        runs=(str(first.run), str(second.run)),
        settings=differing_settings(first, second),
        scores={name: pair for name, pair in pairs.items() if pair != (None, None)},
        rules=(headlines[0].threshold_rule, headlines[1].threshold_rule),
        other_data=tuple(
            split
            for split in ("val", "test")
            if first.metrics.data.split_sha256.of(split) != second.metrics.data.split_sha256.of(split)
        ),
        without_positives={
            split: missing
            for split in ("val", "test")
            if (missing := max(run.metrics.split(split).labels_without_positives for run in (first, second)))
        },
    )


def differing_settings(first: Checkpoint, second: Checkpoint) -> dict[str, tuple[Any, Any]]:
    """Settings in which two runs differ, by dotted name, and how many comments each was trained on if that differs.

    Of as many but other comments the SHA-256 is named instead.
    """
    facts = [run_settings(run) | _training_data(run) for run in (first, second)]
    pairs = {name: (facts[0].get(name), facts[1].get(name)) for name in [*facts[0], *facts[1]]}
    differing = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    if TRAINING_SIZE in differing:
        differing.pop(TRAINING_HASH, None)
    return differing


TRAINING_SIZE, TRAINING_HASH = "training comments", "SHA-256 of training comments"


def _training_data(run: Checkpoint) -> dict[str, Any]:
    data = run.metrics.data
    return {TRAINING_SIZE: data.sizes.train, TRAINING_HASH: data.split_sha256.train}


def _refuse_sort(sort: str) -> None:
    if "/" in sort:
        check_metric(sort)
    near = did_you_mean(sort, SORTS) or f"; known: {', '.join(SORTS)}"
    raise SettingError([f"unknown order {sort!r}{near}"])


def _ordered(newest_first: Sequence[ListedRun], sort: str) -> list[ListedRun]:
    runs = list(newest_first)
    if sort == "newest":
        return runs
    if sort == "oldest":
        return runs[::-1]
    if sort == "model":
        return sorted(runs, key=lambda listed: listed.run.model)
    if sort == "seconds":
        return sorted(runs, key=lambda listed: listed.headline.training_seconds or 0, reverse=True)
    ordered = best_first(runs) if sort == "best" else ranked(runs, sort)
    return ordered + [listed for listed in runs if listed not in ordered]


def changed_settings(checkpoint: Checkpoint) -> dict[str, Any]:
    """The settings that differ from the defaults of the run's model, by dotted name."""
    from goemo_cli.core.catalogue import model_entry
    from goemo_cli.core.layering import flat, nested
    from goemo_cli.core.settings import TrainConfig

    settings = run_settings(checkpoint)
    model = str(settings.get("model.name"))
    try:
        suited = model_entry(model).defaults
    except GoemoError:  # a folder that is gone, or a run that is damaged now
        suited = {}
    defaults = TrainConfig.from_layers(("configs/models.yaml", suited), ("run", nested("model.name", model)))
    plain = flat(defaults.model_dump(mode="json"))
    return {name: value for name, value in settings.items() if name not in plain or plain[name] != value}


def run_settings(checkpoint: Checkpoint) -> dict[str, Any]:
    """Every setting by dotted name, as in the file and not as this version reads it: older runs have settings that no longer exist."""
    from goemo_cli.core.layering import flat, read_yaml_mapping

    settings = flat(read_yaml_mapping(checkpoint.path / CONFIG))
    return {name: value for name, value in settings.items() if value != {}}
