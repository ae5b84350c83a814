"""The one rule that turns probabilities into labels, and the file that keeps thresholds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from goemo_cli.core.errors import CorruptArtifactError, SettingError
from goemo_cli.core.files import write_json
from goemo_cli.core.thresholds import Thresholds, decide

LABELS = ("anger", "joy", "neutral")
THRESHOLDS = Thresholds(LABELS, 0.31, np.array([0.1, 0.25, 0.9]), (3, 0, 12), 10.0)


def test_a_probability_equal_to_its_threshold_is_a_yes():
    y_prob = np.array([[0.5, 0.25], [0.49999997, 0.25000003]], dtype=np.float32)
    assert decide(y_prob, np.array([0.5, 0.25])).tolist() == [[True, True], [False, True]]


def test_zero_and_one_are_thresholds_too():
    y_prob = np.array([[0.0, 1.0]], dtype=np.float32)
    assert decide(y_prob, 0.0).tolist() == [[True, True]]
    assert decide(y_prob, 1.0).tolist() == [[False, True]]


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
    assert (back.shrinkage, back.rule, back.fitted_on) == (10.0, "per_label", "val")


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
        ("fitted_on", "test", "was fitted on 'test'; only val is honest"),
        ("rule", "best", "unknown threshold rule 'best'"),
        ("rule", ["global"], "unknown threshold rule"),
        ("global", 1.01, "not between 0 and 1"),
        ("global", -0.01, "not between 0 and 1"),
        ("global", None, "is not a thresholds file"),
        ("global", "nan", "not between 0 and 1"),
        ("per_label", {"anger": 0.1, "joy": 0.2}, "is not a thresholds file"),
        ("per_label", {"joy": 0.1, "anger": 0.2, "neutral": 0.3}, "other labels .* or in another order"),
        ("per_label", {"anger": 0.1, "joy": 0.2, "neutral": 0.3, "love": 0.4}, "other labels"),
        ("per_label", {"anger": 0.1, "joy": 2, "neutral": 0.3}, "not between 0 and 1"),
        ("per_label", [0.1, 0.2, 0.3], "is not a thresholds file"),
        ("n_positives", {}, "is not a thresholds file"),
        ("shrinkage", "much", "is not a thresholds file"),
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
    with pytest.raises(CorruptArtifactError, match=f"KeyError.*{key}"):
        Thresholds.read(path, LABELS)
