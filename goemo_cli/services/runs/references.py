"""How people name a run: its folder, its name, or @latest, @best, @MODEL."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import (
    CheckpointNotFoundError,
    CorruptArtifactError,
    NoRunError,
    NotFoundError,
    RunNotFoundError,
    SettingError,
)
from goemo_cli.core.events import EventHandler, Info, Warning, ignore
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.ml.models.folders import describe_foreign, why_no_model
from goemo_cli.services.runs.index import (
    BEST_METRIC,
    OLD_BEST_METRIC,
    ListedRun,
    best_first,
    best_metric,
    check_metric,
    damage,
    listed_runs,
    ranked,
)

_MOST_NAMED = 5
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def open_run(reference: str, layout: Layout, on_event: EventHandler = ignore) -> Checkpoint:
    """The checkpoint that a reference names.

    Args:
        reference: a checkpoint folder; a run's name or the beginning of one that no other run shares; `@latest`;
            `@best` or `@best:val/METRIC`, among the runs scored on the same val split as the newest; `@NAME`, the
            newest run of that model, or of that family if no model has the name.

    Raises:
        NotFoundError: no such folder or run, or one that is unfinished.
        SettingError: several runs share the beginning, or @best names no val metric.
        CorruptArtifactError: the run is damaged.
    """
    return _run(open_checkpoint(find_run(reference, layout, on_event)))


def open_model(reference: str | Path, layout: Layout, on_event: EventHandler = ignore) -> Checkpoint:
    """As `open_run`, or the run of a model folder of another tool or of a Hub id, which is imported without data first.

    Args:
        reference: as for `open_run`, or a folder as `save_pretrained` writes it, or `owner/name` on the Hub. A path is
            always a folder.
        layout: whose runs are meant, and where an import is written.

    Raises:
        As `open_run` and `import_model`.
    """
    return _run(open_predicting(reference, layout, on_event))


def open_predicting(reference: str | Path, layout: Layout, on_event: EventHandler = ignore) -> Checkpoint:
    """As `open_model`, or an exported model by its folder.

    Raises:
        As `open_model`.
    """
    try:
        return open_checkpoint(
            reference if isinstance(reference, Path) else find_run(reference, layout, on_event)
        )
    except CheckpointNotFoundError:
        path = Path(reference).expanduser()
        is_foreign = path.is_dir() and not RunName.parse(path.name) and why_no_model(path) is None
        if not is_foreign and not (isinstance(reference, str) and is_hub_id(reference)):
            raise

    from goemo_cli.services.training.imported import open_imported  # torch, which references do without

    return open_imported(str(reference), layout=layout, on_event=on_event)


def _run(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint.

    Raises:
        SettingError: it is an exported model.
    """
    if checkpoint.manifest.export is not None:
        raise SettingError(
            [f"{checkpoint.path} is an exported model, which only predicts; name its run: {checkpoint.run}"]
        )
    return checkpoint


def is_hub_id(reference: str) -> bool:
    """Whether a reference can only mean a model of the Hub: `owner/name`, and the folder `owner` does not exist."""
    return _HUB_ID.fullmatch(reference) is not None and not Path(reference).parent.exists()


def open_checkpoint(folder: Path) -> Checkpoint:
    """`Checkpoint.open`; for a model folder of another tool the error says what it is and how to use it.

    Raises:
        As `Checkpoint.open`.
    """
    try:
        return Checkpoint.open(folder)
    except CheckpointNotFoundError as error:
        is_foreign = error.missing and not RunName.parse(folder.name)
        if is_foreign and (instead := describe_foreign(folder)):
            raise CheckpointNotFoundError(folder, error.missing, instead) from None
        raise


def find_run(reference: str, layout: Layout, on_event: EventHandler = ignore) -> Path:
    """The folder that a reference names, as `open_run` understands it; it may be unfinished if it is named."""
    if not reference:
        raise SettingError(["the name of a run is empty"])
    if reference.startswith("@"):
        return _special(reference, layout, on_event)
    path = Path(reference).expanduser()
    if path.name != reference:  # a/b, ./a, a/, ~
        return path
    runs = listed_runs(layout)
    finished = [listed for listed in runs if listed.is_finished]
    if exact := _named(reference, finished) or _named(reference, runs):
        return _only(reference, exact)
    if path.is_dir():
        return path
    if begun := [listed for listed in finished if str(listed.run).startswith(reference)]:
        return _only(reference, begun)
    raise RunNotFoundError(reference, layout.root, _names(finished))


@dataclass(frozen=True)
class BestRun:
    """The best run by a val score, and how it came to be."""

    run: ListedRun
    metric: str
    """What it is the best by."""
    among: tuple[ListedRun, ...]
    """The runs that compare with it, the best first; only the best was opened."""
    left_out: int
    """How many runs have the score on other comments."""

    def __str__(self) -> str:
        older = sum(listed.score(self.metric) is None for listed in self.among)
        by = f"{self.run.run} is the best of {len(self.among):,} by {self.metric}"
        return f"{by}; {older:,} without it rank below, by {OLD_BEST_METRIC}" if older else by


def choose_best(layout: Layout, metric: str | None = None, on_event: EventHandler = ignore) -> BestRun:
    """The run with the best val score among those scored on the same val split as the newest.

    Scores on other comments do not compare: a run on an easy sample would win over every run on real data.

    Args:
        metric: one of `VAL_METRICS`; F1, precision and recall are by each run's own threshold rule. `BEST_METRIC` by
            default; then runs of earlier versions without it rank below, by their macro-F1.

    Raises:
        SettingError: not a metric of the val split.
        NotFoundError: no finished run, or none with that score.
        CorruptArtifactError: every run with that score is damaged.
    """
    if metric is not None:
        check_metric(metric)
    finished = _finished(layout, on_event)
    scored = [listed for listed in finished if listed.score(metric or best_metric(listed)) is not None]
    if not scored:
        raise NotFoundError(
            f"no run in {layout.models} has a {metric or f'{BEST_METRIC} or {OLD_BEST_METRIC}'}; "
            "name the run (@latest is the newest)"
        )
    split = scored[-1].headline.val_sha256
    among = [listed for listed in scored if listed.headline.val_sha256 == split]
    ordered = _from_first_sound(ranked(among, metric) if metric else best_first(among), on_event)
    return BestRun(ordered[0], metric or best_metric(ordered[0]), ordered, len(scored) - len(among))


def _special(reference: str, layout: Layout, on_event: EventHandler) -> Path:
    wanted, colon, metric = reference[1:].partition(":")
    if wanted == "best":
        found = choose_best(layout, metric if colon else None, on_event)
        on_event(Info(f"{reference}: {found}"))
        return found.run.path
    if colon:
        raise SettingError([f"{reference!r}: only @best takes a metric, as in @best:{BEST_METRIC}"])
    finished = _finished(layout, on_event)
    newest_first = (finished if wanted == "latest" else _of_model(wanted, finished, layout))[::-1]
    return _from_first_sound(newest_first, on_event)[0].path


def _finished(layout: Layout, on_event: EventHandler) -> list[ListedRun]:
    finished = [listed for listed in listed_runs(layout, on_event) if listed.is_finished]
    if not finished:
        raise NoRunError(layout.models)
    return finished


def _from_first_sound(runs: Sequence[ListedRun], on_event: EventHandler) -> tuple[ListedRun, ...]:
    """Some runs without the damaged ones at their beginning; the others are not opened.

    Raises:
        CorruptArtifactError, NotFoundError, OSError: all are damaged; what is wrong with the first.
    """
    first: Exception | None = None
    for i, listed in enumerate(runs):
        try:
            Checkpoint.open(listed.path).require_readable()
        except (CorruptArtifactError, CheckpointNotFoundError, OSError) as error:
            first = first or error
            on_event(Warning(damage(listed.run, error)))
        else:
            return tuple(runs[i:])
    assert first  # there are runs
    raise first


def _of_model(name: str, finished: Sequence[ListedRun], layout: Layout) -> list[ListedRun]:
    of_model = [listed for listed in finished if listed.run.model == name]
    found = of_model or [listed for listed in finished if listed.family == name]
    if not found:
        models = {f"@{known}" for listed in finished for known in (listed.run.model, listed.family)}
        raise RunNotFoundError(f"@{name}", layout.root, sorted(models | {"@latest", "@best"}))
    return found


def _named(reference: str, runs: Sequence[ListedRun]) -> list[ListedRun]:
    wanted = RunName.parse(reference)  # also in the older form
    return [listed for listed in runs if wanted == listed.run] if wanted else []


def _only(reference: str, runs: Sequence[ListedRun]) -> Path:
    if len(runs) == 1:
        return runs[0].path
    names = _names(runs)
    shown = (
        names if len(set(names)) == len(names) else [str(listed.path) for listed in runs]
    )  # a copied folder
    older = f" and {len(shown) - _MOST_NAMED} older" if len(shown) > _MOST_NAMED else ""
    raise SettingError(
        [f"{reference!r} fits {len(shown)} runs: {', '.join(shown[: -_MOST_NAMED - 1 : -1])}{older}"]
    )


def _names(runs: Sequence[ListedRun]) -> list[str]:
    return [str(listed.run) for listed in runs]
