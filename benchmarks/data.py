"""The comments that benchmarks use: real ones, and made ones of any number, length and number of labels."""

import csv
import re
from collections import Counter
from pathlib import Path

import numpy as np

from goemo_cli.ml.data.dataset import Dataset
from goemo_cli.ml.data.goemotions import read_goemotions
from goemo_cli.services.data.find import load_sample


def read_comments(data_dir: Path | None) -> Dataset:
    """GoEmotions, or the sample without a folder."""
    return read_goemotions(data_dir) if data_dir else load_sample()


def write_generated(path: Path, *, rows: int, labels: int, words: int, seed: int = 0) -> Path:
    """A CSV of made texts, one row at a time: most of their words are common English ones, some belong to their labels.

    Args:
        path: where to write.
        rows: number of texts; each has one label, and a fifth of them two.
        labels: number of labels, all equally frequent. Each has two words.
        words: mean number of words; lengths are even between half and one and a half of it.
        seed: of everything.
    """
    rng = np.random.default_rng(seed)
    common = _common_words()
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "labels"])
        for _ in range(rows):
            chosen = rng.choice(labels, size=min(labels, 1 + int(rng.random() < 0.2)), replace=False)
            text = [
                common[at]
                for at in rng.integers(len(common), size=rng.integers(words // 2, 3 * words // 2 + 1))
            ]
            text += [f"{_letters(int(label))}{'ab'[int(rng.integers(2))]}" for label in chosen]
            writer.writerow([" ".join(text), ",".join(f"label{label:04d}" for label in sorted(chosen))])
    return path


def _common_words() -> list[str]:
    counts = Counter(
        word for text in load_sample().train.texts for word in re.findall("[a-z]+", text.lower())
    )
    return [word for word, _ in counts.most_common(1000)]


def _letters(number: int) -> str:
    return "".join(chr(ord("a") + int(digit)) for digit in f"{number:04d}") + "q"
