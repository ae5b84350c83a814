"""Beside every picture: its numbers, what it was drawn from, and what is said when that has changed."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.files import sha256_file
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import PICTURE_FORMATS, SOURCES_KEY, PictureFormat
from goemo_cli.core.settings import TrainConfig
from goemo_cli.services.figures import check_figures, draw_figures
from goemo_cli.services.figures.registry import Table
from goemo_cli.services.figures.sidecar import write_table
from goemo_cli.services.training.train import train
from goemo_cli.services.validation import validate_artifacts
from tests.csv_rows import rows_of


@pytest.fixture
def moved(small_root: Path, tmp_path: Path) -> Callable[[], Layout]:
    """A copy of the run's root that may be spoiled."""

    def copy() -> Layout:
        shutil.copytree(small_root, tmp_path / "copy")
        return Layout(tmp_path / "copy")

    return copy


@pytest.fixture(scope="module")
def with_curves(small_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's root with figure 10."""
    root = tmp_path_factory.mktemp("curves")
    shutil.copytree(small_root, root, dirs_exist_ok=True)
    draw_figures(Layout(root), only=["10"])
    return root


@pytest.fixture
def moved_drawn(with_curves: Path, tmp_path: Path) -> Callable[[], Layout]:
    """A copy of that which may be spoiled."""

    def copy() -> Layout:
        shutil.copytree(with_curves, tmp_path / "copy")
        return Layout(tmp_path / "copy")

    return copy


def test_the_numbers_of_a_picture_stand_beside_it(moved: Callable[[], Layout]) -> None:
    layout = moved()
    (run,) = draw_figures(layout, only=["07", "00"]).runs
    rows = rows_of(layout.figures / "data" / "07_per_emotion_f1_scores.csv")
    known = {row["emotion"]: row for row in rows_of(layout.per_class_metrics(run))}
    assert len(rows) == len(known) == 3
    for row in rows:
        assert row == {column: known[row["emotion"]][column] for column in row}
    record = json.loads((layout.figures / "data" / "07_per_emotion_f1_scores.json").read_text("utf-8"))
    assert record["runs"] == [str(run)]
    assert layout.shown(layout.per_class_metrics(run)) in record["sources"]
    assert {name: sha256_file(layout.figures / name) for name in record["files"]} == record["files"]
    of_data = json.loads((layout.figures / "data" / "00_class_distribution.json").read_text("utf-8"))
    checkpoint = Checkpoint.open(next(layout.checkpoints()))
    assert of_data["data"] == checkpoint.metrics.data.split_sha256.as_json()


def test_undefined_numbers_are_empty_cells(tmp_path: Path) -> None:
    table: Table = {"a": ["x,y", None], "b": np.array([np.nan, 0.1]), "c": np.array([1, 2])}
    write_table(tmp_path / "t.csv", table)
    assert (tmp_path / "t.csv").read_text("utf-8") == 'a,b,c\n"x,y",,1\n,0.1,2\n'
    with pytest.raises(ValueError, match="shorter"):
        write_table(tmp_path / "t.csv", {"a": [1, 2], "b": [1]})


@pytest.fixture(scope="module")
def in_all_formats(small_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A copy of the run's root with figure 10 in each format. To be looked at, not changed."""
    layout = Layout(Path(shutil.copytree(small_root, tmp_path_factory.mktemp("formats") / "root")))
    for picture_format in PICTURE_FORMATS:
        draw_figures(layout, only=["10"], picture_format=picture_format)
    return layout


def test_several_formats_share_one_record(in_all_formats: Layout) -> None:
    layout = in_all_formats
    record = json.loads((layout.figures / "data" / "10_training_curves.json").read_text("utf-8"))
    pictures = [f"10_training_curves.{suffix}" for suffix in sorted(PICTURE_FORMATS)]
    assert list(record["files"]) == [*pictures, "data/10_training_curves.csv"]
    assert [path.name for path in check_figures(layout).fresh] == [
        f"10_training_curves.{suffix}" for suffix in PICTURE_FORMATS
    ]


def test_a_source_that_changed_makes_a_figure_stale(moved: Callable[[], Layout]) -> None:
    layout = moved()
    (run,) = draw_figures(layout, only=["07", "10"]).runs
    draw_figures(layout, only=["07"], picture_format="svg")
    assert check_figures(layout).stale == ()
    path = layout.per_class_metrics(run)
    path.write_bytes(path.read_bytes().replace(b",0.", b",0.0", 1))
    found = check_figures(layout)
    assert [path.name for path in found.fresh] == ["10_training_curves.png"]
    reason = f"{layout.shown(path)} has changed since"
    assert {stale.name: why for stale, why in found.stale} == {
        "07_per_emotion_f1_scores.png": reason,
        "07_per_emotion_f1_scores.svg": reason,
    }
    assert check_figures(layout, only=["10"]).stale == ()
    draw_figures(layout, only=["07"])
    assert [(stale.suffix, why) for stale, why in check_figures(layout).stale] == [
        (
            ".svg",
            "07_per_emotion_f1_scores.svg is of another drawing than 07_per_emotion_f1_scores.json",
        )
    ], "the picture of the other format is still of the old file"
    path.unlink()
    assert next(why for _, why in check_figures(layout, only=["07"]).stale) == f"{layout.shown(path)} is gone"


OWN = "text,labels\n" + "".join(f"word {at % 7} {at},{'joy' if at % 2 else 'anger'}\n" for at in range(60))


def test_data_that_changed_makes_its_figures_stale(tmp_path: Path) -> None:
    layout, data = Layout(tmp_path / "root"), tmp_path / "mine.csv"
    data.write_text(OWN, "utf-8")
    config = {"model": {"name": "tfidf"}, "data": {"name": str(data)}}
    run = train(TrainConfig.from_layers(("test", config)), layout=layout).run
    draw_figures(layout, only=["00", "10"])
    assert [len(part) for part in vars(check_figures(layout)).values()] == [2, 0, 0]

    data.write_text(OWN.replace("word 1 1,", "word 1 one,"), "utf-8")
    found = check_figures(layout)
    assert [path.name[:2] for path in found.fresh] == ["10"]
    ((path, reason),) = found.stale
    assert path.name == "00_class_distribution.png"
    assert re.fullmatch(f"the (train|val|test) split of the data of {run} has changed since", reason)

    data.write_text("text,labels\nalone,joy\n", "utf-8")
    assert f"the data of {run} cannot be used any more" in check_figures(layout).stale[0][1]

    data.unlink()
    found = check_figures(layout)
    assert found.stale == ()
    ((path, reason),) = found.unknown
    assert path.name == "00_class_distribution.png"
    assert "no such file" in reason


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("data/10_training_curves.csv", b"epoch\n1\n", "is of another drawing"),
        ("data/10_training_curves.csv", None, "csv is gone"),
        ("data/10_training_curves.json", None, "is missing, which records what it was drawn from"),
        ("data/10_training_curves.json", b"[]", "instead of an object"),
        ("data/10_training_curves.json", b'{"files": 1}', "files is not an object"),
        ("10_training_curves.png", b"no picture", "is damaged"),
    ],
)
def test_what_does_not_hold_is_said(
    moved_drawn: Callable[[], Layout], name: str, content: bytes | None, reason: str
) -> None:
    layout = moved_drawn()
    if content is None:
        (layout.figures / name).unlink()
    else:
        (layout.figures / name).write_bytes(content)
    ((path, found),) = check_figures(layout).stale
    assert path.name == "10_training_curves.png"
    assert reason in found


def test_drawing_again_mends_what_does_not_hold(moved_drawn: Callable[[], Layout]) -> None:
    layout = moved_drawn()
    (layout.figures / "10_training_curves.png").write_bytes(b"no picture")
    (layout.figure_data / "10_training_curves.json").write_bytes(b"[]")
    assert len(check_figures(layout).stale) == 1
    draw_figures(layout, only=["10"])
    assert check_figures(layout).stale == ()


def test_a_picture_says_which_files_it_was_drawn_from(moved: Callable[[], Layout]) -> None:
    """So that `goemo validate` can tell a stale one."""
    layout = moved()
    result = draw_figures(layout, only=["07", "10", "11"])
    by_number = {path.name[:2]: path for path in result.drawn}
    sources = {}
    for number, path in by_number.items():
        with Image.open(path) as picture:
            sources[number] = json.loads(picture.info[SOURCES_KEY])
    (run,) = result.runs
    assert layout.shown(layout.per_class_metrics(run)) in sources["07"]
    assert [name.rpartition("/")[2] for name in sources["10"]] == ["metrics.json"]
    assert {name.rpartition("/")[2] for name in sources["11"]} == {
        "thresholds.json",
        layout.split_predictions(run, "val").name,
        layout.split_predictions(run, "test").name,
    }
    for found in sources.values():
        assert all(sha256_file(layout.root / name) == digest for name, digest in found.items())
    assert validate_artifacts(layout).problems == []
    layout.per_class_metrics(run).write_bytes(layout.per_class_metrics(run).read_bytes() + b"\n")
    report = validate_artifacts(layout)
    assert by_number["07"] in [file.path for file in report.outdated]
    assert by_number["07"] not in [problem.path for problem in report.problems]


@pytest.mark.parametrize("picture_format", ["svg", "pdf"])
def test_vector_pictures_have_no_time_in_them(
    moved: Callable[[], Layout], in_all_formats: Layout, picture_format: PictureFormat
) -> None:
    (drawn,) = draw_figures(moved(), only=["10"], picture_format=picture_format).drawn
    assert drawn.suffix == f".{picture_format}"
    picture = drawn.read_bytes()
    assert picture == (in_all_formats.figures / drawn.name).read_bytes()
    for words in (b"<dc:date>", b"/CreationDate", b"/ModDate"):
        assert words not in picture
