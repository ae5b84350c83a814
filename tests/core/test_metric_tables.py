"""The per-class metrics CSV."""

from pathlib import Path
from typing import Any

import pytest

from goemo_cli.core.errors import DataFileError
from goemo_cli.core.schema import PER_CLASS_COLUMNS
from goemo_cli.services.evaluation.per_class_metrics import read_per_class_metrics, write_per_class_metrics

HEADER = ",".join(PER_CLASS_COLUMNS)
ROWS: list[dict[str, Any]] = [
    dict(
        zip(
            PER_CLASS_COLUMNS,
            ("joy", 2 / 3, 0.5, 1.0, 4, 4, 4, 0, 92, 0.31, 0.875, 1 / 3, 0.1, 0.9),
            strict=True,
        )
    ),
    dict(
        zip(
            PER_CLASS_COLUMNS,
            ("été", 0.0, 0.0, 0.0, 0, 0, 1, 0, 99, None, None, None, 0.0, 1e-17),
            strict=True,
        )
    ),
]


def test_rows_read_back_as_written(tmp_path: Path):
    write_per_class_metrics(tmp_path / "m.csv", ROWS)
    read = read_per_class_metrics(tmp_path / "m.csv")
    assert read == ROWS
    assert [{key: type(value) for key, value in row.items()} for row in read] == [
        {key: type(value) for key, value in row.items()} for row in ROWS
    ]


def test_the_columns_are_the_contracts_and_what_is_undefined_is_empty(tmp_path: Path):
    write_per_class_metrics(tmp_path / "m.csv", ROWS[1:])
    assert (tmp_path / "m.csv").read_bytes().decode() == (
        "emotion,f1_score,precision,recall,support,tp,fp,fn,tn,"
        "threshold,roc_auc,average_precision,f1_ci_low,f1_ci_high\n"
        "été,0.0,0.0,0.0,0,0,1,0,99,,,,0.0,1e-17\n"
    )


def test_the_older_columns_are_read_as_todays(tmp_path: Path):
    (tmp_path / "m.csv").write_text("rank,emotion,precision,recall,f1,support\n1,joy,0.5,1,0.75,4\n")
    (row,) = read_per_class_metrics(tmp_path / "m.csv")
    assert tuple(row) == PER_CLASS_COLUMNS
    assert {key: value for key, value in row.items() if value is not None} == {
        "emotion": "joy",
        "f1_score": 0.75,
        "precision": 0.5,
        "recall": 1.0,
        "support": 4,
    }


@pytest.mark.parametrize("header", ["", "emotion,f1_score", HEADER + ",more", "x" + HEADER, HEADER.upper()])
def test_other_columns_are_an_error(tmp_path: Path, header: str):
    (tmp_path / "m.csv").write_text(header + "\n")
    with pytest.raises(DataFileError, match="columns are not emotion,f1_score"):
        read_per_class_metrics(tmp_path / "m.csv")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("joy,x,0,0,0,0,0,0,0,0,0,0,0,0", "m.csv:2: column f1_score: 'x' is not a number"),
        ("joy,0,nan,0,0,0,0,0,0,0,0,0,0,0", "m.csv:2: column precision: 'nan' is not finite"),
        ("joy,0,0,0,0,0,0,0,0,1e999,0,0,0,0", "m.csv:2: column threshold: '1e999' is not finite"),
        ("joy,0,0,0,1.5,0,0,0,0,0,0,0,0,0", "m.csv:2: column support: '1.5' is not a number"),
    ],
)
def test_a_cell_that_is_no_number_is_an_error_with_its_place(tmp_path: Path, row: str, reason: str):
    (tmp_path / "m.csv").write_text(f"{HEADER}\n{row}\n")
    with pytest.raises(DataFileError, match=reason):
        read_per_class_metrics(tmp_path / "m.csv")


@pytest.mark.parametrize(
    "content",
    [f"{HEADER}\njoy,0.5\n", f"{HEADER}\njoy,0,0,0,0,0,0,0,0,0,0,0,0,0,more\n", f"{HEADER}\ncaf\udce9,0\n"],
    ids=["cut", "too long", "not UTF-8"],
)
def test_a_damaged_table_is_an_error(tmp_path: Path, content: str):
    (tmp_path / "m.csv").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataFileError):
        read_per_class_metrics(tmp_path / "m.csv")
