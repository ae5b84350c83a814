"""Delimited text of users: when a quote is a quote, and what an unclosed one costs."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from goemo_cli.core.csv_files import MOST_LINE_ENDS, TableFormat, open_table
from goemo_cli.core.errors import DataFileError

TEXTS = ['he said "no"', "plain", "two\nlines", "a\ttab", '"whole"', "", "a, b", '"open']


def rows_of(path: Path, format: TableFormat) -> list[list[str]]:
    with open_table(path, format) as (header, rows):
        return [header, *(fields for _, fields in rows if fields)]


def read(folder: Path, content: str, format: TableFormat = "tsv") -> list[list[str]]:
    path = folder / f"t.{format}"
    path.write_bytes(content.encode())
    return rows_of(path, format)


@pytest.mark.parametrize(
    "texts",
    [
        ['"open at the start', "plain", 'closed at the end"'],  # would be one quoted field of three rows
        ['"a whole tweet"', "plain"],
        ['"a whole tweet, with a comma"', "another, plain"],
        ['"He" is "here"', '"a" "b"'],
        ['say "no"', '5" pipe', '"', '""', '"""'],
        ["\u2028 is no line end", "nor is \r within", '"x'],
        ['"first', *["plain"] * (MOST_LINE_ENDS + 10), 'last"'],
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_in_tsv_a_quote_is_a_character(tmp_path: Path, texts: list[str], line_end: str):
    rows = [["id", "text", "joy"], *([str(at), text, "0"] for at, text in enumerate(texts))]
    content = "\ufeff" + "".join("\t".join(row) + line_end for row in rows)
    assert read(tmp_path, content) == rows


@pytest.mark.parametrize("quoting", [csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, csv.QUOTE_MINIMAL])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_tsv_that_the_csv_module_quoted_reads_back(tmp_path: Path, quoting: Any, line_end: str):
    texts = TEXTS if quoting == csv.QUOTE_MINIMAL else [*TEXTS, "a lone \r within"]
    rows = [["id", "text", "joy"], *([str(at), text, "0"] for at, text in enumerate(texts))]
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter="\t", quoting=quoting, lineterminator=line_end).writerows(rows)
    assert read(tmp_path, stream.getvalue()) == rows


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        # R: strings are quoted, numbers are not
        ('"id"\t"text"\n1\t"a"\n2\t"b ""c"""\n', [["id", "text"], ["1", "a"], ["2", 'b "c"']]),
        # spreadsheets: what holds a comma is quoted, and only that
        ('id\ttext\n1\t"a, b"\n2\tc\n', [["id", "text"], ["1", "a, b"], ["2", "c"]]),
        # one column: every line is quoted
        ('"text"\n"a\nb"\n"c"\n', [["text"], ["a\nb"], ["c"]]),
        ('text\n"a\nb"\nc\n', [["text"], ['"a'], ['b"'], ["c"]]),
        ("text\tlabels\r1\tjoy\r", [["text", "labels"], ["1", "joy"]]),
        ("", [[]]),
    ],
)
def test_the_quoting_of_a_tsv_is_found(tmp_path: Path, content: str, rows: list[list[str]]):
    assert read(tmp_path, content) == rows


def test_a_tsv_row_of_another_length_stays_one(tmp_path: Path):
    assert read(tmp_path, 'id\ttext\n1\t"a\n2\n3\tb"\n') == [["id", "text"], ["1", '"a'], ["2"], ["3", 'b"']]


@pytest.mark.parametrize("closed", [True, False])
def test_a_csv_field_of_hundreds_of_lines_is_an_error_with_its_first_line(tmp_path: Path, closed: bool):
    lines = [f"row {at},joy" for at in range(MOST_LINE_ENDS + 10)]
    content = "\n".join(["text,labels", "fine,joy", '"open,joy', *lines, 'last"' if closed else "", ""])
    with pytest.raises(
        DataFileError, match=rf"t\.csv:3: a quoted field has more than {MOST_LINE_ENDS} line ends"
    ):
        read(tmp_path, content, "csv")


def test_an_unclosed_quote_near_the_end_names_its_first_line(tmp_path: Path):
    with pytest.raises(DataFileError, match=r"t\.csv:3: broken CSV .*row up to line 5"):
        read(tmp_path, 'text,labels\nfine,joy\n"open,joy\nb,joy\nc,joy\n', "csv")


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("text;labels (a, b)\nx, y;a\nz, w;b\n", [["text", "labels (a, b)"], ["x, y", "a"], ["z, w", "b"]]),
        ("text, labels\nx, a;b\n", [["text", " labels"], ["x", " a;b"]]),
        ('text;labels\n"a; b, c";x|y\n', [["text", "labels"], ["a; b, c", "x|y"]]),
        ("text\tlabels\nx, y\ta\n", [["text", "labels"], ["x, y", "a"]]),
        ('text\tlabels\n"open\ta\nx\tb\nclosed"\tc\n', [["text", "labels"], ['"open', "a"], ["x", "b"], ['closed"', "c"]]),
        ("text|labels\nx, y|a\n", [["text", "labels"], ["x, y", "a"]]),
        ("text,labels|x\na,b\nc,d|e\n", [["text", "labels|x"], ["a", "b"], ["c", "d|e"]]),
        ("text,n\na;b,1\nc\n", [["text", "n"], ["a;b", "1"], ["c"]]),
        ("text\na; b, c\n", [["text"], ["a; b", " c"]]),
        ("sep=;\ntext;n\na,b;1\n", [["text", "n"], ["a,b", "1"]]),
        ('"sep=\t"\r\ntext\tn\r\n"a\nb"\t"1"\r\n', [["text", "n"], ["a\nb", "1"]]),
    ],
)  # fmt: skip
def test_the_delimiter_of_csv_is_found(tmp_path: Path, content: str, rows: list[list[str]]):
    assert read(tmp_path, content, "csv") == rows


def test_lines_are_counted_from_the_separator_line(tmp_path: Path):
    (tmp_path / "t.csv").write_text("sep=;\ntext;n\na;1\n")
    with open_table(tmp_path / "t.csv", "csv") as (_, rows):
        assert list(rows) == [(3, ["a", "1"])]
