"""Sweep files as W&B documents them: what is read from them, and what is refused before anything runs."""

from pathlib import Path
from typing import Any

import pytest

from goemo_cli.core.errors import NotFoundError, SettingError, UnknownSettingError
from goemo_cli.services.sweep.search_space import DISTRIBUTIONS, Parameter
from goemo_cli.services.sweep.sweep_file import EarlyTerminate, parse_sweep, read_sweep_file

METRIC = {"name": "val/f1_macro", "goal": "maximize"}


def one(entry: Any, name: str = "training.learning_rate") -> Parameter:
    """The parameter that an entry makes, in a file that is right otherwise."""
    return parse_sweep({"method": "random", "metric": METRIC, "parameters": {name: entry, "training.seed": {"values": [0, 1]}}}).parameters[0]  # fmt: skip


def sweep(**changes: Any) -> Any:
    content = {
        "method": "random",
        "metric": METRIC,
        "parameters": {"training.seed": {"values": [0, 1]}},
    } | changes
    return parse_sweep({key: value for key, value in content.items() if value is not None})


@pytest.mark.parametrize(
    ("entry", "distribution"),
    [
        ({"value": 1e-4}, "constant"),
        ({"values": [1e-4, 1e-3]}, "categorical"),
        ({"values": [1e-4, 1e-3], "probabilities": [0.3, 0.7]}, "categorical_w_probabilities"),
        ({"min": 1, "max": 3}, "int_uniform"),
        ({"min": 1e-5, "max": 1}, "uniform"),
        ({"min": 1, "max": 3.0}, "uniform"),
        ({"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-3}, "log_uniform_values"),
    ],
)
def test_the_distribution_follows_from_the_keys(entry: dict[str, Any], distribution: str) -> None:
    assert one(entry).distribution == distribution


def test_defaults_are_those_of_the_schema() -> None:
    """mu 0, sigma 1, a 1, b 1, q 1 (src/sweeps/config/schema.json of wandb/sweeps)."""
    assert one({"distribution": "q_normal"}).numbers == {"mu": 0, "sigma": 1, "q": 1}
    assert one({"distribution": "q_beta"}).numbers == {"a": 1, "b": 1, "q": 1}
    assert one({"distribution": "q_uniform", "min": 1, "max": 9}).numbers == {"min": 1, "max": 9, "q": 1}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (3, "write `value: 3`"),
        ([1e-4, 1e-3], "write `values: [0.0001, 0.001]`"),
        ({"valeus": [1, 2]}, "unknown key 'valeus'; did you mean 'values'"),
        (
            {"rate": {"min": 0, "max": 1}},
            "training.learning_rate: {parameters: {rate: ...}}; or write training.learning_rate.rate",
        ),
        ({}, "neither value, values nor min and max"),
        ({"min": 1}, "needs max"),
        ({"min": 3, "max": 3}, "not below max"),
        ({"min": 1e-4, "max": "1"}, "not a number"),
        ({"values": []}, "values needs at least 1"),
        ({"values": [1, 2], "probabilities": [1]}, "as many probabilities"),
        ({"values": [1, 2], "probabilities": [0.5, 0.6]}, "add up to 1"),
        ({"distribution": "log_unifrom", "min": 1, "max": 2}, "did you mean 'log_uniform'"),
        ({"distribution": ["uniform"], "min": 1, "max": 2}, "no distribution ['uniform']"),
        ({"distribution": "log_uniform_values", "min": 0, "max": 1}, "min is not above 0"),
        ({"distribution": "log_uniform", "min": -5, "max": 1000}, "out of range"),
        ({"distribution": "int_uniform", "min": 1, "max": 2.5}, "is not a whole number: 2.5"),
        ({"distribution": "q_uniform", "min": 1, "max": 2, "q": 0}, "q is not above 0"),
        ({"distribution": "normal", "sigma": -1}, "sigma is below 0"),
        ({"distribution": "beta", "a": 0}, "a is not above 0"),
        ({"min": 1, "max": 2, "mu": 0}, "has no key mu"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_named(entry: Any, said: str) -> None:
    with pytest.raises(SettingError, match="learning_rate") as error:
        one(entry)
    assert said in str(error.value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SettingError) as error:
        parse_sweep(
            {
                "method": "bays",
                "metrix": 1,
                "parameters": {"training.epochs": 3},
                "early_terminate": {"type": "x"},
            }
        )
    assert len(error.value.problems) == 5


def test_an_unknown_setting_is_an_error_with_near_names() -> None:
    with pytest.raises(UnknownSettingError, match=r"did you mean 'training.learning_rate'"):
        one({"min": 1e-5, "max": 1e-3}, "learning_rate")


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("training.epochs", {"values": [1, 0]}),
        ("training.epochs", {"min": 0, "max": 3}),
        ("model.dropout", {"min": 0.0, "max": 1.5}),
        ("training.loss", {"values": ["bce", "hinge"]}),
        ("training.lr", {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-3, "q": 1}),
        (
            "training.batch_size",
            {"distribution": "q_uniform", "min": 1, "max": 64, "q": 16},
        ),  # 1 is rounded to 0
    ],
)
def test_values_are_held_against_the_settings_before_anything_runs(name: str, entry: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        one(entry, name)


def test_settings_that_only_fit_together_are_let_through() -> None:
    """A floor without its objective is refused when a trial's settings are put together, not here."""
    assert one({"values": [0.3, 0.5]}, "thresholds.floor").values == (0.3, 0.5)


def test_nested_parameters_are_dotted_names() -> None:
    found = sweep(
        parameters={
            "training": {"parameters": {"early_stopping": {"parameters": {"patience": {"values": [1, 2]}}}}}
        }
    )
    assert [one.name for one in found.parameters] == ["training.early_stopping.patience"]


def test_a_setting_that_stands_twice_is_refused() -> None:
    with pytest.raises(SettingError, match="occurs twice"):
        sweep(
            parameters={
                "training.seed": {"values": [0, 1]},
                "training": {"parameters": {"seed": {"value": 1}}},
            }
        )


def test_a_grid_needs_values() -> None:
    with pytest.raises(SettingError, match=r"not so training.learning_rate"):
        sweep(
            method="grid",
            parameters={
                "training.learning_rate": {"min": 1e-5, "max": 1e-3},
                "training.seed": {"values": [0, 1]},
            },
        )


def test_the_values_of_a_grid_are_those_of_wandb() -> None:
    assert one({"min": 1, "max": 4}, "training.epochs").grid() == (1, 2, 3, 4)
    # numpy.arange(0.1, 0.5, 0.1): the upper end is left out.
    assert one({"distribution": "q_uniform", "min": 0.1, "max": 0.5, "q": 0.1}, "model.dropout").grid() == (
        0.1,
        0.2,
        0.3,
        0.4,
    )
    assert one({"min": 1e-5, "max": 1e-3}).grid() is None


def test_nothing_to_search_is_an_error() -> None:
    with pytest.raises(SettingError, match="nothing to search"):
        sweep(parameters={"training.seed": {"value": 1}})


@pytest.mark.parametrize(
    "parameters",
    [
        {"training.learning_rate": [1e-4, 1e-3]},
        {"training.learning_rate": {"distribution": "log_uniform_values", "min": 0, "max": 1}},
        {"training": {"learning_rate": {"values": [1e-4, 1e-3]}}},
        {},
    ],
)
def test_a_parameter_with_a_fault_is_not_also_called_nothing_to_search(parameters: Any) -> None:
    with pytest.raises(SettingError) as error:
        sweep(parameters=parameters)
    assert len(error.value.problems) == 1
    assert "nothing to search" not in str(error.value)


@pytest.mark.parametrize(
    ("distribution", "low", "high", "shown"),
    [
        ("log_uniform", 1e-5, 1e-3, "exp(1e-05) ... exp(0.001) = 1.00001 ... 1.001"),
        ("log_uniform", 0, 0.5, "exp(0) ... exp(0.5) = 1 ... 1.64872"),
        ("inv_log_uniform", 1e-5, 1e-3, "exp(-0.001) ... exp(-1e-05) = 0.999 ... 0.99999"),
        ("log_uniform", -11.5, -7.6, "exp(-11.5) ... exp(-7.6) = 1.01301e-05 ... 0.000500451"),
        ("log_uniform_values", 1e-5, 1e-3, "min 1e-05, max 0.001"),
    ],
)
def test_bounds_that_are_exponents_are_shown_as_values_and_doubted_between_0_and_1(
    distribution: str, low: float, high: float, shown: str
) -> None:
    found = sweep(
        parameters={"training.learning_rate": {"distribution": distribution, "min": low, "max": high}}
    )
    assert found.parameters[0].shown() == shown
    is_doubted = "exp" in shown and low >= 0
    assert [f"write {distribution}_values" in doubt for doubt in found.doubts] == [True] * is_doubted


def test_keys_for_wandb_alone_are_taken_and_named() -> None:
    found = sweep(program="train.py", command=["${env}"], project="p", entity="me")
    assert found.ignored == ("program", "command")
    assert found.wandb == {"logging.wandb.project": "p", "logging.wandb.entity": "me"}


@pytest.mark.parametrize(
    ("rule", "bands"),
    [  # the examples of W&B's documentation
        ({"min_iter": 3}, [3, 9, 27, 81]),
        ({"max_iter": 27, "s": 2}, [3, 9]),
        ({"min_iter": 1, "eta": 1.5}, [1, 2, 3, 5, 7, 11, 17, 25, 38, 57, 86]),
    ],
)
def test_bands_are_those_of_wandb(rule: dict[str, Any], bands: list[int]) -> None:
    found = sweep(early_terminate={"type": "hyperband", **rule}).early_terminate
    assert isinstance(found, EarlyTerminate)
    assert found.bands(100) == bands


@pytest.mark.parametrize("rule", [{}, {"type": "hyperband"}, {"type": "hyperband", "max_iter": 3}, {"type": "hyperband", "min_iter": 0}, {"type": "hyperband", "min_iter": 1, "eta": 1}, {"type": "hyperband", "min_iter": 1, "eta": float("nan")}, {"type": "hyperband", "min_iter": float("inf")}])  # fmt: skip
def test_an_early_end_without_sense_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="early_terminate"):
        sweep(early_terminate=rule)


def test_what_does_not_decide_the_search_makes_no_other_sweep() -> None:
    assert sweep().differences(sweep(name="other", description="x", run_cap=9, program="y").content) == []
    assert sweep().differences(sweep(method="grid", name="x").content) == ["method"]


def test_a_file_is_named_by_its_key_or_its_file_name(tmp_path: Path) -> None:
    text = "method: random\nmetric: {name: val/f1_macro, goal: maximize}\nparameters:\n  training.seed: {values: [0, 1]}\n"
    path = tmp_path / "My Sweep.yaml"
    path.write_text(text)
    assert read_sweep_file(path).name == "my-sweep"
    path.write_text(f"name: Quick one\n{text}")
    assert (read_sweep_file(path).name, read_sweep_file(path, name="other").name) == ("quick-one", "other")
    with pytest.raises(NotFoundError, match="no such sweep file"):
        read_sweep_file(tmp_path / "absent.yaml")


def test_every_distribution_of_the_schema_is_known() -> None:
    assert set(DISTRIBUTIONS) == {
        "constant", "categorical", "categorical_w_probabilities", "int_uniform", "uniform", "q_uniform", "log_uniform",
        "log_uniform_values", "q_log_uniform", "q_log_uniform_values", "inv_log_uniform", "inv_log_uniform_values",
        "normal", "q_normal", "log_normal", "q_log_normal", "beta", "q_beta",
    }  # fmt: skip


DOCUMENTED = """
program: train.py
method: bayes
metric:
  name: val_loss
  goal: minimize
early_terminate:
  type: hyperband
  s: 2
  eta: 3
  max_iter: 27
command:
  - ${env}
  - python3
  - ${program}
  - ${args}
parameters:
  training.learning_rate:
    distribution: uniform
    min: 0
    max: 0.1
  training.batch_size:
    distribution: q_log_uniform_values
    q: 8
    min: 32
    max: 256
  training.weight_decay:
    values: [1e-5, 1e-6, 1e-7]
  model.dropout:
    values: [0.3, 0.4, 0.5]
  training.epochs:
    value: 27
"""
"""Parameters, metric, early end and command as https://docs.wandb.ai/models/sweeps shows them, with goemo's names."""


def test_what_wandb_documents_works_with_other_names(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(DOCUMENTED)
    found = read_sweep_file(path)
    kinds = ["uniform", "q_log_uniform_values", "categorical", "categorical", "constant"]
    assert [one.distribution for one in found.parameters] == kinds
    assert found.parameters[2].values == (1e-5, 1e-6, 1e-7)  # numbers, though YAML 1.1 has them as texts
    assert found.early_terminate
    assert found.early_terminate.bands(100) == [3, 9]
