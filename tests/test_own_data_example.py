"""The example from a CSV of one's own to a report runs as it stands, and what it leaves is valid."""

from pathlib import Path

import pytest

from goemo_cli.core.layout import Layout
from goemo_cli.services.validation import validate_artifacts
from tests.conftest import REPOSITORY
from tests.processes import python


@pytest.mark.slow
@pytest.mark.usefixtures("all_draws")  # the example is a process of its own
def test_the_example_runs_from_csv_to_report(tmp_path: Path):
    done = python(REPOSITORY / "examples/own_data.py", "mine", cwd=tmp_path, env={"PATH": ""})
    assert done.returncode == 0, done.stderr
    assert "has learnt alegría, asco, enfado, sorpresa, tristeza" in done.stdout
    assert "because of" in done.stdout
    assert (tmp_path / "mine" / "output" / "report" / "report.html").is_file()
    assert validate_artifacts(Layout(tmp_path / "mine")).ok
