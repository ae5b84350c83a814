"""Fine emotions read as coarser ones."""

import numpy as np
import pytest

from goemo_cli.core.labels import EMOTIONS, PAPER_F1, PAPER_F1_MACRO, ROLL_UPS, TAXONOMIES, applicable
from goemo_cli.ml.data.dataset import Dataset, LabelledTexts
from goemo_cli.ml.metrics.taxonomy import in_taxonomy, roll_up_labels, roll_up_probabilities


@pytest.mark.parametrize("taxonomy", ["ekman", "grouped"])
def test_every_emotion_belongs_to_one_group(taxonomy) -> None:
    members = [member for group in TAXONOMIES[taxonomy].values() for member in group]
    assert sorted(members) == sorted(EMOTIONS)


def test_the_papers_table_has_every_emotion_and_its_own_mean() -> None:
    assert set(PAPER_F1) == set(EMOTIONS)
    assert round(sum(PAPER_F1.values()) / 28, 2) == PAPER_F1_MACRO["full"]


def test_taxonomies_apply_to_goemotions_only() -> None:
    assert applicable(EMOTIONS) == ["ekman", "grouped"]
    assert applicable(EMOTIONS[:-1]) == applicable((*EMOTIONS, "boredom")) == applicable(("joy",)) == []


def test_groups_worked_by_hand() -> None:
    """anger .5 and annoyance .4: the most probable .5, either of two independent ones 1 - .5 * .6 = .7."""
    y_prob = np.zeros((1, 28), dtype=np.float32)
    y_prob[0, [EMOTIONS.index("anger"), EMOTIONS.index("annoyance")]] = [0.5, 0.4]
    groups = list(TAXONOMIES["ekman"])
    by_max, by_either = (roll_up_probabilities(y_prob, EMOTIONS, "ekman", how)[0] for how in ROLL_UPS)
    assert by_max.tolist() == [0.5, 0, 0, 0, 0, 0, 0]
    assert by_either.tolist() == pytest.approx([0.7, 0, 0, 0, 0, 0, 0], abs=1e-6)
    assert groups[0] == "anger"
    y_true = y_prob > 0.45
    assert roll_up_labels(y_true, EMOTIONS, "grouped").tolist() == [[False, True, False, False]]


def test_rolled_up_probabilities_are_ordered_and_stay_probabilities() -> None:
    y_prob = np.random.default_rng(0).random((200, 28), dtype=np.float32)
    by_max, by_either = (roll_up_probabilities(y_prob, EMOTIONS, "grouped", how) for how in ROLL_UPS)
    assert ((by_max >= 0) & (by_max <= by_either) & (by_either <= 1)).all()
    assert by_max.dtype == by_either.dtype == np.float32
    assert np.array_equal(by_max[:, -1], y_prob[:, -1])


def test_columns_are_found_by_name_whatever_their_order() -> None:
    rng = np.random.default_rng(1)
    y_prob, order = rng.random((5, 28), dtype=np.float32), rng.permutation(28)
    shuffled = tuple(EMOTIONS[at] for at in order)
    assert roll_up_probabilities(y_prob[:, order], shuffled, "ekman", "max") == pytest.approx(
        roll_up_probabilities(y_prob, EMOTIONS, "ekman", "max")
    )


def test_a_data_set_in_a_taxonomy_keeps_its_texts_and_says_so() -> None:
    gold = np.eye(28, dtype=bool)
    split = LabelledTexts([f"text {at}" for at in range(28)], gold)
    data = Dataset("goemotions", EMOTIONS, {"train": split, "val": split, "test": split}, source="here")
    coarse = in_taxonomy(data, "ekman")
    assert coarse.labels == tuple(TAXONOMIES["ekman"])
    assert coarse.train.texts == split.texts
    assert coarse.train.y_true.sum(axis=1).tolist() == [1] * 28
    assert coarse.facts()["taxonomy"] == "ekman"
    assert coarse.facts()["split_sha256"]["test"] != data.facts()["split_sha256"]["test"]
