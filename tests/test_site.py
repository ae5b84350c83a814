"""The site and the notebook: each page is in the menu, links lead somewhere, the tutorial runs, no reader's browser calls another server."""

import re
import shlex
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from typer.testing import CliRunner

import goemo_cli
from goemo_cli.app import app
from goemo_cli.core.layout import Layout
from goemo_cli.services.validation import validate_artifacts
from tests.conftest import REPOSITORY
from tests.processes import python

DOCS = REPOSITORY / "docs"
NOTEBOOK = REPOSITORY / "examples" / "own_data.ipynb"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def test_each_page_is_in_the_menu_once() -> None:
    menu = re.findall(
        r"([\w/-]+\.md)$", (DOCS / "site" / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(menu) == len(set(menu))
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert set(menu) == pages | {"ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md"}, (
        "docs/site/mkdocs.yml: nav"
    )


class Page(HTMLParser):
    """What a browser loads without a click, and the anchors."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors.add(given.get("id") or "")
        is_loaded = given.get("rel") not in ("canonical", "next", "prev")
        for name in ("src", "href"):
            if tag in ("script", "img", "iframe", "link") and is_loaded and given.get(name):
                self.loaded.append(str(given[name]))


@pytest.mark.slow
def test_the_site_is_complete_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    built = python("-m", "mkdocs", "build", "-q", "-f", DOCS / "site" / "mkdocs.yml", "-d", tmp_path)
    assert built.returncode == 0, built.stderr  # strict: a broken link or anchor is an error
    for path in tmp_path.rglob("*.html"):
        outside = [link for link in Page(path).loaded if "//" in link]
        assert outside == [], path
    api = Page(tmp_path / "reference" / "python.html").anchors
    public = {f"goemo_cli.{name}" for name in goemo_cli.__all__ if not name.startswith("_")}
    assert public <= api
    table = (tmp_path / "guides" / "own-data.html").read_text(encoding="utf-8")
    assert "<code>joy|anger</code>" in table  # not the \| of GitHub's tables
    assert 'href="https://github.com/goemo/goemo/blob/main/examples/own_data.py"' in table


def test_troubleshooting_has_each_exit_code() -> None:
    contract = (DOCS / "reference" / "exit-codes.md").read_text(encoding="utf-8")
    codes = re.findall(r"\d+", " ".join(re.findall(r"^\| ([\d, ]+) \|", contract, re.MULTILINE)))
    headings = re.findall(
        r"^## ([\d, ]+):", (DOCS / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert set(codes) - {"0"} == set(re.findall(r"\d+", " ".join(headings)))
    assert len(codes) > 10


def tutorial() -> list[tuple[str, str]]:
    """The blocks of the tutorial: language and text."""
    return BLOCK.findall((DOCS / "tutorial.md").read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:'pin_memory' argument:UserWarning")
def test_the_tutorial_runs_as_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = 0
    for language, block in tutorial():
        if language == "python":
            exec(compile(block, "tutorial", "exec"), {"__name__": "__main__"})
        if language:
            continue
        if "# needs the network" in block:
            continue
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            assert words[0] == "goemo", line
            done = CliRunner().invoke(app, words[1:])
            assert done.exit_code == 0, (line, done.output)
            ran += 1
    assert ran >= 10
    assert (tmp_path / "output" / "report" / "report.html").is_file()


def outputs(notebook: Any) -> list[str]:
    """The text outputs of a notebook without numbers, which differ between versions of the packages."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown = [output.get("text") or output["data"]["text/plain"] for cell in cells for output in cell.outputs]
    return [re.sub(r"[-+]?[\d.]+|\s+", "", text) for text in shown]


@pytest.mark.usefixtures("all_draws")  # the validation draws as often as the notebook did
@pytest.mark.slow
def test_the_notebook_runs_and_shows_what_it_computes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = nbformat.read(NOTEBOOK, as_version=4)
    again = nbformat.read(shutil.copy(NOTEBOOK, tmp_path), as_version=4)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    NotebookClient(again, resources={"metadata": {"path": tmp_path}}).execute()
    assert len(outputs(shown)) == 7
    assert [text[:40] for text in outputs(again)] == [text[:40] for text in outputs(shown)]
    assert validate_artifacts(Layout(tmp_path)).ok
    assert NOTEBOOK.stat().st_size < 40_000
