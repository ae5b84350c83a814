"""What is said about data that can be used and had better be looked at."""

import numpy as np

from goemo_cli.ml.data import Dataset, LabelledTexts
from goemo_cli.services.data_checks import doubts
from goemo_cli.services.datasets import load_sample


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
    said = list(doubts(data))
    assert [one.split(":")[0] for one in said] == [
        "2 of 4 comments of test stand in train too",
        "1 of 4 comments of test stand in val too",
        "1 of 2 comments of val stand in train too",
        "no comment of train has the label 'z'",
        "no comment of test has the label 'y'",
    ]


def test_nothing_is_said_where_all_is_well():
    assert list(doubts(load_sample())) == []
