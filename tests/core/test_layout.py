"""Paths, letter for letter as in the contract."""

from pathlib import Path

import pytest

from goemo_cli.core.layout import Layout, parse_predictions_name
from goemo_cli.core.names import RunName

RUN = RunName("roberta-large", "20251212-211010")


@pytest.mark.parametrize(
    ("path", "spelling"),
    [
        (Layout().checkpoint(RUN, "roberta"), "artifacts/models/roberta/roberta-large-20251212-211010"),
        (
            Layout().split_predictions(RUN, "test"),
            "artifacts/predictions/test_predictions_roberta-large_20251212-211010.csv",
        ),
        (
            Layout().split_predictions(RUN, "val"),
            "artifacts/predictions/val_predictions_roberta-large_20251212-211010.csv",
        ),
        (
            Layout().epoch_predictions(RUN, 3),
            "artifacts/predictions/val_epoch3_predictions_roberta-large_20251212-211010.csv",
        ),
        (
            Layout().per_class_metrics(RUN),
            "artifacts/stats/per_class_metrics_roberta-large_20251212-211010.csv",
        ),
        (Layout().test_metrics("roberta-large"), "artifacts/stats/test_metrics_roberta-large.json"),
        (Layout().metric_summary, "artifacts/stats/metric_summary.csv"),
        (Layout().figures, "output/figures"),
        (Layout().tensorboard / str(RUN), "output/tensorboard/roberta-large-20251212-211010"),
    ],
)
def test_every_path_is_spelled_as_in_the_contract(path: Path, spelling: str):
    assert path.as_posix() == spelling


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_predictions_name_gives_its_split_and_run_back(split):
    assert parse_predictions_name(Layout().split_predictions(RUN, split)) == (split, RUN)


def test_an_epochs_predictions_name_gives_its_epoch_back():
    assert parse_predictions_name(Layout().epoch_predictions(RUN, 12)) == ("val_epoch12", RUN)


@pytest.mark.parametrize(
    "name", ["predictions.csv", "test_predictions_roberta.csv", "test_predictions_x_20251212-211010.json", ""]
)
def test_other_names_are_no_predictions(name: str):
    assert parse_predictions_name(Path(name)) is None


def test_an_older_predictions_name_parses_too():
    old = Path("test_predictions_distilbert-12-11-2025-221314.csv")
    assert parse_predictions_name(old) == ("test", RunName("distilbert", "20251211-221314"))


def test_checkpoints_are_listed_oldest_run_first_across_families(layout: Layout):
    for name in (
        "roberta/roberta-base-20250102-000000",
        "bert/bert-base-20250103-000000",
        "a/z-20250101-000000",
    ):
        (layout.models / name).mkdir(parents=True)
    (layout.models / "roberta" / "notes").mkdir()
    (layout.models / "roberta" / "file-20250101-000000").touch()
    assert [path.name for path in layout.checkpoints()] == [
        "z-20250101-000000",
        "roberta-base-20250102-000000",
        "bert-base-20250103-000000",
    ]


def test_a_checkpoint_is_found_whatever_its_family(layout: Layout):
    folder = layout.checkpoint(RUN, "surprising")
    assert layout.find_checkpoint(RUN) is None
    folder.mkdir(parents=True)
    assert layout.find_checkpoint(RUN) == folder


@pytest.mark.parametrize("link", [".", "artifacts", "artifacts/predictions"])
@pytest.mark.parametrize("through_target", [False, True])
def test_records_name_paths_from_the_root_also_through_links(tmp_path: Path, link: str, through_target: bool):
    root, elsewhere = tmp_path / "project", tmp_path / "big disk"
    elsewhere.mkdir()
    (root / link).parent.mkdir(parents=True, exist_ok=True)
    (root / link).symlink_to(elsewhere)
    layout = Layout(root)
    path = layout.split_predictions(RUN, "test")
    path.parent.mkdir(parents=True, exist_ok=True)
    given = path.resolve() if through_target else path
    assert layout.shown(given) == Layout().split_predictions(RUN, "test").as_posix()


def test_records_name_paths_outside_the_root_in_full(tmp_path: Path):
    assert Layout(tmp_path / "project").shown(tmp_path / "x.csv") == (tmp_path / "x.csv").resolve().as_posix()
