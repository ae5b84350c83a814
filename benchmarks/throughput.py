"""Training throughput of goemo's loop and of Hugging Face's Trainer, interleaved in one run on the same comments.

    python benchmarks/throughput.py --data-dir DIR [--rounds 3] [--comments 2048]

Three contestants train MiniLM from the same weights: goemo as `goemo train` does; Trainer as run_classification.py
sets it up by default (padding to 128 tokens, batches of 8, fp32); Trainer at its best settings here (dynamic padding,
batches grouped by length, batch size of goemo, bf16 if goemo uses it, fused AdamW). The program prints ratios of comments
per second for each round, because absolute numbers drift with the machine.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
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

from goemo_cli.core.catalogue import model_entry
from goemo_cli.core.settings import TrainConfig
from goemo_cli.ml.data.dataset import LabelledTexts
from goemo_cli.ml.models.devices import pick_device, pick_precision
from goemo_cli.ml.models.pretrained import quiet_transformers
from goemo_cli.ml.models.transformer import TransformerClassifier, build_transformer, label_settings
from goemo_cli.ml.models.weights import find_weights
from goemo_cli.ml.training.loop import Examples, Step, fit
from goemo_cli.services.data.find import load_data
from goemo_cli.services.training.settings import resolve_settings


class Rows(TorchDataset[dict[str, object]]):
    """Tokenised comments as Trainer wants them."""

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


class Bench:
    """Builds the same model for every contestant and times one of them on a number of comments."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.data = load_data(config.data)
        self.folder = find_weights(config.model.name, model_entry(config.model.name)).folder
        self.device = pick_device("auto")
        self.precision = pick_precision("auto", self.device)

    def model(self) -> TransformerClassifier:
        """Fresh weights, as goemo trains them."""
        return build_transformer(self.folder, self.data.labels, self.config.model, device=self.device)

    def plain_model(self, attention: str) -> Any:
        """The same weights as transformers alone loads them, without goemo's dropout; the same share of it, though."""
        labels, dropout = self.data.labels, self.config.model.dropout
        with quiet_transformers():
            return AutoModelForSequenceClassification.from_pretrained(
                self.folder,
                attn_implementation=attention,
                hidden_dropout_prob=dropout,
                attention_probs_dropout_prob=dropout,
                **label_settings(labels),
            )

    def take(self, comments: int, seed: int) -> LabelledTexts:
        """Random comments of train."""
        rows = np.random.default_rng(seed).permutation(len(self.data.train))[:comments]
        return self.data.train.take(rows)

    def goemo(self, examples: LabelledTexts) -> float:
        """Seconds of goemo's loop."""
        classifier = self.model()
        train = Examples(classifier.encode(examples.texts), examples.y_true)
        settings = self.config.training.model_copy(update={"epochs": 1})
        facts = fit(classifier, train, train, settings, device=self.device, precision=self.precision)
        started = time.perf_counter()
        for _ in range(-(-len(examples) // settings.batch_size)):
            assert isinstance(next(facts), Step)
        seconds = time.perf_counter() - started
        facts.close()
        return seconds

    def trainer(self, examples: LabelledTexts, *, best: bool) -> float:
        """Seconds of Trainer's loop, by its own count."""
        model = self.plain_model("eager" if best else "sdpa")
        tokenizer = AutoTokenizer.from_pretrained(self.folder)
        with tempfile.TemporaryDirectory() as output:
            tuned = {
                "per_device_train_batch_size": self.config.training.batch_size,
                "bf16": self.precision == "bf16",
                "train_sampling_strategy": "group_by_length",
                "optim": "adamw_torch_fused",
            }
            arguments = TrainingArguments(
                output_dir=output, num_train_epochs=1, save_strategy="no", report_to="none", disable_tqdm=True,
                logging_strategy="no", use_cpu=self.device.type == "cpu", **(tuned if best else {}),
            )  # fmt: skip
            collate = DataCollatorWithPadding(tokenizer) if best else default_data_collator
            rows = Rows(examples, tokenizer, padded=not best)
            trainer = Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collate)
            with quiet_transformers():
                return float(trainer.train().metrics["train_runtime"])


def main() -> None:
    """Run the rounds and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--comments", type=int, default=2048)
    options = parser.parse_args()
    config = resolve_settings(None, {"data.name": "goemotions", "data.dir": options.data_dir})
    bench = Bench(config)
    # Trainer's defaults are an order of magnitude slower: an eighth of the comments gives as steady a number.
    contestants: dict[str, tuple[int, Callable[[LabelledTexts], float]]] = {
        "goemo": (options.comments, bench.goemo),
        "Trainer, defaults": (max(64, options.comments // 8), lambda rows: bench.trainer(rows, best=False)),
        "Trainer, best": (options.comments, lambda rows: bench.trainer(rows, best=True)),
    }
    for comments, run in contestants.values():
        run(bench.take(min(comments, 256), seed=99))  # warm-up, not counted
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for round_number in range(options.rounds):
        for name, (comments, run) in contestants.items():
            rates[name].append(comments / run(bench.take(comments, seed=round_number)))
            print(f"round {round_number + 1}: {name:<18} {rates[name][-1]:7.1f} comments/s", flush=True)
    print(f"{torch.get_num_threads()} threads, {bench.precision}, batch size {config.training.batch_size}")
    for name in list(contestants)[1:]:
        ratios = sorted(ours / theirs for ours, theirs in zip(rates["goemo"], rates[name], strict=True))
        print(
            f"goemo / {name}: median {statistics.median(ratios):.2f}, from {ratios[0]:.2f} to {ratios[-1]:.2f}"
        )


if __name__ == "__main__":
    main()
