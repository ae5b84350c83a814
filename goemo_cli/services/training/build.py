"""Builds the model of a run, and settles where and from which weights it is trained."""

import errno
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from goemo_cli.core.catalogue import ModelEntry, model_entry
from goemo_cli.core.documents.metrics import EpochScores
from goemo_cli.core.errors import SettingError, StorageError
from goemo_cli.core.events import Event, EventHandler, Info, Warning
from goemo_cli.core.names import RunName
from goemo_cli.core.settings import ModelSettings, TrainConfig
from goemo_cli.core.system.variables import FROZEN_FOLDER, environment, launched
from goemo_cli.ml.data.dataset import Dataset
from goemo_cli.ml.models.devices import Precision, describe_device, pick_device, pick_precision
from goemo_cli.ml.models.folders import only_its_encoder
from goemo_cli.ml.models.layers import encoder_parts
from goemo_cli.ml.models.tiny import build_tiny
from goemo_cli.ml.models.transformer import TransformerClassifier, build_static, build_transformer
from goemo_cli.ml.models.weights import find_weights
from goemo_cli.ml.training.distillation import Taught
from goemo_cli.ml.training.frozen import FrozenStore
from goemo_cli.ml.training.loop import seed_everything
from goemo_cli.ml.training.ranks import ALONE, Ranks
from goemo_cli.ml.training.state import TrainingState
from goemo_cli.services.training.settings import for_few_texts
from goemo_cli.tracking.environment import processor

_FEWEST_TOKENS = 0.9
"""Share of a model's embeddings that have a token; vocabularies are padded, but by less."""


@dataclass
class Prepared:
    """What is trained, and where."""

    config: TrainConfig
    entry: ModelEntry
    data: Dataset
    device: torch.device
    precision: Precision
    model: TransformerClassifier | None
    """None if training itself builds it, and after training, which frees its memory."""
    base: Mapping[str, Any]
    """The weights that training starts from, for manifest and metrics."""
    taught: Taught | None = None
    """What it learns from a teacher."""

    def run(self, name: RunName, folder: Path) -> "Run":
        """The run of this training, in a folder that it has claimed."""
        return Run(
            **vars(self),
            name=name,
            folder=folder,
            data_facts=self.data.facts(),
            ranks=Ranks(*launched()) if self.model else ALONE,  # tfidf is fitted by one process
        )


@dataclass(kw_only=True)
class Run(Prepared):
    """A training in a folder that it has claimed, and how far it is."""

    name: RunName
    folder: Path
    """The checkpoint."""
    data_facts: Mapping[str, Any]
    """The data set as metrics.json describes it."""
    ranks: Ranks = ALONE
    """The processes that train together."""
    history: list[EpochScores] = field(default_factory=list)
    best_epoch: int = 0
    """0 before the first epoch."""
    step: int = 0
    """The last optimizer step; a model without steps counts as one."""
    seconds: float = 0.0
    """Duration of the training."""
    written: list[Path] = field(default_factory=list)
    """Files of the run outside the checkpoint."""
    start: TrainingState | None = None
    """The saved state that this training continues from."""
    frozen: FrozenStore = field(default_factory=lambda: FrozenStore(_shared_folder()))
    """What the frozen layers give; trainings of one group share it."""
    exact: bool = True
    """Whether the result is that of an undisturbed training; not if a resumed run continued under other conditions."""

    def require_folder(self) -> None:
        """Refuse to go on if the checkpoint was removed: writing would create it again, without its first files.

        Raises:
            StorageError: it was removed.
        """
        if not self.folder.is_dir():
            raise StorageError(self.folder, "was removed while the run was trained", errno.ENOENT)

    @property
    def n_texts(self) -> int:
        """Number of texts in an epoch."""
        return texts_per_epoch(self.data, self.taught)

    def take_start(self) -> TrainingState | None:
        """The saved state, which the run forgets: it is as large as the model with its optimizer."""
        start, self.start = self.start, None
        return start

    @property
    def device_facts(self) -> dict[str, str]:
        """Where and in which precision it is trained, for metrics.json and trackers."""
        return {"type": self.device.type, "precision": self.precision, "processor": processor()}


def _shared_folder() -> Path | None:
    """Where the trainings of a sweep share what their frozen layers give."""
    folder = environment(FROZEN_FOLDER)
    return Path(folder) if folder else None


def prepare(
    config: TrainConfig,
    data: Dataset,
    on_event: EventHandler,
    *,
    taught: Taught | None = None,
    may_fetch: bool = True,
) -> Prepared:
    """Settle the settings, seed the random generators, pick the hardware, and build the model.

    Training, resuming and planning share it.

    Args:
        taught: what the model learns from a teacher.
        may_fetch: whether the network may be used.

    Raises:
        NotFoundError, CorruptArtifactError: the model cannot be used.
        SettingError: the device is unavailable.
    """
    config = for_few_texts(config, texts_per_epoch(data, taught), on_event)
    entry = model_entry(config.model.name)
    seed_everything(config.training.seed, deterministic=config.training.deterministic)
    device, precision = pick_hardware(config, entry)
    model, base = build_model(config, entry, data, device, precision, on_event=on_event, may_fetch=may_fetch)
    return Prepared(config, entry, data, device, precision, model, base, taught)


def texts_per_epoch(data: Dataset, taught: Taught | None) -> int:
    """Number of texts that an epoch trains on, with those that only a teacher has labelled."""
    return len(data.train) + (len(taught.texts) if taught else 0)


def pick_hardware(config: TrainConfig, entry: ModelEntry) -> tuple[torch.device, Precision]:
    """Device and precision of the training.

    Raises:
        SettingError: the device is unavailable.
    """
    if entry.kind == "tfidf":
        return pick_device("cpu"), "fp32"
    device = pick_device(config.training.device)
    return device, pick_precision(config.training.precision, device)


def build_model(
    config: TrainConfig,
    entry: ModelEntry,
    data: Dataset,
    device: torch.device,
    precision: Precision,
    *,
    on_event: EventHandler,
    may_fetch: bool = True,
) -> tuple[TransformerClassifier | None, dict[str, Any]]:
    """The model to train, and the weights that it starts from; every fault of the model's name is found here.

    Returns:
        None instead of a model if training itself builds it.
    """
    if entry.kind == "tfidf":
        return None, {"kind": "tfidf"}
    classifier, base = start_model(
        config.model,
        entry,
        data.labels,
        data.train.texts,
        device=device,
        single_label=config.data.single_label,
        on_event=on_event,
        may_fetch=may_fetch,
    )
    if config.training.gradient_checkpointing:
        _layers_of(classifier, "training.gradient_checkpointing is true")
    if config.training.frozen_layers:
        on_event(Info(_frozen_part(classifier, config.training.frozen_layers)))
    if config.training.prior_bias:
        classifier.start_bias_at(data.train.y_true.mean(axis=0))
    on_event(Info(f"Training on {describe_device(device)} in {precision}"))
    return classifier, base


def start_model(
    settings: ModelSettings,
    entry: ModelEntry,
    labels: tuple[str, ...],
    texts: Sequence[str],
    *,
    device: torch.device,
    single_label: bool = False,
    on_event: EventHandler,
    may_fetch: bool = True,
) -> tuple[TransformerClassifier, dict[str, Any]]:
    """A transformer that is ready to be trained, and the weights that it starts from, as manifests record them.

    Args:
        entry: its catalogue entry, of a kind other than tfidf.
        labels: label names in output order.
        texts: the source of the vocabulary of `tiny`.
        device: where it will run.
        single_label: whether each text has exactly one label.
        may_fetch: whether the network may be used.
    """
    if entry.kind == "tiny":
        return build_tiny(texts, labels, settings, single_label=single_label), {"kind": "tiny"}
    weights = find_weights(settings.name, entry, revision=settings.revision, may_fetch=may_fetch)
    if entry.kind == "static" and weights.origin != "run":
        classifier = build_static(weights.folder, labels, settings, device=device, single_label=single_label)
    else:
        classifier = build_transformer(
            weights.folder, labels, settings, device=device, single_label=single_label
        )
    on_event(Info(f"Weights: {weights.describe()}"))
    if weights.origin == "folder" and (what := only_its_encoder(weights.folder)):
        on_event(Info(f"{weights.folder} is {what}"))
    if classifier.offered:
        on_event(_reused_heads(classifier))
    elif settings.new_head and entry.kind == "transformer":
        on_event(Warning("model.new_head has no effect: the weights have no classifier"))
    for warning in _warnings_for(classifier, settings):
        on_event(Warning(warning))
    return classifier, {
        "kind": entry.kind,
        "id": weights.id,
        "revision": weights.revision,
        "sha256": weights.sha256,
        "origin": weights.origin,
    }


def _reused_heads(classifier: TransformerClassifier) -> Event:
    """Which rows of the classifier of the weights are reused."""
    new = [label for label in classifier.labels if label not in classifier.continued]
    if classifier.continued:
        started = f", new: {', '.join(new)}" if new else ""
        return Info(
            f"Classifier: {len(classifier.continued)} of {len(classifier.labels)} label heads reused{started}"
        )
    offered = list(classifier.offered)
    if offered == [f"LABEL_{number}" for number in range(len(offered))]:
        return Warning(
            f"the classifier of the weights names its labels only LABEL_0 to {offered[-1]}: no label head can be "
            "reused, all start from nothing; put the names into id2label of config.json"
        )
    shown = ", ".join(offered[:5]) + (", ..." if len(offered) > 5 else "")
    return Info(f"Classifier: starts from nothing for every label; the weights know {shown}")


def _warnings_for(classifier: TransformerClassifier, settings: ModelSettings) -> Iterator[str]:
    """Unusual properties of a model that can be trained."""
    if classifier.max_length < settings.max_length:
        yield (
            f"model.max_length is {settings.max_length}, the model reads at most {classifier.max_length} tokens; "
            "longer texts are cut"
        )
    tokens = len(classifier.tokenizer)
    rows = classifier.model.get_input_embeddings().num_embeddings
    if tokens < _FEWEST_TOKENS * rows:
        yield f"the tokenizer has {tokens} tokens, the model {rows}: is it the tokenizer of this model?"


def _layers_of(classifier: TransformerClassifier, setting: str) -> tuple[nn.Module, ...]:
    """The layers of an encoder, which a setting needs.

    Raises:
        SettingError: they are not known for this architecture.
    """
    parts = encoder_parts(classifier.model)
    if parts is None:
        kind = classifier.model.config.model_type
        raise SettingError([f"{setting}, but goemo does not know the layers of {kind} models"])
    return parts.layers


def _frozen_part(classifier: TransformerClassifier, layers: int) -> str:
    """What is frozen, for people.

    Raises:
        SettingError: not that many layers can be frozen.
    """
    setting = f"training.frozen_layers is {layers}"
    count = len(_layers_of(classifier, setting))
    if layers >= count:
        raise SettingError([f"{setting}; the model has {count} layers, and the last one is always trained"])
    return f"Frozen: the embeddings and the lowest {layers} of {count} layers"
