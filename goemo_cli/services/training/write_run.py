"""Claims the folder of a run, and writes the files that depend on its probabilities; the manifest is the last one."""

import errno
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goemo_cli.core.checkpoint import (
    CARD,
    CONFIG,
    METRICS,
    STATE,
    THRESHOLDS,
    Checkpoint,
    claim_checkpoint,
    remove_from_manifest,
    saved_steps,
    write_manifest,
)
from goemo_cli.core.documents.manifest import FileEntry, Headline
from goemo_cli.core.documents.metrics import Metrics
from goemo_cli.core.errors import StorageError
from goemo_cli.core.events import EventHandler, FileWritten
from goemo_cli.core.files import (
    PARTIAL_PREFIX,
    read_json_object,
    remove_if_empty,
    require_no_dangling_link,
    sha256_file,
    write_text,
)
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.predictions import write_predictions
from goemo_cli.core.schema import SCHEMA_VERSION, Kind
from goemo_cli.core.settings import TrainConfig
from goemo_cli.core.system.processes import peak_memory_bytes
from goemo_cli.services.evaluation.per_class_metrics import write_per_class_metrics
from goemo_cli.services.model_card import model_card, repeating
from goemo_cli.services.runs.locks import held, holder_of
from goemo_cli.services.runs.summaries import write_summaries
from goemo_cli.services.training.evaluate import EVALUATED, Evaluation, fit_events
from goemo_cli.services.training.saved_states import StateStore
from goemo_cli.tracking.environment import versions

if TYPE_CHECKING:
    from goemo_cli.services.training.build import Run

_REWRITTEN = (THRESHOLDS, CONFIG, METRICS, CARD)
"""Files of a checkpoint that depend on its probabilities and threshold settings."""


@contextmanager
def claimed(layout: Layout, model: str, family: str) -> Iterator[tuple[RunName, Path]]:
    """A run name and its folder, locked; a run that fails before it saves anything leaves no empty folder."""
    for path in (layout.models, layout.predictions, layout.stats, layout.journals):
        require_no_dangling_link(path)
    layout.predictions.mkdir(parents=True, exist_ok=True)  # a read-only place fails now, not after training
    layout.stats.mkdir(parents=True, exist_ok=True)
    # A tfidf training that was killed leaves an empty folder.
    remove_if_empty(*(path for path in layout.checkpoints() if not holder_of(path)))
    while True:
        run, folder = claim_checkpoint(layout, model, family)
        try:
            with held(folder, "goemo train"):
                if folder.is_dir():  # another process may have removed it before it was locked
                    yield run, folder
                    return
        except BaseException:
            with suppress(OSError):  # what cannot be read stays
                if os.listdir(folder) == [STATE] and not saved_steps(folder):  # noqa: PTH208  # Path.glob hides errors
                    StateStore(folder).remove()
            above = (folder.parent, layout.models, layout.predictions, layout.stats, layout.artifacts)
            remove_if_empty(folder, *above, layout.journals, layout.output)
            raise


def write_trained(
    run: "Run",
    evaluation: Evaluation,
    *,
    layout: Layout,
    wandb_run_id: str | None,
    on_event: EventHandler,
) -> Checkpoint:
    """Finish the checkpoint of a training, whose weights are saved already."""
    config = run.config
    facts = {
        **facts_of_now(run.name),
        "base_model": run.base,
        "seed": config.training.seed,
        "best_epoch": run.best_epoch,
        "history": [scores.as_json() for scores in run.history],
        "training_seconds": run.seconds,
        "device": run.device_facts,
        "wandb_run_id": wandb_run_id,
        **({} if run.exact else {"exact": False}),
        **({"distillation": run.taught.lesson.as_json()} if run.taught else {}),
        "data": dict(run.data_facts),
    }
    return write_run(
        run.name,
        run.folder,
        run.entry.kind,
        # The settings must repeat the run: they name the data set, also if the user did not.
        config.changed("data", name=config.data.name or run.data.name),
        facts,
        evaluation,
        parents={
            "data": run.data_facts["sha256"],
            "base_model": run.base,
            **({"teacher": run.taught.lesson.teacher} if run.taught else {}),
            **({"excluded": run.data_facts["excluded"]} if "excluded" in run.data_facts else {}),
        },
        layout=layout,
        on_event=on_event,
    )


def rewrite_run(
    checkpoint: Checkpoint,
    config: TrainConfig,
    evaluation: Evaluation,
    *,
    layout: Layout,
    on_event: EventHandler,
) -> Checkpoint:
    """Replace the files of a finished run that depend on its thresholds; weights stay.

    Args:
        config: its settings, with the new threshold settings.
    """
    facts = read_json_object(checkpoint.path / METRICS)
    files = checkpoint.manifest.files.items()
    kept = {name: entry for name, entry in files if name not in _REWRITTEN}
    remove_from_manifest(
        checkpoint, *_REWRITTEN
    )  # a run that is killed after this can be used, and tuned again
    return write_run(
        checkpoint.run,
        checkpoint.path,
        checkpoint.kind,
        config,
        {key: value for key, value in facts.items() if key not in EVALUATED},
        evaluation,
        parents=checkpoint.manifest.parents.as_json(),
        is_imported=checkpoint.manifest.origin == "imported",
        other_settings=checkpoint.unknown_settings,
        kept=kept,
        created=checkpoint.manifest.created,
        layout=layout,
        on_event=on_event,
    )


def write_run(
    run: RunName,
    folder: Path,
    kind: Kind,
    config: TrainConfig,
    facts: Mapping[str, Any],
    evaluation: Evaluation,
    *,
    parents: Mapping[str, Any],
    is_imported: bool = False,
    other_settings: Mapping[str, Any] | None = None,
    kept: Mapping[str, FileEntry] | None = None,
    created: str | None = None,
    layout: Layout,
    on_event: EventHandler,
) -> Checkpoint:
    """Write predictions, tables, thresholds, settings, metrics and card; then the manifest, then the summaries.

    Args:
        facts: the keys of metrics.json that do not depend on probabilities.
        evaluation: the other keys, thresholds and predictions.
        parents: what the run was made from, for the manifest.
        is_imported: whether the weights are those of another tool.
        other_settings: settings of another version, which stay in train_config.yaml.
        kept: manifest entries of files that are not written again.
        created: of the manifest that is replaced.

    Raises:
        OSError: the disk refused.
        StorageError: files of the folder were removed meanwhile.
    """
    saved = [path for path in folder.iterdir() if not path.name.startswith(PARTIAL_PREFIX)]
    metrics = Metrics.model_validate({**facts, **evaluation.scores})
    val, test, per_class = outputs = layout.run_outputs(run)
    write_predictions(val, evaluation.val)
    write_predictions(test, evaluation.test)
    write_per_class_metrics(per_class, evaluation.scores["per_class"])
    evaluation.rules.write(folder / THRESHOLDS, run=str(run))
    write_text(folder / CONFIG, _config_text(metrics, config.to_yaml(other_settings or {})))
    metrics.write(folder / METRICS)
    write_text(folder / CARD, model_card(metrics, evaluation.rules, config))
    if removed := [path for path in saved if not path.exists()]:  # writing creates a removed folder again
        raise StorageError(removed[0], "was removed while the run was written", errno.ENOENT)
    checkpoint = write_manifest(
        folder,
        run=run,
        kind=kind,
        labels=evaluation.val.labels,
        parents=parents,
        headline=Headline.of(metrics),
        is_imported=is_imported,
        outputs={layout.shown(path): sha256_file(path) for path in outputs},
        kept=kept or {},
        created=created,
    )
    for path in [*outputs, *write_summaries(layout, models=[run.model], on_event=on_event)]:
        on_event(FileWritten(path))
    for event in fit_events(evaluation.rules, evaluation.val):
        on_event(event)
    return checkpoint


def facts_of_now(run: RunName) -> dict[str, Any]:
    """The keys of metrics.json that tell who writes it: run, process and time."""
    return {
        "schema_version": SCHEMA_VERSION,
        "run": str(run),
        "model": run.model,
        "peak_memory_bytes": peak_memory_bytes(),
        "versions": versions(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _config_text(metrics: Metrics, settings: str) -> str:
    return f"# Every setting of {metrics.run}. Repeat the run:\n#   {repeating(metrics)}\n{settings}"
