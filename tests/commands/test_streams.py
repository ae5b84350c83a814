"""Standard input, output and error as shells leave them: closed, full, without a reader. And values left empty."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from goemo_cli.app import app
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


@pytest.mark.usefixtures("all_draws")  # as the process that trains
def test_a_closed_output_is_not_mixed_into_a_file_of_the_run(tmp_path: Path) -> None:
    rows = "".join(f"word {at % 7} {at},{'joy' if at % 2 else 'anger'}\n" for at in range(60))
    (tmp_path / "mine.csv").write_text(f"text,labels\n{rows}", encoding="utf-8")
    line = "$GOEMO train --model tfidf --data mine.csv <&- >&- 2>&-; echo code $?"
    assert shell(line, tmp_path) == "code 0\n"
    assert CliRunner().invoke(app, ["validate", "--root", str(tmp_path)]).exit_code == 0


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
