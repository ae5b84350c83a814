"""Kinds of errors: the hint fits the cause, and the sentence names what the user knows."""

import errno
import os
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from goemo_cli.app import app
from goemo_cli.commands._errors import exit_code, sentence
from goemo_cli.commands._hints import hint
from goemo_cli.core import errors
from goemo_cli.core.errors import SettingError
from goemo_cli.core.files import PARTIAL_PREFIX, atomic_path
from goemo_cli.core.hints import command_line
from goemo_cli.services.training.settings import resolve_settings

HERE = Path("my project/artifacts/stats/a.csv")


def system_error(number: int) -> OSError:
    return OSError(number, os.strerror(number), str(HERE))


@pytest.mark.parametrize(
    ("error", "code", "wanted"),
    [
        (system_error(errno.ENOSPC), 8, "free some space, or choose another folder"),
        (system_error(errno.EACCES), 8, "ls -ld .   shows the permissions; or choose another folder"),
        (system_error(errno.EROFS), 8, "this file system is read-only: choose another folder"),
        (system_error(errno.ENOTDIR), 8, "check the path"),
        (system_error(errno.ENAMETOOLONG), 2, "check the path"),
        (system_error(errno.EMFILE), 8, "ulimit -n 1024   raises the number of files that may be open"),
        (
            system_error(errno.EFBIG),
            8,
            "ulimit -f unlimited   lifts the limit for the size of files; or choose another folder",
        ),
        (
            errors.StorageError(HERE, "3 MiB free", errno.ENOSPC),
            8,
            "free some space, or choose another folder",
        ),
        (errors.DataNotFoundError("goemotions", ["here"]), 4, "unset GOEMO_OFFLINE"),  # as all tests
        (errors.OfflineError("the network is switched off"), 7, "unset GOEMO_OFFLINE"),
        (errors.RemoteError("the server is down"), 7, "check the connection and try again"),
        (errors.NoRunError(Path("my project/artifacts/models")), 4, "goemo train --root 'my project'"),
        (errors.RunNotFoundError("x", Path("my project")), 4, "goemo runs list --root 'my project'"),
        (errors.CorruptArtifactError(HERE, "is damaged"), 5, "goemo validate --verbose --root 'my project'"),
    ],
)
def test_a_hint_fits_the_cause(error: Exception, code: int, wanted: str | None) -> None:
    assert exit_code(error) == code
    found = hint(error)
    assert found == wanted or (wanted and found and found.startswith(wanted))
    assert getattr(error, "errno", getattr(error, "number", None)) == errno.ENOSPC or "space" not in (
        found or ""
    )


def test_permissions_are_shown_of_what_exists(tmp_path: Path) -> None:
    for path, shown in ((tmp_path, tmp_path), (tmp_path / "new run" / "a.csv", tmp_path)):
        found = hint(PermissionError(errno.EACCES, "Permission denied", str(path))) or ""
        assert shlex.split(found)[:3] == ["ls", "-ld", str(shown)]


def test_every_error_has_a_code() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.GoemoError)
    ]
    for kind in kinds:
        error = kind.__new__(kind)
        assert exit_code(error) is not None
        assert exit_code(error) != 1 or kind is errors.GoemoError


def test_a_library_that_names_a_temporary_file_names_its_folder() -> None:
    name = f"/data/{PARTIAL_PREFIX}ab_12.bin"
    assert sentence(OSError(errno.EIO, "Input/output error", name)) == "/data: Input/output error"
    assert sentence(errors.DataError(f"cannot write '{name}'")) == "cannot write '/data'"


def test_a_file_in_the_place_of_a_folder_is_named_without_a_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for target in (tmp_path / "file" / "a.csv", Path("/proc/none/a.csv"), Path("/sys/a.csv")):
        with pytest.raises(OSError) as raised, atomic_path(target):  # noqa: PT011  # of several types
            pass
        assert PARTIAL_PREFIX not in sentence(raised.value)


@pytest.mark.parametrize(
    "values",
    [{"training.epochs": 0}, {"data.val_fraction": 2}, {"training.loss": "x"}, {"logging.wandb.mode": 1}],
)
def test_a_bad_setting_is_named_once(values: dict[str, object]) -> None:
    (name,) = values
    with pytest.raises(SettingError) as raised:
        resolve_settings(None, values)
    assert str(raised.value).count(name) == 1
    assert str(raised.value).startswith(f"command line: {name}: ")


def test_commands_to_type_quote_what_needs_it() -> None:
    command = command_line("goemo report", "my run", "@best", root=Path("my project"))
    assert command == "goemo report 'my run' @best --root 'my project'"
    assert shlex.split(command) == ["goemo", "report", "my run", "@best", "--root", "my project"]
    assert command_line("goemo figures") == "goemo figures"


def test_every_command_that_a_session_hints_at_can_be_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a folder with a space in its name; each hint parses, and its files exist."""
    monkeypatch.chdir(tmp_path)
    root, hints = "my project", []
    for line in (
        "train --model tfidf --data sample",
        "export-predictions -c @latest -o 'other folder'",
        "tune -c @latest --rule global",
        "errors @latest",
        "runs show @latest",
        "runs best",
    ):
        done = CliRunner().invoke(app, [*shlex.split(line), "--root", root])
        assert done.exit_code == 0, done.output
        _, _, after = done.stderr.partition("Next:\n")
        hints += [command for command in after.splitlines() if command.startswith("  goemo ")]
    assert len(hints) >= 6
    for command in hints:
        words = shlex.split(command)
        for word in words:
            assert " " not in word or Path(word).exists() or words[1] == "predict", command
        assert "--root" not in words or words[words.index("--root") + 1] == root
