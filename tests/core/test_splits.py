"""Names of splits."""

import pytest

from goemo_cli.core.labels import parse_split


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("train", "train"), ("val", "val"), ("test", "test"), ("dev", "val"), ("validation", "val"),
        ("valid", "val"), ("TEST", "test"), ("Dev", "val"), ("all", None), ("", None), ("val ", None),
    ],
)  # fmt: skip
def test_split_names_and_their_other_names(text: str, split: str | None):
    assert parse_split(text) == split
