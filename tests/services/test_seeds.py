"""Several seeds of one configuration, and their ensemble as a further model."""

import statistics
from pathlib import Path

import numpy as np
import pytest

from goemo_cli.core.checkpoint import METRICS, Checkpoint
from goemo_cli.core.errors import CheckpointNotFoundError
from goemo_cli.core.files import read_json_object
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import read_predictions
from goemo_cli.services.evaluation.export import export_predictions
from goemo_cli.services.evaluation.tune import tune_run
from goemo_cli.services.runs.index import listed_runs
from goemo_cli.services.runs.summaries import multiseed_rows
from goemo_cli.services.training.seeds import SeedsResult, train_seeds
from goemo_cli.services.training.settings import resolve_settings
from goemo_cli.services.validation import validate_artifacts
from goemo_cli.tracking.base import Tracker
from tests.csv_rows import rows_of


@pytest.fixture(scope="module")
def group(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Layout, SeedsResult]:
    """Three seeds of the tiny model."""
    layout = Layout(tmp_path_factory.mktemp("seeds"))
    settings = resolve_settings(
        None,
        {"model.name": "tiny", "data.name": str(small_data), "training.seed": 5},
        ["training.epochs=1", "training.learning_rate=1e-2"],
    )
    return layout, train_seeds(settings, 3, layout=layout, open_tracker=lambda *_: Tracker())


def test_each_seed_is_a_run_of_its_own(group: tuple[Layout, SeedsResult]) -> None:
    _, result = group
    assert [run.metrics.seed for run in result.runs] == [5, 6, 7]
    assert len({str(run.run) for run in result.runs}) == 3


def test_the_ensemble_is_the_mean_and_is_scored_like_any_model(group: tuple[Layout, SeedsResult]) -> None:
    layout, result = group
    ensemble = result.ensemble
    assert ensemble.run.model == "tiny-ensemble"
    for split in ("val", "test"):
        members = [read_predictions(layout.split_predictions(run.run, split)).y_prob for run in result.runs]
        mean = read_predictions(layout.split_predictions(ensemble.run, split)).y_prob
        assert mean == pytest.approx(np.mean(np.array(members, dtype=np.float64), axis=0), abs=1e-7)
    assert 0 <= ensemble.metrics.test.fitted.f1_macro <= 1
    assert ensemble.manifest.parents.members == [str(run.run) for run in result.runs]
    report = validate_artifacts(layout)
    assert (report.problems, report.warnings) == ([], [])


def test_metrics_have_one_order_of_keys_also_after_tune(group: tuple[Layout, SeedsResult]) -> None:
    layout, result = group
    trained, ensemble = result.runs[0].path / METRICS, result.ensemble.path / METRICS
    keys = [key for key in read_json_object(ensemble) if key != "members"]
    assert keys == list(read_json_object(trained))
    before = ensemble.read_bytes()
    tune_run(result.ensemble, result.ensemble.config.thresholds, layout=layout)
    assert ensemble.read_bytes() == before


def test_an_export_loads_the_members_and_repeats_the_file_to_the_byte(
    group: tuple[Layout, SeedsResult], tmp_path
) -> None:
    layout, result = group
    exported = export_predictions(result.ensemble, layout=layout, output=tmp_path)
    written = layout.split_predictions(result.ensemble.run, "test")
    assert exported.paths["test"].read_bytes() == written.read_bytes()


def test_the_summary_says_mean_and_spread_of_every_score(group: tuple[Layout, SeedsResult]) -> None:
    _, result = group
    rows = {row["metric"]: row for row in rows_of(result.summary)}
    values = [run.metrics.test.auc_micro or 0.0 for run in result.runs]
    row = rows["test/auc_micro"]
    assert float(row["mean"]) == pytest.approx(statistics.mean(values))
    assert float(row["sd"]) == pytest.approx(np.std(values, ddof=1))
    assert (float(row["min"]), float(row["max"])) == (min(values), max(values))
    assert float(row["ensemble"]) == result.ensemble.metrics.test.auc_micro
    assert row["group"] == str(result.ensemble.run)
    assert {"val/f1_macro", "test/f1_macro", "test/lrap"} <= set(rows)


def test_a_group_without_one_of_its_members_is_left_out(group: tuple[Layout, SeedsResult]) -> None:
    layout, result = group
    gone = result.runs[1].run
    assert multiseed_rows(listed_runs(layout))
    assert multiseed_rows([one for one in listed_runs(layout) if one.run != gone]) == []


def test_an_ensemble_without_a_member_says_which(group: tuple[Layout, SeedsResult], tmp_path) -> None:
    layout, result = group
    folder = result.runs[2].path
    hidden = folder.rename(tmp_path / "hidden")
    try:
        with pytest.raises(CheckpointNotFoundError, match=folder.name):
            export_predictions(Checkpoint.open(result.ensemble.path), layout=layout, output=tmp_path / "x")
    finally:
        hidden.rename(folder)
