"""The training loop on the tiny model."""

from typing import Any, get_args

import numpy as np
import pytest
import torch
from sklearn import metrics

from goemo_cli.core.errors import TrainingFailedError
from goemo_cli.core.settings import LossName, TrainingSettings
from goemo_cli.ml.training.loop import (
    Epoch,
    Examples,
    Fact,
    Step,
    Stopped,
    fit,
    seed_everything,
    steps_per_epoch,
    val_scores,
)

CPU = torch.device("cpu")


@pytest.fixture
def run(make_tiny, comments):
    """`run(seed=0, epochs=2, ...)` trains on the 32 comments: (facts, classifier)."""
    texts, y_true = comments

    def run(*, model_seed: int = 0, dropout: float = 0.0, precision: Any = "fp32", **settings: Any):
        whole = {"lr": 3e-3, "batch_size": 8, "epochs": 2, "early_stopping": {"patience": None}, **settings}
        resolved = TrainingSettings(**whole)
        classifier = make_tiny(seed=model_seed, dropout=dropout)
        examples = Examples(classifier.encode(texts), y_true)
        seed_everything(resolved.seed)
        facts = list(fit(classifier, examples, examples, resolved, device=CPU, precision=precision))
        return facts, classifier

    return run


def of_kind(facts: list[Fact], kind: type) -> list[Any]:
    return [fact for fact in facts if isinstance(fact, kind)]


def weights(classifier: Any) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in classifier.model.parameters()])


def test_it_learns_32_comments_by_heart(run):
    facts, _ = run(epochs=60)
    epochs = of_kind(facts, Epoch)
    assert epochs[-1].scores.train_loss < 0.2 * epochs[0].scores.train_loss
    assert epochs[-1].scores.val_loss < 0.2 * epochs[0].scores.val_loss
    assert epochs[-1].scores.val_f1_macro == 1.0


def test_every_step_and_epoch_is_a_fact_in_order(run):
    facts, _ = run(epochs=2, batch_size=12)
    assert steps_per_epoch(32, TrainingSettings(batch_size=12)) == 3
    assert [type(fact) for fact in facts] == [Step, Step, Step, Epoch] * 2
    assert [fact.step for fact in of_kind(facts, Step)] == [1, 2, 3, 4, 5, 6]
    assert sorted(fact.comments for fact in of_kind(facts, Step)[:3]) == [8, 12, 12]
    assert [epoch.scores.epoch for epoch in of_kind(facts, Epoch)] == [1, 2]


def test_an_epochs_numbers_are_those_of_its_steps(run):
    facts, _ = run(epochs=1, batch_size=12, warmup=0)
    steps, (epoch,) = of_kind(facts, Step), of_kind(facts, Epoch)
    assert epoch.scores.train_loss == pytest.approx(sum(step.loss * step.comments for step in steps) / 32)
    assert epoch.scores.grad_norm == pytest.approx(np.mean([step.grad_norm for step in steps]))
    assert (
        epoch.scores.learning_rate == steps[-1].learning_rate == pytest.approx(1e-3)
    )  # a third of the way is left
    assert epoch.scores.samples_per_second == pytest.approx(32 / epoch.scores.epoch_seconds)


def test_an_epochs_scores_are_those_of_its_model(run, comments):
    facts, classifier = run(epochs=1)
    (epoch,) = of_kind(facts, Epoch)
    assert np.array_equal(epoch.classifier.predict_proba(comments[0]), epoch.val_prob)
    assert epoch.classifier.model is classifier.model
    assert {
        name: getattr(epoch.scores, name)
        for name in val_scores(comments[1], epoch.val_prob, single_label=False)
    } == val_scores(comments[1], epoch.val_prob, single_label=False)


def test_val_scores_are_scikit_learns_at_the_papers_threshold():
    rng = np.random.default_rng(0)
    y_true, y_prob = rng.random((50, 4)) < 0.3, rng.random((50, 4), dtype=np.float32)
    ours, y_pred = val_scores(y_true, y_prob, single_label=False), y_prob.astype(np.float64) >= 0.3
    assert ours["val_f1_macro"] == pytest.approx(metrics.f1_score(y_true, y_pred, average="macro"), abs=1e-12)
    assert ours["val_f1_micro"] == pytest.approx(metrics.f1_score(y_true, y_pred, average="micro"), abs=1e-12)
    assert ours["val_auc_micro"] == pytest.approx(
        metrics.roc_auc_score(y_true, y_prob, average="micro"), abs=1e-12
    )
    assert val_scores(np.zeros_like(y_true), y_prob, single_label=False)["val_auc_micro"] == 0.5


def test_one_seed_gives_identical_weights_and_probabilities(run):
    (first, one), (second, other) = run(seed=3, dropout=0.1), run(seed=3, dropout=0.1)
    assert torch.equal(weights(one), weights(other))
    assert np.array_equal(of_kind(first, Epoch)[-1].val_prob, of_kind(second, Epoch)[-1].val_prob)


def test_deterministic_algorithms_are_switched_on_and_off():
    seed_everything(0, deterministic=True)
    try:
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        seed_everything(0)
    assert not torch.are_deterministic_algorithms_enabled()


def test_dropout_draws_from_the_seed(run):
    assert not torch.equal(weights(run(dropout=0.5)[1]), weights(run(dropout=0.0)[1]))


def test_a_batch_in_four_pieces_is_the_same_step(run):
    whole, pieces = run(epochs=1, batch_size=32), run(epochs=1, batch_size=32, accumulation=4)
    (one,), (other,) = of_kind(whole[0], Step), of_kind(pieces[0], Step)
    assert other.loss == pytest.approx(one.loss, rel=1e-5)
    assert other.grad_norm == pytest.approx(one.grad_norm, rel=1e-4)
    assert torch.allclose(weights(whole[1]), weights(pieces[1]), atol=2e-4)
    assert other.comments == 32


def test_a_smaller_last_batch_is_split_into_fair_pieces(run):
    whole, pieces = run(epochs=1, batch_size=20), run(epochs=1, batch_size=20, accumulation=4)
    assert [fact.loss for fact in of_kind(pieces[0], Step)] == pytest.approx(
        [fact.loss for fact in of_kind(whole[0], Step)], rel=1e-3
    )


@pytest.mark.parametrize(
    "given",
    [{}, {"accumulation": 2}, {"frozen_layers": 1}, {"precision": "bf16"}],
    ids=["plain", "in pieces", "frozen", "bf16"],
)
def test_recomputed_layers_train_the_same_weights_to_the_bit(run, given: dict[str, Any]):
    facts, kept = run(dropout=0.1, **given)
    again, recomputed = run(dropout=0.1, gradient_checkpointing=True, **given)
    assert [fact.loss for fact in of_kind(again, Step)] == [fact.loss for fact in of_kind(facts, Step)]
    assert torch.equal(weights(recomputed), weights(kept))


def test_an_absurd_learning_rate_fails_at_its_step_with_the_reason(run):
    with pytest.raises(
        TrainingFailedError, match=r"step \d+: loss .*; the learning rate \(1e\+10\) may be too high"
    ):
        run(lr=1e10, epochs=10, warmup=0)


def test_a_loss_that_is_nan_fails_before_it_is_applied(make_tiny, comments):
    texts, y_true = comments
    classifier = make_tiny()
    with torch.no_grad():
        classifier.model.classifier.bias.fill_(float("nan"))
    before = weights(classifier)
    examples = Examples(classifier.encode(texts), y_true)
    with pytest.raises(TrainingFailedError, match="step 1: loss nan"):
        next(fit(classifier, examples, examples, TrainingSettings(), device=CPU, precision="fp32"))
    assert torch.equal(weights(classifier).nan_to_num(7), before.nan_to_num(7))


def test_out_of_memory_says_what_helps(run, monkeypatch: pytest.MonkeyPatch):
    def full(*arguments: Any, **more: Any) -> None:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr("goemo_cli.ml.training.losses.functional.binary_cross_entropy_with_logits", full)
    with pytest.raises(
        TrainingFailedError, match=r"out of memory at step 1 with batch size 8 .*accumulation"
    ):
        run()


def test_another_runtime_error_keeps_its_name(run, monkeypatch: pytest.MonkeyPatch):
    def broken(*arguments: Any, **more: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("goemo_cli.ml.training.losses.functional.binary_cross_entropy_with_logits", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        run()


def test_early_stopping_says_where_and_at_what(run):
    settings = {"early_stopping": {"metric": "val_loss", "min_delta": 1e9, "patience": 2}}
    facts, _ = run(epochs=10, **settings)
    assert len(of_kind(facts, Epoch)) == 3
    (stopped,) = of_kind(facts, Stopped)
    assert facts[-1] is stopped
    assert (stopped.epoch, stopped.best_epoch) == (3, 1)
    assert stopped.best_value == of_kind(facts, Epoch)[0].scores.val_loss


def test_the_last_epoch_is_no_early_stop(run):
    facts, _ = run(epochs=3, early_stopping={"metric": "val_loss", "min_delta": 1e9, "patience": 2})
    assert len(of_kind(facts, Epoch)) == 3
    assert not of_kind(facts, Stopped)


@pytest.mark.parametrize("metric", ["val_auc_micro", "val_loss"])
def test_the_last_epoch_marked_best_is_the_best_of_all(run, metric: str):
    facts, _ = run(epochs=5, lr=2e-2, early_stopping={"metric": metric, "patience": None})
    epochs = of_kind(facts, Epoch)
    values = [getattr(epoch.scores, metric) * (-1 if metric == "val_loss" else 1) for epoch in epochs]
    assert [epoch.is_best for epoch in epochs] == [
        value > max(values[:at], default=float("-inf")) for at, value in enumerate(values)
    ]


def test_the_average_of_the_weights_is_what_is_scored(run, comments):
    facts, classifier = run(epochs=8, averaging=0.1, lr=1e-2)
    last = of_kind(facts, Epoch)[-1]
    assert last.classifier.model is not classifier.model
    assert np.array_equal(last.classifier.predict_proba(comments[0]), last.val_prob)
    assert not np.array_equal(classifier.predict_proba(comments[0]), last.val_prob)
    assert last.scores.val_loss < of_kind(facts, Epoch)[0].scores.val_loss


def test_a_run_of_few_steps_with_an_average_scores_weights_that_have_learnt(run, make_tiny, comments):
    facts, _ = run(epochs=1, batch_size=32, averaging=0.1, lr=1e-2, warmup=0)
    untrained = make_tiny().predict_proba(comments[0])
    assert not np.array_equal(of_kind(facts, Epoch)[0].val_prob, untrained)


def test_gradients_are_clipped_and_their_norm_is_reported_before(run):
    free, clipped = run(epochs=1, clip_norm=None), run(epochs=1, clip_norm=1e-3)
    assert of_kind(clipped[0], Step)[0].grad_norm == pytest.approx(of_kind(free[0], Step)[0].grad_norm)
    assert of_kind(clipped[0], Step)[0].grad_norm > 1e-3
    assert not torch.equal(weights(free[1]), weights(clipped[1]))


@pytest.mark.parametrize("loss", get_args(LossName))
def test_every_loss_falls(run, loss: str):
    facts, _ = run(epochs=15, loss=loss)
    epochs = of_kind(facts, Epoch)
    assert epochs[-1].scores.train_loss < 0.75 * epochs[0].scores.train_loss


def test_bf16_trains_fp32_weights_and_is_scored_in_fp32(run):
    facts, classifier = run(epochs=2, precision="bf16")
    assert {parameter.dtype for parameter in classifier.model.parameters()} == {torch.float32}
    assert of_kind(facts, Epoch)[-1].val_prob.dtype == np.float32
    assert of_kind(facts, Epoch)[-1].scores.train_loss < of_kind(facts, Epoch)[0].scores.train_loss
