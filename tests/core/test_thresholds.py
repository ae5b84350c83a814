"""The one rule that turns probabilities into labels, and the file that keeps thresholds."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from goemo_cli.core.errors import CorruptArtifactError, SettingError
from goemo_cli.core.files import write_json
from goemo_cli.core.settings import ThresholdSettings
from goemo_cli.core.thresholds import Thresholds, decide

LABELS = ("anger", "joy", "neutral")
THRESHOLDS = Thresholds(
    LABELS,
    0.31,
    np.array([0.1, 0.25, 0.9]),
    (3, 0, 12),
    ThresholdSettings(rule="per_label", objective="precision_floor", floor=0.4, shrinkage=7, top_k=2),
    global_ci=(0.2, 0.4),
    per_label_ci=np.array([[0.05, 0.2, 0.8], [0.2, 0.3, 1.0]]),
)


def test_a_probability_equal_to_its_threshold_is_a_yes():
    y_prob = np.array([[0.5, 0.25], [0.49999997, 0.25000003]], dtype=np.float32)
    assert decide(y_prob, np.array([0.5, 0.25])).tolist() == [[True, True], [False, True]]


@pytest.mark.parametrize(
    ("number", "is_yes"), [(0.3, True), (0.7, False), (0.1, True), (0.5, True), (0.9, False)]
)
def test_a_float32_is_compared_as_the_number_it_is(number: float, is_yes: bool):
    """float32(0.3) is 0.30000001192... and above 0.3; float32(0.7) is 0.69999998807... and below 0.7."""
    y_prob = np.array([[number]], dtype=np.float32)
    assert bool(decide(y_prob, number)[0, 0]) is is_yes
    assert (float(np.float32(number)) >= number) is is_yes


def test_each_rule_gives_one_threshold_per_label():
    assert THRESHOLDS.of_rule("per_label").tolist() == [0.1, 0.25, 0.9]
    assert THRESHOLDS.of_rule("global").tolist() == [0.31] * 3
    assert THRESHOLDS.of_rule("fixed_0.5").tolist() == [0.5] * 3
    assert THRESHOLDS.of_rule("fixed_0.3").tolist() == [0.3] * 3


@pytest.mark.parametrize("rule", ["", "fixed_0.4", "Global", "best"])
def test_an_unknown_rule_is_refused_with_the_known_ones(rule: str):
    with pytest.raises(SettingError, match=r"known: fixed_0\.5, fixed_0\.3, global, per_label"):
        THRESHOLDS.of_rule(rule)


def test_thresholds_read_back_as_written(tmp_path: Path):
    THRESHOLDS.write(tmp_path / "thresholds.json", run="tiny-20250101-000000")
    back = Thresholds.read(tmp_path / "thresholds.json", LABELS)
    assert back.per_label.tolist() == THRESHOLDS.per_label.tolist()
    assert (back.labels, back.global_threshold, back.n_positives) == (LABELS, 0.31, (3, 0, 12))
    assert (back.settings, back.rule, back.fitted_on) == (THRESHOLDS.settings, "per_label", "val")
    assert back.global_ci == (0.2, 0.4)
    assert back.per_label_ci is not None
    assert back.per_label_ci.tolist() == [[0.05, 0.2, 0.8], [0.2, 0.3, 1.0]]


def test_a_row_without_a_label_gets_its_most_probable_one():
    y_prob = np.array([[0.1, 0.2, 0.2], [0.9, 0.1, 0.8], [0, 0, 0]], dtype=np.float32)
    assert decide(y_prob, 0.5, never_empty=True).tolist() == [
        [False, True, False],
        [True, False, True],
        [True, False, False],
    ]


@pytest.mark.parametrize(
    ("top_k", "expected"), [(1, [True, False, False]), (2, [True, False, True]), (9, [True] * 3)]
)
def test_of_many_labels_the_most_probable_ones_stay(top_k: int, expected: list[bool]):
    y_prob = np.array([[0.9, 0.6, 0.8]], dtype=np.float32)
    assert decide(y_prob, 0.5, top_k=top_k).tolist() == [expected]


def test_at_most_k_of_the_predicted_labels_stay_whatever_the_others_have():
    """Only the third label reaches its threshold: the two more probable ones do not replace it."""
    y_prob = np.array([[0.5, 0.4, 0.1], [0.9, 0.8, 0.2]], dtype=np.float32)
    decided = decide(y_prob, np.array([0.6, 0.6, 0.05]), never_empty=True, top_k=2)
    assert decided.tolist() == [[False, False, True], [True, True, False]]


def test_the_options_belong_to_the_runs_own_rule():
    y_prob = np.array([[0.95, 0.96, 0.97], [0.01, 0.01, 0.02]], dtype=np.float32)
    own = replace(THRESHOLDS, settings=ThresholdSettings(rule="per_label", never_empty=True, top_k=1))
    assert own.decide(y_prob).tolist() == [[False, False, True], [False, False, True]]
    assert own.decide(y_prob, "per_label").tolist() == own.decide(y_prob).tolist()
    assert own.decide(y_prob, "global").tolist() == [[True] * 3, [False] * 3]


def test_the_file_names_its_run_and_what_it_was_fitted_on(tmp_path: Path):
    THRESHOLDS.write(tmp_path / "thresholds.json", run="tiny-20250101-000000")
    written = json.loads((tmp_path / "thresholds.json").read_text())
    assert written["run"] == "tiny-20250101-000000"
    assert written["fitted_on"] == "val"
    assert written["per_label"] == {"anger": 0.1, "joy": 0.25, "neutral": 0.9}
    assert written["global"] == 0.31


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("fitted_on", "test", "fitted_on should be 'val'"),
        ("rule", "best", "rule should be"),
        ("objective", "accuracy", "objective should be"),
        ("floor", None, "the objectives precision_floor, recall_floor"),
        ("global_ci", [0.1], r"global_ci\[1\] is missing"),
        ("per_label_ci", {"anger": [0, 2]}, r"per_label_ci\.anger\[1\] should be less than"),
        ("global", 1.01, "global should be less than or equal to 1"),
        ("global", "nan", "global should be a valid number"),
        ("per_label", {"anger": 0.1, "joy": 0.2}, "other labels than the checkpoint"),
        ("per_label", {"joy": 0.1, "anger": 0.2, "neutral": 0.3}, "other labels .* or in another order"),
        ("per_label", {"anger": 0.1, "joy": 2, "neutral": 0.3}, r"per_label\.joy should be less than"),
        ("per_label", [0.1, 0.2, 0.3], "per_label should be a valid dictionary"),
        ("n_positives", {}, "other labels than the checkpoint"),
        ("shrinkage", "much", "shrinkage should be a valid number"),
    ],
)
def test_a_file_with_a_fault_is_refused(tmp_path: Path, key: str, value: Any, reason: str):
    path = tmp_path / "thresholds.json"
    THRESHOLDS.write(path, run="tiny-20250101-000000")
    write_json(path, {**json.loads(path.read_text()), key: value})
    with pytest.raises(CorruptArtifactError, match=reason) as raised:
        Thresholds.read(path, LABELS)
    assert raised.value.path == path


@pytest.mark.parametrize("key", ["global", "per_label", "n_positives", "shrinkage", "rule", "fitted_on"])
def test_a_file_without_a_key_is_refused(tmp_path: Path, key: str):
    path = tmp_path / "thresholds.json"
    THRESHOLDS.write(path, run="tiny-20250101-000000")
    written = json.loads(path.read_text())
    del written[key]
    write_json(path, written)
    with pytest.raises(CorruptArtifactError, match=f"thresholds.json: {key} is missing"):
        Thresholds.read(path, LABELS)
