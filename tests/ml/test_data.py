"""Labelled texts in memory."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from goemo_cli.core.errors import DataError
from goemo_cli.ml.data.dataset import Dataset, LabelledTexts, multi_hot, without_surrogates


def texts(*rows: str, ids: list[str] | None = None) -> LabelledTexts:
    return LabelledTexts(list(rows), np.eye(len(rows), 2, dtype=bool), ids)


def dataset(**changes) -> Dataset:
    splits: dict[Any, LabelledTexts] = {"train": texts("a", "b"), "val": texts("c"), "test": texts("d")}
    splits.update(changes)
    return Dataset("mine", ("x", "y"), splits, source="mine.csv")


def test_multi_hot_marks_the_positions():
    assert multi_hot([[0, 2], [], [1, 1]], 3).tolist() == [
        [True, False, True],
        [False] * 3,
        [False, True, False],
    ]
    assert multi_hot([], 3).shape == (0, 3)


def test_rows_are_taken_in_the_given_order_with_their_ids():
    taken = texts("a", "b", "c", ids=["1", "2", "3"]).take([2, 0])
    assert (taken.texts, taken.ids) == (["c", "a"], ["3", "1"])
    assert taken.y_true.tolist() == [[False, False], [True, False]]
    assert len(texts("a").take([])) == 0


def test_the_digest_sees_texts_labels_and_order_and_no_ids():
    base = texts("a", "b")
    assert base.sha256() == texts("a", "b", ids=["1", "2"]).sha256()
    others = [
        texts("b", "a"),
        texts("a", "b", "c"),
        texts("ab", ""),
        dataclasses.replace(base, y_true=~base.y_true),
    ]
    assert len({base.sha256(), *(other.sha256() for other in others)}) == 5


def test_the_digest_takes_any_text():
    assert texts("\ud800", "é😀\x00").sha256() != texts("\ud801", "é😀\x00").sha256()


def test_facts_say_what_was_trained_on():
    facts = dataset().facts()
    assert facts["sizes"] == {"train": 2, "val": 1, "test": 1}
    assert facts["is_fallback"] is False
    assert facts["split_sha256"]["train"] == texts("a", "b").sha256()
    relabelled = dataclasses.replace(dataset(), labels=("y", "x"))
    assert facts["sha256"] != relabelled.facts()["sha256"]


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_an_empty_split_is_unusable(split: str):
    with pytest.raises(DataError, match=f"mine.csv: the {split} split is empty"):
        dataset(**{split: texts()}).require_usable()


def test_one_label_alone_is_unusable():
    with pytest.raises(DataError, match="1 label"):
        dataclasses.replace(dataset(), labels=("x",)).require_usable()


def test_train_without_a_label_is_unusable():
    blank = LabelledTexts(["a"], np.zeros((1, 2), dtype=bool))
    with pytest.raises(DataError, match="no text of the train split has a label"):
        dataset(train=blank).require_usable()
    dataset(val=blank, test=blank).require_usable()


def test_lone_surrogates_are_replaced_and_real_characters_kept():
    assert without_surrogates("a\ud800b\udfff😀é") == "a\ufffdb\ufffd😀é"
