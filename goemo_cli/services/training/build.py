"""Builds the model of a run and trains it: where the kinds of models differ."""

import errno
import shutil
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from goemo_cli.core.catalogue import ModelEntry, model_entry
from goemo_cli.core.documents.metrics import EpochScores
from goemo_cli.core.errors import SettingError, StorageError
from goemo_cli.core.events import Event, EventHandler, Info, Warning, progress, working
from goemo_cli.core.names import RunName
from goemo_cli.core.settings import ModelSettings, TrainConfig, TrainingSettings
from goemo_cli.core.system.variables import FROZEN_FOLDER, environment, launched
from goemo_cli.ml.data.dataset import Dataset
from goemo_cli.ml.metrics.scoring import binary_cross_entropy, cross_entropy
from goemo_cli.ml.models.classifier import Classifier
from goemo_cli.ml.models.devices import Precision, describe_device, pick_device, pick_precision
from goemo_cli.ml.models.folders import only_its_encoder
from goemo_cli.ml.models.layers import encoder_parts
from goemo_cli.ml.models.tiny import build_tiny
from goemo_cli.ml.models.transformer import (
    TransformerClassifier,
    build_static,
    build_transformer,
    load_transformer,
)
from goemo_cli.ml.models.weights import find_weights
from goemo_cli.ml.training.batches import unknown_share
from goemo_cli.ml.training.distillation import Taught
from goemo_cli.ml.training.frozen import CacheType, FrozenOutputs, FrozenStore, file_bytes
from goemo_cli.ml.training.histograms import Watched
from goemo_cli.ml.training.label_names import start_at_label_names
from goemo_cli.ml.training.loop import Epoch, Examples, Fact, fit, seed_everything, val_scores
from goemo_cli.ml.training.losses import describe_loss
from goemo_cli.ml.training.ranks import ALONE, Ranks
from goemo_cli.ml.training.state import TrainingState
from goemo_cli.services.training.settings import for_few_texts
from goemo_cli.tracking.environment import processor

_FEWEST_TOKENS = 0.9
"""Share of a model's embeddings that have a token; vocabularies are padded, but by less."""
_MOST_UNKNOWN = 0.2
"""Share of train's tokens that may be unknown without a warning."""
_COPIES_IN_A_STATE = 5
"""Weights, two moments of each, the best weights, and the moving average."""
_STATES = 3
"""Two are kept, and a third is written."""
_SPARE_BYTES = 64 * 2**20
"""Room for the small files of a run."""
WATCH_EVERY = 100
"""Steps between histograms if `logging.wandb.log_every` is not set."""


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


def fit_model(run: Run, on_event: EventHandler) -> Generator[Fact]:
    """Train a model, and yield a fact after every step and every epoch. The caller saves the weights.

    Raises:
        TrainingFailedError: a loss that is not finite, or out of memory.
        StorageError: not enough room for the weights, found before training starts.
    """
    if run.model is None:
        return _fit_tfidf(run, on_event)
    return _fit_transformer(run, run.model, on_event)


def _fit_transformer(run: Run, classifier: TransformerClassifier, on_event: EventHandler) -> Generator[Fact]:
    _require_room(classifier, run)
    settings, data = run.config.training, run.data
    if weights := describe_loss(settings, data.train.y_true, data.labels):
        on_event(Info(weights))
    if settings.label_template and run.start is None:  # a saved state has all weights
        _start_at_label_names(run, classifier, settings.label_template, on_event)
    train, val = encode_examples(classifier, data, on_event, run.taught)
    classifier.save_tokenizer(run.folder)
    if cache := cache_type(settings):
        train = replace(train, frozen=_frozen_outputs(run, classifier, train, cache, on_event))
    yield from fit(
        classifier,
        train,
        val,
        settings,
        device=run.device,
        precision=run.precision,
        watched=_watched(run.config),
        start=run.take_start(),
        ranks=run.ranks,
    )


def _start_at_label_names(
    run: Run, classifier: TransformerClassifier, template: str, on_event: EventHandler
) -> None:
    train = run.data.train
    classifier.model.to(run.device)
    with working(on_event, "Reading the label names"):
        start = start_at_label_names(classifier, template, train.texts, train.y_true)
    if start:
        losses = f"{start.loss_without:.3f} -> {start.loss_with:.3f}"
        on_event(Info(f"Classifier starts at the label names: loss on train {losses}"))
    elif "label_template" in run.config.training.model_fields_set:
        on_event(
            Info(
                "training.label_template is not used: fewer than two labels start anew, or the classifier has no bias"
            )
        )


def _fit_tfidf(run: Run, on_event: EventHandler) -> Generator[Fact]:
    """Fit the whole model at once: one epoch without steps."""
    from goemo_cli.ml.models.tfidf import fit_tfidf  # scikit-learn, which other models do without

    data, single_label = run.data, run.config.data.single_label
    log_loss = cross_entropy if single_label else binary_cross_entropy
    with progress(on_event, "Fitting", len(data.labels), "labels") as advance:
        started = time.perf_counter()
        classifier = fit_tfidf(
            data.labels,
            data.train.texts,
            data.train.y_true,
            seed=run.config.training.seed,
            single_label=single_label,
            on_progress=advance,
        )
        seconds = time.perf_counter() - started
    val_prob = classifier.predict_proba(data.val.texts)
    scores = EpochScores(
        epoch=1,
        train_loss=log_loss(data.train.y_true, classifier.predict_proba(data.train.texts)),
        learning_rate=None,
        grad_norm=None,
        epoch_seconds=seconds,
        samples_per_second=len(data.train) / seconds,
        **val_scores(data.val.y_true, val_prob, single_label=single_label),
    )
    yield Epoch(scores, epochs=1, is_best=True, val_prob=val_prob, classifier=classifier)


def encode_examples(
    classifier: TransformerClassifier, data: Dataset, on_event: EventHandler, taught: Taught | None = None
) -> tuple[Examples, Examples]:
    """Train, with what a teacher says about it, and val as token ids."""
    more = taught.texts if taught else []
    encoded = []
    for name, given in (("train", [*data.train.texts, *more]), ("val", data.val.texts)):
        with working(on_event, f"Tokenising {name}"):
            texts = classifier.encode(given)
        unknown = unknown_share(classifier.tokenizer, texts)
        if name == "train" and unknown > _MOST_UNKNOWN:
            on_event(
                Warning(
                    f"{100 * unknown:.0f} % of the tokens of train are unknown to the tokenizer: is it the one of this model, "
                    "and made for this language?"
                )
            )
        if texts.n_cut:
            on_event(
                Warning(
                    f"texts of {name} with more than {classifier.max_length} tokens: {texts.n_cut:,}; the model reads "
                    "only their beginning"
                )
            )
        encoded.append(texts)
    y_true = np.pad(data.train.y_true, ((0, len(more)), (0, 0)))
    train = Examples(encoded[0], y_true, soft=taught.soft if taught else None)
    return train, Examples(encoded[1], data.val.y_true)


def _shared_folder() -> Path | None:
    """Where the trainings of a sweep share what their frozen layers give."""
    folder = environment(FROZEN_FOLDER)
    return Path(folder) if folder else None


def cache_type(settings: TrainingSettings) -> CacheType | None:
    """The type in which the outputs of the frozen layers are kept; None if there are none, or one epoch alone uses them."""
    if settings.frozen_layers == 0 or settings.frozen_cache == "off" or settings.epochs == 1:
        return None
    return settings.frozen_cache


def _frozen_outputs(
    run: Run,
    classifier: TransformerClassifier,
    train: Examples,
    dtype: CacheType,
    on_event: EventHandler,
) -> FrozenOutputs:
    """What the frozen layers give for train, in a temporary file in the folder of the run.

    Raises:
        StorageError: no room for the file.
    """
    settings = run.config.training
    needed = file_bytes(classifier.model, train.texts, dtype)
    if shutil.disk_usage(run.folder).free < needed + _SPARE_BYTES:
        raise StorageError(
            run.folder,
            f"no room for the outputs of the frozen layers ({needed // 2**20} MiB); "
            "with training.frozen_cache=off they are computed in each epoch",
            errno.ENOSPC,
        )
    classifier.model.to(run.device)
    with progress(on_event, "Computing the frozen layers", len(train.texts)) as advance:
        return run.frozen.outputs(
            classifier.model,
            settings.frozen_layers,
            train.texts,
            folder=run.folder,
            dtype=dtype,
            precision=run.precision,
            on_progress=advance,
        )


def load_saved(run: Run) -> Classifier:
    """The model as it was saved, which is the model that others will load; all processes of the training score with it."""
    if run.entry.kind == "tfidf":
        from goemo_cli.ml.models.tfidf import load_tfidf

        return load_tfidf(run.folder, run.data.labels)
    classifier = load_transformer(run.folder, run.data.labels, run.config.model, device=run.device)
    classifier.ranks = run.ranks
    return classifier


def _watched(config: TrainConfig) -> Watched | None:
    """The gradients and weights whose histograms the trackers log."""
    wanted = config.logging.wandb
    if not (wanted.log_gradients or wanted.watch_model):
        return None
    return Watched(wanted.log_gradients, wanted.watch_model, wanted.log_every or WATCH_EVERY)


def _require_room(classifier: TransformerClassifier, run: Run) -> None:
    weights = sum(parameter.numel() * 4 for parameter in classifier.model.parameters())
    # A file is written next to the one that it replaces: one more copy than is kept.
    copies = 3 if run.config.output.weights != "safetensors" else 2
    if run.config.training.save_every_minutes:
        copies += _COPIES_IN_A_STATE * _STATES
    needed = weights * copies + _SPARE_BYTES
    free = shutil.disk_usage(run.folder).free
    if free < needed:
        raise StorageError(
            run.folder,
            f"the disk has {free // 2**20} MiB free, this run needs about {needed // 2**20} MiB",
            errno.ENOSPC,
        )
