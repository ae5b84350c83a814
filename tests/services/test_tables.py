"""The user's own texts: the same rows in each format, for training and for prediction; faults with their place."""

import bz2
import csv
import gzip
import io
import json
import lzma
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goemo_cli.core.errors import DataFileError, MissingPackageError
from goemo_cli.core.settings import DataSettings
from goemo_cli.services.data import json_rows
from goemo_cli.services.data.labelled_rows import RawRows
from goemo_cli.services.data.own_data import read_rows
from goemo_cli.services.predicting.sources import open_texts

ROWS: list[tuple[str, list[str]]] = [
    ("plain", ["joy"]),
    ('he said "no",\ttwice', ["anger", "joy"]),
    ("two\nlines\r\nand é😀 \u2028", []),
    (" spaces ", ["neutral"]),
    ("", ["anger"]),
]


FORMATS = {
    "csv": ".csv",
    "tsv": ".tsv",
    "jsonl": ".jsonl",
    "json": ".json",
    "parquet": ".parquet",
    "xlsx": ".xlsx",
}
"""Suffixes of the formats with named columns."""


def write(path: Path, rows: list[tuple[str, list[str]]] = ROWS, *, lists: bool = True) -> Path:
    """Write texts and labels in the format of the suffix with another program than goemo."""
    table = [["text", "labels"], *([text, ",".join(names)] for text, names in rows)]
    cells = [{"text": text, "labels": names if lists else ",".join(names)} for text, names in rows]
    match path.suffix:
        case ".csv" | ".tsv":
            with path.open("w", encoding="utf-8", newline="") as stream:
                delimiter = "," if path.suffix == ".csv" else "\t"
                csv.writer(stream, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(table)
        case ".jsonl":
            path.write_text("".join(json.dumps(cell) + "\n" for cell in cells), encoding="utf-8")
        case ".json":
            path.write_text(json.dumps(cells, indent=1), encoding="utf-8")
        case ".parquet":
            import pyarrow
            import pyarrow.parquet as parquet

            parquet.write_table(pyarrow.Table.from_pylist(cells), path)
        case ".xlsx":
            import openpyxl

            book = openpyxl.Workbook()
            for row in table:
                book.worksheets[0].append([cell.replace("\r\n", "\n") for cell in row])
            book.save(path)
    return path


def read(path: Path, **settings: Any) -> RawRows:
    return read_rows(path, DataSettings(**settings))


def read_text(folder: Path, content: str | bytes, suffix: str = ".csv", **settings: Any) -> RawRows:
    path = folder / f"data{suffix}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read(path, **settings)


@pytest.mark.parametrize(
    ("suffix", "lists"),
    [
        *((suffix, True) for suffix in FORMATS.values()),
        *((suffix, False) for suffix in (".jsonl", ".parquet")),
    ],
)
def test_every_format_gives_the_same_rows_to_training_and_prediction(
    tmp_path: Path, suffix: str, lists: bool
):
    path = write(tmp_path / f"data{suffix}", lists=lists)
    expected = [
        text.replace("\r\n", "\n") if suffix == ".xlsx" else text for text, _ in ROWS
    ]  # Excel has no carriage returns
    rows = read(path)
    assert rows.texts == expected
    assert rows.names == [names for _, names in ROWS]
    with open_texts(path, stdin=io.BytesIO()) as source:
        assert [row.text for row in source.rows] == expected
    with open_texts("-", stdin=io.BytesIO(path.read_bytes()), format=suffix[1:]) as source:
        assert [row.text for row in source.rows] == expected


def test_the_digest_of_the_rows_does_not_depend_on_the_format(tmp_path: Path):
    labels = ("anger", "joy", "neutral")
    parts = [
        read(write(tmp_path / f"data{suffix}")).labelled(labels) for suffix in (".csv", ".json", ".parquet")
    ]
    assert len({part.sha256() for part in parts}) == 1


def test_labels_are_found_sorted_with_neutral_last(tmp_path: Path):
    rows = read_text(tmp_path, 'text,labels\na,zeal\nb,neutral\nc,"awe,zeal"\n')
    assert rows.label_names() == ("awe", "zeal", "neutral")


def test_rows_over_a_label_list_are_multi_hot_in_its_order(tmp_path: Path):
    rows = read_text(tmp_path, 'text,labels\na,joy\nb,"joy,anger"\nc,\n')
    assert rows.labelled(("joy", "anger")).y_true.tolist() == [[True, False], [True, True], [False, False]]


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".csv", "comment,labels\na,joy\n"),
        (".tsv", "comment\tlabels\na\tjoy\n"),
        (".jsonl", '{"comment": "a", "labels": "joy"}\n'),
    ],
)
def test_a_missing_column_is_an_error_that_names_those_there_are(tmp_path: Path, suffix: str, content: str):
    with pytest.raises(
        DataFileError, match=r"no column 'text' \(--text-column\); there are 'comment', 'labels'"
    ):
        read_text(tmp_path, content, suffix)


def test_columns_and_separator_can_be_named(tmp_path: Path):
    rows = read_text(
        tmp_path,
        "id,body,tags\n1,a,joy|anger\n",
        text_column="body",
        label_column="tags",
        label_separator="|",
    )
    assert (rows.texts, rows.names) == (["a"], [["joy", "anger"]])


def test_each_label_may_have_a_column_of_its_own_in_the_order_that_is_named(tmp_path: Path):
    content = "id,text,joy,anger,awe\nk1,a,1,0,0\nk2,b,True,1.0,\nk3,c,0,false,0\n"
    rows = read_text(tmp_path, content, label_columns=["anger", "joy", "awe"], id_column="id")
    assert rows.label_names() == ("anger", "joy", "awe")
    assert rows.names == [["joy"], ["anger", "joy"], []]
    assert rows.labelled(rows.label_names()).ids == ["k1", "k2", "k3"]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path, suffix: str):
    path = write(tmp_path / f"data{suffix}")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read(path).texts == [text for text, _ in ROWS]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_an_empty_file_holds_no_rows(tmp_path: Path, suffix: str, content: bytes):
    with pytest.raises(DataFileError, match="holds no rows"):
        read_text(tmp_path, content, suffix)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("text,labels\n", r"data\.csv: holds no rows"),
        ("text,labels\na,joy,more\n", r"data\.csv:2: has 3 fields, the header 2"),
        ("text,labels\na\n", r"data\.csv:2: has 1 fields, the header 2"),
        ('text,labels\n"a,joy\n', r"data\.csv:2: broken CSV"),
        ('text,labels\n"a" b,joy\n', r"data\.csv:2: broken CSV"),
        ("text,text,labels\na,b,joy\n", r"data\.csv:1: column 'text' occurs twice"),
    ],
)
def test_a_broken_table_is_an_error_with_its_place(tmp_path: Path, content: str, reason: str):
    with pytest.raises(DataFileError, match=reason):
        read_text(tmp_path, content)


def test_blank_lines_are_passed_over_and_lines_counted_right(tmp_path: Path):
    rows = read_text(tmp_path, 'text,labels\n\na,joy\n\n"b\nc",joy\n\nd,joy\n')
    assert (rows.texts, rows.lines) == (["a", "b\nc", "d"], [3, 6, 8])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not a JSON line"),
        ("[]", "not a JSON object"),
        ('"text"', "not a JSON object"),
        ('{"text": 3, "labels": "joy"}', "text is 3, not a string"),
        ('{"text": null, "labels": "joy"}', "text is None, not a string"),
        (f'{{"text": "a", "labels": {"[" * 100_000}', "nested more than 100 levels"),
        (f'{{"text": "a", "labels": {"[" * 200 + "]" * 200}}}', "nested more than 100 levels"),
        (f'{{"text": {"[" * 90 + "]" * 90}, "labels": "joy"}}', "not a string"),
        ('{"text": "a", "labels": [["joy"]]}', "label"),
    ],
)
def test_a_bad_json_line_is_an_error_with_its_line(tmp_path: Path, line: str, reason: str):
    content = f'{{"text": "fine", "labels": "joy"}}\n{line}\n'
    with pytest.raises(DataFileError, match=rf"data\.jsonl:2: .*{reason}"):
        read_text(tmp_path, content, ".jsonl")


def test_lone_surrogates_are_replaced(tmp_path: Path):
    rows = read_text(tmp_path, '{"text": "a\\ud800", "labels": []}\n', ".jsonl")
    assert rows.texts == ["a\ufffd"]


@pytest.mark.parametrize(
    ("suffix", "content", "reason"),
    [
        (".parquet", b"PAR1", "not a Parquet file"),
        (".xlsx", b"PK\x03\x04", "not an Excel workbook"),
        (".xlsx", b"text,labels\n", "not an Excel workbook"),
        (".json", b'[{"text": "a"}\n{"text": "b"}]', ":2: not JSON .a comma is missing"),
        (".json", b'[{"text": "a"},\n[]]', ":2: the array has an entry that is not a JSON object"),
        (".json", b'[{"text": "a"}]\nx', ":2: not JSON .there is text after the array"),
        (".json", b'[{"text": "a"', ":1: not JSON"),
        (".json", b'[{"text": ' + b"[" * 99_999, ":1: not JSON .nested more than 100 levels"),
        (".json", b'{"data": [{"text": "a"}]}', "one JSON object around the array 'data'"),
        (".json", b'{\n "version": "1",\n "data": [{"text": "a"}]\n}', "around the array 'data'"),
        (".json", b'{"text": {"0": "a"}, "labels": {"0": "joy"}}', "one JSON object;.*orient='records'"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, suffix: str, content: bytes, reason: str):
    with pytest.raises(DataFileError, match=rf"data{suffix}.*{reason}"):
        read_text(tmp_path, content, suffix)


COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")


def compressed(content: bytes, compression: str) -> bytes:
    if compression == ".zst":
        import zstandard

        frames = [
            zstandard.ZstdCompressor(write_checksum=True).compress(content[at:]) for at in (0, len(content))
        ]
        return b"".join(frames)
    if compression == ".gz":
        return gzip.compress(content)
    return bz2.compress(content) if compression == ".bz2" else lzma.compress(content)


@pytest.mark.parametrize(
    ("suffix", "compression"),
    [
        *((".csv", compression) for compression in COMPRESSIONS),
        *((".tsv", ".gz"), (".jsonl", ".xz"), (".parquet", ".zst"), (".xlsx", ".bz2")),
    ],
)
def test_a_compressed_file_gives_the_same_rows(tmp_path: Path, suffix: str, compression: str):
    plain = write(tmp_path / f"plain{suffix}")
    expected = read(plain)
    rows = read_text(tmp_path, compressed(plain.read_bytes(), compression), f"{suffix}{compression}")
    assert (rows.texts, rows.names, rows.lines) == (expected.texts, expected.names, expected.lines)
    assert rows.named == str(tmp_path / f"data{suffix}{compression}")
    with open_texts(tmp_path / f"data{suffix}{compression}", stdin=io.BytesIO()) as source:
        assert [row.text for row in source.rows] == expected.texts


@pytest.mark.parametrize(
    ("suffix", "compression", "content", "reason"),
    [
        (".csv", ".gz", b"text,labels\na,joy\nb\n", ":3: has 1 fields, the header 2"),
        (".csv", ".zst", b"text,text\na,b\n", "column 'text' occurs twice"),
        (".tsv", ".bz2", b"text\tlabels\na\xff\tjoy\n", ":2: not UTF-8"),
        (".tsv", ".zst", b"text\tlabels\na\xff\tjoy\n", ":2: not UTF-8"),
        (".jsonl", ".xz", b'{"text": "a", "labels": []}\nx\n', ":2: not a JSON line"),
    ],
)
def test_errors_name_the_compressed_file_and_the_line(
    tmp_path: Path, suffix: str, compression: str, content: bytes, reason: str
):
    with pytest.raises(DataFileError, match=reason) as error:
        read_text(tmp_path, compressed(content, compression), f"{suffix}{compression}")
    assert f"data{suffix}{compression}" in str(error.value)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("fault", ["another format", "cut off", "changed"])
def test_damaged_compression_is_an_error(tmp_path: Path, compression: str, fault: str):
    whole = bytearray(compressed(b"text,labels\n" + b"a,joy\n" * 200, compression))
    if fault == "another format":
        whole = bytearray(b"text,labels\na,joy\n")
    elif fault == "cut off":
        del whole[-12:]
    else:
        whole[len(whole) // 2] ^= 0xFF
    with pytest.raises(DataFileError, match="cannot be decompressed"):
        read_text(tmp_path, bytes(whole), f".csv{compression}")


def test_zst_without_its_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingPackageError, match=r"goemo\[zstd\]"):
        read_text(tmp_path, b"", ".csv.zst")


@pytest.mark.parametrize(
    ("suffix", "content", "likely"),
    [
        (".doc", "x", r"known: \.csv, \.tsv, .*--data-format NAME"),
        (".txt", "x", r"known: \.csv, \.tsv, .*--data-format NAME"),
        (".txt", "text\tlabels\na\tjoy\n", "--data-format tsv"),
        (".txt.bz2", "text\tlabels\na\tjoy\n", "--data-format tsv"),
        ("", "a\ttext\n__label__joy b\n", "--data-format fasttext"),
        (".txt", '{"text": "a"}', "--data-format jsonl"),
        (".txt", "\n [", "--data-format json"),
    ],
)
def test_an_unknown_suffix_names_the_known_ones_and_the_likely_format(
    tmp_path: Path, suffix: str, content: str, likely: str
):
    written = bz2.compress(content.encode()) if suffix.endswith(".bz2") else content
    with pytest.raises(DataFileError, match=rf"(unknown format|does not say its format).*{likely}"):
        read_text(tmp_path, written, suffix)


def test_the_suffix_may_be_in_capitals(tmp_path: Path):
    assert read_text(tmp_path, "text,labels\na,joy\n", ".CSV").texts == ["a"]


def test_a_cell_of_a_million_characters_is_read(tmp_path: Path):
    assert len(read_text(tmp_path, f"text,labels\n{'x' * 1_000_000},joy\n").texts[0]) == 1_000_000


@pytest.mark.parametrize(
    "feature",
    [
        {"names": ["joy", "awe", "calm"], "_type": "ClassLabel"},
        {"feature": {"names": ["joy", "awe", "calm"], "_type": "ClassLabel"}, "_type": "Sequence"},
        {"feature": {"names": ["joy", "awe", "calm"], "_type": "ClassLabel"}, "_type": "List"},
        [{"names": ["joy", "awe", "calm"], "_type": "ClassLabel"}],
    ],
)
def test_parquet_of_the_hub_has_its_label_names(tmp_path: Path, feature: Any):
    import pyarrow
    import pyarrow.parquet as parquet

    numbers = [1, 0] if isinstance(feature, dict) and "names" in feature else [[1], [0]]
    table = pyarrow.table({"text": ["a", "b"], "label": numbers})
    described = json.dumps({"info": {"features": {"label": feature, "text": {"dtype": "string"}}}})
    parquet.write_table(table.replace_schema_metadata({"huggingface": described}), tmp_path / "data.parquet")
    settings = DataSettings(label_column="label")
    for listed in (None, ["calm", "awe", "joy"]):
        assert read_rows(tmp_path / "data.parquet", settings, listed).names == [["awe"], ["joy"]]


@pytest.mark.parametrize("metadata", [{}, {"huggingface": "{"}, {"huggingface": "[]"}, {"huggingface": '{"info": {"features": 3}}'}])  # fmt: skip
def test_parquet_numbers_without_names_are_refused(tmp_path: Path, metadata: dict[str, str]):
    import pyarrow
    import pyarrow.parquet as parquet

    table = pyarrow.table({"text": ["a", "b"], "labels": [[1], [0, 2]]})
    parquet.write_table(table.replace_schema_metadata(metadata), tmp_path / "data.parquet")
    with pytest.raises(DataFileError, match=r"data\.parquet:1: \[1\] holds numbers: --labels-file"):
        read(tmp_path / "data.parquet")
    assert read_rows(tmp_path / "data.parquet", DataSettings(), ["a", "b", "c"]).names == [["b"], ["a", "c"]]


@given(
    rows=st.lists(
        st.dictionaries(st.text(max_size=3), st.text() | st.integers() | st.lists(st.floats(allow_nan=False)))
    ),
    indent=st.sampled_from([None, 0, 3]),
    block=st.integers(1, 40),
)
def test_an_array_is_read_in_blocks_of_any_size(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], indent: int | None, block: int
):
    path = tmp_path_factory.getbasetemp() / "array.json"
    path.write_text(json.dumps(rows, indent=indent), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_rows, "BLOCK", block)
        found = list(json_rows.array_objects(path, named="array"))
    assert [row for _, row in found] == rows
    if indent is not None:
        lines = path.read_text(encoding="utf-8").split("\n")
        assert all(lines[line - 1].lstrip().startswith("{") for line, _ in found)
