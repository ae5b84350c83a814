import errno
import json
import webbrowser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from goemo_cli.app import app
from goemo_cli.core.layout import Layout
from tests.synthetic_runs import add_run


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    layout = Layout(tmp_path_factory.mktemp("root"))
    add_run(layout, "a-20260101-000000")
    add_run(layout, "b-20260102-000000")
    add_run(layout, "c-20260103-000000", data="other")
    for path in layout.predictions.iterdir():
        path.unlink()
    return layout.root


def report(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["report", "--root", str(root), *arguments])


def test_the_newest_run_is_reported(root: Path) -> None:
    result = report(root)
    assert result.exit_code == 0, result.output
    assert "Wrote a report of c-20260103-000000" in result.stdout
    assert Layout(root).report_page.is_file()
    assert (
        "c-20260103-000000, predictions, outcomes, calibration, confusions, pairs, disagreements: "
        in result.stderr
    )


def test_json_is_one_document(root: Path) -> None:
    result = report(root, "@a", "@b", "--format", "md", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["runs"] == ["a-20260101-000000", "b-20260102-000000"]
    assert document["path"] == str(Layout(root).report_results)
    assert {"run", "part", "reason"} == set(document["missing"][0])


def test_open_starts_the_browser_or_says_where_the_page_is(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address))
    result = report(root, "--open")
    assert result.exit_code == 0
    assert opened == [Layout(root).report_page.resolve().as_uri()]
    assert f"no browser could be started; open {opened[0]}" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["@a", "--all"], 2, "name none"),
        (["--open", "--format", "md"], 2, "only an HTML page can be opened"),
        (["--wandb", "--format", "md"], 2, "only runs go with it"),
        (["--format", "pdf"], 2, "pdf"),
        (["@nobody"], 4, "no run '@nobody'"),
        (["@a", "@c"], 3, "do not compare"),
    ],
)
def test_mistakes_are_told(root: Path, arguments: list[str], code: int, said: str) -> None:
    result = report(root, *arguments)
    assert result.exit_code == code, result.output
    assert said in result.stderr


@pytest.mark.parametrize(
    ("name", "content", "code"), [("predictions", "not,a,table\n", 3), ("metrics.json", "{", 5)]
)
def test_a_damaged_file_ends_with_its_code(tmp_path: Path, name: str, content: str, code: int) -> None:
    layout = Layout(tmp_path)
    run = add_run(layout, "a-20260101-000000")
    path = layout.split_predictions(run.run, "test") if name == "predictions" else run.path / name
    path.write_text(content, "utf-8")
    result = report(tmp_path)
    assert result.exit_code == code, result.output
    assert f"Error: {path}" in result.stderr
    assert layout.report_page.is_file() == (name == "predictions"), "what can be shown is shown"


def test_a_file_that_cannot_be_read_exits_8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(tmp_path)
    path = layout.split_predictions(add_run(layout, "a-20260101-000000").run, "test")
    opened = Path.open

    def refused(self: Path, *arguments: Any, **options: Any) -> Any:
        if self == path:  # root, as whom tests may run, can read a file of any mode
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return opened(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refused)
    result = report(tmp_path)
    assert result.exit_code == 8, result.output
    assert str(path) in result.stderr


def test_a_root_without_runs_is_told(tmp_path: Path) -> None:
    result = report(tmp_path)
    assert result.exit_code == 4
    assert "no finished run" in result.stderr
