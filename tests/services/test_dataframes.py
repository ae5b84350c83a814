"""The parts of the Python API that take and return data frames of pandas."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

import goemo_cli
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import DataFileError, NotFoundError, SettingError
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import Predictions, write_predictions
from goemo_cli.core.schema import PER_CLASS_COLUMNS
from goemo_cli.services.evaluation.per_class_metrics import read_per_class_metrics
from goemo_cli.services.runs.dataframes import RUN_COLUMNS
from goemo_cli.services.runs.references import open_run

TEXTS = ["I am so happy", "", "NA", "this makes me angry"]


@pytest.fixture(scope="module")
def root(tiny_root: Path) -> Path:
    return tiny_root


@pytest.fixture(scope="module")
def result(root: Path) -> Checkpoint:
    return open_run("@latest", Layout(root))


@pytest.fixture(scope="module")
def predictor(result: Checkpoint, root: Path) -> goemo_cli.Predictor:
    return goemo_cli.Predictor.load("@latest", root=root)


def test_a_frame_gets_the_predictions_of_its_texts(predictor: goemo_cli.Predictor):
    given = pandas.DataFrame({"comment": TEXTS, "n": [1, 2, 3, 4]}, index=[7, 5, 3, 1])
    found, expected = predictor.predict_frame(given, text_column="comment"), predictor.predict(TEXTS)
    probabilities = [f"pred_prob_{label}" for label in predictor.labels]
    assert [*found.columns] == ["comment", "n", "pred_labels", *probabilities]
    assert [*found.index] == [7, 5, 3, 1]
    assert [*found.pred_labels] == [expected.label_names(row) for row in range(len(TEXTS))]
    assert np.array_equal(found[probabilities].to_numpy(), expected.y_prob)
    assert {str(found[name].dtype) for name in probabilities} == {"float32"}
    assert [*given.columns] == ["comment", "n"], "the given frame is not changed"
    of_list = predictor.predict_frame(TEXTS, text_column="ignored")
    assert [*of_list.text] == TEXTS
    assert np.array_equal(of_list[probabilities].to_numpy(), expected.y_prob)
    nothing = predictor.predict_frame([])
    assert len(nothing) == 0
    assert [*nothing.dtypes] == [*of_list.dtypes], "rows can be appended without a change of types"


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        (pandas.DataFrame({"txt": TEXTS}), SettingError, "column 'text' is missing; there are 'txt'"),
        (pandas.DataFrame([TEXTS[:2]], columns=["text", "text"]), SettingError, "column 'text' occurs twice"),
        (pandas.DataFrame({"text": TEXTS, "pred_labels": ""}), SettingError, "'pred_labels' has the name"),
        (pandas.DataFrame({"text": ["a", None]}, dtype=object), TypeError, "text 1 is None"),
        ("a text", TypeError, "takes a list of texts or a data frame"),
    ],
)
def test_a_frame_that_cannot_be_predicted_is_refused(
    predictor: goemo_cli.Predictor, frame: pandas.DataFrame | str, error: type[Exception], message: str
):
    with pytest.raises(error, match=message):
        predictor.predict_frame(frame)


def test_names_of_columns_are_not_taken_for_texts(predictor: goemo_cli.Predictor):
    frame = pandas.DataFrame({"text": TEXTS})
    with pytest.raises(TypeError, match="not a DataFrame; predict_frame takes a DataFrame"):
        predictor.predict(frame)  # type: ignore[arg-type]
    for wrong in (predictor.predict, predictor.predict_frame):
        with pytest.raises(TypeError, match="not a dict"):
            wrong({"text": TEXTS})  # type: ignore[arg-type]


def test_texts_may_come_one_after_the_other(predictor: goemo_cli.Predictor):
    expected = predictor.predict(TEXTS).y_prob
    assert np.array_equal(predictor.predict(iter(TEXTS)).y_prob, expected)  # type: ignore[arg-type]
    series: Any = pandas.Series(TEXTS, index=[3, 2, 1, 0])
    assert np.array_equal(predictor.predict(series).y_prob, expected)


def test_predictions_are_read_as_a_frame(tmp_path: Path, make_predictions: Callable[..., Predictions]):
    written = make_predictions(4)
    written.texts[:] = ["NA", "", 'a "quote", and\r\na line', "lone\rreturn"]
    write_predictions(tmp_path / "p.csv", written)
    found = goemo_cli.read_predictions(tmp_path / "p.csv")
    assert [*found.columns] == (tmp_path / "p.csv").read_text().splitlines()[0].split(",")
    assert [*found.text] == written.texts
    for column, decided in (("true_labels", written.y_true), ("pred_labels", written.y_pred)):
        names = [tuple(np.array(written.labels)[row]) for row in decided]
        assert [*found[column]] == names
    assert np.array_equal(found.iloc[:, 3:].to_numpy(), written.y_prob)
    (tmp_path / "p.csv").write_text("text,labels\na,b\n")
    with pytest.raises(DataFileError, match="is missing"):
        goemo_cli.read_predictions(str(tmp_path / "p.csv"))


def test_runs_are_a_table(result: Checkpoint, root: Path, tmp_path: Path):
    table, headline = goemo_cli.runs_table(root), result.manifest.headline
    assert headline is not None
    assert [*table.columns] == [*RUN_COLUMNS]
    assert [*goemo_cli.runs_table(tmp_path).columns] == [*RUN_COLUMNS]
    row = table.iloc[0]
    assert (len(table), row.run, row.state, row.pinned) == (1, str(result.run), "finished", False)
    assert (row.model, row.data, row.train_size) == ("tiny", "sample", 64)
    assert row["test/f1_macro"] == headline.test["f1_macro"]
    assert Path(row.path).samefile(result.path)


def test_scores_of_each_label_are_a_table(result: Checkpoint, root: Path):
    found = goemo_cli.per_class_metrics("@latest", root)
    written = read_per_class_metrics(Layout(root).per_class_metrics(result.run))
    assert [*found.columns] == [*PER_CLASS_COLUMNS]
    pandas.testing.assert_frame_equal(found, pandas.DataFrame(written), check_dtype=False)
    with pytest.raises(NotFoundError):
        goemo_cli.per_class_metrics("@minilm", root)
