"""What errors tell."""

from goemo_cli.core import errors


def test_near_names_come_best_first():
    assert errors.did_you_mean("roberta-larg", ["roberta-base", "roberta-large", "tiny"]) == (
        "; did you mean 'roberta-large' or 'roberta-base'?"
    )
    assert errors.did_you_mean("zzz", ["roberta-base"]) == ""


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
