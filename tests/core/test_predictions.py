"""The predictions CSV: any text comes back, any fault is found."""

import csv
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goemo_cli.core.errors import DataFileError
from goemo_cli.core.predictions import (
    Predictions,
    iter_predictions,
    read_predictions,
    write_predictions,
)

LABELS = ("anger", "joy", "neutral")
HEADER = "text,true_labels,pred_labels,pred_prob_anger,pred_prob_joy,pred_prob_neutral"
Make = Callable[..., Predictions]


def assert_same(left: Predictions, right: Predictions) -> None:
    assert left.labels == right.labels
    assert left.texts == right.texts
    assert left.ids == right.ids
    assert left.y_true.tolist() == right.y_true.tolist()
    assert left.y_pred.tolist() == right.y_pred.tolist()
    assert left.y_prob.dtype == right.y_prob.dtype == np.float32
    assert left.y_prob.view(np.uint32).tolist() == right.y_prob.view(np.uint32).tolist()


def round_trip(predictions: Predictions) -> Predictions:
    with tempfile.TemporaryDirectory() as folder:
        write_predictions(Path(folder) / "p.csv", predictions)
        return read_predictions(Path(folder) / "p.csv")


def of_texts(texts: list[str], ids: list[str] | None = None) -> Predictions:
    zeros = np.zeros((len(texts), 2), dtype=np.bool_)
    return Predictions(("a", "b"), texts, zeros, zeros, zeros.astype(np.float32), ids)


def written(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "p.csv"
    path.write_bytes("\n".join([header, *rows, ""]).encode())
    return path


# Writing and reading back


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\x00b",
        "a\rb",
        "a\r\nb",
        '"',
        'he said "no", twice',
        "\ttab\t",
        "NA",
        "=1+1",
        "\u2028\u2029\x85\x0b\x0c\x1c",
        "\ufeffBOM",
        "é 😀 👩‍👩‍👧 \u202e",
        "x" * 200_000,
    ],
)
def test_an_odd_text_reads_back_as_it_was(text: str):
    assert round_trip(of_texts([text, "next", text], ids=["1", text, ""])).texts == [text, "next", text]


@hypothesis.settings(max_examples=60)
@given(
    st.lists(st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("\x00\r\n\",' ="))))
)
def test_any_texts_and_ids_read_back_as_they_were(texts: list[str]):
    assert_same(round_trip(of_texts(texts, ids=texts[::-1])), of_texts(texts, ids=texts[::-1]))


@hypothesis.settings(max_examples=60)
@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=40))
def test_any_float32_probability_reads_back_to_the_bit(numbers: list[float]):
    y_prob = np.array([numbers], dtype=np.float32)
    hot = y_prob >= 0.5
    labels = tuple(f"label{at}" for at in range(len(numbers)))
    predictions = Predictions(labels, ["x"], hot, hot, y_prob)
    assert_same(round_trip(predictions), predictions)


def test_the_file_is_what_the_contract_says(tmp_path: Path):
    y_prob = np.array([[0.1, 0.9, 0.25], [0.0, 1.0, 1e-5]], dtype=np.float32)
    y_true = np.array([[True, False, True], [False, False, False]])
    write_predictions(
        tmp_path / "p.csv",
        Predictions(LABELS, ["so, yes", "plain"], y_true, y_prob >= 0.25, y_prob, ["i1", "i2"]),
    )
    assert (tmp_path / "p.csv").read_bytes().decode() == (
        f'{HEADER},id\n"so, yes","anger,neutral","joy,neutral",0.1,0.9,0.25,i1\nplain,,joy,0.0,1.0,1e-05,i2\n'
    )


def test_no_rows_read_back_as_no_rows():
    assert len(round_trip(of_texts([]))) == 0
    assert round_trip(of_texts([])).y_prob.shape == (0, 2)
    assert round_trip(of_texts([], ids=[])).ids == []


def test_a_failed_write_leaves_the_old_file(tmp_path: Path):
    (tmp_path / "p.csv").write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_predictions(tmp_path / "p.csv", of_texts(["fine", "\ud800"]))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize(("rows", "size"), [(0, 3), (1, 10), (9, 10), (10, 10), (11, 10), (20, 1)])
def test_chunks_put_together_are_the_whole_file(tmp_path: Path, make_predictions: Make, rows: int, size: int):
    predictions = replace(make_predictions(rows), ids=[f"id{row}" for row in range(rows)])
    write_predictions(tmp_path / "p.csv", predictions)
    chunks = list(iter_predictions(tmp_path / "p.csv", rows=size))
    assert all(len(chunk) <= size for chunk in chunks)
    assert [len(chunk) for chunk in chunks[:-1]] == [size] * (len(chunks) - 1)
    assert_same(Predictions.joined(chunks), predictions)


# Columns


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("", "column 'text' is missing"),
        ("true_labels,pred_labels,pred_prob_a,pred_prob_b", "column 'text' is missing"),
        ("text,pred_labels,pred_prob_a,pred_prob_b", "column 'true_labels' is missing"),
        ("text,true_labels,pred_prob_a,pred_prob_b", "column 'pred_labels' is missing"),
        ("text,true_labels,pred_labels", "columns are not"),
        ("text,pred_labels,true_labels,pred_prob_a", "columns are not"),
        ("text,true_labels,pred_labels,pred_prob_a,prob_b", "columns are not .*'prob_b'"),
        ("text,true_labels,pred_labels,id,pred_prob_a", "columns are not .*'id'"),
        ("text,true_labels,pred_labels,pred_prob_a,pred_prob_a", "column pred_prob_a occurs twice"),
    ],
)
def test_other_columns_are_no_predictions_file(tmp_path: Path, header: str, reason: str):
    with pytest.raises(DataFileError, match=reason) as raised:
        read_predictions(written(tmp_path, header=header))
    assert raised.value.line == 1


# Cells

GOOD = "fine,anger,anger,0.5,0.1,0.1"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("x,anger,joy,0.1,0.2", "row 2: has 5 fields instead of 6"),
        ("x,anger,joy,0.1,0.2,0.3,0.4", "row 2: has 7 fields instead of 6"),
        ("", "row 2: has 0 fields instead of 6"),
        ("x,angr,joy,0.1,0.2,0.3", "row 2, column true_labels: unknown label 'angr'"),
        ("x,anger,Joy,0.1,0.2,0.3", "row 2, column pred_labels: unknown label 'Joy'"),
        (
            'x,"joy,anger",joy,0.1,0.2,0.3',
            "row 2, column true_labels: labels 'joy,anger' are not in label order",
        ),
        (
            'x,anger,"joy,joy",0.1,0.2,0.3',
            "row 2, column pred_labels: labels 'joy,joy' are not in label order",
        ),
        ("x,anger,joy,-0.1,0.2,0.3", "row 2, column pred_prob_anger: '-0.1' is not a probability"),
        ("x,anger,joy,0.1,1.0001,0.3", "row 2, column pred_prob_joy: '1.0001' is not a probability"),
        ("x,anger,joy,0.1,0.2,nan", "row 2, column pred_prob_neutral: 'nan' is not a probability"),
        ("x,anger,joy,abc,0.2,0.3", "row 2, column pred_prob_anger: 'abc' is not a probability"),
        ("x,anger,joy,1e300,0.2,0.3", "row 2, column pred_prob_anger: '1e300' is not a probability"),
        ('x,anger,joy,"0,5",0.2,0.3', "row 2, column pred_prob_anger: '0,5' is not a probability"),
    ],
)
def test_a_bad_row_is_an_error_with_its_place(tmp_path: Path, row: str, reason: str):
    path = written(tmp_path, GOOD, row, GOOD)
    with pytest.raises(DataFileError) as raised:
        read_predictions(path)
    assert reason in str(raised.value)
    assert raised.value.path == path


def test_a_number_too_large_for_float32_beside_a_word_is_no_probability_either(tmp_path: Path):
    with pytest.raises(DataFileError, match="is not a probability"):
        read_predictions(written(tmp_path, "x,,,1e300,abc,0.3"))


def test_the_row_of_a_fault_is_counted_over_chunks_and_lines(tmp_path: Path):
    path = written(tmp_path, '"two\nlines",,,0,0,0', GOOD, GOOD, GOOD, "x,,,2,0,0")
    with pytest.raises(DataFileError, match="row 5, column pred_prob_anger"):
        list(iter_predictions(path, rows=2))


@pytest.mark.parametrize(
    "content",
    [
        f'{HEADER}\n{GOOD}\n"cut inside quo'.encode(),
        f'{HEADER}\n{GOOD}\n"quotes" inside,,,0,0,0\n'.encode(),
    ],
)
def test_broken_quoting_is_an_error(tmp_path: Path, content: bytes):
    (tmp_path / "p.csv").write_bytes(content)
    with pytest.raises(DataFileError, match="broken CSV"):
        read_predictions(tmp_path / "p.csv")


def test_a_listener_hears_of_every_fault_and_the_rest_is_read(tmp_path: Path):
    path = written(
        tmp_path,
        GOOD,
        'bad,"joy,anger",love,0.1,2,abc',
        "short,anger,joy,0.5,0.5",
        "fine too,,joy,0.1,0.9,0.1",
        "low,,,-1,nan,0.1",
    )
    said: list[tuple[int, str, str]] = []
    (read,) = iter_predictions(path, on_problem=lambda *problem: said.append(problem))
    assert [(row, column) for row, column, _ in said] == [
        (3, ""),
        (2, "true_labels"),
        (2, "pred_labels"),
        (2, "pred_prob_joy"),
        (2, "pred_prob_neutral"),
        (3, "pred_prob_neutral"),
        (5, "pred_prob_anger"),
        (5, "pred_prob_joy"),
    ]
    assert read.texts == ["fine", "bad", "short", "fine too", "low"]
    assert read.y_true[[0, 3]].tolist() == [[True, False, False], [False] * 3]
    assert read.y_prob[3].tolist() == np.array([0.1, 0.9, 0.1], dtype=np.float32).tolist()
    assert np.isnan(read.y_prob[1, 2])


def test_columns_that_are_wrong_raise_even_with_a_listener(tmp_path: Path):
    with pytest.raises(DataFileError, match="is missing"):
        list(iter_predictions(written(tmp_path, header="a,b"), on_problem=lambda *problem: None))


def test_other_writers_quoting_and_line_ends_are_read(tmp_path: Path):
    with (tmp_path / "p.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
        writer.writerow(HEADER.split(","))
        writer.writerow(["a\r\nb", "anger", "", "1", "0.50", "5E-1"])
    read = read_predictions(tmp_path / "p.csv")
    assert read.texts == ["a\r\nb"]
    assert read.y_prob.tolist() == [[1.0, 0.5, 0.5]]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -0.1, 1.5])
def test_the_writer_refuses_what_is_not_a_probability(tmp_path: Path, make_predictions: Make, number: float):
    predictions = make_predictions(3)
    predictions.y_prob[1, 2] = number
    with pytest.raises(DataFileError, match=r"row 2, column pred_prob_neutral: .* is not a probability"):
        write_predictions(tmp_path / "test.csv", predictions)
    assert list(tmp_path.iterdir()) == []
