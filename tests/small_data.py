"""Comments of three labels: a training on them takes a third of the time of one on the sample, which has 613 to score."""

from pathlib import Path

_WORDS = {"joy": "happy", "anger": "angry", "sadness": "sad"}


def write_small_data(folder: Path, *, train: int) -> Path:
    """A folder with CSV files of three splits; val and test have 30 comments each. Gives the folder."""
    folder.mkdir(parents=True)
    for split, size in (("train", train), ("val", 30), ("test", 30)):
        names = [[*_WORDS][row % len(_WORDS)] for row in range(size)]
        # of several lengths, so that batches are padded
        texts = [f"so {_WORDS[name]} {split} {row}{' again' * (row % 7)}" for row, name in enumerate(names)]
        rows = [f"{text},{name}" for text, name in zip(texts, names, strict=True)]
        (folder / f"{split}.csv").write_text("\n".join(["text,labels", *rows]) + "\n", encoding="utf-8")
    return folder
