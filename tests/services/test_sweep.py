"""Sweeps from end to end: what a study keeps, who repeats what, how trials end."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from optuna.trial import TrialState
from PIL import Image

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.documents.manifest import Headline
from goemo_cli.core.documents.metrics import EpochScores
from goemo_cli.core.errors import (
    GoemoError,
    NotFoundError,
    RemoteError,
    SettingError,
    TrainingFailedError,
)
from goemo_cli.core.events import Event, Info
from goemo_cli.core.files import write_json
from goemo_cli.core.layering import dotted_overrides
from goemo_cli.core.layout import Layout
from goemo_cli.services.sweep import SweepResult, open_sweep, sweep
from goemo_cli.services.sweep import study as kept
from goemo_cli.services.sweep.objectives import objectives_of, scores_of
from goemo_cli.services.sweep.pruning import Hyperband
from goemo_cli.services.sweep.results import importances
from goemo_cli.services.sweep.study import abandoned, give_back, open_study
from goemo_cli.services.sweep.sweep_file import EarlyTerminate, SweepFile, parse_sweep, read_sweep_file
from goemo_cli.services.sweep.translation import suggest
from goemo_cli.services.sweep.wandb_file import wandb_text
from goemo_cli.services.training.settings import resolve_settings
from goemo_cli.services.training.tracker_results import epoch_values
from tests.csv_rows import rows_of
from tests.postgres import PASSWORD, postgres_server
from tests.waiting import GUARD_SECONDS, wait_for

FIXED = {
    "model.name": {"value": "tfidf"},
    "data.max_train_samples": {"value": 60},
}
F1 = {"name": "val/f1_macro", "goal": "maximize"}
COSTS = [{"name": "checkpoint_mib"}, {"name": "training_seconds"}, {"name": "latency_ms"}]


def file(method: str = "random", name: str = "s", searched: Any = None, **more: Any) -> SweepFile:
    """A sweep of tfidf, over its seed unless said otherwise."""
    content = {
        "method": method,
        "parameters": {**FIXED, **(searched or {"training.seed": {"values": [0]}})},
        **more,
    }
    return parse_sweep(content if "metrics" in content else {"metric": F1, **content}, name=name)


@pytest.fixture(scope="module")
def several(small_data: Path) -> SweepFile:
    """A sweep for several objectives that trains on few comments."""
    searched = {"training.seed": {"values": [0]}, "data.name": {"value": str(small_data)}}
    return file(searched=searched, metrics=[F1, *COSTS], project="emotions")


@pytest.fixture(scope="module")
def done(several: SweepFile, tmp_path_factory: pytest.TempPathFactory) -> tuple[Layout, SweepResult]:
    """Two trials with the same settings, begun at the same time: one training."""
    layout = Layout(tmp_path_factory.mktemp("sweep"))
    return layout, sweep(several, layout=layout, trials=2, workers=2)


def test_the_same_settings_are_trained_once(done: tuple[Layout, SweepResult]) -> None:
    layout, result = done
    assert [(one.state, one.duplicate_of) for one in result.trials] == [("finished", None), ("finished", 0)]
    assert result.trials[0].values == result.trials[1].values
    assert len(list(layout.models.glob("*/*/manifest.json"))) == 1


def test_a_trial_is_a_run_like_any_other(done: tuple[Layout, SweepResult]) -> None:
    layout, result = done
    run = result.require_best().run
    [path] = layout.models.glob(f"tfidf/{run}")
    checkpoint = Checkpoint.open(path)
    values = result.require_best().values
    assert values["val/f1_macro"] == Headline.of(checkpoint.metrics).val["f1_macro"]
    assert values["training_seconds"] == checkpoint.metrics.training_seconds
    assert values["checkpoint_mib"] == sum(one.stat().st_size for one in path.iterdir()) / 2**20
    assert 0 < values["latency_ms"] < 1000
    assert checkpoint.config.logging.wandb.tags == ["sweep-s", "s-trial-0"]
    assert checkpoint.config.logging.wandb.project == "emotions"  # the file's


def test_what_is_written_says_what_was_found(done: tuple[Layout, SweepResult]) -> None:
    _, result = done
    rows = rows_of(result.folder / "trials.csv")
    assert [row["trial"] for row in rows] == ["0", "1"]
    assert float(rows[0]["val/f1_macro"]) == result.trials[0].values["val/f1_macro"]
    best = resolve_settings(result.folder / "best.yaml", {})
    assert (best.model.name, best.data.max_train_samples, best.training.seed) == ("tfidf", 60, 0)
    assert best.logging.wandb.tags == []
    assert {path.name for path in result.folder.glob("*.png")} == {"history.png", "pareto.png"}


def test_a_sweep_continues_without_repeating_what_is_finished(
    done: tuple[Layout, SweepResult], several: SweepFile
) -> None:
    layout, result = done
    again = sweep(several, layout=layout, trials=2)
    assert again.trials == result.trials
    told: list[Event] = []
    more = sweep(several, layout=layout, trials=4, count=1, on_event=told.append)
    assert len(more.trials) == 3
    assert more.trials[2].duplicate_of == 0
    assert any(isinstance(event, Info) and event.message.startswith("3/4  trial 2") for event in told)
    assert open_sweep("s", layout=layout)[0].trials == more.trials


def test_another_file_under_the_same_name_is_refused(done: tuple[Layout, SweepResult]) -> None:
    layout, _ = done
    with pytest.raises(SettingError, match="differs in metric, metrics, parameters"):
        sweep(file(), layout=layout)


def test_a_run_that_a_dead_worker_left_finished_is_taken(
    done: tuple[Layout, SweepResult], tmp_path: Path
) -> None:
    layout, result = done
    config = file(name="left")
    study = open_study(config, objectives_of(config), layout=layout)
    trial = study.ask()
    trial.suggest_categorical("training.seed", [0])
    trial.set_user_attr(kept.WORKER, {**kept.worker(), "pid": dead_process()})
    write_json(layout.sweeps / "left" / "trials" / "0000" / "result.json", {"run": result.require_best().run})
    taken = sweep(config, layout=layout, trials=1)
    assert [(one.number, one.state, one.run) for one in taken.trials] == [
        (1, "finished", result.require_best().run)
    ]


def dead_process() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_trials_of_the_dead_are_given_back_once(layout: Layout) -> None:
    config = file()
    study = open_study(config, objectives_of(config), layout=layout)
    alive, dead, silent, fresh = (study.ask() for _ in range(4))
    for trial, worker, heartbeat in (
        (alive, kept.worker(), 0.0),
        (dead, {**kept.worker(), "pid": dead_process()}, time.time()),
        (silent, {"host": "another", "pid": 1}, time.time() - kept.SILENT_SECONDS - 1),
        (fresh, {"host": "another", "pid": 1}, time.time()),
    ):
        trial.suggest_categorical("training.seed", [0])
        trial.set_user_attr(kept.WORKER, worker)
        trial.set_user_attr(kept.HEARTBEAT, heartbeat)
    # Optuna notes the start itself; a trial that has just begun is not silent, so this one's is alone.
    found = [one.number for one in abandoned(study)]
    assert found == [dead.number]
    assert give_back(study, study.trials[dead.number])
    assert not give_back(study, study.trials[dead.number])
    waiting = [one for one in study.trials if one.state == TrialState.WAITING]
    assert [one.user_attrs for one in waiting] == [{kept.REPEATS: dead.number}]
    assert dead.number not in {one.number for one in kept.counted(study)}


def test_settings_that_do_not_fit_together_fail_their_trial_alone(layout: Layout) -> None:
    objective = {"thresholds.objective": {"values": ["precision_floor", "recall_floor", "f_beta"]}, "thresholds.beta": {"value": 1}, "thresholds.floor": {"values": [None]}}  # fmt: skip
    config = file("grid", searched=objective, run_cap=1)
    result = sweep(config, layout=layout)
    assert [one.state for one in result.trials if one.is_over] == ["failed"]
    assert "thresholds.floor is None with the objective precision_floor" in str(result.trials[0].reason)
    assert list(layout.models.glob("*/*")) == []


def test_a_sweep_without_any_success_stops(layout: Layout) -> None:
    config = file("grid", searched={"thresholds.objective": {"value": "precision_floor"}, "training.seed": {"values": [0, 1, 2, 3]}})  # fmt: skip
    with pytest.raises(TrainingFailedError, match="the first 3 trials failed"):
        sweep(config, layout=layout)
    result, _ = open_sweep("s", layout=layout)
    assert [one.state for one in result.trials] == ["failed", "failed", "failed", "waiting"]
    with pytest.raises(NotFoundError, match="no trial of sweep s has finished"):
        result.require_best()


def test_a_storage_that_is_none_is_refused_without_its_password(layout: Layout) -> None:
    with pytest.raises(SettingError) as error:
        sweep(file(), layout=layout, storage="nosuchdb://me:secret@host/db")
    assert "secret" not in str(error.value)


def test_a_database_holds_the_study_too(layout: Layout, tmp_path: Path) -> None:
    config, url = file("grid"), f"sqlite:///{tmp_path}/study.db"
    study = open_study(config, objectives_of(config), layout=layout, storage=url)
    assert [one.state for one in study.trials] == [TrialState.WAITING]
    again = open_study(config, objectives_of(config), layout=layout, storage=url)
    assert len(again.trials) == 1  # a grid is put in once
    study._storage.remove_session()
    again._storage.remove_session()
    for one in (study, again):
        one._storage._backend.engine.dispose()


def test_a_grid_that_nobody_could_finish_is_refused(layout: Layout) -> None:
    with pytest.raises(SettingError, match="100,001 trials"):
        sweep(file("grid", searched={"training.seed": {"min": 0, "max": 100_000}}), layout=layout)


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ({"name": "test/f1_macro", "goal": "maximize"}, "spoiled"),
        ({"name": "test_auc_micro", "goal": "maximize"}, "val/auc_micro"),
        ({"name": "val/f1_macro"}, "write `goal: maximize`"),
        ({"name": "val_loss", "goal": "maximize"}, "write `goal: minimize`"),
        ({"name": "val/f1_makro", "goal": "maximize"}, "did you mean 'val/f1_macro'"),
        ({"name": "accuracy", "goal": "maximize"}, "unknown metric"),
        ({"name": "combined_score", "goal": "maximize"}, "give the weights"),
    ],
)
def test_what_is_searched_for_is_checked(metric: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError) as error:
        objectives_of(file(metric=metric))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("name", "known"),
    [("validation_loss", "val/loss"), ("val_loss", "val/loss"), ("val/auc", "val/auc_micro"), ("val/hamming_loss", "val/hamming_loss")],
)  # fmt: skip
def test_names_that_wandb_users_write_are_understood(name: str, known: str) -> None:
    goal = "minimize" if "loss" in name else "maximize"
    assert objectives_of(file(metric={"name": name, "goal": goal})).objectives[0].name == known


def test_a_combined_score_is_the_weighted_sum(done: tuple[Layout, SweepResult]) -> None:
    layout, result = done
    weights = {"val/f1_macro": 1, "training_seconds": -0.001}
    config = file(metric={"name": "combined_score", "goal": "maximize"}, combined_score=weights)
    aims = objectives_of(config)
    checkpoint = Checkpoint.open(layout.models / "tfidf" / str(result.require_best().run))
    scores = scores_of(checkpoint, aims.needed, layout)
    [value] = aims.values(scores)
    expected = (
        checkpoint.metrics.val.rule(checkpoint.metrics.threshold_rule).f1_macro
        - 0.001 * checkpoint.metrics.training_seconds
    )
    assert value == pytest.approx(expected)


def test_early_terminate_needs_a_metric_of_every_epoch() -> None:
    early = {"type": "hyperband", "min_iter": 1}
    assert objectives_of(file(early_terminate=early)).objectives[0].name == "val/f1_macro"
    with pytest.raises(SettingError, match="after every epoch"):
        objectives_of(file(early_terminate=early, metric={"name": "val/auc_macro", "goal": "maximize"}))
    with pytest.raises(SettingError, match="after every epoch"):
        objectives_of(file(early_terminate=early, metrics=[F1, COSTS[0]]))


def pruned(histories: Sequence[Sequence[float]], rule: EarlyTerminate, goal: Any = "minimize") -> list[bool]:
    """Whether each of these trials would be ended now, all of them running."""
    study = optuna.create_study()
    trials = [study.ask() for _ in histories]
    for trial, history in zip(trials, histories, strict=True):
        for epoch, value in enumerate(history, start=1):
            trial.report(value, epoch)
    pruner = Hyperband(rule, goal)
    return [pruner.prune(study, study.trials[trial.number]) for trial in trials]


def test_hyperband_keeps_the_best_share_at_the_last_band_reached() -> None:
    """Bands 1 and 2 of max_iter 5, eta 2, s 2; the histories of the example in W&B's hyperband_stopping.py."""
    rule = EarlyTerminate(type="hyperband", eta=2, min_iter=None, max_iter=5, s=2, strict=True)
    assert rule.bands(100) == [1, 2]
    histories = [[10, 9], [10, 10], [10, 8, 8], [10, 7, 7], [10, 6, 6]]
    # At band 2 the values are 6, 7, 8, 9, 10 and the third is the last to go on.
    assert pruned(histories, rule) == [True, True, False, False, False]
    mirrored = [[-value for value in one] for one in histories]
    assert pruned(mirrored, rule, "maximize") == [True, True, False, False, False]


def test_hyperband_looks_at_nobody_before_the_first_band_and_spares_the_only_one() -> None:
    rule = EarlyTerminate(type="hyperband", eta=3, min_iter=3, max_iter=None, s=None, strict=False)
    assert pruned([[5, 5], [1, 1]], rule) == [False, False]
    assert pruned([[5, 5, 5]], rule) == [False]


def test_strict_forgets_a_better_epoch_before_the_band() -> None:
    histories = [[1.0, 9.0], [5.0, 5.0], [6.0, 6.0]]
    loose = EarlyTerminate(type="hyperband", eta=2, min_iter=2, max_iter=None, s=None, strict=False)
    strict = EarlyTerminate(type="hyperband", eta=2, min_iter=2, max_iter=None, s=None, strict=True)
    assert pruned(histories, loose) == [False, False, True]
    assert pruned(histories, strict) == [True, False, False]


def test_importance_finds_the_setting_that_matters_and_is_drawn(layout: Layout) -> None:
    config = file(
        searched={
            "training.weight_decay": {"min": 0.0, "max": 1.0},
            "training.warmup": {"min": 0.0, "max": 0.9},
        }
    )
    aims = objectives_of(config)
    study = open_study(config, aims, layout=layout)
    for _ in range(20):
        trial = study.ask()
        decay = trial.suggest_float("training.weight_decay", 0, 1)
        trial.suggest_float("training.warmup", 0, 0.9)
        trial.set_user_attr(kept.SETTINGS, dict(trial.params))
        study.tell(trial, decay)
    from goemo_cli.services.sweep.figures import draw_sweep
    from goemo_cli.services.sweep.results import result_of

    result = result_of(study, aims, "s", layout)
    shares = importances(study, result)["val/f1_macro"]
    assert shares["training.weight_decay"] > 0.9
    assert sum(shares.values()) == pytest.approx(1)
    written = draw_sweep(result, {"val/f1_macro": shares})
    assert {path.stem for path in written} == {"history", "importance", "parallel_coordinates", "slices"}
    for path in written:
        with Image.open(path) as picture:
            assert picture.width >= 1000


def test_the_file_for_wandb_names_what_goemo_logs() -> None:
    early = {"type": "hyperband", "min_iter": 1}
    config = file(
        "bayes", early_terminate=early, metric={"name": "val/auc_micro", "goal": "maximize"}, run_cap=9
    )
    again = parse_sweep(__import__("yaml").safe_load(wandb_text(config)))
    assert again.metrics[0].name == "val/auc"
    assert again.parameters == config.parameters
    assert (again.early_terminate, again.run_cap, again.method) == (config.early_terminate, 9, "bayes")
    assert again.content["command"] == ["${env}", "goemo", "train", "--wandb", "logging.wandb.project=goemo", "${args_no_hyphens}"]  # fmt: skip
    assert "sweep-scheduler" not in wandb_text(config)
    with pytest.raises(SettingError, match="W&B cannot search for latency_ms"):
        wandb_text(file(metrics=[F1, {"name": "latency_ms"}]))


def test_several_objectives_on_wandb_name_their_scheduler_and_what_it_knows() -> None:
    searched = {
        "training.learning_rate": {
            "distribution": "log_uniform",
            "min": math.log(1e-4),
            "max": math.log(1e-2),
        },
        "training.weight_decay": {"distribution": "inv_log_uniform_values", "min": 1e-3, "max": 1e-1},
        "training.epochs": {"min": 1, "max": 3},
        "training.batch_size": {"distribution": "q_log_uniform_values", "min": 8, "max": 64},
    }
    metrics = [F1, {"name": "val_loss", "goal": "minimize"}]
    content = yaml.safe_load(text := wandb_text(file("bayes", metrics=metrics, searched=searched)))
    assert "wandb sweep-scheduler SWEEP_ID" in text.partition("program:")[0]
    assert (content["method"], content["scheduler"]) == ("custom", {"engine": "optuna"})
    assert content["metrics"] == [F1, {"name": "val/loss", "goal": "minimize"}]
    # As the scheduler of the SDK reads it.
    from wandb.sdk.sweeps.scheduler.optuna import search_space_from_sweep_config

    space = search_space_from_sweep_config(content["parameters"])
    log = optuna.distributions.FloatDistribution
    rate = space["training.learning_rate"]
    assert (rate.low, rate.high) == pytest.approx((1e-4, 1e-2))
    assert space["training.weight_decay"] == log(1e-3, 1e-1, log=True)
    assert space["training.epochs"] == optuna.distributions.IntDistribution(1, 3)
    assert space["training.batch_size"] == optuna.distributions.IntDistribution(8, 64, log=True)


@pytest.mark.parametrize(
    "entry",
    [
        {"distribution": "normal", "mu": 0.1},
        {"distribution": "beta"},
        {"values": [0.1, 0.2], "probabilities": [0.5, 0.5]},
        {"distribution": "q_log_uniform_values", "min": 0.1, "max": 0.9, "q": 0.1},
    ],
)
def test_what_the_scheduler_of_wandb_would_read_otherwise_is_refused(entry: dict[str, Any]) -> None:
    config = file(metrics=[F1, {"name": "val_loss"}], searched={"training.weight_decay": entry})
    with pytest.raises(SettingError, match=r"training.weight_decay: W&B's scheduler does not know"):
        wandb_text(config)


def test_a_combined_score_is_logged_by_the_runs_that_wandb_starts(tmp_path: Path) -> None:
    combined = {"name": "combined_score", "goal": "maximize"}
    config = file("bayes", metric=combined, combined_score={"val_loss": -0.5, "val/auc_micro": 2})
    content = yaml.safe_load(wandb_text(config))
    assert content["metric"] == combined
    [argument] = [part for part in content["command"] if part.startswith("logging.combined_score=")]
    settings = resolve_settings(None, dotted_overrides([argument, "training.early_stopping.patience=None"]))
    assert settings.training.early_stopping.patience is None  # as W&B's agents write it
    values = {
        **dict.fromkeys(EpochScores.model_fields, 0.25),
        "epoch": 1,
        "val_loss": 0.5,
        "val_auc_micro": 0.75,
    }
    scores = EpochScores.model_validate(values)
    assert epoch_values(scores, settings.logging.combined_score)["combined_score"] == 2 * 0.75 - 0.5 * 0.5
    assert "combined_score" not in epoch_values(scores)
    with pytest.raises(SettingError, match="W&B cannot search for latency_ms"):
        wandb_text(file(metric=combined, combined_score={"val_loss": -1, "latency_ms": -1}))


def start(root: Path, config: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "goemo_cli", "sweep", str(config), "--root", str(root), *more]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def stopped_at_work(process: subprocess.Popen[str], layout: Layout, storage: str | None) -> bool:
    """Hold a worker that has a trial with settings; whether it has one then, which only this worker can end."""
    if not has_trial(process, layout, storage):
        return False
    process.send_signal(signal.SIGSTOP)
    if has_trial(process, layout, storage):
        return True
    process.send_signal(signal.SIGCONT)
    return False


def has_trial(process: subprocess.Popen[str], layout: Layout, storage: str | None) -> bool:
    with suppress(GoemoError, KeyError):  # the study is not there yet
        study = open_sweep("killed", layout=layout, storage=storage)[1]
        attributes = [one.user_attrs for one in study.get_trials(states=[TrialState.RUNNING])]
        own = [one for one in attributes if one.get(kept.WORKER, {}).get("pid") == process.pid]
        return any(kept.SETTINGS in one for one in own)
    return False


def written(tmp_path: Path, **more: Any) -> Path:
    content = {
        "method": "random",
        "metric": F1,
        "parameters": {
            "model.name": {"value": "tiny"}, "data.name": {"value": "sample"},
            "training.learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-2},
            "training.epochs": {"value": 3}, **more.pop("parameters", {}),
        },
        **more,
    }  # fmt: skip
    path = tmp_path / "killed.yaml"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture(params=["journal", "postgresql"])
def storage(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The URL of a PostgreSQL server of this test; None for a journal."""
    if request.param == "journal":
        yield None
        return
    with postgres_server() as url:
        yield url


@pytest.mark.slow
def test_a_killed_sweep_is_continued_by_the_others_and_after_a_restart(
    tmp_path: Path, storage: str | None
) -> None:
    """Two workers, one killed without warning: its training dies with it, its settings are tried again, nothing twice."""
    path, layout = written(tmp_path), Layout(tmp_path / "root")
    more = ["--trials", "4", *(["--storage", storage] if storage else [])]
    first, second = (start(layout.root, path, *more) for _ in range(2))
    wait_for(lambda: stopped_at_work(first, layout, storage), process=first)
    first.kill()
    first.communicate()
    third = start(layout.root, path, *more)
    for process in (second, third):
        _, err = process.communicate(timeout=GUARD_SECONDS)
        assert process.returncode == 0, err
        assert PASSWORD not in err
    result, study = open_sweep("killed", layout=layout, storage=storage)
    assert [one.state for one in result.trials] == ["finished"] * len(result.trials)
    assert 4 <= len(result.trials) <= 5  # two who ask at the same moment may both get the last one
    repeats = [one.user_attrs[kept.REPEATS] for one in study.trials if kept.REPEATS in one.user_attrs]
    assert len(repeats) == 1
    again, given_back = (
        study.trials[number].user_attrs[kept.SETTINGS]
        for number in (repeats[0], next(one.number for one in study.trials if kept.REPEATS in one.user_attrs))
    )
    assert again == given_back
    finished = len(list(layout.models.glob("*/*/manifest.json")))
    # The training of the killed worker may have finished while its worker was stopped and could not record it.
    assert finished - len(result.trials) in (0, 1)
    written_files = [one for one in tmp_path.rglob("*") if one.is_file()]
    assert [one for one in written_files if PASSWORD.encode() in one.read_bytes()] == []
    if storage:
        study._storage.remove_session()
        study._storage._backend.engine.dispose()
        assert f"--storage {storage.replace(f':{PASSWORD}', '')}" in err


@pytest.mark.slow
def test_a_server_that_refuses_is_named_without_the_password(layout: Layout) -> None:
    with (
        postgres_server() as url,
        pytest.raises(RemoteError, match="password authentication failed") as error,
    ):
        open_sweep("s", layout=layout, storage=url.replace(PASSWORD, "mistaken"))
    assert "mistaken" not in str(error.value)
    with pytest.raises(RemoteError, match=r"postgresql://goemo@127.0.0.1:\d+/postgres: .*refused") as error:
        open_sweep("s", layout=layout, storage=url)
    assert PASSWORD not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.slow
def test_an_interrupted_sweep_ends_its_trainings_and_goes_on_later(tmp_path: Path) -> None:
    path, layout = written(tmp_path), Layout(tmp_path / "root")
    process = start(layout.root, path, "--trials", "3")
    wait_for(lambda: list(layout.journals.glob("*.jsonl")), process=process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=GUARD_SECONDS)
    assert process.returncode == 130, err
    result, study = open_sweep("killed", layout=layout)
    *done, interrupted = [one.state for one in result.trials]  # on a slow machine the signal comes late
    assert interrupted == "waiting"
    assert study.trials[len(done)].state == TrialState.FAIL
    process = start(layout.root, path, "--trials", "3")
    _, err = process.communicate(timeout=GUARD_SECONDS)
    assert process.returncode == 0, err
    assert [one.state for one in open_sweep("killed", layout=layout)[0].trials] == ["finished"] * 3
    assert not list(layout.models.glob("*/*/state"))  # a run with a saved state was resumed


@pytest.mark.slow
def test_a_training_that_is_killed_fails_its_trial_alone(tmp_path: Path) -> None:
    epochs = {"training.epochs": {"values": [9999, 1]}, "training.early_stopping.patience": {"value": None}}
    rate = {"training.learning_rate": {"value": 1e-3}}
    path, layout = written(tmp_path, method="grid", parameters=epochs | rate), Layout(tmp_path / "root")
    process = start(layout.root, path)
    tag = wait_for(lambda: list(layout.journals.glob("*.jsonl")), process=process)
    assert tag
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    _, err = process.communicate(timeout=GUARD_SECONDS)
    assert process.returncode == 0, err
    result, _ = open_sweep("killed", layout=layout)
    assert [one.state for one in result.trials] == ["failed", "finished"]
    assert "SIGKILL" in str(result.trials[0].reason)


@pytest.mark.slow
def test_a_trial_that_was_taken_for_dead_is_left_to_whoever_took_it(tmp_path: Path) -> None:
    """As when a machine was asleep: here its own worker takes the trial again, and finds the finished run."""
    path, layout = written(tmp_path, parameters={"training.epochs": {"value": 20}}), Layout(tmp_path / "root")
    process = start(layout.root, path, "--trials", "1")
    wait_for(lambda: list(layout.journals.glob("*.jsonl")), process=process)
    _, study = open_sweep("killed", layout=layout)
    assert give_back(study, study.trials[0])
    _, err = process.communicate(timeout=GUARD_SECONDS)
    assert process.returncode == 0, err
    assert "Trial 0 was taken over" in err
    assert [(one.number, one.state) for one in open_sweep("killed", layout=layout)[0].trials] == [
        (1, "finished")
    ]
    assert len(list(layout.models.glob("*/*/manifest.json"))) == 1


@pytest.mark.slow
def test_a_trial_that_falls_behind_is_ended(tmp_path: Path) -> None:
    """A learning rate that learns nothing, after a trial that learned: ended at the band of the second epoch."""
    parameters = {"training.learning_rate": {"values": [5e-3, 1e-9]}, "training.epochs": {"value": 9999}, "training.early_stopping.patience": {"value": None}}  # fmt: skip
    path = written(
        tmp_path, method="grid", parameters=parameters, early_terminate={"type": "hyperband", "min_iter": 2}
    )
    layout = Layout(tmp_path / "root")
    config = read_sweep_file(path)
    study = open_study(config, objectives_of(config), layout=layout)
    learned = study.ask()
    learned.set_user_attr(kept.SETTINGS, {one.name: suggest(learned, one) for one in config.parameters})
    for epoch in (1, 2):
        learned.report(0.9, epoch)
    study.tell(learned, 0.9)
    process = start(layout.root, path)
    _, err = process.communicate(timeout=GUARD_SECONDS)
    assert process.returncode == 0, err
    result, study = open_sweep("killed", layout=layout)
    assert [one.state for one in result.trials] == ["finished", "pruned"]
    assert 2 <= max(study.trials[1].intermediate_values) < 9999
    assert result.require_best().settings == {"training.learning_rate": 5e-3}
