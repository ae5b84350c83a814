"""The card of a checkpoint: every number is one of the run's, its metadata is the Hub's, its program gives goemo's labels."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import ModelCard

from goemo_cli.core.checkpoint import CARD, Checkpoint
from goemo_cli.core.documents.metrics import Metrics
from goemo_cli.core.labels import PAPER_F1_MACRO
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import RULES
from goemo_cli.core.settings import ThresholdSettings
from goemo_cli.ml.data.goemotions import SPLIT_SHA256
from goemo_cli.ml.models.classifier import load_classifier
from goemo_cli.services.evaluation.tune import tune_run
from goemo_cli.services.model_card import model_card
from goemo_cli.services.runs.references import open_run

KNOWN = {"95", "0.2", *(f"{value:.2f}" for value in PAPER_F1_MACRO.values())}
"""Numbers of a card that are not the run's: intervals, what counts as wide, the paper's scores."""


@pytest.fixture(scope="module")
def tiny(tiny_root: Path) -> Checkpoint:
    return open_run("@latest", Layout(tiny_root))


def card_of(checkpoint: Checkpoint, **changed: Any) -> str:
    """The card with other facts in metrics.json: `data__name="mine"` sets metrics["data"]["name"]."""
    metrics = checkpoint.metrics.as_json()
    for path, value in changed.items():
        *above, last = path.split("__")
        target = metrics
        for key in above:
            target = target[key]
        target[last] = value
    return model_card(Metrics.model_validate(metrics), checkpoint.thresholds, checkpoint.config)


def as_goemotions(checkpoint: Checkpoint) -> str:
    return card_of(checkpoint, data__name="goemotions", data__split_sha256=SPLIT_SHA256)


def numbers_in(value: Any) -> Iterator[float]:
    """Every number below a value, and those that follow from one: gibibytes."""
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from ([entry / 2**30] if key == "peak_memory_bytes" else numbers_in(entry))
    elif isinstance(value, list | tuple):
        yield len(value)
        for entry in value:
            yield from numbers_in(entry)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def metadata_of(card: str) -> Any:
    """As the Hub's library reads it; its attributes are those of the YAML."""
    return ModelCard(card).data


def tables_of(card: str) -> list[list[list[str]]]:
    blocks = re.findall(r"(?:^\|.*\n)+", card, flags=re.M)
    return [
        [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in block.splitlines()]
        for block in blocks
    ]


def test_the_papers_scores_are_shown_only_on_its_own_test_comments(tiny: Checkpoint) -> None:
    assert "the paper's BERT-base" in as_goemotions(tiny)
    card = card_of(tiny, data__name="goemotions")
    assert "## Coarser labels" in card
    assert "BERT-base" not in card, "the name of the data decides nothing"


@pytest.mark.parametrize("card", [card_of, as_goemotions])
def test_every_number_is_one_of_the_runs(tiny: Checkpoint, card: Any) -> None:
    _, _, body = card(tiny).partition("\n---\n")
    prose = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)|[0-9a-f]{40}|SHA-256", " ", body, flags=re.S)
    prose = re.sub(re.escape(tiny.metrics.run), " ", prose)
    versions = " ".join(tiny.metrics.versions.values())
    own = set(
        numbers_in([tiny.metrics.as_json(), tiny.thresholds.per_label.tolist(), tiny.config.model_dump()])
    )
    own |= {tiny.thresholds.global_threshold, *tiny.thresholds.global_ci}
    found = re.findall(r"(?<![\w.+])\d[\d,]*(?:\.\d+)*(?!\w)", prose)
    assert len(found) > 200
    for token in found:
        plain = token.replace(",", "").rstrip(".")
        decimals = len(plain.partition(".")[2])
        texts = (f"{number:.{decimals}f}" for number in own)
        assert (
            plain in KNOWN
            or plain in versions
            or plain in {f"{number:.4g}" for number in own}
            or plain in texts
            or (plain == "2020" and "Demszky" in prose)
        ), f"{token} is in none of the run's files"


def test_tables_hold_what_metrics_and_thresholds_say(tiny: Checkpoint) -> None:
    splits, rules, labels, *coarser = tables_of(card_of(tiny))
    sizes, test = tiny.metrics.data.sizes, tiny.metrics.test
    assert [row[:2] for row in splits[2:]] == [
        [split, f"{sizes.of(split):,}"] for split in ("train", "val", "test")
    ]
    for row, rule in zip(rules[2:], RULES, strict=True):
        value, low, high = test.rule(rule).score("f1_macro")
        assert row[:2] == [rule, f"{value:.3f} ({low:.3f} to {high:.3f})"]
    fitted = dict(zip(tiny.labels, tiny.thresholds.per_label.tolist(), strict=True))
    for row, expected in zip(labels[2:], tiny.metrics.per_class, strict=True):
        label, f1, _, precision, recall, _, support, threshold = row
        assert label == expected.emotion
        assert (f1, precision, recall) == (
            f"{expected.f1_score:.3f}",
            f"{expected.precision:.3f}",
            f"{expected.recall:.3f}",
        )
        assert support == str(expected.support)
        assert threshold == f"{fitted[label]:.4g}"
    assert len(coarser[0]) == 2 + 4


def test_the_hubs_library_reads_the_metadata(tiny: Checkpoint) -> None:
    loaded = metadata_of(as_goemotions(tiny))
    assert (loaded.language, loaded.library_name, loaded.pipeline_tag) == (
        ["en"],
        "transformers",
        "text-classification",
    )
    assert loaded.datasets == ["google-research-datasets/go_emotions"]
    assert loaded.license is None
    own: list[Any] = []
    others: list[Any] = []
    for result in loaded.eval_results:
        assert (result.task_type, result.dataset_split) == ("text-classification", "test")
        assert (result.dataset_name, result.dataset_type) == (
            "GoEmotions",
            "google-research-datasets/go_emotions",
        )
        assert result.dataset_args == {"sha256": SPLIT_SHA256["test"]}
        rule = (result.metric_args or {}).get("threshold_rule")
        if rule:
            assert f"({rule} thresholds)" in str(result.metric_name)
        (own if rule == tiny.metrics.threshold_rule else others).append(result)
    test = tiny.metrics.test
    assert own[0].metric_value == test.fitted.f1_macro
    assert {one.metric_value for one in others if one.metric_type == "roc_auc"} == {
        test.auc_micro,
        test.auc_macro,
    }
    assert len(own) == 5
    assert len(others) == 3 * 2 + 3


def test_an_undefined_score_is_left_out_of_the_metadata_and_named_in_the_text(tiny: Checkpoint) -> None:
    card = card_of(tiny, test__auc_macro=None, test__auc_macro_ci=None)
    names = [result.metric_name for result in metadata_of(card).eval_results]
    assert "AUC micro" in names
    assert "AUC macro" not in names
    assert "AUC macro undefined" in card


def test_only_goemotions_is_spoken_of_as_goemotions(tiny: Checkpoint) -> None:
    goemotions = as_goemotions(tiny)
    for phrase in (
        "young and male",
        "from India",
        "Apache-2.0",
        "demszky2020goemotions",
        "Reddit",
        "grief (",
    ):
        assert phrase in goemotions
    odd = card_of(
        tiny, data__name="mine|<b>\n\x1b[31m", data__split_sha256=dict.fromkeys(SPLIT_SHA256, "0" * 64)
    )
    for phrase in ("young and male", "from India", "Apache", "Demszky", "Reddit", "language:", "datasets:"):
        assert phrase not in odd
    assert r"on mine\|&lt;b> \[31m." in odd
    assert metadata_of(odd).eval_results
    sample = card_of(tiny)
    assert "not a model to rely on" in sample
    assert "India" not in sample


def test_models_that_transformers_cannot_load_say_so(tiny: Checkpoint) -> None:
    members = [{"run": "tiny-20260101-000000", "seed": 0}, {"run": "tiny-20260101-000001", "seed": 1}]
    for changed, word in (
        ({"members": members}, "mean of the probabilities of tiny-20260101-000000 (seed 0)"),
        ({"base_model": {"kind": "tfidf"}}, "TF-IDF"),
    ):
        card = card_of(tiny, **changed)
        loaded = metadata_of(card)
        assert loaded.library_name == "goemo"
        assert loaded.base_model is None
        assert word in card
        assert "from transformers import" not in card
        assert "tokens" not in card
        assert "logit)" not in card
    assert "--seeds 2" in card_of(tiny, members=members)


def test_labels_with_wide_intervals_are_named(tiny: Checkpoint) -> None:
    wide = [
        row.emotion
        for row in tiny.metrics.per_class
        if row.f1_ci_low is not None and row.f1_ci_high is not None and row.f1_ci_high - row.f1_ci_low > 0.2
    ]
    card = card_of(tiny)
    (line,) = [line for line in card.splitlines() if "known only roughly" in line or "No label's" in line]
    assert wide == re.findall(r"([a-z]+) [\d.]+ to", line)


@pytest.mark.parametrize(
    "settings",
    [
        {"rule": "per_label"},
        {"rule": "global", "never_empty": True},
        {"rule": "fixed_0.3", "never_empty": True, "top_k": 2},
        {"rule": "fixed_0.5", "top_k": 1},
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_the_program_for_transformers_gives_our_labels(
    tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    thresholds = replace(tiny.thresholds, settings=ThresholdSettings(**settings))
    metrics = tiny.metrics.model_copy(update={"threshold_rule": settings["rule"]})
    card = model_card(metrics, thresholds, tiny.config)
    (program,) = re.findall(r"transformers alone.*?```python\n(.*?)```", card, flags=re.S)
    monkeypatch.chdir(tiny.path)
    names: dict[str, Any] = {"print": lambda labels: None}
    exec(program, names)
    texts = [f"word {at} thank you " * (at % 50 + 1) for at in range(12)]  # the last ones are cut
    decided = thresholds.decide(load_classifier(tiny).predict_proba(texts))
    assert decided.any() or settings["rule"] == "fixed_0.5", "the others find labels even with one epoch"
    for text, row in zip(texts, decided, strict=True):
        assert set(names["labels_of"](text)) == set(np.array(tiny.labels)[row])


def test_tuning_writes_the_card_anew(tiny: Checkpoint, tmp_path: Path) -> None:
    shutil.copytree(tiny.path.parents[3], tmp_path / "root")
    layout = Layout(tmp_path / "root")
    folder = layout.find_checkpoint(tiny.run)
    assert folder is not None
    before = (folder / CARD).read_text("utf-8")
    assert before == card_of(tiny)
    tune_run(Checkpoint.open(folder), ThresholdSettings(rule="global", top_k=3), layout=layout)
    tuned = Checkpoint.open(folder)
    after = (folder / CARD).read_text("utf-8")
    assert after == card_of(tuned)
    assert "The rule in force is `global` (at most 3 labels, the most probable ones)" in after
    assert metadata_of(after).eval_results[0].metric_value == tuned.metrics.test_rule.f1_macro
