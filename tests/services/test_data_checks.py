"""What is said about data that can be used and had better be looked at."""

from pathlib import Path

import numpy as np
import pytest

from goemo_cli.core.settings import DataSettings
from goemo_cli.ml.data.dataset import Dataset, LabelledTexts
from goemo_cli.services.data.checks import label_doubts, summary, warnings_for
from goemo_cli.services.data.find import load_sample


def split(texts: list[str], hot: list[list[int]]) -> LabelledTexts:
    return LabelledTexts(texts, np.array(hot, dtype=bool))


def test_texts_in_two_splits_are_counted_and_labels_without_an_example_named():
    data = Dataset(
        "mine",
        ("x", "y", "z"),
        {
            "train": split(["a", "b", "c", "c"], [[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]]),
            "val": split(["d", "a"], [[1, 1, 1], [0, 0, 0]]),
            "test": split(["c", "c", "e", "d"], [[1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1]]),
        },
        source="mine.csv",
    )
    assert "texts of white space" not in summary(data, split_seed=0, whole_train=4)
    data.splits["val"].texts[:] = ["", " \n"]
    assert summary(data, split_seed=0, whole_train=4).endswith("; 2 texts of white space")
    data.splits["val"].texts[:] = ["d", "a"]
    said = list(warnings_for(data))
    assert [one.split(":")[0] for one in said] == [
        "2 of 4 texts of test also occur in train, which makes scores on test too good",
        "1 of 4 texts of test also occur in val, which makes scores on test too good",
        "1 of 2 texts of val also occur in train, which makes scores on val too good",
        "no text of train has the label 'z'",
        "no text of test has the label 'y'",
    ]


def test_nothing_is_said_where_all_is_well():
    assert list(warnings_for(load_sample())) == []


def labelled(*labels: str, split_off: bool = False) -> Dataset:
    """Each label once in train, the first one in val, none in test."""
    hot = np.eye(len(labels), dtype=int).tolist()
    return Dataset(
        "mine",
        labels,
        {
            "train": split([f"train {label}" for label in labels], hot),
            "val": split(["val"], hot[:1]),
            "test": split(["test"], [[0] * len(labels)]),
        },
        source="mine.csv",
        split_off=("val",) if split_off else (),
    )


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (("anger", "joy", "anger|joy"), "1 of 3 labels look like several labels joined by '|', such as 'anger|joy': --label-separator '|'"),
        (("3", "4", "5"), "the labels are numbers ('3', '4', '5'); if"),
        (("Joy", "anger", "joy"), "labels that differ only in case, white space or Unicode form: 'Joy', 'joy'; each"),
        (("A", "B", "a", "b"), "form: 'A', 'a', and 1 more; each"),
        (("f\u00ea", "fe\u0302", "x"), "form: 'f\u00ea', 'fe\u0302'; each"),
        (("anger", "joy"), ""),
    ],
)  # fmt: skip
def test_labels_that_do_not_look_like_labels(labels: tuple[str, ...], said: str):
    found = list(label_doubts(labelled(*labels), DataSettings()))
    assert [said in doubt for doubt in found] == ([True] if said else [])
    assert not list(label_doubts(labelled(*labels), DataSettings(labels_file=Path("labels.txt"))))
