"""Derived files against what they were made from, pictures, and what belongs to nobody."""

import csv
import os
import time
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from goemo_cli.core.files import STILL_WRITTEN_SECONDS, sha256_file, write_json, write_sealed_json
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.core.schema import SOURCES_KEY
from goemo_cli.services.runs.outdated import renewal
from goemo_cli.services.runs.provenance import FilesNow
from goemo_cli.services.validation.figures import check_figures
from goemo_cli.services.validation.leftovers import check_leftovers
from goemo_cli.services.validation.report import ValidationReport
from goemo_cli.services.validation.sources import SourceChecker, check_statistics

RUN = RunName("tiny", "20260101-000000")
SOURCE = "artifacts/predictions/test_predictions_tiny_20260101-000000.csv"


@pytest.fixture
def source(layout: Layout) -> Path:
    path = layout.root / SOURCE
    path.parent.mkdir(parents=True)
    path.write_text("predictions", encoding="utf-8")
    return path


def checked(layout: Layout) -> ValidationReport:
    """The report on statistics and figures."""
    report = ValidationReport(layout.root)
    sources = SourceChecker(layout, report, FilesNow(layout.root))
    check_statistics(layout, sources, report)
    check_figures(layout, sources, report)
    sources.check_sources()
    return report


def found(layout: Layout) -> tuple[list[str], list[str]]:
    """Problems and warnings of statistics and figures."""
    report = checked(layout)
    return [one.message for one in report.problems], [one.message for one in report.warnings]


def outdated(layout: Layout) -> str:
    """The sentence about files that only need to be renewed, after the reason of each."""
    report = checked(layout)
    assert report.ok
    return "; ".join([*(one.reason for one in report.outdated), renewal(report.outdated, Path())])


def summary(layout: Layout, folder: str, sources: object) -> Path:
    path = layout.stats / folder / f"summary_{RUN.file_stem}.json"
    write_json(path, {"run": str(RUN), "sources": sources})
    return path


def figure(layout: Layout, sources: str | None) -> Path:
    layout.figures.mkdir(parents=True)
    path = layout.figures / "07_per_emotion_f1_scores.png"
    info = PngImagePlugin.PngInfo()
    if sources is not None:
        info.add_text(SOURCES_KEY, sources)
    Image.new("RGB", (400, 300)).save(path, pnginfo=info)
    record(layout, path)
    return path


def record(layout: Layout, picture: Path) -> Path:
    """The record of a picture without a table."""
    path = layout.figure_data / f"{picture.stem}.json"
    files = {picture.name: sha256_file(picture)}
    write_sealed_json(path, {"runs": [str(RUN)], "sources": {}, "data": {}, "files": files})
    return path


def comparison(layout: Layout, a_sha256: str, b_source: str = SOURCE) -> Path:
    path = layout.significance_tests
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["a", "a_source", "a_sha256", "b_source", "b_sha256", "p"])
        writer.writerows([["x", SOURCE, a_sha256, b_source, a_sha256, "0.5"]] * 3)
    record_comparison(layout)
    return path


def record_comparison(layout: Layout) -> None:
    path = layout.significance_tests
    write_sealed_json(layout.significance_record, {"sources": {}, "files": {path.name: sha256_file(path)}})


@pytest.mark.parametrize(
    ("folder", "command"),
    [
        ("threshold_sweep", "goemo tune --checkpoint"),
        ("calibration", "goemo calibrate --checkpoint"),
        ("cooccurrence", "goemo errors"),
    ],
)
def test_a_summary_is_stale_when_its_source_changed_or_is_gone(
    layout: Layout, source: Path, folder: str, command: str
) -> None:
    summary(layout, folder, {SOURCE: sha256_file(source)})
    assert found(layout) == ([], [])
    source.write_text("other predictions", encoding="utf-8")
    assert outdated(layout) == f"{SOURCE} has changed since; 1 table is out of date: {command} {RUN}"
    source.unlink()
    assert outdated(layout) == f"{SOURCE} is gone; 1 table is out of date: {command} {RUN}"


@pytest.mark.parametrize("sources", [None, [], {}, "x"])
def test_a_summary_without_sources_is_a_problem(layout: Layout, sources: object) -> None:
    summary(layout, "calibration", sources)
    assert found(layout)[0] == ["does not say which run and which files it was made from"]


@pytest.mark.parametrize("name", ["/etc/hostname", "../outside.csv", "a/../../b"])
def test_a_source_outside_the_root_is_not_read(layout: Layout, name: str) -> None:
    summary(layout, "calibration", {name: "0" * 64})
    problems, warnings = found(layout)
    assert problems == []
    assert warnings == [f"was made from {name}, which is outside the root and was not checked"]


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff", b'{"run": 1, "sources": {"a": "b"}}', b"[" * 5000]
)
def test_a_summary_of_another_form_is_a_problem_and_no_exception(layout: Layout, content: bytes) -> None:
    path = summary(layout, "calibration", {SOURCE: "0" * 64})
    path.write_bytes(content)
    assert len(found(layout)[0]) == 1
    path.unlink()
    path.mkdir()
    assert found(layout)[0] == ["cannot be read (Is a directory)"]


def test_a_comparison_is_stale_when_one_of_its_sides_changed(layout: Layout, source: Path) -> None:
    digest = sha256_file(source)
    comparison(layout, digest)
    assert found(layout) == ([], [])
    comparison(layout, "0" * 64)
    assert outdated(layout) == f"{SOURCE} has changed since; 1 table is out of date: goemo compare A B"
    comparison(layout, digest, b_source="artifacts/gone.csv")
    assert outdated(layout) == "artifacts/gone.csv is gone; 1 table is out of date: goemo compare A B"


@pytest.mark.parametrize("content", [b"", b"a,b\n", b'a_source,a_sha256,b_source,b_sha256\n"x', b"\xff\xfe"])
def test_a_comparison_of_another_form_is_a_problem(layout: Layout, content: bytes) -> None:
    path = comparison(layout, "0")
    path.write_bytes(content)
    record_comparison(layout)
    assert len(found(layout)[0]) == 1


@pytest.mark.parametrize("sources", ["", "[]", "{", '{"a": 1'])
def test_a_figure_with_odd_sources_is_a_problem(layout: Layout, sources: str) -> None:
    figure(layout, sources)
    assert len(found(layout)[0]) == 1


def test_a_picture_that_claims_to_be_huge_is_not_decoded(layout: Layout) -> None:
    path = figure(layout, None)
    data = bytearray(path.read_bytes())
    data[16:24] = (20_000).to_bytes(4, "big") * 2  # width and height in the header
    path.write_bytes(data)
    record(layout, path)
    assert "is damaged" in found(layout)[0][0]


def test_a_folder_in_place_of_a_picture_is_a_problem(layout: Layout) -> None:
    path = figure(layout, None)
    path.unlink()
    path.mkdir()
    assert found(layout)[0][0] == "is not a regular file"


def test_files_of_runs_that_are_gone_are_named(layout: Layout) -> None:
    layout.predictions.mkdir(parents=True)
    layout.calibration.mkdir(parents=True)
    mine: list[Path] = []
    others: list[Path] = []
    for run, files in ((RUN, mine), (RunName("bert", "20260101-000000"), others)):
        files += [
            layout.split_predictions(run, "test"),
            layout.epoch_predictions(run, 3),
            layout.per_class_metrics(run),
            layout.test_metrics(run.model),
            layout.calibration_summary(run),
        ]
        for path in files:
            path.write_text("", encoding="utf-8")
    layout.metric_summary.write_text("", encoding="utf-8")
    report = ValidationReport(layout.root)
    check_leftovers(layout, [RUN], report)
    assert {warning.path for warning in report.warnings} == set(others)
    assert {warning.message for warning in report.warnings} == {"belongs to no finished run"}


def test_only_old_leftovers_can_be_removed(layout: Layout) -> None:
    folder = layout.models / ".goemo-partial-stage"
    folder.mkdir(parents=True)
    inside, fresh = folder / "weights", layout.models / ".goemo-partial-fresh"
    inside.write_text("half", encoding="utf-8")
    fresh.write_text("half", encoding="utf-8")
    old = time.time() - STILL_WRITTEN_SECONDS - 1
    for path in (inside, folder):
        os.utime(path, (old, old))
    report = ValidationReport(layout.root)
    check_leftovers(layout, [], report)
    assert [(repair.path, repair.verb) for repair in report.repairs] == [(folder, "removed")]
    assert {warning.path for warning in report.warnings} == {folder, fresh}
    report.repairs[0].act()
    assert not folder.exists()
    assert fresh.exists()


def test_a_folder_in_which_somebody_still_writes_stays(layout: Layout) -> None:
    folder = layout.models / ".goemo-partial-stage"
    folder.mkdir(parents=True)
    old = time.time() - STILL_WRITTEN_SECONDS - 1
    (folder / "weights").write_text("half", encoding="utf-8")
    os.utime(folder, (old, old))
    report = ValidationReport(layout.root)
    check_leftovers(layout, [], report)
    assert report.repairs == []
