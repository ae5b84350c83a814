"""`goemo export-metrics` on predictions files of other programs, and macro averages over labels without support."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from goemo_cli.core.errors import DataFileError
from goemo_cli.core.events import Event, Warning
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import read_predictions
from goemo_cli.core.settings import ThresholdSettings
from goemo_cli.services.evaluation.compare import compare
from goemo_cli.services.evaluation.metrics import metrics_of_predictions
from goemo_cli.services.evaluation.tune import tune_predictions

COLUMNS = "text,true_labels,pred_labels,pred_prob_joy,pred_prob_anger,pred_prob_fear"
ROWS = ["thanks,joy,joy,0.9,0.1,0.2", "bad,anger,,0.2,0.4,0.1", "hm,,,0.2,0.4,0.1"]
NO_FEAR = (
    "no text of foreign.csv has the label 'fear': its F1, precision and recall count as 0 in macro averages"
)


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Three rows; no row has the label fear."""
    path = tmp_path / "foreign.csv"
    path.write_text("\n".join([COLUMNS, *ROWS]) + "\n", encoding="utf-8")
    return path


def warnings(events: list[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Warning)]


def test_labels_without_support_count_as_scikit_learn_counts_them_and_are_named(
    foreign: Path, layout: Layout
) -> None:
    events: list[Event] = []
    found = metrics_of_predictions(foreign, layout=layout, on_event=events.append)
    read = read_predictions(foreign)
    assert found.f1_macro == pytest.approx(
        f1_score(read.y_true, read.y_pred, average="macro", zero_division=0)
    )
    assert warnings(events) == [f"{NO_FEAR}; macro-F1 of the others is 0.5000"]
    assert found.labels_without_support == ("fear",)


@pytest.mark.usefixtures("all_draws")
def test_every_command_that_shows_macro_averages_names_them(foreign: Path, layout: Layout) -> None:
    events: list[Event] = []
    compare([str(foreign), str(foreign)], layout=layout, resamples=1_000, on_event=events.append)
    assert warnings(events) == [NO_FEAR]
    events.clear()
    tune_predictions(foreign, ThresholdSettings(), layout=layout, on_event=events.append)
    assert NO_FEAR in warnings(events)


def test_nothing_is_named_if_every_label_has_support(foreign: Path, layout: Layout) -> None:
    foreign.write_text(foreign.read_text().replace("hm,,", "hm,fear,"))
    events: list[Event] = []
    found = metrics_of_predictions(foreign, layout=layout, on_event=events.append)
    assert (warnings(events), found.labels_without_support) == ([], ())


def test_no_label_is_certain_however_few_its_rows(foreign: Path, layout: Layout) -> None:
    """One of one, none of one, none of none: Wilson's ends 1 / (1 + z²) and z² / (1 + z²), as F1."""
    rows = metrics_of_predictions(foreign, layout=layout).rows
    ends = np.array([[row["f1_ci_low"], row["f1_ci_high"]] for row in rows])
    assert ends == pytest.approx(np.array([[0.3423, 1], [0, 0.8848], [0, 1]]), abs=1e-4)


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        (f",{COLUMNS}", "0,a,joy,joy,0.9,0.1,0.2", "column 1 is '', an index; leave it out"),
        (f"{COLUMNS},source", "a,joy,joy,0.9,0.1,0.2,x", "column 7 is 'source'"),
        (COLUMNS.replace("pred_prob_", ""), "a,joy,joy,0.9,0.1,0.2", "column 4 is 'joy'"),
        ("text,true_labels,pred_labels", "a,joy,joy", "no column begins with pred_prob_"),
        (COLUMNS.replace(",", ";"), "a;joy;joy;0,9;0,1;0,2", "separated by ';'"),
    ],
)
def test_the_error_names_the_odd_column(
    foreign: Path, layout: Layout, header: str, row: str, said: str
) -> None:
    foreign.write_text(f"{header}\n{row}\n")
    with pytest.raises(DataFileError) as refused:
        metrics_of_predictions(foreign, layout=layout)
    assert said in str(refused.value)
