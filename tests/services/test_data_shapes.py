"""Files in the shapes that people bring, with made-up texts: rows and labels as expected, or an error that says what to do."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from pandas import DataFrame

from goemo_cli.core.errors import DataError, GoemoError, MissingPackageError, NotFoundError, SettingError
from goemo_cli.core.events import Event, Warning
from goemo_cli.core.settings import DataSettings
from goemo_cli.ml.data.dataset import Dataset
from goemo_cli.services.data.find import load_data
from goemo_cli.services.data.own_data import read_rows
from goemo_cli.services.predicting.sources import open_texts

N = 20
TEXTS = [f"text, number {n} – schön" for n in range(N)]
LABELS = [["joy"], ["anger"], ["joy", "anger"], []] * (N // 4)
EXPECTED = dict(zip(TEXTS, map(set, LABELS), strict=True))
JOY_ANGER = ["joy", "anger"]
Files = dict[str, str | bytes]


def delimited(delimiter: str, *, header: str = "", joiner: str = ",") -> str:
    """Lines of text and labels without quotes."""
    rows = [delimiter.join([text, joiner.join(names)]) for text, names in zip(TEXTS, LABELS, strict=True)]
    return "\n".join([header or delimiter.join(["text", "labels"]), *rows, ""])


def records(**columns: Any) -> list[dict[str, Any]]:
    """Objects with `text` and a column whose cells a function makes of the labels."""
    return [
        {"text": text, **{name: make(names) for name, make in columns.items()}}
        for text, names in zip(TEXTS, LABELS, strict=True)
    ]


def multi_hot(names: list[str]) -> list[float]:
    return [float(name in names) for name in JOY_ANGER]


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def csv_of(rows: list[dict[str, Any]], **options: Any) -> str:
    return str(DataFrame(rows).to_csv(index=False, **options))


NAMES: Files = {"labels.txt": "\ufeffjoy\r\nanger\r\n"}
LISTED = {"labels_file": "labels.txt"}
FASTTEXT = "".join(
    f"{''.join(f'__label__{name} ' for name in names)}{text}\n"
    for text, names in zip(TEXTS, LABELS, strict=True)
)
ONE_HOT = records(joy=lambda names: int("joy" in names), anger=lambda names: int("anger" in names))
TABS = delimited("\t")
SEMEVAL = csv_of(ONE_HOT, sep="\t").replace("text\t", "Tweet\t")
OF_TWEETS = {"format": "tsv", "text_column": "Tweet", "label_columns": JOY_ANGER}
TWEETEVAL: Files = {
    "mapping.txt": "0\t😀\tjoy\n1\tanger\n",
    **{
        f"{split}_{kind}.txt": "".join(f"{split} {n}\n" if kind == "text" else f"{n % 2}\n" for n in range(4))
        for split in ("train", "val", "test")
        for kind in ("text", "labels")
    },
}

READ: dict[str, tuple[Files, dict[str, Any]]] = {
    "UTF-16 with tabs in .tsv": ({"data.tsv": TABS.encode("utf-16")}, {}),
    "UTF-16 with tabs in .csv": ({"data.csv": TABS.encode("utf-16")}, {}),
    "UTF-16 without a byte order mark": ({"data.tsv": TABS.encode("utf-16-be")}, {}),
    "Windows-1252 that is named": (
        {"data.csv": delimited(";").encode("cp1252")},
        {"encoding": "cp1252"},
    ),
    "tabs in .csv": ({"data.csv": TABS}, {}),
    "sep= before the header": ({"data.csv": "sep=;\r\n" + delimited(";")}, {}),
    "sep= with tabs in UTF-16": ({"data.csv": ("sep=\t\n" + TABS).encode("utf-16")}, {}),
    "semicolons, and a comma in the header": (
        {"data.csv": delimited(";", header="text;labels (joy, anger)")},
        {},
    ),
    "bars": ({"data.csv": delimited("|")}, {}),
    "columns without a name": (
        {"data.csv": "text;labels;;\n" + delimited(";;;").replace(";;;", ";").partition("\n")[2] + ";;;\n"},
        {},
    ),
    "an index without a name": ({"data.csv": DataFrame(records(labels=", ".join)).to_csv()}, {}),
    "lists as JSON in CSV": ({"data.csv": csv_of(records(labels=json.dumps))}, {}),
    "lists as Python in CSV": ({"data.csv": csv_of(records(labels=repr))}, {}),
    "array of objects": ({"data.json": json.dumps(records(labels=list))}, {}),
    "array of objects with line ends": ({"data.json": json.dumps(records(labels=list), indent=2)}, {}),
    "objects per line in .json": ({"data.json": lines(records(labels=list))}, {}),
    "scores by label": (
        {"data.jsonl": lines(records(cats=lambda names: dict(zip(JOY_ANGER, multi_hot(names), strict=True))))},
        {"label_column": "cats"},
    ),
    "multi-hot lists with names": ({"data.jsonl": lines(records(labels=multi_hot)), **NAMES}, LISTED),
    "positions with names": (
        {"data.jsonl": lines(records(labels=lambda names: [JOY_ANGER.index(name) for name in names])), **NAMES},
        LISTED,
    ),
    "columns of 0 and 1": ({"data.csv": csv_of(ONE_HOT)}, {"label_columns": JOY_ANGER}),
    "fastText that is named": ({"data.txt": FASTTEXT}, {"format": "fasttext"}),
    "fastText by suffix": ({"data.fasttext": FASTTEXT}, {}),
    "a table in .txt": ({"data.txt": TABS}, {"format": "tsv"}),
}  # fmt: skip

REFUSED: dict[str, tuple[Files, dict[str, Any], str]] = {
    "Windows-1252": (
        {"data.csv": delimited(";").encode("cp1252")},
        {},
        r"data\.csv:2: not UTF-8.*Windows-1252, which --encoding cp1252 reads",
    ),
    "Windows-1250": (
        {"data.csv": "text,labels\na,joy\nzażółć gęślą jaźń,joy\n".encode("cp1250")},
        {},
        r"data\.csv:3: .*--encoding cp1250",
    ),
    "Windows-1251": (
        {"data.csv": "text,labels\nпривет всем,joy\nочень хорошо,joy\n".encode("cp1251")},
        {},
        r"data\.csv:2: .*--encoding cp1251",
    ),
    "Shift-JIS": (
        {"data.csv": "text,labels\nこんにちは世界,joy\n".encode("shift_jis")},
        {},
        r"data\.csv:2: .*; --encoding NAME says which",
    ),
    "UTF-8 with a damaged line": (
        {"data.csv": "text,labels\nschön,joy\nübel,joy\n".encode() + b"caf\xe9,joy\n"},
        {},
        r"data\.csv:4: .*this one is damaged",
    ),
    "another encoding than the named one": (
        {"data.csv": "text,labels\nschön,joy\n".encode()},
        {"encoding": "ascii"},
        r"data\.csv:2: not ascii text",
    ),
    "UTF-16 that is not": (
        {"data.csv": "text,labels\nschön,joy\n".encode()},
        {"encoding": "utf-16"},
        "not utf-16 text .*does not start with BOM",
    ),
    "TweetEval in another file": ({"data.txt": "a\nb\n"}, {"format": "tweeteval"}, "NAME_text.txt"),
    "fastText in .txt": ({"data.txt": FASTTEXT}, {}, "--data-format fasttext"),
    "a table in .txt": ({"data.txt": TABS}, {}, "--data-format tsv"),
    "a table in .txt for each split": (
        {f"2018-E-c-En-{split}.txt": SEMEVAL for split in ("train", "dev", "test")},
        {},
        r"2018-E-c-En-train\.txt.*--data-format tsv",
    ),
    "an object around the array": (
        {"data.json": json.dumps({"data": records(labels=list)})},
        {},
        "one JSON object around the array 'data'",
    ),
    "multi-hot lists without names": (
        {"data.jsonl": lines(records(labels=multi_hot))}, {}, "multi-hot.*--labels-file"
    ),
    "multi-hot lists in CSV": (
        {"data.csv": csv_of(records(labels=lambda names: [int(cell) for cell in multi_hot(names)]))},
        {},
        "multi-hot.*--labels-file",
    ),
    "positions without names": ({"data.csv": 'text,labels\na,"[ 0 18]"\n'}, {}, "--labels-file"),
    "columns of 0 and 1": ({"data.csv": csv_of(ONE_HOT)}, {}, "--label-columns joy,anger"),
    "one of the columns of 0 and 1": (
        {"data.csv": csv_of(ONE_HOT)}, {"label_column": "joy"}, "only 0 and 1.*--label-columns joy,anger"
    ),
    "rows that are not labelled": (
        {"data.csv": "text,joy,anger\na,1,0\nb,-1,-1\n"},
        {"label_columns": JOY_ANGER},
        r"data\.csv:3: column 'joy' says '-1', not 0 or 1; --unlabelled -1 leaves such rows out",
    ),
    "no row that is labelled": (
        {"data.csv": "text,joy,anger\na,NONE,NONE\nb,NONE,NONE\n"},
        {"label_columns": JOY_ANGER},
        r"data\.csv: no row is labelled: all have 'NONE'",
    ),
    "some rows that are labelled, after others": (
        {"data.csv": "text,joy,anger\na,NONE,NONE\nb,0,1\n"},
        {"label_columns": JOY_ANGER},
        r"data\.csv:2: column 'joy' says 'NONE'.*--unlabelled NONE",
    ),
    "a label number of a row that is not labelled": (
        {"data.csv": "text,labels\na,1\nb,-1\n", **NAMES}, LISTED, r"data\.csv:3: label number -1 .*--unlabelled -1"
    ),
    "a label column without any label": ({"data.csv": "text,labels\na,-1\nb,-1.0\n"}, {}, "no row is labelled"),
    "an array in .jsonl": ({"data.jsonl": "[{}]\n"}, {}, r"data\.jsonl:1: .*--data-format json"),
    "a workbook in .csv": ({"data.csv": b"PK\x03\x04\x00"}, {}, "an Excel workbook.*--data-format xlsx"),
    "Parquet in .jsonl": ({"data.jsonl": b"PAR1\x00"}, {}, "is not text, but Parquet"),
    "an old workbook": ({"data.csv": b"\xd0\xcf\x11\xe0"}, {}, r"save it as \.xlsx"),
    "an old workbook by its suffix": ({"data.xls": b"\xd0\xcf\x11\xe0"}, {}, r"save it as \.xlsx"),
    "a zip archive": ({"data.zip": b"PK\x03\x04"}, {}, "is an Excel workbook or a zip archive"),
    "gzip without .gz": ({"data.csv": b"\x1f\x8b\x08"}, {}, r"should end with \.gz"),
    "fewer labels than texts": (
        {**TWEETEVAL, "val_labels.txt": "0\n1\n"}, {}, r"val_labels\.txt:3: ends too early"
    ),
    "texts without their labels": (
        {name: text for name, text in TWEETEVAL.items() if name != "train_labels.txt"},
        {},
        r"train_text\.txt: its labels, train_labels\.txt, are missing",
    ),
    "names that are not counted from 0": (
        {**TWEETEVAL, "mapping.txt": "1\tjoy\n"}, {}, r"mapping\.txt:1: is not label number 0"
    ),
    "a number without a name": (
        {**TWEETEVAL, "mapping.txt": "0\tjoy\n"}, {}, r"train_text\.txt:2: label number 1 is not in the list"
    ),
}  # fmt: skip


def loaded(folder: Path, files: Files, settings: dict[str, Any], said: list[Event] | None = None) -> Dataset:
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    single = next((folder / name for name in files if name.startswith("data.")), folder)
    if "labels_file" in settings:
        settings = {**settings, "labels_file": folder / settings["labels_file"]}
    heard = [] if said is None else said
    return load_data(DataSettings(name=str(single), **settings), root=folder, on_event=heard.append)


def labels_by_text(data: Dataset) -> dict[str, set[str]]:
    return {
        text: {label for label, is_one in zip(data.labels, row, strict=True) if is_one}
        for rows in data.splits.values()
        for text, row in zip(rows.texts, rows.y_true, strict=True)
    }


@pytest.mark.parametrize(("files", "settings"), READ.values(), ids=READ.keys())
def test_a_shape_is_read(tmp_path: Path, files: Files, settings: dict[str, Any]):
    data = loaded(tmp_path, files, settings)
    assert labels_by_text(data) == EXPECTED
    name = next(iter(files))
    if name.endswith(".txt"):
        settings = {"format": settings["format"]}
    options = {key: settings[key] for key in ("format", "encoding") if key in settings}
    with open_texts(tmp_path / name, stdin=io.BytesIO(), **options) as source:
        assert [row.text for row in source.rows] == TEXTS


@pytest.mark.parametrize(("files", "settings", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_a_shape_is_refused_with_what_to_do(
    tmp_path: Path, files: Files, settings: dict[str, Any], reason: str
):
    with pytest.raises(DataError, match=reason):
        loaded(tmp_path, files, settings)


def test_tables_in_txt_are_splits_by_the_last_word_of_their_names(tmp_path: Path):
    said: list[Event] = []
    files: Files = {f"2018-E-c-En-{split}.txt": SEMEVAL for split in ("train", "dev")}
    hidden = SEMEVAL.replace("\t0\t", "\tNONE\t").replace("\t1\t", "\tNONE\t")
    files["2018-E-c-En-test.txt"] = hidden.replace("\t0\n", "\tNONE\n").replace("\t1\n", "\tNONE\n")
    data = loaded(tmp_path, files, OF_TWEETS, said)
    assert (len(data.val), data.split_off) == (N, ("test",))
    assert labels_by_text(data) == EXPECTED
    [warning] = [event.message for event in said if isinstance(event, Warning)]
    assert warning.endswith(
        "2018-E-c-En-test.txt: no row is labelled: all have 'NONE'; test is taken from train"
    )


def test_tweeteval_pairs_have_the_names_of_their_mapping(tmp_path: Path):
    data = loaded(tmp_path, TWEETEVAL, {})
    assert (data.labels, data.split_off) == (("anger", "joy"), ())
    assert labels_by_text(data)["val 1"] == {"anger"}
    assert data.is_single_label


def test_rows_that_are_not_labelled_are_left_out_and_counted(tmp_path: Path):
    files: Files = {"data.csv": csv_of(ONE_HOT) + "x,-1,-1\ny,-1.0,0\n"}
    data = loaded(tmp_path, files, {"label_columns": JOY_ANGER, "unlabelled": "-1"})
    assert (labels_by_text(data), data.n_unlabelled) == (EXPECTED, 2)
    assert not data.is_single_label
    numbers: Files = {"data.jsonl": lines([*records(labels=list), {"text": "x", "labels": -1}])}
    assert loaded(tmp_path, numbers, {"unlabelled": "-1"}).n_unlabelled == 1


RATERS = ["joy", "joy,anger", "anger", "joy,anger", "", "joy"]
"""Three ratings for each of two texts: joy 2, anger 2; joy 2, anger 1."""


@pytest.fixture
def ratings() -> str:
    rows = [
        {"id": f"k{text}", "text": f"text {text}", "labels": cell}
        for rater in range(3)
        for text in range(40)
        for cell in [RATERS[3 * (text % 2) + rater]]
    ]
    return csv_of(rows)


def test_all_ratings_of_a_text_are_in_one_split(tmp_path: Path, ratings: str):
    data = loaded(tmp_path, {"data.csv": ratings}, {"group_column": "id", "id_column": "id"})
    places = {
        text: {split for split, rows in data.splits.items() if text in rows.texts}
        for text in labels_by_text(data)
    }
    assert {len(splits) for splits in places.values()} == {1}
    assert [len(rows) for rows in data.splits.values()] == [96, 12, 12]


@pytest.mark.parametrize(("rule", "odd"), [("majority", {"joy"}), ("any", {"joy", "anger"})])
def test_one_row_per_text_has_the_labels_of_its_raters(
    tmp_path: Path, ratings: str, rule: str, odd: set[str]
):
    data = loaded(
        tmp_path, {"data.csv": ratings}, {"group_column": "id", "aggregate": rule, "id_column": "id"}
    )
    assert sum(len(rows) for rows in data.splits.values()) == 40
    assert labels_by_text(data) == {
        f"text {text}": odd if text % 2 else {"joy", "anger"} for text in range(40)
    }
    assert all(
        id == text.replace("text ", "k")
        for rows in data.splits.values()
        for text, id in zip(rows.texts, rows.ids or [], strict=True)
    )


def test_groups_that_cannot_be_kept_together_are_named(tmp_path: Path, ratings: str):
    files: Files = {"data.csv": ratings.replace("k0,text 0,joy\n", "k0,text zero,joy\n")}
    with pytest.raises(DataError, match="group 'k0' have different texts"):
        loaded(tmp_path, files, {"group_column": "id", "aggregate": "any"})
    (tmp_path / "data.csv").unlink()
    said: list[Event] = []
    loaded(tmp_path, {"train.csv": ratings, "test.csv": ratings}, {"group_column": "id"}, said)
    assert any("40 groups have rows in train and in test, such as 'k0'" in str(event) for event in said)
    with pytest.raises(ValueError, match=r"needs data\.group_column"):
        DataSettings(aggregate="any")


def test_data_frames_are_read_like_files(tmp_path: Path):
    frame = DataFrame(records(labels=list))
    frame["n"] = [None, *range(1, N)]
    whole = load_data(DataSettings(), frames=frame)
    assert (labels_by_text(whole), whole.source) == (EXPECTED, "data frame")
    parts = load_data(DataSettings(), frames={"train": frame, "dev": frame[:8], "test": frame[8:]})
    assert [len(rows) for rows in parts.splits.values()] == [N, 8, 12]
    numbers = DataFrame({"text": ["a", "b"] * 20, "labels": [3, None] * 10 + [4, None] * 10})
    assert load_data(DataSettings(), frames=numbers).labels == ("3", "4")
    refused: list[tuple[Any, str]] = [
        ({"training": frame}, "'training' should be one of train, val and test"),
        ({"test": frame}, "no train split"),
        ({"train": [frame]}, "give a data frame of pandas, not a list"),
        (frame.rename(columns={"text": "body"}), r"data frame:1: no column 'text'"),
        (DataFrame([["a", "b", "c"]], columns=["text", "text", "labels"]), "'text' occurs twice"),
        (DataFrame({"text": ["a", None], "labels": ["x", "y"]}), "data frame:2: text is None, not a string"),
    ]
    for frames, reason in refused:
        with pytest.raises(DataError, match=reason):
            load_data(DataSettings(), frames=frames)


def test_standard_input_is_read_once_and_needs_a_format():
    settings = DataSettings(name="-", format="csv")
    content = delimited(";").encode("cp1252")
    data = load_data(settings.model_copy(update={"encoding": "cp1252"}), stdin=io.BytesIO(content))
    assert (labels_by_text(data), data.source) == (EXPECTED, "standard input")
    with pytest.raises(DataError, match=r"standard input:2: not UTF-8.*cp1252"):
        load_data(settings, stdin=io.BytesIO(content))
    with pytest.raises(
        SettingError, match="needs --data-format: csv, tsv, jsonl, json, parquet, xlsx, fasttext"
    ):
        load_data(DataSettings(name="-"), stdin=io.BytesIO())
    with pytest.raises(NotFoundError, match="only once"):
        load_data(settings)


def test_urls_are_opened_by_fsspec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import fsspec

    fsspec.filesystem("memory").pipe("/shapes/data.csv", delimited(";").encode())
    data = load_data(DataSettings(name="memory://shapes/data.csv"))
    assert labels_by_text(data) == EXPECTED
    with open_texts("memory://shapes/data.csv", stdin=io.BytesIO()) as source:
        assert [row.text for row in source.rows] == TEXTS
    for url, kind, reason in (
        ("memory://shapes/none.csv", NotFoundError, "no such file"),
        ("odd://x/data.csv", GoemoError, "switched off"),
    ):
        with pytest.raises(kind, match=reason):
            load_data(DataSettings(name=url))
    monkeypatch.delenv("GOEMO_OFFLINE")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    for url, reason in (("s3://bucket/data.csv", "pip install s3fs"), ("odd://x/data.csv", "odd")):
        with pytest.raises(NotFoundError, match=reason):
            load_data(DataSettings(name=url))


def test_a_workbook_has_the_rows_of_its_first_sheet(tmp_path: Path):
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in (
        [],
        ["text", "joy", "anger", None],
        [42, 1, False],
        [],
        ["b", 0.0, True, None, None],
        ["=1+1", 1, 0],
    ):
        sheet.append(row)
    other = book.create_sheet("other")
    other.append(["text", "joy", "anger"])
    other.append(["c", 1, 0])
    book.save(tmp_path / "data.xlsx")
    settings = DataSettings(label_columns=JOY_ANGER)
    rows = read_rows(tmp_path / "data.xlsx", settings)
    assert (rows.texts, rows.names, rows.lines) == (["42", "b", ""], [["joy"], ["anger"], ["joy"]], [3, 5, 6])
    assert rows.note.endswith("sheet 'Sheet' of 2 is read; --data-format xlsx:NAME reads another")
    chosen = read_rows(tmp_path / "data.xlsx", settings.model_copy(update={"format": "xlsx:other"}))
    assert (chosen.texts, chosen.note) == (["c"], "")
    with pytest.raises(DataError, match="has no sheet 'Other'; there are 'Sheet', 'other'"):
        read_rows(tmp_path / "data.xlsx", DataSettings(format="xlsx:Other"))
    with pytest.raises(SettingError, match="csv has no sheets"):
        read_rows(tmp_path / "data.xlsx", DataSettings(format="csv:other"))
    sheet["B5"] = "yes"
    book.save(tmp_path / "data.xlsx")
    with pytest.raises(DataError, match=r"data\.xlsx:5: column 'joy' says 'yes'"):
        read_rows(tmp_path / "data.xlsx", settings)
    sheet["B2"] = "text"
    book.save(tmp_path / "data.xlsx")
    with pytest.raises(DataError, match=r"data\.xlsx:2: column 'text' occurs twice"):
        read_rows(tmp_path / "data.xlsx", settings)


def test_a_damaged_page_of_parquet_is_named(tmp_path: Path):
    import pyarrow
    import pyarrow.parquet as parquet

    table = pyarrow.Table.from_pylist(records(labels=list))
    parquet.write_table(table, tmp_path / "data.parquet", compression="gzip")
    content = bytearray((tmp_path / "data.parquet").read_bytes())
    content[60:120] = bytes(60)
    with pytest.raises(DataError, match=r"data\.parquet.*(damaged|not a) Parquet"):
        loaded(tmp_path, {"data.parquet": bytes(content)}, {})


@pytest.mark.parametrize(
    ("suffix", "package", "extra"), [("xlsx", "openpyxl", "excel"), ("parquet", "pyarrow.parquet", "parquet")]
)
def test_a_missing_package_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, package: str, extra: str
):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=rf"pip install 'goemo\[{extra}\]'"):
        loaded(tmp_path, {f"data.{suffix}": b""}, {})
