"""The label list of GoEmotions, and the names of splits."""

import pytest

from goemo_cli.core.labels import EMOTIONS, parse_split, terms_of
from goemo_cli.core.schema import prediction_columns


def test_there_are_28_emotions_alphabetical_with_neutral_last():
    assert len(EMOTIONS) == 28
    assert list(EMOTIONS) == [*sorted(set(EMOTIONS) - {"neutral"}), "neutral"]


def test_they_are_the_published_list(goemotions_folder):
    assert tuple((goemotions_folder / "labels.txt").read_text().split("\n")) == EMOTIONS


def test_the_columns_of_a_predictions_file_are_the_contracts():
    columns = prediction_columns(EMOTIONS, with_ids=True)
    assert columns[:4] == ["text", "true_labels", "pred_labels", "pred_prob_admiration"]
    assert columns[-2:] == ["pred_prob_neutral", "id"]
    assert len(columns) == 32
    assert prediction_columns(EMOTIONS, with_ids=False) == columns[:-1]


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("train", "train"), ("val", "val"), ("test", "test"), ("dev", "val"), ("validation", "val"),
        ("valid", "val"), ("TEST", "test"), ("Dev", "val"), ("all", None), ("", None), ("val ", None),
    ],
)  # fmt: skip
def test_split_names_and_their_other_names(text: str, split: str | None):
    assert parse_split(text) == split


@pytest.mark.parametrize(
    ("data", "labels", "text", "label"),
    [
        ("goemotions", EMOTIONS, "comment", "emotion"),
        ("sample", EMOTIONS, "comment", "emotion"),
        (None, EMOTIONS, "comment", "emotion"),
        ("sample", ("billing", "bug"), "text", "label"),
        ("diary", ("joy", "anger"), "text", "emotion"),
    ],
)
def test_data_has_words_for_its_texts_and_labels(
    data: str | None, labels: tuple[str, ...], text: str, label: str
) -> None:
    terms = terms_of(data, labels)
    assert (terms.text, terms.label) == (text, label)
    assert (terms.texts, terms.labels) == (f"{text}s", f"{label}s")
