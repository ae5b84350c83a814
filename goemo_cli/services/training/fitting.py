"""Fitting a model and saving its best weights: the part of a run that differs between kinds of models."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from goemo_cli.core.arrays import FloatArray
from goemo_cli.core.catalogue import ModelEntry
from goemo_cli.core.errors import StorageError, TrainingFailedError
from goemo_cli.core.events import (
    Advanced,
    EpochEnded,
    Event,
    EventHandler,
    Info,
    PhaseEnded,
    PhaseStarted,
    StoppedEarly,
    Warning,
)
from goemo_cli.core.schema import HISTORY_KEYS
from goemo_cli.core.settings import ModelSettings, TrainConfig
from goemo_cli.ml.data.dataset import Dataset
from goemo_cli.ml.metrics.scoring import binary_cross_entropy
from goemo_cli.ml.models.classifier import Classifier
from goemo_cli.ml.models.devices import Precision, describe_device, pick_device, pick_precision
from goemo_cli.ml.models.folders import only_its_encoder
from goemo_cli.ml.models.tfidf import fit_tfidf, load_tfidf
from goemo_cli.ml.models.tiny import build_tiny
from goemo_cli.ml.models.transformer import TransformerClassifier, build_transformer, load_transformer
from goemo_cli.ml.models.weights import find_weights
from goemo_cli.ml.training.batches import unknown_share
from goemo_cli.ml.training.histograms import Watched
from goemo_cli.ml.training.loop import Epoch, Examples, Step, fit, steps_per_epoch, val_scores
from goemo_cli.ml.training.losses import positive_weights

_FEWEST_TOKENS = 0.9
"""Share of a model's embeddings that have a token; vocabularies are padded, but by less."""
_MOST_UNKNOWN = 0.2
"""Share of train's tokens that may be unknown without a warning."""
WATCH_EVERY = 100
"""Steps between histograms if `logging.wandb.log_every` is not set."""
OnEpoch = Callable[[dict[str, Any], FloatArray], None]
"""Told the history entry and the val probabilities (n_val, n_labels) of each epoch."""
OnStep = Callable[[Step], None]
"""Told of each optimizer step; a model that is fitted at once has none."""


@dataclass(frozen=True)
class Prepared:
    """A model that is ready to be trained."""

    classifier: TransformerClassifier | None
    """None for models that are built while they are fitted."""
    base: dict[str, Any]
    """What the weights start from, for manifest and metrics."""
    device: torch.device
    precision: Precision


@dataclass(frozen=True)
class Fitted:
    """What fitting left behind besides the weights in the checkpoint folder."""

    history: list[dict[str, Any]]
    best_epoch: int


def prepare(
    config: TrainConfig, entry: ModelEntry, data: Dataset, on_event: EventHandler, *, may_fetch: bool = True
) -> Prepared:
    """Find the weights and build the model; everything that can be wrong with the model's name fails here."""
    device = pick_device("cpu" if entry.kind == "tfidf" else config.training.device)
    precision: Precision = (
        "fp32" if entry.kind == "tfidf" else pick_precision(config.training.precision, device)
    )
    if entry.kind == "tfidf":
        return Prepared(None, {"kind": "tfidf"}, device, precision)
    classifier, base = start_model(
        config.model,
        entry,
        data.labels,
        data.train.texts,
        device=device,
        on_event=on_event,
        may_fetch=may_fetch,
    )
    if config.training.prior_bias:
        classifier.start_bias_at(data.train.y_true.mean(axis=0))
    on_event(Info(f"Training on {describe_device(device)} in {precision}"))
    return Prepared(classifier, base, device, precision)


def start_model(
    settings: ModelSettings,
    entry: ModelEntry,
    labels: tuple[str, ...],
    texts: Sequence[str],
    *,
    device: torch.device,
    on_event: EventHandler,
    may_fetch: bool = True,
) -> tuple[TransformerClassifier, dict[str, Any]]:
    """A transformer that is ready to be trained, and what it starts from, as manifests record it.

    Args:
        settings: the model's.
        entry: its catalogue entry, of the kind transformer or tiny.
        labels: label names in output order.
        texts: what the vocabulary of `tiny` is taken from.
        device: where it will run.
        on_event: called with each event.
        may_fetch: whether the network may be used.
    """
    if entry.kind == "tiny":
        return build_tiny(texts, labels, settings), {"kind": "tiny"}
    found = find_weights(settings.name, entry, revision=settings.revision, may_fetch=may_fetch)
    classifier = build_transformer(found.folder, labels, settings, device=device)
    on_event(Info(f"Weights: {found.describe()}"))
    if found.origin == "folder" and (what := only_its_encoder(found.folder)):
        on_event(Info(f"{found.folder} is {what}"))
    if classifier.offered:
        on_event(_what_continues(classifier))
    for doubt in _doubts(classifier, settings):
        on_event(Warning(doubt))
    return classifier, {
        "kind": "transformer",
        "id": found.id,
        "revision": found.revision,
        "sha256": found.sha256,
        "origin": found.origin,
    }


def _what_continues(classifier: TransformerClassifier) -> Event:
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


def _doubts(classifier: TransformerClassifier, settings: ModelSettings) -> Iterator[str]:
    """What is odd about a model that can be trained."""
    if classifier.max_length < settings.max_length:
        yield (
            f"model.max_length is {settings.max_length}, the model reads at most {classifier.max_length} tokens; "
            "longer texts are cut"
        )
    tokens = len(classifier.tokenizer)
    rows = classifier.model.get_input_embeddings().num_embeddings
    if tokens < _FEWEST_TOKENS * rows:
        yield f"the tokenizer has {tokens} tokens, the model {rows}: is it the tokenizer of this model?"


def fit_and_save(
    prepared: Prepared,
    config: TrainConfig,
    data: Dataset,
    folder: Path,
    *,
    on_event: EventHandler,
    on_epoch: OnEpoch,
    on_step: OnStep,
) -> Fitted:
    """Train, and leave the best epoch's weights and tokenizer in the checkpoint folder.

    Raises:
        TrainingFailedError: not finite, or out of memory.
        StorageError: not enough room for the weights, found before training starts.
    """
    if prepared.classifier is None:
        if _watched(config):
            on_event(
                Warning(
                    "a model that is fitted at once has no gradients or weights to watch; none are logged"
                )
            )
        return _fit_tfidf(config, data, folder, on_event=on_event, on_epoch=on_epoch)
    return _fit_transformer(
        prepared,
        prepared.classifier,
        config,
        data,
        folder,
        on_event=on_event,
        on_epoch=on_epoch,
        on_step=on_step,
    )


def load_fitted(
    kind: str, folder: Path, labels: tuple[str, ...], settings: ModelSettings, device: torch.device
) -> Classifier:
    """The model as it was saved: what is scored is what others will load."""
    if kind == "tfidf":
        return load_tfidf(folder, labels)
    return load_transformer(folder, labels, settings, device=device)


def encode_examples(
    classifier: TransformerClassifier, data: Dataset, on_event: EventHandler
) -> tuple[Examples, Examples]:
    """Train and val as token ids, made once."""
    encoded = []
    for name in ("train", "val"):
        split = data.train if name == "train" else data.val
        on_event(PhaseStarted(f"Tokenising {name}", len(split)))
        texts = classifier.encode(split.texts)
        on_event(PhaseEnded())
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
                    f"{texts.n_cut} comments of {name} are longer than {classifier.max_length} tokens and were cut"
                )
            )
        encoded.append(Examples(texts, split.y_true))
    return encoded[0], encoded[1]


def _fit_transformer(
    prepared: Prepared,
    classifier: TransformerClassifier,
    config: TrainConfig,
    data: Dataset,
    folder: Path,
    *,
    on_event: EventHandler,
    on_epoch: OnEpoch,
    on_step: OnStep,
) -> Fitted:
    _require_room(classifier, config, folder)
    _announce_weights(config, data, on_event)
    train, val = encode_examples(classifier, data, on_event)
    classifier.save_tokenizer(folder)
    settings = config.training
    history: list[dict[str, Any]] = []
    best_epoch = 0
    per_epoch = steps_per_epoch(len(train.texts), settings)
    facts = fit(
        classifier,
        train,
        val,
        settings,
        device=prepared.device,
        precision=prepared.precision,
        watched=_watched(config),
    )
    for fact in facts:
        if isinstance(fact, Step):
            if fact.step % per_epoch == 1 or per_epoch == 1:
                on_event(PhaseStarted(f"Epoch {len(history) + 1}/{settings.epochs}", len(train.texts)))
            on_event(Advanced(fact.comments, f"loss {fact.loss:.4f}"))
            on_step(fact)
        elif isinstance(fact, Epoch):
            on_event(PhaseEnded())
            if fact.is_best:
                best_epoch = fact.epoch
                fact.classifier.save_weights(folder)
                if config.output.weights != "safetensors":
                    fact.classifier.save_pickled_weights(folder)
            history.append(_history_entry(fact))
            on_event(_ended(fact, settings.epochs))
            on_epoch(history[-1], fact.val_prob)
        else:
            on_event(StoppedEarly(fact.epoch, fact.best_epoch, fact.best_value))
    if not best_epoch:
        raise TrainingFailedError(f"no epoch had a finite {settings.early_stopping.metric}")
    if config.output.weights == "bin":
        (folder / "model.safetensors").unlink()
    return Fitted(history, best_epoch)


def _fit_tfidf(
    config: TrainConfig, data: Dataset, folder: Path, *, on_event: EventHandler, on_epoch: OnEpoch
) -> Fitted:
    """One pass, written down as one epoch; a learning rate and gradients it does not have stay null."""
    on_event(PhaseStarted("Fitting", len(data.labels), "labels"))
    started = time.perf_counter()
    classifier = fit_tfidf(
        data.labels,
        data.train.texts,
        data.train.y_true,
        seed=config.training.seed,
        on_progress=lambda labels: on_event(Advanced(labels)),
    )
    seconds = time.perf_counter() - started
    on_event(PhaseEnded())
    classifier.save(folder)
    val_prob = classifier.predict_proba(data.val.texts)
    entry: dict[str, Any] = {
        "epoch": 1,
        "train_loss": binary_cross_entropy(data.train.y_true, classifier.predict_proba(data.train.texts)),
        **val_scores(data.val.y_true, val_prob),
        "learning_rate": None,
        "grad_norm": None,
        "epoch_seconds": seconds,
        "samples_per_second": len(data.train) / seconds,
    }
    on_epoch(entry, val_prob)
    return Fitted([entry], best_epoch=1)


def _watched(config: TrainConfig) -> Watched | None:
    """What of the model's insides mirrors are shown."""
    wanted = config.logging.wandb
    if not (wanted.log_gradients or wanted.watch_model):
        return None
    return Watched(wanted.log_gradients, wanted.watch_model, wanted.log_every or WATCH_EVERY)


def _require_room(classifier: TransformerClassifier, config: TrainConfig, folder: Path) -> None:
    weights = sum(parameter.numel() * 4 for parameter in classifier.model.parameters())
    # A file is written beside the one it replaces, so one more copy than is kept.
    needed = weights * (3 if config.output.weights != "safetensors" else 2) + 64 * 2**20
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageError(
            folder, f"the disk has {free // 2**20} MiB free, this run needs about {needed // 2**20} MiB"
        )


def _announce_weights(config: TrainConfig, data: Dataset, on_event: EventHandler) -> None:
    """Say which label got which weight: a weight on the wrong label is the classic mistake of weighted losses."""
    if config.training.loss == "weighted_bce":
        weights = positive_weights(data.train.y_true, config.training.max_positive_weight)
        pairs = ", ".join(f"{label} {weight:.1f}" for label, weight in zip(data.labels, weights, strict=True))
        on_event(Info(f"Weight of positives: {pairs}"))


def _history_entry(epoch: Epoch) -> dict[str, Any]:
    return {key: getattr(epoch, key) for key in HISTORY_KEYS}


def _ended(epoch: Epoch, epochs: int) -> EpochEnded:
    return EpochEnded(**_history_entry(epoch), epochs=epochs, is_best=epoch.is_best)
