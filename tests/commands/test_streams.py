"""Standard input, output and error as shells leave them: closed, full, without a reader. And values left empty."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from goemo_cli.app import app
from goemo_cli.core.predictions import Predictions, write_predictions
from tests.conftest import REPOSITORY
from tests.waiting import GUARD_SECONDS

RIGHT = "runs list"
WRONG = "runs show nothing"  # 4, with a message


def shell(line: str, folder: Path) -> str:
    """What a line of bash says on both outputs; $GOEMO is the program."""
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "GOEMO": f"{sys.executable} -m goemo_cli"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=GUARD_SECONDS,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("redirection", "code", "said"),
    [
        (">&-", "0", ""),
        ("<&- >&- 2>&-", "0", ""),
        ("2>/dev/full", "0", ""),
        (">/dev/full", "8", "Error: standard output: No space left on device (the disk is full)"),
        ("| head -0", "141", ""),
    ],
)
def test_an_output_that_takes_nothing_ends_without_a_traceback(
    tmp_path: Path, redirection: str, code: str, said: str
) -> None:
    (tmp_path / "artifacts" / "models").mkdir(parents=True)
    told = shell(f"$GOEMO {RIGHT} {redirection}; echo code ${{PIPESTATUS[0]}}", tmp_path)
    assert f"code {code}\n" in told
    assert said in told
    told = shell(f"$GOEMO {WRONG} {redirection}; echo code ${{PIPESTATUS[0]}}", tmp_path)
    assert "code 4\n" in told  # that nobody can read the message changes nothing


def test_a_closed_output_is_not_mixed_into_a_file(
    tmp_path: Path, make_predictions: Callable[..., Predictions]
) -> None:
    write_predictions(tmp_path / "p.csv", make_predictions(40))
    line = "$GOEMO export-metrics -p p.csv --json -o {} {}; echo code $?"
    assert shell(line.format("closed.csv", "<&- >&- 2>&-"), tmp_path) == "code 0\n"
    words = ["export-metrics", "-p", str(tmp_path / "p.csv"), "-o", str(tmp_path / "open.csv"), "-q"]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert (tmp_path / "closed.csv").read_bytes() == (tmp_path / "open.csv").read_bytes()


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "-c", "", "hello"],
        ["predict", "-i", ""],
        ["predict", "--output=", "hello"],
        ["export-predictions", "-c", ""],
        ["explain", "hello", "--html", ""],
        ["runs", "list", "--root", ""],
        ["runs", "show", ""],
        ["compare", "@latest", ""],
        ["data", "download", "-o", ""],
        ["sweep", ""],
        ["sweep", "show", ""],
        ["train", "--config", ""],
        ["train", "--labels-file="],
        ["train", ""],
    ],
)
def test_an_empty_value_is_a_mistake_and_not_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """As when a script's variable is not set: `goemo predict -c "$RUN"` must not use another run."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2, done.output
    assert "is empty" in done.stderr
    assert list(tmp_path.iterdir()) == []
