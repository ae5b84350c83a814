"""Repeated texts, checked against hand-worked tables and against the comparison of all pairs."""

from itertools import combinations

import numpy as np
import pytest

from goemo_cli.ml.data.dataset import Dataset, LabelledTexts, multi_hot
from goemo_cli.ml.data.leaks import normalised
from goemo_cli.ml.data.near_duplicates import SIMILAR, near_duplicates, similarity
from goemo_cli.ml.data.repeated import contradictions, repetitions
from goemo_cli.ml.metrics.confusions import label_quality
from goemo_cli.services.data.find import load_sample


def test_the_similarity_is_the_share_of_common_pieces():
    """By hand: `abcdef` has abcd, bcde, cdef; `abcdeg` has abcd, bcde, cdeg: 2 of 4."""
    assert similarity("abcdef", "abcdeg") == 0.5
    assert similarity("thank you!", "thank you ...") == 1
    assert similarity("!!", "??") == 0
    assert similarity("", "a") == 0


def test_nearly_all_pairs_are_found_that_the_comparison_of_all_finds():
    generator = np.random.default_rng(0)
    whole = [normalised(text) for text in load_sample().train.texts[:120]]
    changed = [" ".join(np.delete(text.split(), generator.integers(text.count(" ") + 1))) for text in whole]
    texts = list(dict.fromkeys([*whole, *changed]))
    expected = {
        pair: shared
        for pair in combinations(range(len(texts)), 2)
        if (shared := similarity(texts[pair[0]], texts[pair[1]])) >= SIMILAR
    }
    pairs, similarities = near_duplicates(texts)
    found = dict(zip(map(tuple, pairs.tolist()), similarities.tolist(), strict=True))
    assert len(expected) > 40
    assert found.items() <= expected.items()
    assert len(found) >= 0.95 * len(expected)


def test_many_equal_neighbours_are_not_compared_pairwise():
    """Of 1,500 texts with one beginning, pairs grow as their number and not as its square; each text is in a pair."""
    texts = [
        f"the parcel that i ordered from your shop last week has not arrived {row}" for row in range(1500)
    ]
    pairs, _ = near_duplicates(texts)
    assert len(pairs) < 60 * len(texts)
    assert set(pairs.ravel().tolist()) == set(range(len(texts)))


def rows(*texts: str, labels: str = "a") -> LabelledTexts:
    gold = [
        ["ab".index(label) for label in cell if label != "-"] for cell in (labels * len(texts))[: len(texts)]
    ]
    return LabelledTexts(list(texts), multi_hot(gold, 2))


def test_each_repeated_row_is_listed_once_with_its_best_partner():
    data = Dataset(
        "own",
        ("a", "b"),
        {
            "test": rows("Thank you so much", "the weather is fine today", "only in test"),
            "val": rows("a text of val alone", "thank  YOU so much"),
            "train": rows(
                "thank you so much",
                "The weather is fine today!",
                "i waited for two hours",
                "I waited for two hours",
                "i waited for two hours ...",
                "nothing like the others",
            ),
        },
        source="own.csv",
    )
    found = repetitions(data)
    assert [
        (row.kind, row.place.split, row.place.row, row.partner.split, row.partner.row) for row in found.rows
    ] == [
        ("leak", "val", 1, "test", 0),
        ("leak", "train", 0, "test", 0),
        ("near_leak", "train", 1, "test", 1),
        ("duplicate", "train", 3, "train", 2),
        ("near_duplicate", "train", 4, "train", 2),
    ]
    assert found.leaked.tolist() == [True, False, False]
    assert found.nearly_leaked.tolist() == [False, True, False]
    exact = repetitions(data, near=False)
    assert [row.kind for row in exact.rows] == ["leak", "leak", "duplicate"]
    assert not exact.nearly_leaked.any()


def test_contradictions_name_a_row_with_other_labels_and_the_majority():
    found = contradictions(
        LabelledTexts(["so", "no", "So", "so ", "alone"], multi_hot([[0], [0], [0, 1], [0], [1]], 2))
    )
    assert [(one.row, one.partner, one.agreement, one.majority.tolist()) for one in found] == [
        (0, 2, 0.5, [True, False]),
        (2, 0, 0.5, [True, False]),
        (3, 2, 0.5, [True, False]),
    ]


@pytest.mark.parametrize(
    ("gold", "probabilities", "single", "expected"),
    [
        # Self-confidences .9, .8, .3, from the highest: .9, .8 * .8 + .2 * .9 = .82, .8 * .3 + .2 * .82 = .404
        ([True, False, True], [0.9, 0.2, 0.3], False, 0.404),
        ([False, False, False], [0.0, 0.0, 0.0], False, 1.0),
        ([False, True, False], [0.7, 0.1, 0.2], True, 0.1),
    ],
)
def test_label_quality_is_that_of_a_hand_worked_table(gold, probabilities, single, expected):
    quality = label_quality(
        np.array([gold]), np.array([probabilities], dtype=np.float32), single_label=single
    )
    assert quality[0] == pytest.approx(expected, abs=1e-6)
