"""Each benchmark explains itself, and the page of results is made from their files. No duration decides a test."""

import runpy
import sys
from functools import partial
from pathlib import Path

import pytest

from benchmarks.__main__ import QUICK
from benchmarks.measure import RESULTS, Result, interleaved, new_result
from benchmarks.page import PAGE, page


@pytest.mark.parametrize("name", [*QUICK, "hf_trainer", "threshold_rules"])
def test_every_benchmark_has_help(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(RESULTS.parent / f"{name}.py"), run_name="__main__")
    assert stopped.value.code == 0
    assert f"python -m benchmarks.{name}" in capsys.readouterr().out


def test_the_page_contains_medians_spread_ratios_and_origin_of_each_result(tmp_path: Path) -> None:
    measured = {"slow": [4.0, 8.0, 6.0], "fast": [1.0, 1.0, 3.0]}
    result = new_result("startup", "Start", "Two programs.")
    measures = {
        name: partial(lambda values, number: {"s": values[number]}, values)
        for name, values in measured.items()
    }
    table = interleaved("Both", "program", measures, 3)
    table.compare("slow", "fast", "s")
    table.cell("slow", "MiB").remark = "stopped"
    result.tables.append(table)
    result.write(tmp_path)
    notes = tmp_path / f"startup.{result.machine.kind}.md"
    notes.write_text("Measured under load.\n", encoding="utf-8")
    written = page(tmp_path)
    assert "Measured under load." in written
    assert "| slow | 6 (4 to 8) | stopped |" in written
    assert "| slow | fast | s | 4 x (2 to 8) |" in written
    assert "| fast | 1 (1 to 3) |" in written
    assert result.machine.processor in written
    assert f"numpy {result.versions['numpy']}" in written
    assert [Result.model_validate_json(path.read_bytes()) for path in tmp_path.glob("*.json")] == [result]


def test_the_page_of_the_repository_is_made_from_its_results() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(RESULTS), "run: python -m benchmarks.page"
