"""Whatever its surroundings do, a command ends with the right exit code, older files stay, and it can be repeated."""

from pathlib import Path

import pytest

from tests.torture import full_disk, surroundings
from tests.torture.commands import Base
from tests.torture.surroundings import Surrounding

QUICK = (
    "the disk is full before the second state",
    "the disk turns read-only before the weights",
    "the folders belong to another user",
    "0 more files may be open",
    "two processes resume one run",
    "the run's folder is removed before the predictions",
    "locks are unavailable, as on some network file systems",
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return Base.make(tmp_path_factory.mktemp("surroundings") / "base")


@pytest.mark.parametrize(
    "trial",
    [
        pytest.param(trial, id=trial.name, marks=() if trial.name in QUICK else pytest.mark.slow)
        for trial in (*surroundings.TRIALS, *full_disk.TRIALS)
    ],
)
def test_a_command_survives(trial: Surrounding, base: Base, tmp_path: Path) -> None:
    if trial.missing:
        pytest.skip(trial.missing)
    assert trial.act(base.case(tmp_path)) == []
