"""`goemo explain` as it is typed: what it shows, what it exits with."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from goemo_cli.app import app
from goemo_cli.core.layout import Layout
from goemo_cli.services.training.ensemble import write_ensemble
from goemo_cli.services.training.settings import resolve_settings
from goemo_cli.services.training.train import train
from tests.generated_texts import german_emotions, write_rows


def goemo(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["explain", *(str(argument) for argument in arguments)])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a tfidf, two tiny runs and their ensemble on German texts."""
    root = tmp_path_factory.mktemp("explain")
    write_rows(root / "german.csv", german_emotions(400))
    runs = {}
    for model, seed in (("tfidf", 0), ("tiny", 0), ("tiny", 1)):
        flags = {"model.name": model, "data.name": str(root / "german.csv"), "training.seed": seed}
        runs[model, seed] = train(resolve_settings(None, flags, ["training.epochs=1"]), layout=Layout(root))
    write_ensemble([runs["tiny", 0], runs["tiny", 1]], layout=Layout(root))
    return root


def test_words_that_speak_for_a_label_are_shown_with_their_numbers(root: Path):
    done = goemo("Ich freue mich so über das Konzert!", "-c", "@tfidf", "--root", root, "--top", 2)
    assert done.exit_code == 0, done.output
    assert "Freude 0." in done.stdout
    assert "without words" in done.stdout
    line = next(line for line in done.stdout.splitlines() if "Konzert" in line)
    assert "freue(+" in line
    assert line.count("(") == 2


def test_json_is_one_document_whose_words_add_up(root: Path):
    done = goemo("Ich freue mich!", "-c", "@tfidf", "--root", root, "--json", "-l", "Wut", "-l", "Freude")
    document = json.loads(done.stdout)
    assert document["method"] == "exact"
    assert [one["label"] for one in document["labels"]] == ["Freude", "Wut"]  # the more probable one first
    for one in document["labels"]:
        assert sum(word["amount"] for word in one["words"]) == pytest.approx(one["logit"] - one["baseline"])
        assert [word["text"] for word in one["words"]] == ["Ich", "freue", "mich", "!"]
        assert max(one["words"], key=lambda word: abs(word["amount"])) == one["strongest"][0]


@pytest.mark.parametrize("run", ["@tiny", "@tiny-ensemble"])
def test_transformers_and_their_ensembles_are_explained_by_integrated_gradients(root: Path, run: str):
    done = goemo("Ich freue mich!", "-c", run, "--root", root, "--json")
    for one in json.loads(done.stdout)["labels"]:
        moved = sum(word["amount"] for word in one["words"])
        assert moved == pytest.approx(one["logit"] - one["baseline"] + one["delta"])
        assert abs(one["delta"]) < 0.01


def test_occlusion_needs_no_captum_and_integrated_gradients_say_how_to_get_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    done = goemo("Ich freue mich", "-c", "@tiny-ensemble", "--root", root)
    assert done.exit_code == 4
    assert "pip install 'goemo[explain]'" in done.stderr
    done = goemo("Ich freue mich", "-c", "@tiny-ensemble", "--root", root, "--method", "occlusion", "--json")
    assert json.loads(done.stdout)["labels"][0]["baseline"] is None


def test_nothing_of_the_text_is_taken_for_markup_or_control(root: Path, tmp_path: Path):
    text = "<script>alert(1)</script> [red]\x1b[31m\u202e & freue"
    page = tmp_path / "page.html"
    done = goemo(text, "-c", "@tfidf", "--root", root, "--html", page)
    assert done.exit_code == 0, done.output
    assert not {"\x1b", "\u202e"} & set(done.output)
    assert "[red]" in done.stdout
    written = page.read_text(encoding="utf-8")
    assert "<script" not in written
    assert "&amp;" in written


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["  "], 2, "no word in it"),
        (["x", "-l", "Freud"], 2, "did you mean 'Freude'"),
        (["x", "--method", "guess"], 2, "'integrated-gradients', 'occlusion', 'exact'"),
        (["x", "--method", "integrated-gradients"], 2, "exact and occlusion do"),
        (["x", "-c", "@tfdif"], 4, "did you mean '@tfidf'"),
    ],
)
def test_mistakes_get_a_sentence_and_their_exit_code(root: Path, arguments: list[str], code: int, said: str):
    done = goemo("--checkpoint", "@tfidf", *arguments, "--root", root)
    assert done.exit_code == code, done.output
    assert said in done.stderr
    assert done.stdout == ""


def test_a_text_longer_than_the_model_reads_is_warned_of(root: Path):
    done = goemo("freue " * 80, "-c", "@tiny", "--root", root)
    assert done.exit_code == 0, done.output
    assert "word(s) were not read" in done.stderr
