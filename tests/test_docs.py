"""Documentation that cannot drift: generated pages are fresh, commands exist, links lead somewhere, programs run."""

import re
import runpy
import shlex
import shutil
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from goemo_cli.app import app
from goemo_cli.core.layout import Layout

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    ROOT / "artifacts/README.md",
    ROOT / "output/README.md",
]
COMMAND = re.compile(r"^(?:[A-Z_]+=\S+ )?(goemo [^\n#|]+?)\s*(?:#.*|\|.*)?$", re.MULTILINE)
PROGRAM = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
PRINTED = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)
"""What a program prints, in a comment behind the line; three dots stand for any text."""
SLOW = {"sweep.md"}
"""Pages whose programs train several models."""
LINK = re.compile(r"\]\((?!https?://)([^)#]*)(?:#([^)]+))?\)")
REPOSITORY = re.compile(
    r"https://(?:github|raw\.githubusercontent)\.com/goemo/goemo/(?:(?:blob|tree)/)?main/([^)#\s\"]*)"
)
"""Addresses of files of the repository, in pages that PyPI shows too."""
CODE = re.compile(r"```.*?```", re.DOTALL)


def commands() -> list[str]:
    """Every `goemo …` line of a code block, and every one in inline code that has an option or a subcommand."""
    found: set[str] = set()
    for page in PAGES:
        if page.name == "cli.md":
            continue  # made of the help pages; tests/commands/test_help.py reads their examples
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"```(?:\w*)\n(.*?)```", text, re.DOTALL):
            found.update(COMMAND.findall(block))
        found.update(re.findall(r"`(goemo [a-z][^`]*)`", text))
    return sorted(found)


@cache
def help_of(*words: str) -> str:
    """The help page of a command."""
    shown = CliRunner().invoke(app, [*words, "--help"] if words[0][0] != "-" else words)
    assert shown.exit_code == 0, (words, shown.output)
    return shown.output


def test_every_command_shown_exists_with_its_options() -> None:
    for command in commands():
        words = [word for word in shlex.split(command.replace("…", ""))[1:] if word not in ("[OPTIONS]",)]
        subcommand = words[0] if words else "--help"
        path = [subcommand] if subcommand not in ("data", "runs", "sweep") else words[:2]
        page = help_of(*path)
        for flag in (word.partition("=")[0] for word in words[1:] if word.startswith("--")):
            assert flag in page, command


def anchors(page: Path) -> list[str]:
    """The anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", CODE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link, anchor in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        target = page.parent / link if link else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), f"{link}#{anchor}"


def test_addresses_of_the_repository_name_files_that_exist() -> None:
    named = REPOSITORY.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).exists()] == []
    assert not LINK.search((ROOT / "README.md").read_text(encoding="utf-8")), "PyPI needs absolute links"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for path in REPOSITORY.findall(" ".join(project["urls"].values())):
        assert (ROOT / path).exists()
    for extra in re.findall(
        r"`(?:pip install 'goemo\[)?(\w+)(?:\]')?`",
        (ROOT / "README.md").read_text(encoding="utf-8").partition("by name:")[2].partition("##")[0],
    ):
        assert extra in project["optional-dependencies"]


@pytest.mark.parametrize("name", ["cli", "config"])
def test_the_generated_reference_is_fresh(name: str) -> None:
    generate = runpy.run_path(str(ROOT / "docs" / "generate.py"))
    page = ROOT / "docs" / "reference" / f"{name}.md"
    assert page.read_text(encoding="utf-8") == generate[f"{name}_reference"](), "run: make docs"


def programs() -> list[Any]:
    """Every Python block of every page, by its page and line."""
    found: list[Any] = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in PROGRAM.finditer(text):
            line = text.count("\n", 0, block.start()) + 1
            marks = [pytest.mark.slow] if page.name in SLOW else []
            found.append(pytest.param(block[1], id=f"{page.relative_to(ROOT)}:{line}", marks=marks))
    return found


@pytest.fixture(scope="module")
def project(tiny_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a finished and calibrated run, as a reader of the guides has it."""
    from goemo_cli.services.evaluation.calibrate import calibrate
    from goemo_cli.services.runs.references import open_run

    root = Path(shutil.copytree(tiny_root, tmp_path_factory.mktemp("docs") / "root"))
    calibrate(open_run("@latest", Layout(root)), layout=Layout(root))
    return root


@pytest.mark.filterwarnings("ignore:'pin_memory' argument:UserWarning")  # torch's, on a machine without a GPU
@pytest.mark.filterwarnings("ignore::goemo_cli.GoemoWarning")  # the programs train on few rows
@pytest.mark.parametrize("program", programs())
def test_every_program_runs_on_its_own_and_prints_what_its_comments_say(
    program: str,
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(project, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    exec(compile(program, "program", "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    assert printed or "print(" not in program
    for said in PRINTED.findall(program):
        assert re.search(".*".join(map(re.escape, said.split("..."))), printed), said
