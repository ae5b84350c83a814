"""Hugging Face's Trainer as run_classification.py sets it up, and at its best settings here.

    python -m benchmarks.hf_trainer --data-dir DIR [--epochs 4] [--precision bf16]

As a program it trains MiniLM on GoEmotions at the best settings, scores val after each epoch, writes the predictions of the
best epoch for val and test, and prints its scores as JSON: what a good script does between start and result.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset as TorchDataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    default_data_collator,
)

from goemo_cli.core.arrays import BoolArray, FloatArray
from goemo_cli.core.catalogue import model_entry
from goemo_cli.core.settings import ThresholdSettings, TrainConfig, TrainingSettings
from goemo_cli.ml.data.dataset import LabelledTexts
from goemo_cli.ml.data.goemotions import read_goemotions
from goemo_cli.ml.metrics.rule_choice import fit_by_rule
from goemo_cli.ml.metrics.scoring import f1_macro
from goemo_cli.ml.models.devices import Precision, pick_device, pick_precision
from goemo_cli.ml.models.pretrained import quiet_transformers
from goemo_cli.ml.models.transformer import label_settings
from goemo_cli.ml.models.weights import find_weights
from goemo_cli.ml.training.loop import val_scores
from goemo_cli.services.training.settings import resolve_settings

ALL_LAYERS_RATE = 2e-4
"""Learning rate of the encoder; goemo's default is twice as high, for the upper three layers."""


class Rows(TorchDataset[dict[str, object]]):
    """Tokenised comments as Trainer reads them."""

    def __init__(self, examples: LabelledTexts, tokenizer: Any, *, padded: bool) -> None:
        encoded = tokenizer(
            examples.texts, truncation=True, max_length=128, padding="max_length" if padded else False
        )
        self.rows = [
            {"input_ids": ids, "attention_mask": mask, "labels": gold.astype(np.float32)}
            for ids, mask, gold in zip(
                encoded["input_ids"], encoded["attention_mask"], examples.y_true, strict=True
            )
        ]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: int) -> dict[str, object]:
        return self.rows[at]


def make_trainer(
    config: TrainConfig,
    train: LabelledTexts,
    labels: tuple[str, ...],
    *,
    precision: Precision,
    output: Path,
    best: bool,
    val: LabelledTexts | None = None,
) -> Trainer:
    """A Trainer on fresh weights of goemo's model, with goemo's dropout, number of epochs and, if `best`, batch size.

    Args:
        config: model, epochs, learning rate, batch size and seed.
        train: what it learns.
        labels: their names.
        precision: of the forward pass, if `best`; else fp32.
        output: its folder.
        best: dynamic padding, batches grouped by length, fused AdamW, eager attention, goemo's learning rates and first bias of the
            head; else run_classification.py's defaults.
        val: scored after each epoch, and the best epoch is kept.
    """
    settings, dropout = config.training, config.model.dropout
    folder = _weights(config)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with quiet_transformers():
        model = AutoModelForSequenceClassification.from_pretrained(
            folder,
            attn_implementation="eager" if best else "sdpa",
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            **label_settings(labels),
        )
    tuned: dict[str, Any] = {
        "per_device_train_batch_size": settings.batch_size,
        "per_device_eval_batch_size": settings.batch_size,
        "bf16": precision == "bf16",
        "train_sampling_strategy": "group_by_length",
        "lr_scheduler_type": "cosine",
        "warmup_steps": settings.warmup,
    }
    scored: dict[str, Any] = {
        "eval_strategy": "epoch",
        "load_best_model_at_end": True,
        "metric_for_best_model": "f1_macro",
    }
    arguments = TrainingArguments(
        output_dir=str(output),
        num_train_epochs=settings.epochs,
        seed=settings.seed,
        save_strategy="epoch" if val else "no",
        report_to="none",
        disable_tqdm=True,
        logging_strategy="no",
        use_cpu=True,
        **(tuned if best else {}),
        **(scored if val else {}),
    )
    return Trainer(
        model=model,
        optimizers=(_optimizer(model, train, settings) if best else None, None),
        args=arguments,
        train_dataset=Rows(train, tokenizer, padded=not best),
        eval_dataset=Rows(val, tokenizer, padded=not best) if val else None,
        data_collator=DataCollatorWithPadding(tokenizer) if best else default_data_collator,
        compute_metrics=_scores if val else None,
    )


def _optimizer(model: Any, train: LabelledTexts, settings: TrainingSettings) -> torch.optim.Optimizer:
    """AdamW with a higher rate for the head, whose bias is set to the labels' log-odds."""
    head = list(model.classifier.parameters())
    shares = torch.from_numpy(train.y_true.mean(axis=0)).clamp(1 / len(train), 1 - 1 / len(train))
    model.classifier.bias.data = shares.logit().to(model.classifier.bias.dtype)
    groups: list[dict[str, Any]] = [
        {"params": [*model.base_model.parameters()]},
        {"params": head, "lr": settings.learning_rate * settings.head_multiplier},
    ]
    return torch.optim.AdamW(
        groups, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )


def _weights(config: TrainConfig) -> Path:
    return find_weights(config.model.name, model_entry(config.model.name)).folder


def _scores(predicted: Any) -> dict[str, float]:
    return {"f1_macro": val_scores(*_answers(predicted), single_label=False)["val_f1_macro"]}


def _answers(predicted: Any) -> tuple[BoolArray, FloatArray]:
    """Gold labels, and probabilities."""
    return predicted.label_ids.astype(bool), (1 / (1 + np.exp(-predicted.predictions))).astype(np.float32)


def main() -> None:
    """Train, score, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--comments", type=int)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--precision", choices=("fp32", "bf16"))
    options = parser.parse_args()
    data = read_goemotions(options.data_dir)
    flags = {"training.epochs": options.epochs, "training.learning_rate": ALL_LAYERS_RATE}
    config = resolve_settings(None, flags)
    tokenizer = AutoTokenizer.from_pretrained(_weights(config))
    precision = options.precision or pick_precision("auto", pick_device("cpu"))
    train = data.train.take(np.arange(min(options.comments or len(data.train), len(data.train))))
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(
            config, train, data.labels, precision=precision, output=Path(folder), best=True, val=data.val
        )
        with quiet_transformers():
            trainer.train()
            # In groups by length, and not in the order of the rows.
            (val_true, val), (test_true, test) = (
                _answers(trainer.predict(Rows(examples, tokenizer, padded=False)))
                for examples in (data.val, data.test)
            )
    thresholds = fit_by_rule(data.labels, val_true, val, ThresholdSettings(), resamples=0)
    print(
        json.dumps(
            val_scores(val_true, val, single_label=False)
            | {"test_f1_macro": f1_macro(test_true, thresholds.decide(test))}
        )
    )


if __name__ == "__main__":
    main()
