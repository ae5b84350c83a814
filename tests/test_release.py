"""A release: what is in the wheel, that it works where nothing of the repository is, and the version in the examples."""

import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

import goemo_cli
from tests.conftest import REPOSITORY
from tests.waiting import GUARD_SECONDS


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the build backend itself, which needs no network."""
    folder = tmp_path_factory.mktemp("dist")
    program = "import hatchling.build, sys; hatchling.build.build_wheel(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=GUARD_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def goemo(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command in a new environment: goemo from the wheel, its dependencies from the environment of the tests."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=False)
    python = next((folder / name).glob("python*") for name in ("bin", "Scripts") if (folder / name).is_dir())
    program = next(iter(sorted(python)))
    pip = [sys.executable, "-m", "pip", "--python", str(program), "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, "install", "--quiet", "--no-compile", "--no-deps", "--no-index", str(wheel)],
        capture_output=True, text=True, timeout=GUARD_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (installed,) = folder.rglob("site-packages")
    # The editable goemo there is a .pth file, which is not read behind this one.
    (installed / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    (command,) = program.parent.glob("goemo*")
    return command


IN_ONE_PROCESS = """
import sys
from goemo_cli.app import app
for line in sys.argv[1:]:
    try:
        app(line.split())
    except SystemExit as ended:
        assert not ended.code, line
"""
"""Runs commands that load the same packages."""


def in_a_package(path: Path) -> bool:
    return "__pycache__" not in path.parts and path.is_file()


def test_the_wheel_has_the_package_and_the_configs_and_nothing_else(wheel: Path):
    package = {
        path.relative_to(REPOSITORY).as_posix()
        for path in filter(in_a_package, (REPOSITORY / "goemo_cli").rglob("*"))
    }
    configs = {
        f"goemo_cli/{path.relative_to(REPOSITORY).as_posix()}"
        for path in filter(in_a_package, (REPOSITORY / "configs").rglob("*"))
    }
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        described = message_from_bytes(archive.read(metadata))
    assert {name for name in names if ".dist-info/" not in name} == package | configs
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert described["Version"] == goemo_cli.__version__
    readme = described.get_payload()
    assert isinstance(readme, str)
    assert "](docs/" not in readme, "a relative link is broken on PyPI"


def test_the_examples_install_this_version():
    named = {
        (path.relative_to(REPOSITORY).as_posix(), version)
        for path in (REPOSITORY / "examples").rglob("*.yaml")
        for version in re.findall(
            r"\bgoemo(?:\[[\w,-]+\])?(?:==|:)(\d[\w.]*)", path.read_text(encoding="utf-8")
        )
    }
    assert len(named) >= 3
    assert {version for _, version in named} == {goemo_cli.__version__}, named


def test_the_wheel_works_in_a_clean_environment(goemo: Path, tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*arguments: str, code: int = 0, program: Path = goemo) -> str:
        done = subprocess.run(
            [str(program), *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=GUARD_SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return done.stdout or done.stderr

    assert run("--version").split() == ["goemo", goemo_cli.__version__]
    assert "--no-such-flag" in run("train", "--no-such-flag", code=2)
    python = next(iter(sorted(goemo.parent.glob("python*"))))
    shown = run("-c", IN_ONE_PROCESS, "--help", "train --help", "models", program=python)
    for part in ("goemo train --model tfidf --data sample", "--seeds", "roberta-large"):
        assert part in shown
    assert list(tmp_path.iterdir()) == []
    work = ["train --model tfidf --data sample --no-wandb", "report", "validate"]
    run("-c", IN_ONE_PROCESS, *work, program=python)
    assert (tmp_path / "output" / "report" / "report.html").is_file()
