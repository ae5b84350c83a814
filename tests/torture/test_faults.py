"""Whatever system call fails or kills the process, files are old or new, and a repetition succeeds."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.torture.faults import DEEDS, Operation, is_available, trials
from tests.torture.operations import OPERATIONS, download, state_save

pytestmark = pytest.mark.skipif(not is_available(), reason="needs strace that may attach to processes")


QUICK = ((state_save, "kills"), (download, "fails"))


@pytest.mark.parametrize(
    ("make", "deed"),
    [
        pytest.param(make, deed, marks=() if (make, deed) in QUICK else pytest.mark.slow)
        for make in OPERATIONS
        for deed in DEEDS
    ],
)
def test_no_call_damages_a_file(make: Callable[[Path], Operation], deed: str, tmp_path: Path) -> None:
    done = list(trials(make(tmp_path), deed))
    assert len(done) > 10
    assert [trial for trial in done if trial.faults] == []
