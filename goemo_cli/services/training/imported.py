"""`goemo import`: makes a run of a classifier that another tool trained, from a folder or the Hugging Face Hub."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from goemo_cli.core.catalogue import ModelEntry, model_entry
from goemo_cli.core.checkpoint import CARD, CONFIG, THRESHOLDS, Checkpoint, write_manifest
from goemo_cli.core.documents.manifest import Headline
from goemo_cli.core.errors import ModelNotFoundError, OfflineError, SettingError
from goemo_cli.core.events import EventHandler, FileWritten, Info, Warning, ignore
from goemo_cli.core.files import sha256_file, write_text
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.settings import TrainConfig
from goemo_cli.core.system.variables import is_offline
from goemo_cli.core.thresholds import MostProbable, Thresholds
from goemo_cli.ml.data.dataset import Dataset
from goemo_cli.ml.models.devices import pick_device
from goemo_cli.ml.models.folders import weight_files
from goemo_cli.ml.models.foreign import foreign_transformer, is_single_label_folder
from goemo_cli.ml.models.transformer import TransformerClassifier, load_transformer
from goemo_cli.ml.models.weights import FoundWeights, find_weights
from goemo_cli.services.data.find import load_data
from goemo_cli.services.data.own_data import listed_labels
from goemo_cli.services.evaluation.export import predicted
from goemo_cli.services.runs.index import listed_runs
from goemo_cli.services.training.evaluate import evaluate
from goemo_cli.services.training.write_run import claimed, facts_of_now, write_run
from goemo_cli.tracking.environment import processor

MAX_LENGTH = 512
"""Tokens per text, or fewer if the model or its tokenizer reads fewer."""


def import_model(
    model: str,
    *,
    layout: Layout,
    data: Mapping[str, Any] = MappingProxyType({}),
    revision: str | None = None,
    max_length: int = MAX_LENGTH,
    single_label: bool | None = None,
    device: str = "auto",
    on_event: EventHandler = ignore,
) -> Checkpoint:
    """Copy a classifier into a new run. With data, fit its thresholds on val and score it on test.

    Without data the run has no scores, and its thresholds are 0.5; thresholds.json says that nothing was fitted.

    Args:
        model: a folder as `save_pretrained` writes it, or a Hub id.
        data: settings of the section `data`: `name` is the data; `labels_file` also names the outputs of a model
            whose config does not.
        revision: Hub commit, tag or branch.
        max_length: maximum number of tokens per text.
        single_label: whether each text has one label; by default as the model's config says.
        device: for scoring: auto, cpu, cuda or mps.

    Raises:
        ModelNotFoundError: no such model, or none with weights.
        ModelFolderError: a model that is not complete, not safe, or has labels without names.
        RemoteError: the Hub is needed and cannot be reached.
        DataError: the data has labels that the model does not have.
        SettingError: the model is a run, or settings that do not fit.
    """
    entry, found = find_foreign(model, revision=revision)
    single = is_single_label_folder(found.folder) if single_label is None else single_label
    is_guessed, single = single is None, single is not False
    config = TrainConfig.from_layers(
        ("goemo import", {"output": {"weights": "safetensors"}, "data": {"single_label": single}}),
        (
            "command line",
            {"model": {"name": model, "revision": found.revision, "max_length": max_length}, "data": data},
        ),
    )
    classifier = foreign_transformer(
        found.folder, config.model, single_label=single, labels=listed_labels(config.data)
    )
    if is_guessed:
        on_event(
            Warning(
                f"{found.id}: its config does not say whether a text has one label or several (problem_type); "
                "it predicts one label, as transformers does; --multi-label predicts several"
            )
        )
    config = config.changed("model", max_length=classifier.max_length)
    rows = _data(config, classifier, layout, on_event) if config.data.name else None
    base = {**_facts_of(found), "origin": found.origin}
    on_event(Info(f"Weights: {found.describe()}"))
    with claimed(layout, entry.name, entry.family) as (run, folder):
        classifier.save(folder, "safetensors")
        classifier.save_tokenizer(folder)
        if rows is None:
            checkpoint = _write_unscored(run, folder, classifier, config, found, base)
            on_event(FileWritten(folder))
            return checkpoint
        return _write_scored(run, folder, classifier, config, base, rows, layout, device, on_event)


def open_imported(model: str, *, layout: Layout, on_event: EventHandler = ignore) -> Checkpoint:
    """The run of a model of another tool: the newest import of these weights, or a new one without data.

    Raises:
        As `import_model`.
    """
    _, found = find_foreign(model)
    wanted = _facts_of(found)
    for listed in reversed(listed_runs(layout)):
        manifest = listed.manifest
        if manifest and manifest.origin == "imported":
            base = manifest.parents.base_model
            if all(base.get(key) == value for key, value in wanted.items()):
                on_event(Info(f"{model} is the imported run {listed.run}"))
                return Checkpoint.open(listed.path)
    checkpoint = import_model(model, layout=layout, on_event=on_event)
    on_event(Info(f"{model} was imported as {checkpoint.run}; thresholds are {_thresholds_of(checkpoint)}"))
    return checkpoint


def find_foreign(model: str, *, revision: str | None = None) -> tuple[ModelEntry, FoundWeights]:
    """A model of another tool, downloaded if it is not on this machine.

    Raises:
        ModelNotFoundError: no such model, or none with weights.
        RemoteError: the Hub is needed, and it cannot be reached.
        OfflineError: the Hub is needed, and the network is switched off.
        SettingError: the model is a run of goemo.
    """
    entry = model_entry(model)
    if entry.kind != "transformer":
        raise SettingError([f"{model} is a model that goemo trains; only models of other tools are imported"])
    try:
        found = find_weights(model, entry, revision=revision)
    except ModelNotFoundError as error:
        if is_offline() and not Path(model).expanduser().exists():
            raise OfflineError(
                f"{model} is not on this machine, and the network is switched off (GOEMO_OFFLINE, HF_HUB_OFFLINE)"
            ) from error
        raise
    if found.run:
        raise SettingError([f"{model} is the run {found.run} already"])
    return entry, found


def _facts_of(found: FoundWeights) -> dict[str, Any]:
    """What identifies the weights of a model."""
    return {
        "kind": "transformer",
        "id": found.id,
        "revision": found.revision,
        "sha256": sha256_file(weight_files(found.folder)[0]),
    }


def _data(
    config: TrainConfig, classifier: TransformerClassifier, layout: Layout, on_event: EventHandler
) -> Dataset:
    data = load_data(config.data, root=layout.root, on_event=on_event)
    on_event(Info(f"Data: {data.source}"))
    rows = data.over(classifier.labels)
    if config.data.single_label:
        rows.require_single_label()
    return rows


def _write_scored(
    run: RunName,
    folder: Path,
    classifier: TransformerClassifier,
    config: TrainConfig,
    base: Mapping[str, Any],
    data: Dataset,
    layout: Layout,
    device: str,
    on_event: EventHandler,
) -> Checkpoint:
    place = pick_device(device)
    saved = load_transformer(folder, classifier.labels, config.model, device=place)
    val, test = (predicted(saved, data, split, on_event) for split in ("val", "test"))
    facts = data.facts()
    return write_run(
        run,
        folder,
        "transformer",
        config,
        {
            **facts_of_now(run),
            "origin": "imported",
            "base_model": base,
            "best_epoch": None,
            "history": [],
            "training_seconds": 0.0,
            "device": {"type": place.type, "precision": "fp32", "processor": processor()},
            "wandb_run_id": None,
            "data": facts,
        },
        evaluate(val, test, config),
        parents={"data": facts["sha256"], "base_model": base},
        is_imported=True,
        layout=layout,
        on_event=on_event,
    )


def _write_unscored(
    run: RunName,
    folder: Path,
    classifier: TransformerClassifier,
    config: TrainConfig,
    found: FoundWeights,
    base: Mapping[str, Any],
) -> Checkpoint:
    """A run without metrics.json: nothing was fitted or scored. Its card is that of the model, if it has one."""
    labels = classifier.labels
    rules = (
        MostProbable(labels, (0,) * len(labels)) if config.data.single_label else Thresholds.unfitted(labels)
    )
    rules.write(folder / THRESHOLDS, run=str(run))
    thresholds = config.thresholds if config.data.single_label else rules.settings
    text = config.model_copy(update={"thresholds": thresholds}).to_yaml()
    write_text(folder / CONFIG, f"# Settings of {run}, imported from {found.id} without data.\n{text}")
    if (found.folder / CARD).is_file():
        shutil.copyfile(found.folder / CARD, folder / CARD)
    else:
        write_text(folder / CARD, f"# {run}\n\nImported from {found.id} without data: it has no scores.\n")
    return write_manifest(
        folder,
        run=run,
        kind="transformer",
        labels=labels,
        parents={"base_model": base},
        headline=Headline(),
        is_imported=True,
    )


def _thresholds_of(checkpoint: Checkpoint) -> str:
    if checkpoint.rules.is_single_label:
        return "not needed: the most probable label is predicted"
    return "0.5 for each label, since nothing was fitted"
