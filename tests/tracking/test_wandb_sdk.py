"""What exceptions of the real SDK become: a key, a name that is unknown, a network, or nothing of W&B's."""

import errno
from pathlib import Path
from typing import Any

import pytest
import wandb

from goemo_cli.core.errors import (
    AuthenticationError,
    CorruptArtifactError,
    GoemoError,
    NotFoundError,
    RemoteError,
    SettingError,
)
from goemo_cli.tracking.wandb.sdk import run_settings, translated, translation


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


class Refused(Exception):  # noqa: N818  # as requests names them
    """Carries the status that a server answered."""

    def __init__(self, status: int) -> None:
        super().__init__("the server said no")
        self.response = type("Response", (), {"status_code": status})()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (wandb.errors.UsageError("api_key not configured (no-tty). call wandb.login"), AuthenticationError),
        (wandb.errors.UsageError("Invalid project name 'a/b'"), SettingError),
        (wandb.errors.AuthenticationError("API key must have 40+ characters, has 5."), AuthenticationError),
        (caused(wandb.errors.AuthenticationError("cannot verify"), Refused(401)), AuthenticationError),
        (caused(wandb.errors.AuthenticationError("cannot verify"), Refused(502)), RemoteError),
        (caused(wandb.errors.CommError("gone"), Refused(404)), NotFoundError),
        (wandb.errors.CommError("Could not find run <Run a/b/c (not found)>"), NotFoundError),
        (caused(wandb.errors.CommError("not found, perhaps"), Refused(500)), RemoteError),
        (ConnectionError(errno.ECONNREFUSED, "refused"), RemoteError),
        (ValueError("what the SDK makes of an odd answer"), RemoteError),
        (caused(wandb.errors.CommError("input: invalid credentials"), Refused(400)), AuthenticationError),
        (wandb.errors.CommError("input: invalid credentials"), AuthenticationError),
        (wandb.errors.CommError("cannot reach http://127.0.0.1:40401/graphql"), RemoteError),
        (wandb.errors.CommError("returned error 404: {}"), NotFoundError),
    ],
    ids=str,
)
def test_exceptions_of_the_sdk_become_ours(error: Exception, kind: type[GoemoError]) -> None:
    with pytest.raises(kind) as found, translated("the run a/b/c"):
        raise error
    assert found.value.__cause__ is error


def test_what_is_not_wandbs_stays_what_it_is() -> None:
    for error in (OSError(errno.ENOSPC, "No space left"), CorruptArtifactError, KeyboardInterrupt()):
        same: Any = error(Path(), "x") if isinstance(error, type) else error
        assert translation(same, "this run") is same


def test_something_unknown_is_wandbs_failure_where_nothing_was_asked_for() -> None:
    error = wandb.errors.CommError("project not found")
    assert isinstance(translation(error, "this run", may_be_missing=False), RemoteError)


@pytest.mark.parametrize("address", ["foo", "ftp://x"])
def test_an_address_that_is_none_is_named_with_the_reason(address: str) -> None:
    with pytest.raises(SettingError, match=r"W&B: base_url: .*URL"), translated("this run"):
        wandb.Settings(base_url=address)


def test_a_run_uploads_neither_code_nor_command_line() -> None:
    settings = run_settings(init_timeout=3)
    assert (settings.save_code, settings.disable_code, settings.x_disable_meta) == (False, True, True)
    assert settings.init_timeout == 3


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            'failed: returned error 500: {"data":null,"errors":[{"message":"it broke"}]}',
            "returned error 500: it broke",
        ),
        ('{"error": "quota used up", "code": 3}', "(quota used up)"),
        ('the answer was {"data": {"run": nu', "(the answer was)"),
        ("502 <!DOCTYPE html><html><body>no</body></html>", "(502)"),
        ("plain words", "(plain words)"),
    ],
)
def test_answers_of_a_server_are_not_repeated_as_json_or_html(text: str, shown: str) -> None:
    said = str(translation(wandb.errors.CommError(text), "this run"))
    assert shown in said
    assert not set(said) & set("{}[]<>")
