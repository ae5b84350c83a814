"""CSV that any text survives."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goemo_cli.core.csv_files import atomic_csv, csv_writer, open_csv, undecodable_line
from goemo_cli.core.errors import DataFileError

odd_text = st.text(
    st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("\x00\r\n\",\t' \u2028\x85"))
)


@given(st.lists(st.lists(odd_text, min_size=2, max_size=3), max_size=5))
def test_any_fields_read_back_with_pythons_own_reader(rows: list[list[str]]):
    stream = io.StringIO(newline="")
    csv_writer(stream).writerows(rows)
    stream.seek(0)
    assert list(csv.reader(stream, strict=True)) == rows


def test_rows_end_with_a_line_feed_and_texts_keep_their_own_line_ends(tmp_path: Path):
    with atomic_csv(tmp_path / "t.csv") as writer:
        writer.writerow(["a", "b\r\n"])
        writer.writerow(["c\r", "d"])
        writer.writerow(["plain", "\n"])
    assert (tmp_path / "t.csv").read_bytes() == b'a,"b\r\n"\n"c\r",d\nplain,"\n"\n'


def test_header_and_rows_come_with_the_line_each_ends_on(tmp_path: Path):
    (tmp_path / "t.csv").write_bytes(b'\xef\xbb\xbfa,b\r\n1,"two\nlines"\n\n3,4')
    with open_csv(tmp_path / "t.csv") as (header, rows):
        assert header == ["a", "b"]
        assert list(rows) == [(3, ["1", "two\nlines"]), (4, []), (5, ["3", "4"])]


def test_broken_quoting_is_an_error_with_its_line(tmp_path: Path):
    (tmp_path / "t.csv").write_text('a,b\n1,2\n"x"y,3\n')
    with (
        pytest.raises(DataFileError, match=r"t\.csv:3: broken CSV"),
        open_csv(tmp_path / "t.csv") as (_, rows),
    ):
        list(rows)


@pytest.mark.parametrize("line", [1, 2, 3, 5_000])
def test_a_line_that_is_not_utf8_is_named_however_far_down_it_stands(tmp_path: Path, line: int):
    lines = [f"{number},été" for number in range(1, 6_001)]
    content = [text.encode() for text in lines]
    content[line - 1] = b"caf\xe9,x"
    (tmp_path / "t.csv").write_bytes(b"\n".join(content))
    assert undecodable_line(tmp_path / "t.csv") == line
    with pytest.raises(DataFileError) as raised, open_csv(tmp_path / "t.csv") as (_, rows):
        list(rows)
    assert raised.value.line == line
