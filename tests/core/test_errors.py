"""What errors tell."""

from pathlib import Path

from goemo_cli.core import errors
from goemo_cli.core.labels import EMOTIONS


def test_near_names_come_best_first():
    assert errors.did_you_mean("roberta-larg", ["roberta-base", "roberta-large", "tiny"]) == (
        "; did you mean 'roberta-large' or 'roberta-base'?"
    )
    assert errors.did_you_mean("zzz", ["roberta-base"]) == ""


def test_a_data_error_names_file_and_line():
    assert str(errors.DataFileError(Path("a/train.csv"), "broken", 3)) == "a/train.csv:3: broken"
    assert str(errors.DataFileError(Path("a/train.csv"), "broken")) == "a/train.csv: broken"


def test_an_unknown_label_names_the_near_one_whatever_its_case():
    error = errors.UnknownLabelError(Path("train.csv"), " Joyy", EMOTIONS, 7)
    assert str(error) == "train.csv:7: label ' Joyy' is not in the list of 28; did you mean 'joy'?"


def test_a_setting_error_lists_every_problem():
    assert str(errors.SettingError(["one", "two"], Path("c.yaml"))) == "c.yaml: one; two"


def test_a_missing_package_says_how_to_get_it():
    assert "pip install 'goemo[wandb]'" in str(errors.MissingPackageError("wandb", "wandb", "--wandb"))


def test_everything_raised_on_purpose_has_one_base():
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, Exception):
            assert issubclass(kind, errors.GoemoError)
            assert kind.__doc__


def test_the_tree_in_the_docstring_is_the_tree_of_the_code():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    drawn = [line.split("#")[0] for line in (errors.__doc__ or "").splitlines() if "Error" in line]
    for kind in kinds:
        times = sum(line.strip("│├└─ ").split(" ")[0] == kind.__name__ for line in drawn)
        assert times == 1, f"{kind.__name__} is not drawn once"
