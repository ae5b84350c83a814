"""`goemo download` and `goemo validate --wandb` as they are typed, each in a separate process, as users have it."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from goemo_cli.app import app
from goemo_cli.core.layout import Layout
from tests.forks import forked_python
from tests.processes import python
from tests.services.test_downloads import RUN, WHERE, environment, names_of, trained, tree
from tests.wandb_server import WandbServer

GOEMO = "from goemo_cli.app import app; app()"

# As people do who log by hand: the Files tab in the contract's layout, and the checkpoint as a W&B artifact.
LOGGED_BY_HAND = """
import sys
import wandb
folder, run_name = sys.argv[1:]
run = wandb.init(project="goemo", name=run_name, id="byhand1", settings=wandb.Settings(console="off"))
run.log({"val/auc": 0.5, "epoch": 1})
for pattern in ("predictions/*", "stats/*", "checkpoint/*/*"):
    run.save(f"{folder}/files/{pattern}", base_path=f"{folder}/files", policy="now")
artifact = wandb.Artifact("tiny-checkpoint-byhand1", type="model")
artifact.add_dir(f"{folder}/files/checkpoint/{run_name}")
run.log_artifact(artifact).wait()
run.finish()
"""


@pytest.fixture
def server() -> Iterator[WandbServer]:
    with WandbServer() as server:
        yield server


@pytest.fixture
def origin(tmp_path: Path) -> Layout:
    return trained(tmp_path / "origin")


def run(program: str, *arguments: object, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return forked_python(program, *arguments, env={"GOEMO_OFFLINE": "0"} | variables)


@pytest.mark.slow
def test_what_was_logged_by_hand_comes_down_as_it_was(server: WandbServer, origin: Layout, tmp_path: Path):
    for name, data in names_of(origin).items():
        path = tmp_path / "up" / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    variables = environment(server, tmp_path / "sdk") | {"WANDB_DIR": str(tmp_path / "up")}
    logged = run(LOGGED_BY_HAND, tmp_path / "up", RUN, variables=variables)
    assert logged.returncode == 0, logged.stderr
    fresh = environment(server, tmp_path / "sdk2")
    here = Layout(tmp_path / "here")
    done = run(GOEMO, "download", "--run-id", "byhand1", "--root", here.root, variables=fresh)
    assert done.returncode == 0, done.stderr
    assert "Downloaded tester/goemo/byhand1" in done.stdout
    assert "goemo export-predictions --checkpoint" in done.stderr
    assert tree(here) == tree(origin)
    same = run(GOEMO, "validate", "--wandb", "byhand1", "--root", here.root, variables=fresh)
    assert same.returncode == 0, same.stderr
    version = run(
        GOEMO,
        "download",
        "--artifact",
        "tiny-checkpoint-byhand1:v0",
        "--root",
        tmp_path / "one",
        variables=fresh,
    )
    assert version.returncode == 0, version.stderr
    models = {name: data for name, data in tree(origin).items() if name.startswith("artifacts/models/")}
    assert models.items() <= tree(Layout(tmp_path / "one")).items()


KEYS = [
    pytest.param({"WANDB_API_KEY": "f" * 40}, 6, "refuses the API key", id="a bad key"),
    pytest.param({"WANDB_API_KEY": ""}, 6, "no W&B API key was found", id="no key"),
    pytest.param(
        {"status": "404"}, 7, "W&B failed for your account", id="404 to all", marks=pytest.mark.slow
    ),
    pytest.param({"GOEMO_OFFLINE": "1"}, 7, "the network is switched off", id="no network wanted"),
]


@pytest.mark.parametrize(("variables", "code", "words"), KEYS)
def test_keys_and_networks(
    server: WandbServer, tmp_path: Path, variables: dict[str, str], code: int, words: str
):
    clean = environment(server, tmp_path) | variables
    if status := variables.get("status"):
        server.faults.add(status=int(status), message="no page")
    done = run(GOEMO, "download", "--run-id", WHERE, "--root", tmp_path / "here", variables=clean)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 2
    assert "f" * 40 not in done.stderr
    assert not (tmp_path / "here").exists()


def test_a_package_that_cannot_be_used(server: WandbServer, tmp_path: Path):
    """Simulates an environment with a broken wandb; no server is asked."""
    (tmp_path / "wandb.py").write_text("raise TypeError('no descriptors')", encoding="utf-8")
    clean = environment(server, tmp_path)
    clean["PYTHONPATH"] = os.pathsep.join([str(tmp_path), clean["PYTHONPATH"]])
    words = ("download", "--run-id", WHERE, "--root", tmp_path / "here")
    done = python("-c", GOEMO, *words, env={"GOEMO_OFFLINE": "0"} | clean, without="WANDB")
    assert done.returncode == 4, done.stderr
    assert "failed with TypeError: no descriptors: pip install 'goemo[wandb]'" in done.stderr
    assert not (tmp_path / "here").exists()
    assert server.requests == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--run-id", "a", "--best", "val/auc"],
        ["--artifact", "m-checkpoint-a:v0", "--what", "stats"],
        ["--artifact", "nonsense"],
        ["--run-id", "a/b/c/d"],
        ["--run-id", "../../etc"],
        ["--run-id", "a", "--what", "weights"],
        ["--run-id", "a", "--what", ","],
        ["--run-id", "a", "--wandb-project", "a/b"],
        ["--best", "test/f1_macro"],
        ["--best", "loss"],
    ],
    ids=" ".join,
)
def test_wrong_command_lines(arguments: list[str]):
    """Refused before anything is asked: no key, no SDK."""
    done = CliRunner().invoke(app, ["download", *arguments])
    assert done.exit_code == 2, done.output
