"""Every command that writes files, on a full disk: it says so, older files stay, and a repetition succeeds."""

from collections.abc import Callable
from functools import partial

from tests.torture.commands import Case, full
from tests.torture.surroundings import Surrounding, tmpfs

COMMANDS = (
    ("export-predictions", "--checkpoint", "@latest", "--split", "train"),
    ("export-metrics", "--checkpoint", "@latest"),
    ("tune", "--checkpoint", "@latest", "--objective", "f1_micro"),
    ("calibrate", "--checkpoint", "@latest"),
    ("evaluate", "@latest", "--data", "DATA/test.csv", "--name", "again"),
    (
        "predict",
        "--checkpoint",
        "@latest",
        "--input",
        "DATA/test.csv",
        "--output",
        "ROOT/output/labelled.csv",
    ),
    ("figures", "--only", "07"),
    ("report",),
    ("report", "--format", "md"),
    ("compare", "@latest", "ROOT/artifacts/predictions/test_predictions_RUN.csv"),
    ("errors", "@latest"),
    ("import", "ROOT/model", "--data", "DATA"),
    ("train", "--model", "tfidf", "--data", "DATA"),
    ("train", "--model", "tfidf", "--data", "DATA", "--seeds", "2"),
    ("sweep", "run", "DATA/sweep.yaml"),
)
"""Commands without a network that write; DATA, ROOT and RUN are replaced."""


def _on_a_full_disk(case: Case, command: tuple[str, ...]) -> list[str]:
    with tmpfs(case.root, "size=200m"):
        case.prepare()
        arguments = [case.filled_in(argument) for argument in command]
        with full(case.root):
            found = case.faults(case.run(*arguments), 8, "Error: ")
        repeated = case.run(*arguments)
        return found + ([] if repeated.code == 0 else [f"then exit {repeated.code}: {repeated.said[-600:]}"])


def _trial(command: tuple[str, ...]) -> Callable[[Case], list[str]]:
    return partial(_on_a_full_disk, command=command)


TRIALS = tuple(
    Surrounding(f"the disk is full: goemo {' '.join(command)}", _trial(command), "mount")
    for command in COMMANDS
)
