"""A small pipeline whose data, model and predictions are versioned: python examples/track_own_pipeline.py.

With WANDB_API_KEY set (or after `wandb login`) everything is stored on W&B. Otherwise, after one warning, it is stored
in artifacts/registry/. WANDB_MODE=disabled selects this local store without a warning.
"""
# ruff: noqa: T201

from collections import Counter
from typing import Any

from goemo_cli.tracking import ArtifactManager, LoggerCallback, LoggerConfig

TRAIN = [
    {"text": "what a lovely day", "labels": ["joy"]},
    {"text": "I cannot stand this", "labels": ["anger"]},
    {"text": "lovely, thank you so much", "labels": ["joy", "gratitude"]},
    {"text": "this is so unfair", "labels": ["anger"]},
]
TEST = ["a lovely surprise", "so unfair"]
EPOCHS = 3


def count_words(rows: list[dict[str, Any]]) -> dict[str, Counter[str]]:
    """How often each word occurs with each label: the model."""
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        for label in row["labels"]:
            counts.setdefault(label, Counter()).update(row["text"].split())
    return counts


def predict(model: dict[str, Counter[str]], text: str) -> list[str]:
    """The labels that share a word with the text."""
    words = set(text.split()) - {"a", "so", "is", "this"}
    return sorted(label for label, known in model.items() if words & set(known))


def main() -> None:
    """Train, log, read back, and show what came from what."""
    config = LoggerConfig(project="mood", tags=("example",), config={"epochs": EPOCHS}, log_every_n_steps=2)
    manager = ArtifactManager(config)
    with LoggerCallback(config, manager=manager) as logger:
        data = manager.save_dataset_artifact({"train": TRAIN}, "mood-data")
        model = count_words(TRAIN)
        for epoch in range(1, EPOCHS + 1):
            for step in range(1, len(TRAIN) + 1):
                logger.on_step_end((epoch - 1) * len(TRAIN) + step, {"train/loss": 1 / (epoch * step)})
            logger.on_epoch_end(epoch, {"val/f1_macro": 1 - 0.5**epoch})

        words = "\n".join(f"{label}\t{' '.join(sorted(known))}" for label, known in sorted(model.items()))
        manager.save_model_artifact(
            model,
            "mood-words",
            save=lambda _, folder: (folder / "words.tsv").write_text(words, encoding="utf-8"),
            aliases=["best"],
            parents=[data.reference],
        )

        folder = manager.get_model_artifact("mood-words", "best")  # really fetched, every file verified
        print("model:", (folder / "words.tsv").read_text(encoding="utf-8").count("\n") + 1, "labels")

        rows = [{"text": text, "pred_labels": predict(model, text)} for text in TEST]
        manager.log_predictions(rows, "mood-predictions", parents=["mood-words:best"])
        print("logged to", manager.url or manager.registry.folder)
        print(*manager.lineage("mood-predictions").lines(), sep="\n")


if __name__ == "__main__":
    main()
