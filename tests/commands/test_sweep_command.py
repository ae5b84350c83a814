"""goemo sweep, as it is typed."""

import csv
import io
import json
from pathlib import Path

import pytest
import yaml
from optuna.trial import TrialState
from typer.testing import CliRunner, Result

from goemo_cli.app import app
from goemo_cli.core.catalogue import configs_folder
from goemo_cli.core.layout import Layout
from goemo_cli.services.sweep import study as kept
from goemo_cli.services.sweep.objectives import objectives_of
from goemo_cli.services.sweep.study import open_study
from goemo_cli.services.sweep.sweep_file import parse_sweep, read_sweep_file
from tests.forks import forked_python

CONTENT = {
    "program": "train.py",
    "name": "quick",
    "method": "grid",
    "metric": {"name": "val/f1_macro", "goal": "maximize"},
    "parameters": {"training.seed": {"values": [0, 1, 2]}, "model.name": {"value": "tfidf"}},
}
CONFIGS = sorted((configs_folder() / "sweep").glob("*.yaml"))


def goemo(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["sweep", *map(str, arguments)], env={"COLUMNS": "120"})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "quick.yaml"
    path.write_text(yaml.safe_dump(CONTENT))
    return path


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep with two finished trials, a failed one and none waiting."""
    root = tmp_path_factory.mktemp("root")
    config = parse_sweep(CONTENT)
    study = open_study(config, objectives_of(config), layout=Layout(root))
    for value in (0.25, 0.5, None):
        trial = study.ask()
        seed = trial.suggest_categorical("training.seed", [0, 1, 2])
        trial.set_user_attr(kept.SETTINGS, {"training.seed": seed, "model.name": "tfidf"})
        if value is None:
            trial.set_user_attr(kept.REASON, "out of | memory")
            study.tell(trial, state=TrialState.FAIL)
        else:
            trial.set_user_attr(kept.RUN, f"tfidf-20260101-00000{seed}")
            study.tell(trial, value)
    return root


def test_a_plan_says_how_many_trials_a_grid_has_and_writes_nothing(file: Path, tmp_path: Path) -> None:
    shown = goemo(file, "--dry-run", "--root", tmp_path / "root")
    assert shown.exit_code == 0, shown.output
    assert "grid size" in shown.stdout
    assert "maximize val/f1_macro" in shown.stdout
    assert "program" in shown.stderr  # ignored, and said so
    assert not (tmp_path / "root").exists()


def test_options_may_come_first(file: Path) -> None:
    shown = goemo("--json", "--dry-run", "--trials", 2, file)
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout) == {"method": "grid", "objectives": ["maximize val/f1_macro"], "trials": 2, "grid_size": 3}  # fmt: skip


def test_trials_are_shown_the_best_first(root: Path) -> None:
    rows = json.loads(goemo("show", "quick", "--root", root, "--format", "json").stdout)
    assert [(row["trial"], row["val/f1_macro"], row["training.seed"]) for row in rows] == [(1, 0.5, 1), (0, 0.25, 0), (2, None, 2)]  # fmt: skip
    [header, _, *lines] = goemo("show", "quick", "--root", root, "--format", "md").stdout.splitlines()
    assert header == "| trial | state | val/f1_macro | training.seed | run | reason |"
    assert lines[-1] == "| 2 | failed |  | 2 |  | out of \\| memory |"
    table = list(
        csv.DictReader(io.StringIO(goemo("show", "quick", "--root", root, "--format", "csv").stdout))
    )
    assert [row["trial"] for row in table] == ["1", "0", "2"]
    assert "failed" in goemo("show", "quick", "--root", root).stdout


def test_the_best_trial_comes_with_the_command_that_trains_it(root: Path) -> None:
    shown = goemo("best", "quick", "--root", root, "--format", "json")
    assert [row["trial"] for row in json.loads(shown.stdout)] == [1]
    assert f"goemo train --config {Layout(root).sweeps / 'quick' / 'best.yaml'}" in shown.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["absent.yaml"], 4, "no such sweep file"),
        (["show", "absent"], 4, "no sweep 'absent'"),
        (["show", "quick", "--format", "xml"], 2, "'table', 'md', 'csv', 'json'"),
        (["FILE", "--emit", "mlflow"], 2, "wandb"),
        (["FILE", "--trials", "0"], 2, "trials"),
        (["FILE", "--no-such"], 2, "no-such"),
        (["run"], 2, "FILE"),
    ],
)
def test_wrong_input_is_told(arguments: list[str], code: int, said: str, root: Path, file: Path) -> None:
    at_root = ["--root", str(root)] if "show" in arguments else []
    shown = goemo(*(str(file) if one == "FILE" else one for one in arguments), *at_root)
    assert shown.exit_code == code, shown.output
    assert said in shown.output


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"parameters": {"training.epoch": {"values": [1, 2]}}}, 2, "did you mean"),
        ({"parameters": {"training.epochs": {"values": [1, 0]}}}, 2, "training.epochs"),
        ({"metric": {"name": "test/f1_macro", "goal": "maximize"}}, 2, "spoiled"),
        ({"parameters": {"model.name": {"values": ["minilm", "minilmm"]}}}, 4, "did you mean 'minilm'"),
    ],
)
def test_a_file_that_makes_no_sense_is_told_before_anything_runs(
    change: dict[str, object], code: int, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(CONTENT | change))
    shown = goemo(path, "--root", tmp_path / "root")
    assert shown.exit_code == code, shown.output
    assert said in shown.output
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("text", ["", "- a\n", "method: random\nmethod: grid\n", "\xff"])
def test_a_file_that_is_no_sweep_is_told(text: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_bytes(text.encode("latin-1"))
    shown = goemo(path)
    assert shown.exit_code == 2, shown.output
    assert "odd.yaml" in shown.stderr


def test_a_sweep_whose_trials_all_fail_is_a_failure(tmp_path: Path) -> None:
    parameters = {"model.name": {"value": "tfidf"}, "data.name": {"value": "missing.csv"}, "training.seed": {"values": [1, 2]}}  # fmt: skip
    file = tmp_path / "lost.yaml"
    sweep = {"name": "lost", "method": "grid", "metric": {"name": "val/f1_macro", "goal": "maximize"}}
    file.write_text(yaml.safe_dump(sweep | {"parameters": parameters}), "utf-8")
    for _ in range(2):  # also when it is continued
        found = goemo(file, "--root", tmp_path)
        assert found.exit_code == 10, found.output
        assert "all 2 trials of sweep lost failed" in found.stderr
        assert "missing.csv" in found.output


def test_what_is_emitted_is_the_same_sweep(file: Path, tmp_path: Path) -> None:
    shown = goemo(file, "--emit", "wandb")
    assert shown.exit_code == 0, shown.output
    emitted = tmp_path / "wandb.yaml"
    emitted.write_text(shown.stdout)
    again, before = read_sweep_file(emitted), read_sweep_file(file)
    assert (again.parameters, again.metrics, again.method) == (
        before.parameters,
        before.metrics,
        before.method,
    )


def test_a_sweep_for_wandb_needs_no_optuna(file: Path, tmp_path: Path) -> None:
    program = """
import os, sys
sys.modules["optuna"] = None
os.chdir(sys.argv[2])
from typer.testing import CliRunner
from goemo_cli.app import app
for arguments in (["--emit", "wandb"], ["--dry-run"], ["--wandb", "--count", "1"], []):
    done = CliRunner().invoke(app, ["sweep", sys.argv[1], *arguments])
    print(done.exit_code, "optuna" in done.stderr)
"""
    unreachable = {"WANDB_API_KEY": "0" * 40, "WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_MODE": "online"}
    done = forked_python(program, file, tmp_path, env=unreachable)
    assert done.stdout.splitlines() == ["0 False", "0 False", "7 False", "4 True"], done.stderr


def test_bounds_that_are_exponents_are_warned_of_and_the_project_is_used(tmp_path: Path) -> None:
    rate = {"distribution": "log_uniform", "min": 1e-5, "max": 1e-3}
    path = tmp_path / "exponents.yaml"
    path.write_text(
        yaml.safe_dump({**CONTENT, "method": "random", "project": "p", "parameters": {"training.lr": rate}})
    )
    for arguments in (["--dry-run"], ["--emit", "wandb"]):
        shown = goemo(path, *arguments)
        assert shown.exit_code == 0, shown.output
        assert "Warning: training.lr: min and max of log_uniform are exponents" in shown.stderr
        assert "project" not in shown.stderr
    assert "1.00001 ... 1.001" in goemo(path, "--dry-run").stdout


@pytest.mark.parametrize("path", CONFIGS, ids=[path.stem for path in CONFIGS])
def test_a_config_is_a_sweep_and_opens_with_its_command(path: Path) -> None:
    config = read_sweep_file(path)
    assert objectives_of(config).objectives
    assert config.name == path.stem
    assert f"goemo sweep configs/sweep/{path.name}" in path.read_text(encoding="utf-8").partition("\nname")[0]
