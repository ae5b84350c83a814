"""The training loop: a generator that yields facts and leaves talking, saving and drawing to whoever listens."""

import math
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor

from goemo_cli.core.arrays import BoolArray, FloatArray, IntArray
from goemo_cli.core.errors import TrainingFailedError
from goemo_cli.core.events import EpochScores, Histogram
from goemo_cli.core.settings import TrainingSettings
from goemo_cli.core.thresholds import SELECTION_THRESHOLD, decide
from goemo_cli.ml.metrics.ranking import roc_auc_micro
from goemo_cli.ml.metrics.scoring import binary_cross_entropy, f1_macro, f1_micro
from goemo_cli.ml.models.devices import Precision, is_out_of_memory
from goemo_cli.ml.models.transformer import TransformerClassifier, predict_encoded
from goemo_cli.ml.training.batches import EncodedTexts
from goemo_cli.ml.training.histograms import Watched, model_histograms
from goemo_cli.ml.training.losses import make_loss
from goemo_cli.ml.training.optim import Optimizers, WeightAverage
from goemo_cli.ml.training.stopping import BestEpoch


@dataclass(frozen=True)
class Examples:
    """Encoded texts with their gold labels, bool, (n_examples, n_labels)."""

    texts: EncodedTexts
    y_true: BoolArray


@dataclass(frozen=True)
class Step:
    """One optimizer update."""

    step: int
    """Counted from 1 over the whole run."""
    loss: float
    grad_norm: float
    """Before clipping."""
    learning_rate: float
    """Of the encoder."""
    comments: int
    histograms: Mapping[str, Histogram] | None = None
    """Of the gradients before clipping and of the parameters that they belong to, where this step is watched."""


@dataclass(frozen=True)
class Epoch(EpochScores):
    """One pass over train, and the weights it ended with scored on val."""

    val_prob: FloatArray
    """(n_val, n_labels)"""
    classifier: TransformerClassifier
    """What was scored: the moving average where there is one. Changes when the generator goes on: save it before."""


@dataclass(frozen=True)
class Stopped:
    """Early stopping ended the run after `epoch`."""

    epoch: int
    best_epoch: int
    best_value: float


Fact = Step | Epoch | Stopped


def steps_per_epoch(n_train: int, settings: TrainingSettings) -> int:
    """Optimizer updates in one pass over train."""
    return math.ceil(n_train / settings.batch_size)


def fit(
    classifier: TransformerClassifier,
    train: Examples,
    val: Examples,
    settings: TrainingSettings,
    *,
    device: torch.device,
    precision: Precision,
    watched: Watched | None = None,
) -> Generator[Fact]:
    """Train, and yield a fact after every step and every epoch; what is watched changes none of them.

    Raises:
        TrainingFailedError: a loss or gradient that is not finite, or no memory left; nothing is scored after that.
    """
    steps = _Steps(classifier, train, settings, device, precision, watched)
    best = BestEpoch(settings.early_stopping)
    for epoch in range(1, settings.epochs + 1):
        taken: list[Step] = []
        started = time.perf_counter()
        for step in steps.one_pass(epoch):
            taken.append(replace(step, histograms=None))  # an epoch of them would fill the memory
            yield step
        seconds = time.perf_counter() - started
        val_prob = predict_encoded(steps.scored.model, val.texts)
        if not np.isfinite(val_prob).all():
            raise TrainingFailedError(f"epoch {epoch}: the model's probabilities are not finite")
        scores = val_scores(val.y_true, val_prob)
        yield Epoch(
            epoch=epoch,
            train_loss=sum(step.loss * step.comments for step in taken) / len(train.texts),
            learning_rate=taken[-1].learning_rate,
            grad_norm=float(np.mean([step.grad_norm for step in taken])),
            epoch_seconds=seconds,
            samples_per_second=len(train.texts) / seconds,
            is_best=best.update(epoch, scores[settings.early_stopping.metric]),
            val_prob=val_prob,
            classifier=steps.scored,
            **scores,
        )
        if best.should_stop and epoch < settings.epochs:
            yield Stopped(epoch, best.epoch, best.value)
            return


class _Steps:
    """Optimizer steps over train, and the weights they lead to."""

    def __init__(
        self,
        classifier: TransformerClassifier,
        train: Examples,
        settings: TrainingSettings,
        device: torch.device,
        precision: Precision,
        watched: Watched | None,
    ) -> None:
        self.model = classifier.model.to(device)
        self.train, self.settings, self.device, self.watched = train, settings, device, watched
        self.loss = make_loss(settings, train.y_true, device)
        total = settings.epochs * steps_per_epoch(len(train.texts), settings)
        self.optimizers = Optimizers(classifier, settings, total, sparse=device.type != "mps")
        self.average = WeightAverage(self.model, settings.averaging) if settings.averaging else None
        self.scored = replace(classifier, model=self.average.model) if self.average else classifier
        """What is scored after a pass: the moving average where there is one."""
        AcceleratorState._reset_state(reset_partial_state=True)  # a process may train more than once
        self.accelerator = Accelerator(
            cpu=device.type == "cpu", mixed_precision="bf16" if precision == "bf16" else "no"
        )
        self._done = 0

    def one_pass(self, epoch: int) -> Iterator[Step]:
        """Every comment of train once, in batches shuffled by seed and epoch."""
        self.model.train()
        rng = np.random.default_rng([self.settings.seed, epoch])
        for rows in self.train.texts.training_batches(self.settings.batch_size, rng):
            self._done += 1
            learning_rate = self.optimizers.learning_rate
            loss, norm, histograms = self._gradient(rows)
            self.optimizers.step()
            if self.average:
                self.average.update(self.model, self._done)
            yield Step(self._done, loss, norm, learning_rate, len(rows), histograms)
        if self.average:
            self.average.catch_up(self.model, self._done)

    def _gradient(self, rows: IntArray) -> tuple[float, float, Mapping[str, Histogram] | None]:
        """Loss (mean over the batch's cells) and gradient norm before clipping, both finite; histograms where watched."""
        watched = self.watched if self.watched and self.watched.is_due(self._done) else None
        try:
            loss = sum(self._backward(piece, len(rows)) for piece in self._pieces(rows))
            histograms = model_histograms(self.model, watched) if watched else None
            norm = self.optimizers.clip()
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise TrainingFailedError(
                    f"out of memory at step {self._done} with batch size {self.settings.batch_size} in "
                    f"{self.settings.accumulation} piece(s): raise training.accumulation or lower model.max_length"
                ) from error
            raise
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise TrainingFailedError(
                f"step {self._done}: loss {loss}, gradient norm {norm}; the learning rate "
                f"({self.settings.learning_rate:g}) may be too high"
            )
        return loss, norm, histograms

    def _pieces(self, rows: IntArray) -> list[IntArray]:
        size = self.settings.batch_size // self.settings.accumulation
        return [rows[start : start + size] for start in range(0, len(rows), size)]

    def _backward(self, rows: IntArray, n_batch: int) -> float:
        targets = torch.from_numpy(self.train.y_true[rows]).to(
            self.device, torch.float32
        )  # (batch, n_labels)
        with self.accelerator.autocast():
            logits = self.model(**self.train.texts.padded(rows, self.device)).logits  # (batch, n_labels)
        loss: Tensor = self.loss(logits.float(), targets) * (len(rows) / n_batch)
        self.accelerator.backward(loss)
        return float(loss.detach())


def val_scores(y_true: BoolArray, y_prob: FloatArray) -> dict[str, float]:
    """The scores of an epoch on val, by their names in the history; no threshold is fitted for them."""
    y_pred = decide(y_prob, SELECTION_THRESHOLD)
    auc = roc_auc_micro(y_true, y_prob)
    return {
        "val_loss": binary_cross_entropy(y_true, y_prob),
        "val_f1_macro": f1_macro(y_true, y_pred),
        "val_f1_micro": f1_micro(y_true, y_pred),
        "val_auc_micro": 0.5 if math.isnan(auc) else auc,
    }
