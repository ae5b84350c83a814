"""One meaning of project, entity, mode, tags, notes, group, name and server: flag > file > WANDB_* > default, everywhere."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from goemo_cli.app import app
from goemo_cli.core.errors import SettingError
from goemo_cli.core.files import write_text
from goemo_cli.core.layout import Layout
from goemo_cli.services.training.settings import resolve_settings
from goemo_cli.services.training.tracking import logged_settings, open_tracker
from goemo_cli.services.wandb.sync import sync_run
from goemo_cli.tracking import LoggerConfig
from goemo_cli.tracking.wandb.client import RunReference, WandbClient
from tests.services.test_syncing import RUN, journalled
from tests.wandb_server import WandbServer

VARIABLES = {
    "project": ("WANDB_PROJECT", "of-variable", "of-variable"),
    "entity": ("WANDB_ENTITY", "team", "team"),
    "mode": ("WANDB_MODE", "dryrun", "offline"),
    "name": ("WANDB_NAME", "of variable", "of variable"),
    "group": ("WANDB_RUN_GROUP", "of variable", "of variable"),
    "tags": ("WANDB_TAGS", "a, b", ["a", "b"]),
    "notes": ("WANDB_NOTES", "of variable", "of variable"),
}
"""Name of the setting -> the variable, its value, and what the setting is then."""
FLAGS = {
    "--wandb-project": "p", "--wandb-entity": "team", "--wandb-mode": "offline", "--wandb-group": "g",
    "--wandb-base-url": "http://127.0.0.1:9", "--run-name": "n", "--tags": "a,b", "--notes": "why",
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*(one[0] for one in VARIABLES.values()), "WANDB_BASE_URL"]:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def variables(no_variables: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value, _ in VARIABLES.values():
        monkeypatch.setenv(name, value)


def wandb_settings(file: Path | None = None, **flags: Any) -> Any:
    given = {f"logging.wandb.{name}": value for name, value in {"enabled": True, **flags}.items()}
    return resolve_settings(file, given).logging.wandb


def other(name: str) -> Any:
    """Another value of a setting than that of its variable."""
    return {"tags": ["other"], "mode": "online"}.get(name, "other")


@pytest.mark.parametrize("name", VARIABLES)
def test_a_flag_beats_the_file_and_the_file_the_variable(
    variables: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
):
    file = tmp_path / "c.yaml"
    write_text(file, json.dumps({"logging": {"wandb": {name: other(name)}}}))
    third = {"tags": ["third"], "mode": "disabled"}.get(name, "third")
    assert getattr(wandb_settings(file, **{name: third}), name) == third
    assert getattr(wandb_settings(file), name) == other(name)
    assert getattr(wandb_settings(), name) == VARIABLES[name][2]
    monkeypatch.delenv(VARIABLES[name][0])
    default = {"project": "goemo", "tags": []}.get(name)
    assert getattr(wandb_settings(), name) == default


@pytest.mark.parametrize("name", VARIABLES)
def test_the_library_reads_the_same_variables(variables: None, monkeypatch: pytest.MonkeyPatch, name: str):
    def as_list(value: Any) -> Any:
        return list(value) if isinstance(value, tuple) else value

    given: Any = tuple(other(name)) if name == "tags" else other(name)
    assert getattr(LoggerConfig(**{name: given}), name) == given
    assert as_list(getattr(LoggerConfig(), name)) == VARIABLES[name][2]
    monkeypatch.delenv(VARIABLES[name][0])
    default = {"project": "goemo", "tags": [], "mode": "online"}.get(name)
    assert as_list(getattr(LoggerConfig(), name)) == default


def test_disabled_is_the_same_everywhere_and_an_unknown_mode_an_error(
    monkeypatch: pytest.MonkeyPatch, layout: Layout
):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert LoggerConfig().mode == LoggerConfig(mode="disabled").mode == "local"
    said: list[Any] = []
    tracker = open_tracker(
        resolve_settings(None, {"logging.wandb.enabled": True}), layout=layout, on_event=said.append
    )
    assert tracker.run_id is None
    assert ["nothing is sent" in one.message for one in said] == [True]
    monkeypatch.setenv("WANDB_MODE", "onlin")
    with pytest.raises(SettingError, match="WANDB_MODE is 'onlin'"):
        LoggerConfig()
    with pytest.raises(SettingError, match="WANDB_MODE is 'onlin'"):
        wandb_settings()
    assert not resolve_settings(None, {}).logging.wandb.enabled  # of no concern without W&B


@pytest.mark.parametrize("flag", [*FLAGS, "--wandb-required"])
def test_every_flag_of_wandb_turns_it_on(flag: str):
    words = ["train", "--print-config", "--json", flag, *([FLAGS[flag]] if flag in FLAGS else [])]
    for more, is_on in (([], True), (["--no-wandb"], False)):
        done = CliRunner().invoke(app, [*words, *more])
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["logging"]["wandb"]["enabled"] is is_on


def test_what_is_logged_under_a_variable_is_found_under_it(
    server: WandbServer, monkeypatch: pytest.MonkeyPatch, layout: Layout
):
    """Train and sync go where download looks, without any option."""
    for name in ("project", "entity", "name", "group", "tags", "notes"):
        monkeypatch.setenv(*VARIABLES[name][:2])
    settings = resolve_settings(None, {"logging.wandb.enabled": True, "logging.wandb.required": True})
    tracker = open_tracker(settings, layout=layout)
    tracker.start(RUN, logged_settings(settings), {})
    tracker.finish({})
    assert list(server.runs) == [f"team/of-variable/{tracker.run_id}"]
    (there,) = server.runs.values()
    assert (there.name, there.group, there.notes) == ("of variable",) * 3
    assert there.tags == ["a", "b"]
    journalled(layout)  # a run that was trained without W&B
    sync_run(str(RUN), layout=layout)
    source = WandbClient(base_url=server.url)
    assert str(source.run(source.complete(RunReference("abcd1234"))).reference) == "team/of-variable/abcd1234"
    with WandbServer(entity="else") as elsewhere:
        synced = sync_run(str(RUN), layout=layout, base_url=elsewhere.url, project="p", entity="else")
        assert synced.sent
        assert list(elsewhere.runs) == ["else/p/abcd1234"]
        found = WandbClient(base_url=elsewhere.url).run(RunReference("abcd1234", "p", "else"))
        assert str(found.reference) == "else/p/abcd1234"


def test_a_server_in_the_settings_beats_the_variable(
    server: WandbServer, monkeypatch: pytest.MonkeyPatch, layout: Layout
):
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    given = {"enabled": True, "required": True, "base_url": server.url}
    settings = resolve_settings(None, {f"logging.wandb.{name}": value for name, value in given.items()})
    tracker = open_tracker(settings, layout=layout)
    tracker.start(RUN, logged_settings(settings), {})
    tracker.finish({})
    assert list(server.runs) == [f"tester/goemo/{tracker.run_id}"]
