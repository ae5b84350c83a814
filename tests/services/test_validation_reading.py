"""One pass over a predictions file: what is kept, what is said, and that no file makes it raise."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from goemo_cli.core.checkpoint import METRICS, Checkpoint, write_manifest
from goemo_cli.core.files import read_json_object, write_json
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import Predictions, iter_predictions, write_predictions
from goemo_cli.services.validation import predictions as reading
from goemo_cli.services.validation import validate_artifacts
from goemo_cli.services.validation.predictions import Evidence, check_predictions
from goemo_cli.services.validation.report import ValidationReport
from tests.metrics_documents import change_metrics

LABELS = ("anger", "joy")
ROWS = 50

MakePredictions = Callable[..., Predictions]
MakeCheckpoint = Callable[..., Checkpoint]


@pytest.fixture
def run(
    layout: Layout, make_checkpoint: MakeCheckpoint, make_predictions: MakePredictions
) -> tuple[Checkpoint, Predictions, Path]:
    """A checkpoint whose recorded test split is that of its predictions file."""
    made = make_checkpoint(labels=LABELS)
    drawn = make_predictions(ROWS, labels=LABELS)
    predictions = replace(drawn, y_pred=made.thresholds.decide(drawn.y_prob))
    digest = predictions.sha256()
    data = {
        "name": "own",
        "source": "a test",
        "sha256": "0" * 64,
        "sizes": {"train": 1, "val": ROWS, "test": ROWS},
        "split_sha256": {"train": "0" * 64, "val": digest, "test": digest},
    }
    write_json(made.path / METRICS, read_json_object(made.path / METRICS) | {"data": data})
    checkpoint = write_manifest(made.path, run=made.run, kind="tiny", labels=LABELS, parents={})
    path = layout.split_predictions(made.run, "test")
    write_predictions(path, predictions)
    return checkpoint, predictions, path


def checked(path: Path, checkpoint: Checkpoint | None, sampled: int = 0) -> tuple[list[str], Evidence | None]:
    report = ValidationReport(path.parent)
    evidence = check_predictions(path, "test", checkpoint, report, sampled=sampled)
    return [problem.message for problem in report.problems], evidence


def test_what_is_kept_for_scores_is_what_was_written(run: tuple[Checkpoint, Predictions, Path]) -> None:
    checkpoint, predictions, path = run
    problems, evidence = checked(path, checkpoint)
    assert problems == []
    assert evidence is not None
    np.testing.assert_array_equal(evidence.y_true, predictions.y_true)
    np.testing.assert_array_equal(evidence.y_prob, predictions.y_prob)
    assert (str(evidence.y_true.dtype), str(evidence.y_prob.dtype)) == ("bool", "float32")


@pytest.mark.parametrize("rows", [1, 7, ROWS, 1000])
def test_chunks_change_nothing(
    run: tuple[Checkpoint, Predictions, Path], rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, predictions, path = run
    whole = iter_predictions
    monkeypatch.setattr(reading, "iter_predictions", lambda path, **rest: whole(path, rows=rows, **rest))
    problems, evidence = checked(path, checkpoint, sampled=5)
    assert problems == []
    assert evidence is not None
    np.testing.assert_array_equal(evidence.y_prob, predictions.y_prob)
    assert evidence.sample.texts == [predictions.texts[row] for row in evidence.sample.rows]
    assert len(set(evidence.sample.rows.tolist())) == 5


def test_the_first_wrong_row_is_counted_over_chunks(
    run: tuple[Checkpoint, Predictions, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, predictions, path = run
    y_pred = predictions.y_pred.copy()
    y_pred[[30, 41]] ^= True
    write_predictions(path, replace(predictions, y_pred=y_pred))
    whole = iter_predictions
    monkeypatch.setattr(reading, "iter_predictions", lambda path, **rest: whole(path, rows=8, **rest))
    problems, _ = checked(path, checkpoint)
    assert problems == [
        "pred_labels of 2 rows do not follow from probabilities and thresholds (first in row 31)"
    ]


def test_more_rows_than_recorded_are_named_and_not_kept(run: tuple[Checkpoint, Predictions, Path]) -> None:
    checkpoint, _, path = run
    text = path.read_text(encoding="utf-8")
    path.write_text(text + "more,,,0.1,0.1\n", encoding="utf-8")
    assert checked(path, checkpoint) == ([f"has {ROWS + 1} rows, the test split {ROWS}"], None)


def test_a_recorded_size_that_the_file_cannot_hold_takes_no_memory(
    run: tuple[Checkpoint, Predictions, Path],
) -> None:
    checkpoint, _, path = run
    change_metrics(checkpoint, lambda it: it["data"]["sizes"].update(test=10**15))
    problems, evidence = checked(path, checkpoint, sampled=100)
    assert problems == [f"has {ROWS} rows, the test split {10**15}"]
    assert evidence is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not a predictions file"),
        (b"\x00\xff\xfe", "not UTF-8"),
        (b"text,true_labels,pred_labels,pred_prob_joy,pred_prob_joy\n", "occurs twice"),
        (b"text,true_labels,pred_labels,pred_prob_anger,pred_prob_joy\n", "holds no rows"),
        (b'text,true_labels,pred_labels,pred_prob_anger,pred_prob_joy\n"cut in a quote', "unexpected end of data"),
        (b"text,true_labels,pred_labels,pred_prob_anger,pred_prob_joy\nx,,,0.1\n", "has 4 fields instead of 5"),
        (b"text,true_labels,pred_labels,pred_prob_anger,pred_prob_joy\nx,fear,,0.1,0.2\n", "unknown label 'fear'"),
        (b"text,true_labels,pred_labels,pred_prob_anger,pred_prob_joy\nx,,,NaN,0.2\n", "'NaN' is not a probability"),
        (b"text,true_labels,pred_labels,pred_prob_anger,pred_prob_joy\nx,\xff,,0,0\n", "not UTF-8"),
    ],
)  # fmt: skip
def test_a_file_of_another_form_is_a_problem_and_no_exception(
    run: tuple[Checkpoint, Predictions, Path], content: bytes, said: str
) -> None:
    checkpoint, _, path = run
    path.write_bytes(content)
    problems, evidence = checked(path, checkpoint)
    assert any(said in problem for problem in problems), problems
    assert evidence is None


def test_a_quote_that_is_never_closed_does_not_fill_the_memory(
    run: tuple[Checkpoint, Predictions, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, _, path = run
    monkeypatch.setattr(reading, "LONGEST_FIELD", 1000)
    with path.open("a", encoding="utf-8") as stream:
        stream.write('"' + "line\n" * 500)
    problems, _ = checked(path, checkpoint)
    assert any("field larger than field limit (1000)" in problem for problem in problems)


def test_a_long_bad_cell_is_cut_in_the_message(run: tuple[Checkpoint, Predictions, Path]) -> None:
    checkpoint, _, path = run
    with path.open("a", encoding="utf-8") as stream:
        stream.write(f"x,{'y' * 5000},,{'z' * 5000},0\n")
    problems, _ = checked(path, checkpoint)
    assert len(problems) == 3
    assert all(len(problem) < 200 for problem in problems)


@pytest.mark.parametrize("name", ["test", "val"])
def test_what_is_no_regular_file_is_a_problem(
    run: tuple[Checkpoint, Predictions, Path], layout: Layout, name: str
) -> None:
    _, _, path = run
    path.unlink()
    if name == "test":
        path.mkdir()
    else:
        os.mkfifo(path)  # opening it would wait for ever
    report = validate_artifacts(layout)
    assert any(one.path == path and one.message == "is not a regular file" for one in report.problems)


@pytest.mark.parametrize(
    "seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 30))]
)
def test_no_damage_makes_it_raise(run: tuple[Checkpoint, Predictions, Path], seed: int) -> None:
    """Bytes replaced, removed and doubled at random: always problems, never an exception."""
    checkpoint, _, path = run
    rng = np.random.default_rng(seed)
    data = bytearray(path.read_bytes())
    for _ in range(int(rng.integers(1, 6))):
        start = int(rng.integers(len(data)))
        end = start + int(rng.integers(0, 200))
        kind = int(rng.integers(3))
        if kind == 0:
            data[start:end] = rng.bytes(end - start)
        elif kind == 1:
            del data[start:end]
        else:
            data[start:start] = data[start:end]
    before = path.read_bytes()
    path.write_bytes(bytes(data))
    problems, _ = checked(path, checkpoint)
    assert bool(problems) == (bytes(data) != before)
