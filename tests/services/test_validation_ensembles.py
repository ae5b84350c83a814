"""An ensemble's probabilities are the mean of its members'."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from goemo_cli.core.arrays import FloatArray
from goemo_cli.core.checkpoint import MANIFEST, Checkpoint, write_manifest
from goemo_cli.core.errors import CorruptArtifactError
from goemo_cli.core.files import read_json_object, write_json
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import Predictions, write_predictions
from goemo_cli.services.validation.ensembles import check_ensemble
from goemo_cli.services.validation.report import ValidationReport

LABELS = ("anger", "joy")
ROWS = 40


@pytest.fixture
def members(
    layout: Layout, make_checkpoint: Callable[..., Checkpoint], make_predictions: Callable[..., Predictions]
) -> dict[str, Checkpoint]:
    """Three runs with test predictions of the same rows."""
    rows = make_predictions(ROWS, labels=LABELS)
    found = {}
    for seed in range(3):
        checkpoint = make_checkpoint(f"member{seed}", LABELS)
        y_prob = np.random.default_rng(seed).random((ROWS, len(LABELS)), dtype=np.float32)
        write_predictions(layout.split_predictions(checkpoint.run, "test"), replace(rows, y_prob=y_prob))
        found[str(checkpoint.run)] = checkpoint
    return found


@pytest.fixture
def ensemble(make_checkpoint: Callable[..., Checkpoint]) -> Callable[[object], Checkpoint]:
    """An ensemble of what is given as its members."""

    def make(names: object) -> Checkpoint:
        made = make_checkpoint("ensemble", LABELS)
        (made.path / "weights.bin").unlink()
        return write_manifest(
            made.path, run=made.run, kind="ensemble", labels=LABELS, parents={"members": names}
        )

    return make


def mean_of(layout: Layout, members: dict[str, Checkpoint]) -> FloatArray:
    """Worked out in plain Python, from the files' own text."""
    cells = []
    for checkpoint in members.values():
        lines = layout.split_predictions(checkpoint.run, "test").read_text(encoding="utf-8").splitlines()[1:]
        cells.append([[float(cell) for cell in line.split(",")[-2:]] for line in lines])
    return np.array(
        [
            [sum(one[row][label] for one in cells) / len(cells) for label in range(len(LABELS))]
            for row in range(ROWS)
        ],
        dtype=np.float32,
    )


def found(
    checkpoint: Checkpoint, members: dict[str, Checkpoint], layout: Layout
) -> tuple[Sequence[str], Sequence[str]]:
    report = ValidationReport(layout.root)
    check_ensemble(checkpoint, members, layout, report)
    return [one.message for one in report.problems], [one.message for one in report.warnings]


def write(layout: Layout, checkpoint: Checkpoint, predictions: Predictions) -> None:
    write_predictions(layout.split_predictions(checkpoint.run, "test"), predictions)


def test_the_mean_of_the_members_is_right_and_anything_else_is_named(
    layout: Layout,
    members: dict[str, Checkpoint],
    ensemble: Callable[[object], Checkpoint],
    make_predictions: Callable[..., Predictions],
) -> None:
    checkpoint = ensemble(list(members))
    y_prob = mean_of(layout, members)
    predictions = replace(make_predictions(ROWS, labels=LABELS), y_prob=y_prob)
    rounded = np.nextafter(y_prob, np.float32(1))
    for right in (y_prob, rounded):
        write(layout, checkpoint, replace(predictions, y_prob=right))
        assert found(checkpoint, members, layout) == ([], [])
    wrong = y_prob.copy()
    wrong[7, 1] -= np.float32(1e-4)
    write(layout, checkpoint, replace(predictions, y_prob=wrong))
    assert found(checkpoint, members, layout)[0] == [
        "probabilities are not the mean of the members': up to 1.0e-04 off (first in row 8)"
    ]


@pytest.mark.parametrize("cut", [slice(1, None), slice(None, -1), slice(None, None, -1)])
def test_other_rows_than_the_members_are_named(
    layout: Layout,
    members: dict[str, Checkpoint],
    ensemble: Callable[[object], Checkpoint],
    make_predictions: Callable[..., Predictions],
    cut: slice,
) -> None:
    checkpoint = ensemble(list(members))
    rows = make_predictions(ROWS, labels=LABELS)
    write(
        layout,
        checkpoint,
        Predictions(
            LABELS, rows.texts[cut], rows.y_true[cut], rows.y_pred[cut], mean_of(layout, members)[cut]
        ),
    )
    assert "holds other rows than its members' predictions" in found(checkpoint, members, layout)[0]


def test_a_member_that_is_gone_is_a_warning(
    layout: Layout, members: dict[str, Checkpoint], ensemble: Callable[[object], Checkpoint]
) -> None:
    checkpoint = ensemble([*members, "bert-20200101-000000"])
    problems, warnings = found(checkpoint, members, layout)
    assert problems == []
    assert warnings == ["members are not here or not sound: bert-20200101-000000"]


@pytest.mark.parametrize("names", [None, [], "all", [1], {"a": 1}])
def test_an_ensemble_without_members_is_damaged(
    members: dict[str, Checkpoint], ensemble: Callable[[object], Checkpoint], names: object
) -> None:
    path = ensemble(list(members)).path
    manifest = read_json_object(path / MANIFEST)
    write_json(path / MANIFEST, {**manifest, "parents": {"members": names}})
    with pytest.raises(CorruptArtifactError, match=r"manifest\.json: parents\.members"):
        Checkpoint.open(path)
