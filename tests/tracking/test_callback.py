import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from goemo_cli.tracking import ArtifactManager, LoggerCallback, LoggerConfig
from goemo_cli.tracking.artifacts.local_runs import read_metrics

REPOSITORY = Path(__file__).resolve().parents[2]


def folder_of(root: Path) -> Path:
    [folder] = (root / "artifacts/registry/runs").iterdir()
    return folder


def lines_of(root: Path) -> list[tuple[int, dict[str, Any]]]:
    lines = read_metrics(folder_of(root) / "metrics.jsonl")
    return [(line["step"], {key: line[key] for key in line if key not in ("step", "time")}) for line in lines]


def test_every_nth_step_is_logged_and_the_last_one_is_not_lost(tmp_path: Path):
    config = LoggerConfig(mode="local", log_every_n_steps=3)
    with LoggerCallback(config, root=tmp_path) as logger:
        for step in range(1, 8):
            logger.on_step_end(step, {"loss": step / 10})
    assert lines_of(tmp_path) == [(3, {"loss": 0.3}), (6, {"loss": 0.6}), (7, {"loss": 0.7})]


def test_epochs_are_always_logged_at_their_last_step(tmp_path: Path):
    with LoggerCallback(LoggerConfig(mode="local", log_every_n_steps=100), root=tmp_path) as logger:
        logger.on_step_end(1, {"loss": 0.5})
        logger.on_step_end(2, {"loss": 0.4})
        logger.on_epoch_end(1, {"val/f1_macro": 0.6})
        logger.on_epoch_end(2, {"val/f1_macro": 0.7}, step=9)
    assert lines_of(tmp_path) == [
        (2, {"loss": 0.4}),
        (2, {"val/f1_macro": 0.6, "epoch": 1}),
        (9, {"val/f1_macro": 0.7, "epoch": 2}),
    ]


def test_checkpoints_are_versions_and_the_best_keeps_its_alias(tmp_path: Path):
    weights = tmp_path / "weights.bin"
    with LoggerCallback(LoggerConfig(mode="local"), root=tmp_path) as logger:
        for epoch, is_best in ((1, True), (2, False)):
            weights.write_text(f"epoch {epoch}")
            logger.on_checkpoint(weights, "net", is_best=is_best)
    registry = logger.manager.registry
    assert registry.aliases("net") == {"best": "v0", "latest": "v1"}


def test_a_run_of_a_manager_is_joined_not_doubled(tmp_path: Path):
    manager = ArtifactManager(LoggerConfig(mode="local"), root=tmp_path)
    run_id = manager.init_run()
    assert LoggerCallback(manager=manager).on_train_begin() == run_id


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # of torch and transformers
def test_every_evaluation_of_the_trainer_of_transformers_arrives(tmp_path: Path):
    """Before, during and after the training; losses of steps are thinned out."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

    rows = [{"input_ids": torch.tensor([1, row % 5, 2]), "labels": row % 2} for row in range(16)]
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    arguments = TrainingArguments(
        output_dir=str(tmp_path / "out"), num_train_epochs=2, per_device_train_batch_size=4, logging_steps=1,
        eval_strategy="steps", eval_steps=2, save_strategy="no", report_to=[], disable_tqdm=True, seed=3, use_cpu=True,
        hub_token="hf_SECRET",
    )  # fmt: skip
    logger = LoggerCallback(LoggerConfig(mode="local", log_every_n_steps=3), root=tmp_path)
    trainer = Trainer(
        BertForSequenceClassification(BertConfig(vocab_size=8, **sizes)),
        arguments,
        train_dataset=rows,
        eval_dataset={"near": rows[:4], "far": rows[4:]},
        compute_metrics=lambda found: {"accuracy": 0.5},
        callbacks=[logger.for_trainer()],
    )
    trainer.evaluate()
    trainer.train()
    assert logger.manager.run_id is None
    trainer.evaluate(rows, metric_key_prefix="after")
    trainer.predict(rows, metric_key_prefix="test")
    logger.manager.finish_run()

    lines = lines_of(tmp_path)
    evaluated = [(step, name) for step, line in lines for name in sorted(line) if name.endswith("accuracy")]
    assert evaluated == [
        *[(step, f"eval_{part}_accuracy") for step in (0, 2, 4, 6, 8) for part in ("near", "far")],
        (9, "after_accuracy"),
        (9, "test_accuracy"),
    ]
    assert [step for step, line in lines if "loss" in line] == [2, 3, 4, 6, 8]  # every third, evaluated ones
    record = json.loads((folder_of(tmp_path) / "run.json").read_text())
    assert (record["state"], record["summary"]) == ("finished", {"steps": 8})
    assert record["config"]["trainer"]["seed"] == 3
    assert "SECRET" not in json.dumps(record)


def test_a_second_training_is_a_run_of_its_own_and_steps_are_never_logged_twice(tmp_path: Path):
    """The callback as the Trainer itself calls it; a training that is continued from an older checkpoint repeats steps."""
    from transformers.trainer_callback import CallbackHandler, TrainerControl, TrainerState

    arguments = SimpleNamespace(
        learning_rate=1e-3, num_train_epochs=1, per_device_train_batch_size=8, gradient_accumulation_steps=1,
        weight_decay=0.0, seed=3,
    )  # fmt: skip

    def train(handler: CallbackHandler, steps: list[int], *, is_main: bool = True) -> None:
        state, control = TrainerState(is_world_process_zero=is_main), TrainerControl()
        handler.on_train_begin(arguments, state, control)
        for state.global_step in steps:
            handler.on_log(arguments, state, control, {"loss": 0.25, "note": "text"})
        handler.on_train_end(arguments, state, control)
        handler.on_predict(arguments, state, control, {"test_f1": 0.5})

    logger = LoggerCallback(LoggerConfig(mode="local"), root=tmp_path / "two")
    handler = CallbackHandler([logger.for_trainer()], None, None, None, None)
    for _ in range(2):
        train(handler, [1, 2])
    assert len(list((tmp_path / "two/artifacts/registry/runs").iterdir())) == 2

    told: list[str] = []
    for steps in ([1, 2], [1, 2, 3, 4]):
        logger = LoggerCallback(LoggerConfig(mode="local", resume="one"), root=tmp_path, warn=told.append)
        train(CallbackHandler([logger.for_trainer()], None, None, None, None), steps)
        logger.manager.finish_run()
    assert [(step, sorted(line)) for step, line in lines_of(tmp_path)] == [
        (1, ["loss"]), (2, ["loss"]), (3, ["test_f1"]), (4, ["loss"]), (5, ["test_f1"]),
    ]  # fmt: skip
    assert told == ["steps before 4 are logged already; the run continues there"]

    other = LoggerCallback(LoggerConfig(mode="local"), root=tmp_path / "other")
    train(CallbackHandler([other.for_trainer()], None, None, None, None), [1], is_main=False)
    assert not (tmp_path / "other").exists()
