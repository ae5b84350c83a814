"""One good run among damaged ones: every command goes on, and each damaged run is one warning."""

import ctypes
import json
import multiprocessing
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from goemo_cli.app import app
from goemo_cli.core.checkpoint import CARD, CONFIG, MANIFEST, METRICS, THRESHOLDS, Checkpoint
from goemo_cli.core.files import sha256_file
from goemo_cli.core.layout import Layout
from goemo_cli.services.training.settings import resolve_settings
from goemo_cli.services.training.train import train
from tests.waiting import GUARD_SECONDS

Change = Callable[[Any], Any]


def edited(name: str, change: Change) -> Callable[[Path], None]:
    """Damage that changes a JSON file and makes the manifest fit; `change` may return another value."""

    def damage(folder: Path) -> None:
        path = folder / name
        value = json.loads(path.read_text(encoding="utf-8"))
        changed = change(value)
        path.write_text(json.dumps(value if changed is None else changed), encoding="utf-8")
        if name != MANIFEST:
            add_to_manifest(folder, name)

    return damage


def add_to_manifest(folder: Path, name: str) -> None:
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    path = folder / name
    manifest["files"][name] = {"size": path.stat().st_size, "sha256": sha256_file(path)}
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def written(name: str, content: bytes) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return damage


def folder_instead_of_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()
    (folder / MANIFEST).mkdir()


def settings_of_another_version(folder: Path) -> None:
    path = folder / CONFIG
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("training:\n", "training:\n  ema_decay: 0.9\n"), encoding="utf-8")
    add_to_manifest(folder, CONFIG)


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


UNLISTED: dict[str, Callable[[Path], None]] = {
    "a list": edited(MANIFEST, lambda value: [value]),
    "without parents": edited(MANIFEST, lambda value: value.pop("parents") and None),
    "members are a number": edited(MANIFEST, lambda value: value["parents"].update(members=5)),
    "headline of other kinds": edited(
        MANIFEST, lambda value: value["headline"].update(val={"f1_macro": "high"}, training_seconds=10**400)
    ),
    "labels are a text": edited(MANIFEST, lambda value: value.update(labels="joy")),
    "unknown kind": edited(MANIFEST, lambda value: value.update(kind="magic")),
    "not JSON": written(MANIFEST, b"\xff{"),
    "deep": written(MANIFEST, b"[" * 100_000),
    "manifest is a folder": folder_instead_of_manifest,
    "closed": lambda folder: folder.chmod(0),
}
"""Damage that is seen when runs are listed."""
UNSOUND: dict[str, Callable[[Path], None]] = {
    "metrics are missing": remove(METRICS),
    "weights are cut": written("tfidf.safetensors", b"x"),
}
"""Damage that is seen when a run is opened."""
UNSCORED: dict[str, Callable[[Path], None]] = {
    "metrics are a list": edited(METRICS, lambda value: [value]),
    "no sizes": edited(METRICS, lambda value: value["data"].pop("sizes") and None),
    "scores are a text": edited(METRICS, lambda value: value.update(test="good")),
    "rows lack a column": edited(METRICS, lambda value: value["per_class"][0].pop("tp") and None),
    "thresholds of another form": edited(THRESHOLDS, lambda value: value.update(per_label=[1])),
}
"""Damage that is seen when scores are read."""
ALLOWED: dict[str, Callable[[Path], None]] = {
    "settings of another version": settings_of_another_version,
    "an edited card": written(CARD, b"mine"),
}

COMMANDS = {
    "list": ["runs", "list", "--json"],
    "best": ["runs", "best"],
    "show": ["runs", "show", "@latest"],
    "gc": ["runs", "gc", "--keep", "1"],
    "predict": ["predict", "hello", "-c", "@latest"],
    "figures": ["figures", "--only", "07", "--run", "@latest"],
    "report": ["report", "--all"],
    "compare": ["compare", "@latest", "@best", "--resamples", "100"],
    "train": ["train", "--model", "tfidf", "--data", "{data}"],
    "validate": ["validate", "--json"],
}
FORK = multiprocessing.get_context("fork")
"""A copy of this process has its packages loaded already."""
OVERRIDES = 0b110
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, by which root enters closed folders."""


def obey_permissions() -> None:
    """Close closed folders to this process even if it is root's (Linux, capset(2))."""
    libc, header = ctypes.CDLL(None, use_errno=True), (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice
    assert libc.capget(header, sets) == 0
    sets[0] &= ~OVERRIDES
    assert libc.capset(header, sets) == 0


def run_commands(root: Path, data: Path, answers: Any) -> None:
    """Run every command and send its exit code, its outputs and its exception."""
    obey_permissions()
    done = {}
    for name, arguments in COMMANDS.items():
        typed = [word.format(data=data) for word in (*arguments, "--root", str(root))]
        result = CliRunner().invoke(app, typed)
        done[name] = (result.exit_code, result.stdout, result.stderr, repr(result.exception))
    answers.send(done)


@pytest.fixture(scope="module")
def done(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The outcome of every command."""
    root = tmp_path_factory.mktemp("neighbours")
    flags = {"model.name": "tfidf", "data.name": str(small_data)}
    made = train(resolve_settings(None, flags), layout=Layout(root))
    for i, damage in enumerate({**ALLOWED, **UNSCORED, **UNSOUND, **UNLISTED}.values()):
        year = 2000 if damage in ALLOWED.values() or damage in UNSCORED.values() else 2090
        neighbour(made, f"tfidf-{year}0101-0000{i:02}", damage)
    (made.path.parent / "tfidf-20900101-010101").write_text("a file", encoding="utf-8")
    answers, theirs = FORK.Pipe(duplex=False)
    process = FORK.Process(target=run_commands, args=(root, small_data, theirs))
    process.start()
    theirs.close()
    outcome: dict[str, Any] = answers.recv()
    process.join(GUARD_SECONDS)
    for folder in made.path.parent.iterdir():
        folder.chmod(0o755)
    return outcome


def neighbour(made: Checkpoint, run: str, damage: Callable[[Path], None]) -> None:
    folder = made.path.with_name(run)
    shutil.copytree(made.path, folder)
    edited(MANIFEST, lambda value: value.update(run=run))(folder)
    damage(folder)


def names(*kinds: dict[str, Any]) -> list[str]:
    """Names of the damaged runs of some kinds."""
    every = list({**ALLOWED, **UNSCORED, **UNSOUND, **UNLISTED})
    chosen = [name for kind in kinds for name in kind]
    return [f"0101-0000{every.index(name):02}" for name in chosen]


def warned(stderr: str) -> list[str]:
    """Of each warning of a damaged run the end of its name."""
    return sorted(
        line.partition(" is damaged")[0][-len("0101-000000") :]
        for line in stderr.splitlines()
        if " is damaged" in line
    )


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "validate"])
def test_damaged_neighbours_stop_no_command(done: dict[str, Any], command: str) -> None:
    code, _, stderr, exception = done[command]
    assert code == 0, (stderr, exception)


@pytest.mark.parametrize(
    ("command", "kinds"),
    [
        ("list", (UNLISTED,)),
        ("gc", (UNLISTED,)),
        ("show", (UNLISTED, UNSOUND)),
        ("predict", (UNLISTED, UNSOUND)),
        ("figures", (UNLISTED, UNSOUND)),
        ("compare", (UNLISTED, UNSOUND)),
        ("train", (UNLISTED, UNSOUND, UNSCORED)),
    ],
)
def test_each_damaged_run_is_one_warning(
    done: dict[str, Any], command: str, kinds: tuple[dict[str, Any], ...]
) -> None:
    assert warned(done[command][2]) == sorted(names(*kinds))


def test_lists_name_damaged_runs_as_such(done: dict[str, Any]) -> None:
    states = {one["run"][-11:]: one["state"] for one in json.loads(done["list"][1])["runs"]}
    assert sorted(run for run, state in states.items() if state == "damaged") == sorted(names(UNLISTED))


def test_validation_names_each_damaged_run_and_goes_on(done: dict[str, Any]) -> None:
    code, stdout, stderr, exception = done["validate"]
    assert code == 3, (stderr, exception)
    found = json.loads(stdout)
    for name in names(UNLISTED, UNSOUND, UNSCORED):
        assert any(name in problem["path"] for problem in found["problems"]), name
    assert any("does not know: training.ema_decay" in warning for warning in found["warnings"])
