"""The published GoEmotions files."""

from collections import Counter
from pathlib import Path

import pytest

from goemo_cli.core.errors import DataError, DataFileError, UnknownLabelError
from goemo_cli.core.events import Event, Warning
from goemo_cli.core.labels import EMOTIONS
from goemo_cli.core.settings import DataSettings
from goemo_cli.ml.data.goemotions import (
    changed_files,
    missing_files,
    read_goemotions,
    read_label_list,
    require_published_names,
)
from goemo_cli.services.data.find import load_data

GOOD = "so happy\t17\tid1\nhappy and sad\t17,25\tid2\nmeh\t27\tid3\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "labels.txt").write_text("\n".join(EMOTIONS))
    for name in ("train.tsv", "dev.tsv", "test.tsv"):
        (tmp_path / name).write_text(GOOD)
    return tmp_path


def test_three_splits_are_read_with_labels_and_ids(folder: Path):
    data = read_goemotions(folder)
    assert data.labels == EMOTIONS
    assert data.train.texts == data.val.texts == data.test.texts == ["so happy", "happy and sad", "meh"]
    assert data.test.ids == ["id1", "id2", "id3"]
    assert [[data.labels[at] for at in row.nonzero()[0]] for row in data.train.y_true] == [
        ["joy"],
        ["joy", "sadness"],
        ["neutral"],
    ]


@pytest.mark.parametrize(
    ("cell", "named"),
    [("28", "'28'"), ("-1", "'-1'"), ("1,,2", "''"), ("", "''"), ("1,", "''"), ("joy", "'joy'"), ("1.0", "'1.0'"),
     (" 1", "' 1'"), ("1 ", "'1 '"), ("0x1", "'0x1'")],
)  # fmt: skip
def test_a_label_number_outside_the_list_is_an_error_with_its_line(folder: Path, cell: str, named: str):
    (folder / "dev.tsv").write_text(f"fine\t1\ta\nodd\t{cell}\tb\nfine\t2\tc\n")
    with pytest.raises(UnknownLabelError, match=rf"dev\.tsv:2: label {named} is not in the list"):
        read_goemotions(folder)


@pytest.mark.parametrize(
    ("line", "fields"), [("only text", 1), ("text\t1", 2), ("text\t1\tid\tmore", 4), ("", 1)]
)
def test_a_line_with_other_fields_is_an_error_with_its_place(folder: Path, line: str, fields: int):
    (folder / "test.tsv").write_text(f"fine\t1\ta\nfine\t1\tb\n{line}\n")
    with pytest.raises(DataFileError, match=rf"test\.tsv:3: has {fields} tab-separated fields"):
        read_goemotions(folder)


@pytest.mark.parametrize(
    ("labels", "line"),
    [((*EMOTIONS[1:], EMOTIONS[0]), 1), (("boredom", *EMOTIONS), 2), (tuple(sorted(EMOTIONS)), 21)],
)
def test_the_published_labels_in_another_order_are_an_error_with_the_line(
    folder: Path, labels: tuple[str, ...], line: int
):
    (folder / "labels.txt").write_text("\n".join(labels))
    with pytest.raises(DataFileError, match=rf"labels\.txt:{line}: .* in another line than published"):
        read_goemotions(folder)


@pytest.mark.parametrize(
    "labels", [(*EMOTIONS, "boredom"), ("joy", "anger", *(f"l{at}" for at in range(26)))]
)
def test_other_labels_for_rows_that_are_not_published_are_fine(folder: Path, labels: tuple[str, ...]):
    (folder / "labels.txt").write_text("\n".join(labels))
    data = read_goemotions(folder)
    assert require_published_names(data) is None
    assert data.labels == labels


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ((*EMOTIONS, "boredom"), "no comment has the label 'boredom'"),
        (("joy", *EMOTIONS[1:17], "delight", *EMOTIONS[18:]), "'joy' is in another place"),
    ],
)
@pytest.mark.parametrize("kept", ["train.tsv", "test.tsv"])
def test_published_rows_under_other_names_are_refused(
    goemotions_folder: Path, tmp_path: Path, labels: tuple[str, ...], reason: str, kept: str
):
    for name in ("train.tsv", "dev.tsv", "test.tsv"):
        (tmp_path / name).write_text(GOOD)
    (tmp_path / kept).unlink()
    (tmp_path / kept).symlink_to(goemotions_folder / kept)
    (tmp_path / "labels.txt").write_text("\n".join(labels))
    with pytest.raises(DataError, match=f"has the rows of GoEmotions, but .*: {reason}"):
        load_data(DataSettings(name="goemotions", dir=tmp_path))


def test_published_rows_whose_labels_are_translated_are_read_with_a_warning(
    goemotions_folder: Path, tmp_path: Path
):
    for name in ("train.tsv", "dev.tsv", "test.tsv"):
        (tmp_path / name).symlink_to(goemotions_folder / name)
    (tmp_path / "labels.txt").write_text("\n".join(f"le-{label}" for label in EMOTIONS))
    said: list[Event] = []
    assert load_data(DataSettings(name=str(tmp_path)), on_event=said.append).labels[17] == "le-joy"
    assert any(
        "'admiration' is called 'le-admiration'" in event.message
        for event in said
        if isinstance(event, Warning)
    )


def test_an_empty_file_is_an_error(folder: Path):
    (folder / "train.tsv").write_text("")
    with pytest.raises(DataFileError, match=r"train\.tsv: is empty"):
        read_goemotions(folder)


@pytest.mark.parametrize("mark", ["\r", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_other_line_separators_within_a_text_end_no_line(folder: Path, mark: str):
    (folder / "train.tsv").write_bytes(f"one{mark}comment\t0\tid\nanother\t1\tid\n".encode())
    assert read_goemotions(folder).train.texts == [f"one{mark}comment", "another"]


def test_quotes_are_text(folder: Path):
    (folder / "train.tsv").write_text('"unbalanced, and\t0\tid\nsay ""hi""\t1\tid\n')
    assert read_goemotions(folder).train.texts == ['"unbalanced, and', 'say ""hi""']


def test_windows_line_ends_and_a_missing_last_one_are_fine(folder: Path):
    (folder / "train.tsv").write_bytes(b"a\t0\tid1\r\nb\t1\tid2")
    (folder / "labels.txt").write_bytes("\r\n".join(EMOTIONS).encode() + b"\r\n")
    data = read_goemotions(folder)
    assert (data.train.ids, data.labels) == (["id1", "id2"], EMOTIONS)


def test_text_that_is_not_utf8_is_an_error(folder: Path):
    (folder / "train.tsv").write_bytes(b"caf\xe9\t0\tid\n")
    with pytest.raises(DataFileError, match=r"train\.tsv: not UTF-8 text"):
        read_goemotions(folder)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("joy\nanger\njoy\n", "labels.txt:3: label 'joy' occurs twice"),
        ("joy\n\nanger\n", "labels.txt:2: '' cannot be a label"),
        ("joy \nanger", "labels.txt:1: 'joy ' cannot be a label"),
        ("joy,anger", "labels.txt:1: 'joy,anger' cannot be a label"),
        ('"joy"', "cannot be a label"),
        ("", "is empty"),
    ],
)
def test_a_label_list_with_a_fault_is_an_error(tmp_path: Path, content: str, reason: str):
    (tmp_path / "labels.txt").write_text(content)
    with pytest.raises(DataFileError, match=reason):
        read_label_list(tmp_path / "labels.txt")


def test_missing_and_changed_files_are_named(folder: Path):
    assert missing_files(folder) == []
    (folder / "dev.tsv").unlink()
    assert missing_files(folder) == ["dev.tsv"]
    (folder / "dev.tsv").write_text(GOOD)
    # labels.txt without a final newline is byte-identical to the published one
    assert changed_files(folder) == ["train.tsv", "dev.tsv", "test.tsv"]


def test_the_published_data_has_the_known_sizes_and_labels_per_row(goemotions_folder: Path):
    data = read_goemotions(goemotions_folder)
    assert [len(data.splits[split]) for split in ("train", "val", "test")] == [43_410, 5_426, 5_427]
    assert data.labels == EMOTIONS
    assert Counter(data.train.y_true.sum(axis=1).tolist()) == {1: 36_308, 2: 6_541, 3: 532, 4: 28, 5: 1}
    assert Counter(data.test.y_true.sum(axis=1).tolist()) == {1: 4_590, 2: 774, 3: 61, 4: 2}
    assert int(data.test.y_true[:, EMOTIONS.index("grief")].sum()) == 6
    in_train = set(data.train.texts)
    assert sum(text in in_train for text in data.test.texts) == 37
    assert sum(text in in_train for text in data.val.texts) == 43
