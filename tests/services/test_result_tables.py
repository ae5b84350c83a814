import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from goemo_cli.core.csv_files import csv_writer, open_csv
from goemo_cli.services.data.result_tables import decimal, file_size, span, table_text, write_table

COLUMNS = ["text", "count", "share", "anything"]
ROWS: list[list[Any]] = [
    ["a, b", 1, 0.1 + 0.2, True],
    ['say "no"', None, 1e-05, [1, 2]],
    ["two\nlines", 10**20, 1e16, {"a": 1}],
    ["lone\rreturn", np.int64(3), np.float64(0.3), None],
    ["", 0, -0.0, "é"],
]


def expected() -> str:
    stream = io.StringIO()
    csv_writer(stream).writerows([COLUMNS, *ROWS])
    return stream.getvalue()


@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        [dict(zip(COLUMNS, row, strict=True)) for row in ROWS],
        pandas.DataFrame(ROWS, columns=COLUMNS, dtype=object),
    ],
    ids=["sequences", "mappings", "frame"],
)
def test_tables_have_the_bytes_of_the_csv_module(tmp_path: Path, rows: Any):
    write_table(tmp_path / "t.csv", COLUMNS, rows)
    assert (tmp_path / "t.csv").read_bytes().decode() == table_text(COLUMNS, rows) == expected()
    with open_csv(tmp_path / "t.csv") as (header, lines):
        assert header == COLUMNS
        assert [fields[0] for _, fields in lines] == [row[0] for row in ROWS]


def test_numbers_of_a_frame_keep_their_type_and_nan_is_an_empty_cell():
    frame = pandas.DataFrame({"n": [1, 2], "x": [0.1, float("nan")]})
    assert table_text(["n", "x"], frame) == "n,x\n1,0.1\n2,\n"


def test_a_table_without_rows_has_its_header():
    assert table_text(COLUMNS, []) == "text,count,share,anything\n"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0.0000"),
        (0.52346, "0.5235"),
        (1.0, "1.0000"),
        (0.0004, "0.0004"),
        (2e-5, "2e-05"),
        (-1.26e-7, "-1.3e-07"),
    ],
)
def test_a_small_number_is_not_shown_as_zero(value: float, shown: str) -> None:
    assert decimal(value) == shown


def test_places_and_signs() -> None:
    assert [decimal(value, 3, sign="+") for value in (0.1, -0.03, 0.0002, 0.0)] == [
        "+0.100",
        "-0.030",
        "+0.0002",
        "+0.000",
    ]
    assert span(0.0, 0.00019) == "0.000–0.00019"


def test_sizes_are_for_people() -> None:
    assert [file_size(size) for size in (0, 1023, 1024, 1536, 3 * 2**20, 2**40)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "1.5 KiB",
        "3.0 MiB",
        "1.0 TiB",
    ]
