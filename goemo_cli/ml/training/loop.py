"""The training loop: a generator that yields facts. The caller saves, logs and shows progress."""

import math
import random
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from goemo_cli.core.arrays import BoolArray, FloatArray, Histogram, IntArray
from goemo_cli.core.documents.metrics import EpochScores
from goemo_cli.core.documents.training import TrainingPosition
from goemo_cli.core.errors import TrainingFailedError
from goemo_cli.core.settings import TrainingSettings, WeightFiles
from goemo_cli.core.thresholds import Decision
from goemo_cli.ml.metrics.ranking import roc_auc_micro
from goemo_cli.ml.metrics.scoring import binary_cross_entropy, cross_entropy, f1_macro, f1_micro
from goemo_cli.ml.models.devices import Precision, is_out_of_memory
from goemo_cli.ml.models.layers import entering_at, only_first_token, recomputed
from goemo_cli.ml.models.transformer import TransformerClassifier, predict_encoded
from goemo_cli.ml.training.batches import EncodedTexts
from goemo_cli.ml.training.best_epoch import BestEpoch
from goemo_cli.ml.training.distillation import SoftLabels
from goemo_cli.ml.training.frozen import FrozenOutputs, freeze
from goemo_cli.ml.training.histograms import Watched, model_histograms
from goemo_cli.ml.training.losses import make_loss
from goemo_cli.ml.training.optim import Optimizers, WeightAverage
from goemo_cli.ml.training.ranks import ALONE, Ranks
from goemo_cli.ml.training.state import TrainingState, load_named, named_tensors, seed_step


class Saveable(Protocol):
    """A model with weights that can be saved."""

    def save(self, folder: Path, files: WeightFiles) -> None:
        """Write the weights into a checkpoint folder."""
        ...


@dataclass(frozen=True)
class Examples:
    """Encoded texts with their gold labels, bool, (n_examples, n_labels)."""

    texts: EncodedTexts
    y_true: BoolArray
    frozen: FrozenOutputs | None = None
    """What the frozen layers give for the texts, if it was computed before."""
    soft: SoftLabels | None = None
    """What a teacher says about the texts; those after `soft.n_gold` have no gold labels, which counts as False."""

    @property
    def gold(self) -> BoolArray:
        """The gold labels of the texts that have them, (n_gold, n_labels)."""
        return self.y_true[: self.soft.n_gold] if self.soft else self.y_true


@dataclass(frozen=True)
class Step:
    """One optimizer update."""

    step: int
    """Counted from 1 over the whole run."""
    epoch: int
    """Counted from 1."""
    is_first: bool
    """Whether it is the first step of its epoch."""
    is_last: bool
    """Whether it is the last step of its epoch."""
    loss: float
    grad_norm: float
    """Before clipping."""
    learning_rate: float
    """Of the encoder."""
    comments: int
    state: Callable[[], TrainingState]
    """The state after this step. It shares the memory of the model, so save it before the next fact."""
    histograms: Mapping[str, Histogram] | None = None
    """Of the gradients before clipping and of their parameters, if this step is watched."""


@dataclass(frozen=True)
class Epoch:
    """One pass over train, and val scored with the weights after it."""

    scores: EpochScores
    epochs: int
    """The number of epochs of the training, unless it stops early."""
    is_best: bool
    val_prob: FloatArray
    """(n_val, n_labels)"""
    classifier: Saveable
    """The model that was scored: the moving average, if there is one. Save it before the next fact: it changes then."""


@dataclass(frozen=True)
class Stopped:
    """Early stopping ended the run after `epoch`."""

    epoch: int
    best_epoch: int
    best_value: float


Fact = Step | Epoch | Stopped


def seed_everything(seed: int, *, deterministic: bool = False) -> None:
    """Start the random generators of Python, NumPy and torch from the same seed.

    Args:
        seed: 0 to 2**32 - 1.
        deterministic: allow only algorithms that repeat to the bit on the same machine.
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    if (
        deterministic != torch.are_deterministic_algorithms_enabled()
    ):  # the call imports the compiler, a second
        torch.use_deterministic_algorithms(deterministic)


def steps_per_epoch(n_train: int, settings: TrainingSettings) -> int:
    """Optimizer updates in one pass over train."""
    return math.ceil(n_train / settings.batch_size)


def epoch_batches(texts: EncodedTexts, settings: TrainingSettings, epoch: int) -> list[IntArray]:
    """The rows of each step of an epoch, which is counted from 1."""
    return texts.training_batches(settings.batch_size, np.random.default_rng([settings.seed, epoch]))


def rows_at_once(settings: TrainingSettings, ranks: Ranks) -> int:
    """The most rows that a process computes at once: a piece of its part of a batch."""
    return max(1, settings.batch_size // settings.accumulation // ranks.count)


def fit(
    classifier: TransformerClassifier,
    train: Examples,
    val: Examples,
    settings: TrainingSettings,
    *,
    device: torch.device,
    precision: Precision,
    watched: Watched | None = None,
    start: TrainingState | None = None,
    ranks: Ranks = ALONE,
) -> Generator[Fact]:
    """Train, and yield a fact after every step and every epoch; `watched` does not change them.

    Args:
        classifier: the model; its weights change.
        train: what it learns.
        val: scored after each epoch.
        settings: of the training.
        device: where to compute.
        precision: of the forward pass.
        watched: the histograms to take.
        start: continue from this state; the facts are those that an undisturbed training yields after it.
        ranks: the processes that train together; each yields the same facts but for the histograms.

    Raises:
        TrainingFailedError: a loss or gradient that is not finite, or out of memory; nothing is scored after that.
        KeyError: `start` belongs to another model.
    """
    training = _Training(classifier, train, settings, device, precision, watched, ranks)
    if start:
        training.restore(start)
        del start  # it is as large as the model with its optimizer
    training.begin_together()
    for epoch in range(training.epoch, settings.epochs + 1):
        yield from training.one_pass(epoch)
        val_prob = ranks.add(predict_encoded(training.scored.model, val.texts, part=ranks.part))
        if not np.isfinite(val_prob).all():
            raise TrainingFailedError(f"epoch {epoch}: the model's probabilities are not finite")
        on_val = val_scores(val.y_true, val_prob, single_label=classifier.is_single_label)
        scores = EpochScores(epoch=epoch, **training.epoch_means(), **on_val)
        is_best = training.best.update(epoch, on_val[settings.early_stopping.metric])
        yield Epoch(scores, settings.epochs, is_best, val_prob, training.scored)
        if training.best.should_stop and epoch < settings.epochs:
            yield Stopped(epoch, training.best.epoch, training.best.value)
            return


class _Training:
    """Optimizer steps over train, and what they have reached."""

    def __init__(
        self,
        classifier: TransformerClassifier,
        train: Examples,
        settings: TrainingSettings,
        device: torch.device,
        precision: Precision,
        watched: Watched | None,
        ranks: Ranks,
    ) -> None:
        self.ranks = ranks
        self.model = classifier.model.to(device)
        self.train, self.settings, self.device, self.watched = train, settings, device, watched
        if settings.frozen_layers:
            freeze(self.model, settings.frozen_layers)
        self.loss = make_loss(settings, train.gold, device)
        total = settings.epochs * steps_per_epoch(len(train.texts), settings)
        self.optimizers = Optimizers(classifier, settings, total, sparse=device.type != "mps")
        self.average = WeightAverage(self.model, settings.averaging) if settings.averaging else None
        self.scored = replace(classifier, model=self.average.model) if self.average else classifier
        """The model that is scored after a pass: the moving average, if there is one."""
        self.in_bf16 = precision == "bf16"
        self.best = BestEpoch(settings.early_stopping)
        self.epoch, self.seconds = 1, 0.0
        self._done = 0
        self._steps: list[tuple[float, float, float, int]] = []
        """Loss, gradient norm, learning rate and comments of the steps of the current epoch."""

    def one_pass(self, epoch: int) -> Iterator[Step]:
        """Every comment of train once, in batches shuffled by seed and epoch, without those that are done already."""
        if epoch > self.epoch:
            self.epoch, self.seconds, self._steps = epoch, 0.0, []
        self.model.train()
        if self.settings.frozen_layers:
            freeze(self.model, self.settings.frozen_layers)
        batches = epoch_batches(self.train.texts, self.settings, epoch)
        for i, rows in enumerate(batches[len(self._steps) :], start=len(self._steps)):
            started = time.perf_counter()
            self._done += 1
            seed_step(self.settings.seed, self._done, self.ranks.rank)
            learning_rate = self.optimizers.learning_rate
            loss, norm, histograms = self._gradient(rows)
            self.optimizers.step()
            if self.average:
                self.average.update(self.model, self._done)
            self._steps.append((loss, norm, learning_rate, len(rows)))
            self.seconds += time.perf_counter() - started
            is_first, is_last = i == 0, i + 1 == len(batches)
            yield Step(
                self._done,
                epoch,
                is_first,
                is_last,
                loss,
                norm,
                learning_rate,
                len(rows),
                self.state,
                histograms,
            )
        if self.average:
            self.average.catch_up(self.model, self._done)

    def begin_together(self) -> None:
        """Give all processes the same weights, and check that they begin at the same step."""
        self.ranks.require_equal(self._done)
        self.ranks.share_weights(self.model)

    def epoch_means(self) -> dict[str, float]:
        """The facts of an epoch's steps, by their names in the history."""
        loss, norm, learning_rate, comments = np.array(self._steps, dtype=np.float64).T
        return {
            "train_loss": sum(loss * comments) / len(self.train.texts),
            "learning_rate": float(learning_rate[-1]),
            "grad_norm": float(np.mean(norm)),
            "epoch_seconds": self.seconds,
            "samples_per_second": len(self.train.texts) / self.seconds,
        }

    def state(self) -> TrainingState:
        """All that the next step depends on; it shares the memory of the model."""
        best, average = self.best, self.average
        return TrainingState(
            TrainingPosition(
                step=self._done,
                epoch=self.epoch,
                epoch_seconds=self.seconds,
                averaged_steps=average.seen if average else 0,
                best_epoch=best.epoch,
                best_value=best.value if best.epoch else None,
                waited=best.waited,
            ),
            named_tensors(self.model),
            self.optimizers.tensors(),
            named_tensors(average.model) if average else {},
            np.array(self._steps, dtype=np.float64),
        )

    def restore(self, state: TrainingState) -> None:
        """Continue from a state."""
        at, best, average = state.position, self.best, self.average
        load_named(self.model, state.weights)
        self.optimizers.restore(state.optimizer, at.step)
        if average:
            load_named(average.model, state.average)
            average.seen = at.averaged_steps
        best.epoch, best.waited = at.best_epoch, at.waited
        best.value = math.nan if at.best_value is None else at.best_value
        self.epoch, self.seconds, self._done = at.epoch, at.epoch_seconds, at.step
        self._steps = [(loss, norm, rate, int(n)) for loss, norm, rate, n in state.steps.tolist()]

    def _gradient(self, rows: IntArray) -> tuple[float, float, Mapping[str, Histogram] | None]:
        """Loss (mean over the batch's cells) and gradient norm before clipping, both finite; histograms if the step is watched."""
        watched = self.watched if self.watched and self.watched.is_due(self._done) else None
        try:
            mine = self.ranks.part(rows)
            size = rows_at_once(self.settings, self.ranks)
            pieces = (mine[start : start + size] for start in range(0, len(mine), size))
            loss = sum(self._backward(piece, len(rows)) for piece in pieces)
            if not self.ranks.is_alone:
                tokens = self.train.texts.tokens_of(rows)
                loss = self.ranks.add_gradients(
                    self.optimizers.parameters, self.optimizers.words, tokens, loss
                )
            histograms = model_histograms(self.model, watched) if watched else None
            norm = self.optimizers.clip()
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise TrainingFailedError(
                    f"out of memory at step {self._done} with batch size {self.settings.batch_size} in "
                    f"{self.settings.accumulation} piece(s): raise training.accumulation, set "
                    "training.gradient_checkpointing=true, or lower model.max_length"
                ) from error
            raise
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise TrainingFailedError(
                f"step {self._done}: loss {loss}, gradient norm {norm}; the learning rate "
                f"({self.settings.learning_rate:g}) may be too high"
            )
        return loss, norm, histograms

    def _backward(self, rows: IntArray, n_batch: int) -> float:
        targets = torch.from_numpy(self.train.y_true[rows]).to(
            self.device, torch.float32
        )  # (batch, n_labels)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.in_bf16):
            recompute = self.settings.gradient_checkpointing
            logits = training_logits(self.model, self.train, rows, recompute=recompute).float()
        soft = self.train.soft
        whole = soft.loss(self.loss, logits, targets, rows) if soft else self.loss(logits, targets)
        loss = whole * (len(rows) / n_batch)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types there
        return float(loss.detach())


def training_logits(model: Any, examples: Examples, rows: IntArray, *, recompute: bool) -> Tensor:
    """What the model gives for some rows in a step: (batch, n_labels), with the graph of the gradients.

    Args:
        model: in training mode.
        examples: the source of the rows.
        rows: their numbers.
        recompute: whether layers are computed again in the backward pass.
    """
    device = next(model.parameters()).device
    batch = examples.texts.padded(rows, device)
    with ExitStack() as passes:
        passes.enter_context(only_first_token(model))
        if frozen := examples.frozen:
            hidden = frozen.padded(rows, batch["input_ids"].shape[1], device)
            passes.enter_context(entering_at(model, frozen.layer, hidden))
        if recompute:
            passes.enter_context(recomputed(model))
        logits: Tensor = model(**batch).logits
    return logits


def val_scores(y_true: BoolArray, y_prob: FloatArray, *, single_label: bool) -> dict[str, float]:
    """The scores of an epoch on val, by their names in the history; no threshold is fitted for them."""
    y_pred = Decision.of_epochs(y_true.shape[1], single_label=single_label)(y_prob)
    log_loss = cross_entropy if single_label else binary_cross_entropy
    auc = roc_auc_micro(y_true, y_prob)
    return {
        "val_loss": log_loss(y_true, y_prob),
        "val_f1_macro": f1_macro(y_true, y_pred),
        "val_f1_micro": f1_micro(y_true, y_pred),
        "val_auc_micro": 0.5 if math.isnan(auc) else auc,
    }
