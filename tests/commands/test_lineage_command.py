import json

import pytest
from typer.testing import CliRunner

from goemo_cli.app import app
from goemo_cli.core.files import write_text
from goemo_cli.core.layout import Layout
from tests.synthetic_runs import add_run

RUN = "tiny-20260103-101500"


@pytest.fixture
def goemo(layout: Layout):
    """`goemo lineage ...` on the layout's root."""

    def call(*arguments: str):
        return CliRunner().invoke(app, ["lineage", *arguments, "--root", str(layout.root)])

    return call


def test_the_tree_is_indented_with_short_hashes(goemo, layout: Layout):
    add_run(layout, RUN, parents={"data": "d" * 64, "base_model": {"id": "some/base"}})
    done = goemo("@latest")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == f"data  goemotions (100 train, 10 val, 20 test)  {'d' * 12}"
    assert lines[1] == "   base model  some/base"
    assert lines[2].startswith(f"      checkpoint  {RUN}  ")
    assert any(line.startswith("         predictions  test_predictions_tiny_") for line in lines)


def test_json_is_one_document_and_what_is_faulty_is_named(goemo, layout: Layout):
    run = add_run(layout, RUN)
    write_text(run.path / "weights.bin", "changed")
    done = goemo(RUN, "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["run"]) == (0, RUN)
    assert found["faulty"] == [layout.shown(run.path)]
    assert set(found["nodes"][0]) == {"id", "kind", "name", "sha256", "state", "reasons", "sources"}
    assert "damaged: weights.bin" in goemo(RUN).stdout


def test_an_unknown_run_is_not_found(goemo, layout: Layout):
    add_run(layout, RUN)
    done = goemo("tiny-20260103-101501")
    assert done.exit_code == 4
    assert RUN in done.stderr
