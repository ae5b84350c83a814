"""Trains the model of a run: where the kinds of models differ."""

import errno
import shutil
import time
from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from goemo_cli.core.documents.metrics import EpochScores
from goemo_cli.core.errors import StorageError
from goemo_cli.core.events import EventHandler, Info, Warning, progress, working
from goemo_cli.core.settings import TrainConfig, TrainingSettings
from goemo_cli.ml.data.dataset import Dataset
from goemo_cli.ml.metrics.scoring import binary_cross_entropy, cross_entropy
from goemo_cli.ml.models.classifier import Classifier
from goemo_cli.ml.models.transformer import TransformerClassifier, load_transformer
from goemo_cli.ml.training.batches import unknown_share
from goemo_cli.ml.training.distillation import Taught
from goemo_cli.ml.training.frozen import CacheType, FrozenOutputs, file_bytes
from goemo_cli.ml.training.histograms import Watched
from goemo_cli.ml.training.label_names import start_at_label_names
from goemo_cli.ml.training.loop import Epoch, Examples, Fact, fit, val_scores
from goemo_cli.ml.training.losses import describe_loss

if TYPE_CHECKING:
    from goemo_cli.services.training.build import Run

_MOST_UNKNOWN = 0.2
"""Share of train's tokens that may be unknown without a warning."""
_COPIES_IN_A_STATE = 5
"""Weights, two moments of each, the best weights, and the moving average."""
_STATES = 3
"""Two are kept, and a third is written."""
_SPARE_BYTES = 64 * 2**20
"""Room for the small files of a run."""
_WATCH_EVERY = 100
"""Steps between histograms if `logging.wandb.log_every` is not set."""


def fit_model(run: "Run", on_event: EventHandler) -> Generator[Fact]:
    """Train a model, and yield a fact after every step and every epoch. The caller saves the weights.

    Raises:
        TrainingFailedError: a loss that is not finite, or out of memory.
        StorageError: not enough room for the weights, found before training starts.
    """
    if run.model is None:
        return _fit_tfidf(run, on_event)
    return _fit_transformer(run, run.model, on_event)


def _fit_transformer(
    run: "Run", classifier: TransformerClassifier, on_event: EventHandler
) -> Generator[Fact]:
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
    run: "Run", classifier: TransformerClassifier, template: str, on_event: EventHandler
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


def _fit_tfidf(run: "Run", on_event: EventHandler) -> Generator[Fact]:
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


def cache_type(settings: TrainingSettings) -> CacheType | None:
    """The type in which the outputs of the frozen layers are kept; None if there are none, or one epoch alone uses them."""
    if settings.frozen_layers == 0 or settings.frozen_cache == "off" or settings.epochs == 1:
        return None
    return settings.frozen_cache


def _frozen_outputs(
    run: "Run",
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


def load_saved(run: "Run") -> Classifier:
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
    return Watched(wanted.log_gradients, wanted.watch_model, wanted.log_every or _WATCH_EVERY)


def _require_room(classifier: TransformerClassifier, run: "Run") -> None:
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
