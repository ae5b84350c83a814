"""goemo sync at the terminal: what it says, and its exit codes."""

import json

import pytest
from typer.testing import CliRunner

from goemo_cli.app import app
from goemo_cli.core.layout import Layout
from tests.services.test_syncing import RUN, journalled
from tests.wandb_server import WandbServer


def test_a_run_is_synced_and_then_there_as_before(server: WandbServer, layout: Layout) -> None:
    journalled(layout)
    where = ["--wandb-project", "elsewhere", "--wandb-entity", "team"]
    words = ["sync", str(RUN), "--root", str(layout.root), *where]
    first = CliRunner().invoke(app, words)
    assert first.exit_code == 0, first.output
    assert f"W&B has all of {RUN}" in first.stdout
    assert f"{server.url}/team/elsewhere/runs/abcd1234" in first.stderr
    assert list(server.runs) == ["team/elsewhere/abcd1234"]
    before, lines = len(server.requests), dict(server.runs["team/elsewhere/abcd1234"].lines)
    again = CliRunner().invoke(app, [*words, "--json"])
    assert not {"UpsertBucket", "CreateArtifact"} & {one.operation for one in server.requests[before:]}
    assert server.runs["team/elsewhere/abcd1234"].lines == lines
    assert json.loads(again.stdout) == {
        "runs": [{"run": str(RUN), "wandb_run_id": "abcd1234", "url": None, "sent": []}]
    }


@pytest.mark.parametrize(
    ("environment", "run", "code", "said"),
    [
        ({}, "tiny-20250101-000000", 4, "no run 'tiny-20250101-000000'"),
        ({"WANDB_API_KEY": "f" * 40}, str(RUN), 6, "wandb login"),
        ({"status": "404"}, str(RUN), 7, "injected fault"),
    ],
    ids=["unknown run", "bad key", "404 to all"],
)
def test_what_goes_wrong_has_its_exit_code(
    server: WandbServer, layout: Layout, monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str], run: str, code: int, said: str,
) -> None:  # fmt: skip
    journalled(layout)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if status := environment.get("status"):
        server.faults.add(status=int(status), message="injected fault")
    done = CliRunner().invoke(app, ["sync", run, "--root", str(layout.root)])
    assert done.exit_code == code, done.output
    assert said in done.stderr
    assert "f" * 40 not in done.output
    assert "{" not in done.stderr
    assert server.runs == {}
