"""Bulk prediction: parts are the same for every way to compute them, and each row is there once after any interruption."""

import csv
import gzip
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas
import psutil
import pyarrow.parquet as parquet
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.documents.bulk import BulkPart
from goemo_cli.core.documents.manifest import FileEntry
from goemo_cli.core.errors import (
    CorruptArtifactError,
    DataFileError,
    GoemoError,
    MissingPackageError,
    NotFoundError,
    SettingError,
)
from goemo_cli.core.events import Advanced, Event
from goemo_cli.core.layout import Layout
from goemo_cli.core.system.processes import lives, usable_cores
from goemo_cli.services.exporting.engines import may_have_gpu
from goemo_cli.services.predicting.bulk.finalizing import finalize
from goemo_cli.services.predicting.bulk.folder import BulkFolder
from goemo_cli.services.predicting.bulk.inputs import find_inputs
from goemo_cli.services.predicting.bulk.job import predict_in_bulk, predict_shard
from goemo_cli.services.predicting.bulk.plans import BulkRequest
from goemo_cli.services.predicting.predictor import Predictor
from tests.conftest import REPOSITORY
from tests.prediction_checkpoints import TEXTS, write_tfidf, write_tiny
from tests.torture.commands import Command
from tests.waiting import GUARD_SECONDS, wait_for

OPTIONS: dict[str, Any] = {
    "device": "cpu",
    "precision": "fp32",
    "engine": "auto",
    "calibrated": False,
    "taxonomy": None,
    "threshold": None,
    "threshold_rule": None,
    "top_k": None,
}
ROWS = {"a.csv": 70, "b/c.jsonl.gz": 1, "b/d.parquet": 130, "b/empty.csv": 0}
"""Rows by file, in the order of names."""
SHARDS = 7


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return write_tiny(Layout(tmp_path_factory.mktemp("project")))


@pytest.fixture(scope="module")
def tfidf(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Its workers start in a third of the time, since they need no torch."""
    return write_tfidf(Layout(tmp_path_factory.mktemp("tfidf")))


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Files of several formats with the columns `key` and `text`."""
    folder = tmp_path / "texts"
    (folder / "b").mkdir(parents=True)
    (folder / "b" / "_SUCCESS").touch()
    (folder / "notes.md").write_text("no texts")
    for name, rows in ROWS.items():
        frame = pandas.DataFrame({"key": [f"{name} {row}" for row in range(rows)], "text": some_texts(rows)})
        write_frame(frame, folder / name)
    return folder


def some_texts(rows: int) -> list[str]:
    return [f"{TEXTS[row * 7 % len(TEXTS)]} {row}" for row in range(rows)]


def write_frame(frame: pandas.DataFrame, path: Path) -> None:
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".gz":
        lines = frame.to_json(orient="records", lines=True)
        path.write_bytes(gzip.compress(lines.encode(), mtime=0))
    else:
        frame.to_parquet(path, row_group_size=50)


def compute(request: BulkRequest, checkpoint: Checkpoint, **given: Any) -> list[str]:
    """Run a bulk prediction in this process; its messages."""
    messages: list[str] = []

    def listen(event: Any) -> None:
        if message := getattr(event, "message", None):
            messages.append(message)

    root = checkpoint.path.parents[3]
    options = {**OPTIONS, **given}
    predict_in_bulk(request, checkpoint, root=root, options=options, on_event=listen)
    return messages


def parts(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """All rows of all parts, as text from CSV."""
    rows: list[dict[str, Any]] = []
    for path in sorted(folder.glob("part-*")):
        if path.suffix == ".parquet":
            rows += parquet.read_table(path).to_pylist()
        elif path.suffix == ".jsonl":
            rows += map(json.loads, path.read_text(encoding="utf-8").splitlines())
        else:
            rows += csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    return rows


def ids(folder: Path) -> list[tuple[str, int]]:
    return [(row["goemo_file"], int(row["goemo_row"])) for row in rows_of(folder)]


ALL_IDS = [(name, row) for name, rows in ROWS.items() for row in range(rows)]


@pytest.mark.parametrize("format", ["parquet", "jsonl", "csv"])
def test_each_row_is_there_once_with_its_id_its_columns_and_the_predictions_of_its_text(
    format: Any, texts: Path, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    messages = compute(BulkRequest(str(texts), out, format, shards=SHARDS), checkpoint)
    assert any("1 file" in message and "notes.md" in message for message in messages)
    rows = rows_of(out)
    assert ids(out) == ALL_IDS
    assert [row["key"] for row in rows] == [f"{name} {row}" for name, row in ALL_IDS]
    predictor = Predictor.load(checkpoint, device="cpu")
    expected = predictor.predict([text for rows in ROWS.values() for text in some_texts(rows)])
    for row, wanted in zip(rows, (expected[at] for at in range(len(expected))), strict=True):
        labels = row["pred_labels"].split(",") if format == "csv" else list(row["pred_labels"])
        assert labels == list(wanted.labels)
        found = (
            row["pred_prob"]
            if format == "jsonl"
            else {n: float(row[f"pred_prob_{n}"]) for n in wanted.probabilities}
        )
        assert found == pytest.approx(wanted.probabilities, abs=1e-6)
    manifest = json.loads((out / "_goemo" / "manifest.json").read_text())
    assert (manifest["rows"], manifest["shards"]) == (len(ALL_IDS), SHARDS)
    assert {file["name"]: file["rows"] for file in manifest["inputs"]} == ROWS
    statistics = expected.statistics
    assert manifest["statistics"]["label_counts"] == statistics.label_counts
    assert manifest["statistics"]["confidence_sum"] == pytest.approx(statistics.confidence_sum, rel=1e-6)


def test_parts_are_the_same_wherever_and_by_whomever_they_are_computed(
    texts: Path, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    request = BulkRequest(str(texts), tmp_path / "whole", shards=SHARDS)
    compute(request, checkpoint)
    expected = parts(request.output)
    moved = texts.rename(tmp_path / "moved")
    for name, given in (
        ("pattern", f"{moved}/**/*.[cjp]*"),
        ("file-url", f"file://{moved}/"),
        ("memory-url", in_memory(moved)),
    ):
        other = replace(request, source=given, output=tmp_path / name)
        compute(other, checkpoint)
        assert parts(other.output) == expected, name
    single = replace(request, source=str(moved), output=tmp_path / "pods")
    root = checkpoint.path.parents[3]
    for shard in reversed(range(SHARDS)):
        part, was_complete = predict_shard(
            single, checkpoint, shard, root=root, options=OPTIONS, on_event=lambda event: None
        )
        assert (part.shard, was_complete) == (shard, False)
    finalize(single.output, lambda event: None)
    assert parts(single.output) == expected
    _, was_complete = predict_shard(
        single, checkpoint, 3, root=root, options=OPTIONS, on_event=lambda event: None
    )
    assert was_complete


def in_memory(folder: Path) -> str:
    system = MemoryFileSystem()
    for path in folder.rglob("*"):
        if path.is_file():
            system.pipe(f"/bulk/{path.relative_to(folder).as_posix()}", path.read_bytes())
    return "memory://bulk/"


def test_names_of_inputs_are_the_same_in_another_place_and_keep_no_secret(tmp_path: Path) -> None:
    url = "https://user:password@example.org/texts/a.csv?token=secret"
    assert find_inputs(url, without=tmp_path).locations == {"a.csv": url}
    for folder in (tmp_path / "x", tmp_path / "longer" / "place"):
        for name in ("a/1.csv", "a/b/2.csv", "a-b.csv"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
        found = find_inputs(str(folder), without=tmp_path / "out")
        assert list(found.locations) == ["a-b.csv", "a/1.csv", "a/b/2.csv"]
        assert list(find_inputs(f"{folder}/a/**/*.csv", without=folder / "a" / "b").locations) == ["1.csv"]


def test_columns_of_parquet_keep_their_types_and_of_other_files_are_text(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    frame = pandas.DataFrame({"n": [1, 2, 3], "text": ["=a", "-b", "c"]})
    for name in ("a.parquet", "b.parquet", "c.csv"):
        write_frame(frame, tmp_path / name)
    request = BulkRequest(f"{tmp_path}/*.parquet", tmp_path / "typed", shards=2)
    compute(request, checkpoint)
    assert [type(row["n"]) for row in rows_of(request.output)] == [int] * 6
    request = BulkRequest(f"{tmp_path}/[ac].*", tmp_path / "text", shards=2)
    compute(request, checkpoint)
    assert [row["n"] for row in rows_of(request.output)] == ["1", "2", "3"] * 2
    request = BulkRequest(f"{tmp_path}/c.csv", tmp_path / "safe", "csv", True, shards=2)
    compute(request, checkpoint)
    assert [row["text"] for row in rows_of(request.output)] == ["'=a", "'-b", "c"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.csv": "text,x\nhappy,1\n", "b.csv": "text,y\nsad,1\n"}, "column 'y' is not in all inputs"),
        ({"a.csv": "text,x\nhappy,1\n", "b.jsonl": '{"text": "a"}\n{"text": "b", "z": 1}\n'}, "b.jsonl:2: column 'z'"),
        ({"a.csv": "text\nhappy\n", "b.csv": "body\nsad\n"}, "b.csv:1: no column 'text'"),
        ({"a.csv": "text\nhappy\n", "b.jsonl": '{"text": 5}\n'}, "b.jsonl:1: text is 5, not a string"),
    ],
)  # fmt: skip
def test_faults_of_inputs_are_named_before_anything_is_predicted(
    files: dict[str, str], said: str, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(DataFileError, match=re.escape(said)):
        compute(BulkRequest(f"{tmp_path}/?.*", tmp_path / "out", shards=2), checkpoint)
    assert not list((tmp_path / "out").glob("part*"))


@pytest.mark.parametrize("name", ["a.csv", "other.csv"])
def test_columns_that_the_plan_of_the_folder_does_not_have_are_named(
    name: str, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("text,x\nhappy,1\n")
    request = BulkRequest(f"{tmp_path}/a.csv", tmp_path / "out", shards=1)
    compute(request, checkpoint)
    (tmp_path / name).write_text("text,y\nhappy,1\n")
    with pytest.raises(
        DataFileError, match=r"'y' is not in the plan of this --output.*; name another --output"
    ):
        compute(replace(request, source=f"{tmp_path}/{name}"), checkpoint)


def test_missing_inputs_are_named_before_a_missing_package(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(NotFoundError, match="no files with texts"):
        compute(BulkRequest(f"{tmp_path}/*.csv", tmp_path / "out"), checkpoint)
    (tmp_path / "a.csv").write_text("text\nhappy\n")
    with pytest.raises(MissingPackageError, match="pyarrow"):
        compute(BulkRequest(f"{tmp_path}/*.csv", tmp_path / "out"), checkpoint)


@pytest.fixture
def finished(texts: Path, checkpoint: Checkpoint, tmp_path: Path) -> BulkRequest:
    request = BulkRequest(str(texts), tmp_path / "out", "jsonl", shards=SHARDS)
    compute(request, checkpoint)
    return request


def test_an_interrupted_prediction_continues_with_the_missing_parts(
    finished: BulkRequest, checkpoint: Checkpoint
) -> None:
    before, folder = parts(finished.output), BulkFolder(finished.output)
    folder.marker(1).unlink()  # killed before the marker
    folder.part(2).unlink()
    folder.marker(3).write_text("{")
    (finished.output / ".goemo-partial-x.jsonl").write_text("half a part")
    folder.manifest.unlink()
    kept = {shard: folder.part(shard).stat().st_mtime_ns for shard in (0, 4, 5, 6)}
    messages = compute(replace(finished, shards=None), checkpoint)
    assert "4 of 7 parts are complete already" in messages
    assert parts(finished.output) == before
    assert {shard: folder.part(shard).stat().st_mtime_ns for shard in kept} == kept
    assert folder.manifest.exists()


def add_a_file(texts: Path) -> None:
    write_frame(pandas.DataFrame({"key": ["k"], "text": ["x"]}), texts / "b" / "new.csv")


def change_a_file(texts: Path) -> None:
    path = texts / "a.csv"
    path.write_text(path.read_text().replace("happy", "sappy"))  # of the same size


@pytest.mark.parametrize(
    ("change", "request_changes", "options", "said"),
    [
        (add_a_file, {}, {}, "inputs are new: b/new.csv"),
        (change_a_file, {}, {}, "inputs have changed: a.csv"),
        (lambda texts: (texts / "a.csv").unlink(), {}, {}, "inputs are missing: a.csv"),
        (None, {"shards": 8}, {}, "shards is 8, was 7"),
        (None, {"format": "csv"}, {}, "format is csv, was jsonl"),
        (None, {"reading": {"text_column": "key"}}, {}, "text_column of the input is key, was None"),
        (
            None,
            {},
            {"threshold": 0.5},
            "threshold_rule is a fixed threshold of 0.5, was per_label; thresholds differ",
        ),
        (None, {}, {"top_k": 2}, "top_k is 2, was None"),
        (None, {}, {"precision": "bf16"}, "precision is bf16, was fp32"),
    ],
)
def test_another_plan_for_the_same_folder_is_refused_and_nothing_is_lost(
    change: Callable[[Path], None] | None,
    request_changes: dict[str, Any],
    options: dict[str, Any],
    said: str,
    finished: BulkRequest,
    checkpoint: Checkpoint,
) -> None:
    before = parts(finished.output)
    if change:
        change(Path(finished.source))
    with pytest.raises(SettingError) as raised:
        compute(replace(finished, **request_changes), checkpoint, **options)
    assert said in str(raised.value)
    assert parts(finished.output) == before
    finalize(finished.output, lambda event: None)


def test_another_model_is_refused_and_so_are_files_without_a_plan(
    finished: BulkRequest, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    other = write_tiny(Layout(tmp_path / "project"), seed=1)
    with pytest.raises(SettingError, match=f"the run is .*, was {checkpoint.run}"):
        compute(finished, other)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    with pytest.raises(SettingError, match="none is a plan"):
        compute(replace(finished, output=tmp_path / "mine"), checkpoint)


def test_a_changed_input_is_noticed_by_the_process_that_reads_it(
    texts: Path, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    request = BulkRequest(str(texts), tmp_path / "out", shards=SHARDS)
    root = checkpoint.path.parents[3]
    given: Any = {"root": root, "options": OPTIONS, "on_event": lambda event: None}
    predict_shard(request, checkpoint, 0, **given)
    change_a_file(texts)
    with pytest.raises(DataFileError, match="has changed since"):
        predict_shard(request, checkpoint, 1, **given)
    assert len(list(request.output.glob("part-*"))) == 1


def drop_a_row(path: Path) -> None:
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))


def repeat_a_row(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:3], lines[2], *lines[4:]]))


@pytest.mark.parametrize(
    ("damage", "kind", "said"),
    [
        (lambda path: path.unlink(), NotFoundError, "1 of 7 parts are missing: 2"),
        (lambda path: path.write_bytes(path.read_bytes().replace(b"0.5", b"0.6")), CorruptArtifactError, "SHA-256"),
        (lambda path: path.with_name("part-x.jsonl").touch(), CorruptArtifactError, "not a part of this prediction"),
        (drop_a_row, CorruptArtifactError, "row 1 is"),
        (repeat_a_row, CorruptArtifactError, "row 4 is"),
    ],
)  # fmt: skip
def test_finalize_finds_rows_that_are_missing_or_there_twice(
    damage: Callable[[Path], None], kind: type[GoemoError], said: str, finished: BulkRequest
) -> None:
    folder = BulkFolder(finished.output)
    damage(folder.part(2))
    if "row" in said.split():  # rows are counted though marker and part agree
        marker = BulkPart.read(folder.marker(2))
        marker.model_copy(update={"file": FileEntry.of(folder.part(2))}).write(folder.marker(2))
    with pytest.raises(kind) as raised:
        finalize(finished.output, lambda event: None)
    assert said in str(raised.value)


LONG_ROWS, MANY = 24_000, 24


@pytest.fixture(scope="module")
def long_input(
    tmp_path_factory: pytest.TempPathFactory, checkpoint: Checkpoint
) -> tuple[Path, dict[str, bytes]]:
    """A file that is predicted for seconds, and the parts of a prediction without interruption."""
    folder = tmp_path_factory.mktemp("long")
    path = folder / "long.parquet"
    pandas.DataFrame({"text": some_texts(LONG_ROWS)}).to_parquet(path)
    request = BulkRequest(str(path), folder / "expected", shards=MANY)
    compute(request, checkpoint)
    return path, parts(request.output)


def predict(checkpoint: Checkpoint, path: Path, out: Path, *typed: object) -> list[str]:
    """The words of a command."""
    given = ("-i", path, "-o", out, "--shards", MANY, "--device", "cpu", *typed)
    root = ("-c", checkpoint.path, "--root", checkpoint.path.parents[3])
    return ["predict", *map(str, (*given, *root))]


def start(*words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "goemo_cli", *words],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )


def n_markers(out: Path) -> int:
    return len(list(out.glob("_goemo/part-*.json")))


def workers_of(pid: int, mark: str) -> Sequence[psutil.Process]:
    """Without the process that starts them, if there is one."""
    found = psutil.Process(pid).children(recursive=True)
    return [child for child in found if mark in " ".join(child.cmdline()) and not child.children()]


def test_a_killed_worker_costs_nothing_but_its_part(
    long_input: tuple[Path, dict[str, bytes]], checkpoint: Checkpoint, tmp_path: Path
) -> None:
    path, expected = long_input
    command = Command(*predict(checkpoint, path, tmp_path / "out", "--workers", 2), folder=tmp_path)
    wait_for(lambda: n_markers(tmp_path / "out") >= 2 or not command.runs())
    workers_of(command.pid, "spawn_main")[0].kill()
    assert command.code == 0, command.said
    assert parts(tmp_path / "out") == expected
    assert "Traceback" not in command.said


needs_forks = pytest.mark.skipif(may_have_gpu(), reason="workers are forked on Linux without a GPU")


@needs_forks
@pytest.mark.parametrize("killed", ["command", "starter"])
def test_no_process_is_left_if_one_is_killed_that_others_depend_on(
    killed: str, long_input: tuple[Path, dict[str, bytes]], checkpoint: Checkpoint, tmp_path: Path
) -> None:
    command = Command(*predict(checkpoint, long_input[0], tmp_path / "out", "--workers", 2), folder=tmp_path)
    wait_for(lambda: n_markers(tmp_path / "out") >= 2 or not command.runs())
    family = psutil.Process(command.pid).children(recursive=True)
    workers = workers_of(command.pid, "spawn_main")
    assert len(workers) == 2
    (starter,) = {worker.ppid() for worker in workers} - {command.pid}
    assert psutil.Process(starter).num_threads() == 1
    os.kill(command.pid if killed == "command" else starter, signal.SIGKILL)
    assert command.code == (-signal.SIGKILL if killed == "command" else 10)
    wait_for(lambda: not any(lives(process.pid, process.create_time()) for process in family))
    assert "Traceback" not in command.said
    assert ("the starter of the workers ended" in command.said) == (killed == "starter")


@needs_forks
def test_a_part_that_ends_each_worker_is_reported_with_the_last_exit_code(
    long_input: tuple[Path, dict[str, bytes]], checkpoint: Checkpoint, tmp_path: Path
) -> None:
    frame = pandas.read_parquet(long_input[0])
    pandas.concat([frame] * 20).to_parquet(tmp_path / "longer.parquet")
    words = predict(checkpoint, tmp_path / "longer.parquet", tmp_path / "out", "--workers", 2)
    words[words.index("--shards") + 1] = "2"  # which no worker completes before it is killed
    command = Command(*words, folder=tmp_path)
    killed: set[int] = set()
    while command.runs():
        with suppress(psutil.NoSuchProcess):  # it ended meanwhile
            for worker in workers_of(command.pid, "spawn_main"):
                if worker.ppid() != command.pid and worker.pid not in killed:
                    worker.kill()
                    killed.add(worker.pid)
    assert command.code == 10
    assert "3 worker processes ended while they computed part" in command.said
    assert "(the last with exit code -9)" in command.said
    assert "Traceback" not in command.said


@needs_forks
def test_forked_workers_end_quietly(
    texts: Path, checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # more threads than cores are warned of
    said = {}
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        folder.mkdir()
        words = predict(checkpoint, texts, folder / "out", "--workers", workers)
        command = Command(*words, folder=folder)
        assert command.code == 0, command.said
        said[workers] = command.said
    assert said[1] == said[2]
    assert parts(tmp_path / "1" / "out") == parts(tmp_path / "2" / "out")


def test_workers_that_wait_end_quietly_and_more_threads_than_cores_are_warned_of_once(
    texts: Path,
    tfidf: Checkpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """One of them has sent a marker that nobody reads, so its connection is reset and not only closed."""
    monkeypatch.setenv("OMP_NUM_THREADS", str(4 * usable_cores()))
    messages: list[str] = []
    workers: list[psutil.Process] = []

    def stop_at_the_first_part(event: Event) -> None:
        messages.append(getattr(event, "message", ""))
        if isinstance(event, Advanced) and n_markers(tmp_path / "out"):
            wait_for(lambda: n_markers(tmp_path / "out") >= 2)
            workers.extend(workers_of(os.getpid(), "spawn_main"))
            wait_for(lambda: all(worker.status() == "sleeping" for worker in workers))
            raise KeyboardInterrupt

    request, root = BulkRequest(str(texts), tmp_path / "out", shards=SHARDS), tfidf.path.parents[3]
    with pytest.raises(KeyboardInterrupt):
        predict_in_bulk(
            request, tfidf, root=root, options=OPTIONS, workers=2, on_event=stop_at_the_first_part
        )
    assert len(workers) == 2
    assert not any(worker.is_running() for worker in workers)
    assert capfd.readouterr().err == ""
    assert sum("OMP_NUM_THREADS" in message for message in messages) == 1


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        *(pytest.param(other, marks=pytest.mark.slow) for other in (signal.SIGKILL, signal.SIGTERM)),
    ],
)
def test_a_killed_prediction_continues(
    number: signal.Signals, long_input: tuple[Path, dict[str, bytes]], checkpoint: Checkpoint, tmp_path: Path
) -> None:
    path, expected = long_input
    out = tmp_path / "out"
    command = Command(*predict(checkpoint, path, out, "--workers", 2), folder=tmp_path)
    wait_for(lambda: n_markers(out) >= 2 or not command.runs())
    workers = workers_of(command.pid, "spawn_main")
    os.kill(command.pid, number)
    assert command.code == (-number if number == signal.SIGKILL else 128 + number)
    assert "Traceback" not in command.said
    wait_for(lambda: not any(worker.is_running() and worker.status() != "zombie" for worker in workers))
    assert 2 <= n_markers(out) < MANY
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("_goemo/part-*.json")}
    said = compute(BulkRequest(str(path), out, shards=MANY), checkpoint)
    assert any(f"{len(before)} of {MANY} parts are complete already" in message for message in said)
    assert parts(out) == expected
    assert {name: (out / "_goemo" / name).stat().st_mtime_ns for name in before} == before


@pytest.mark.slow
def test_a_killed_worker_of_ray_costs_nothing_but_its_part(
    long_input: tuple[Path, dict[str, bytes]], checkpoint: Checkpoint, tmp_path: Path
) -> None:
    path, expected = long_input
    with start(*predict(checkpoint, path, tmp_path / "out", "--executor", "ray", "--workers", 2)) as process:
        wait_for(lambda: n_markers(tmp_path / "out") >= 2, process=process)
        workers = workers_of(process.pid, "RayWorker.write")
        assert workers
        workers[0].kill()
        _, said = process.communicate(timeout=GUARD_SECONDS)
    assert process.returncode == 0, said
    assert parts(tmp_path / "out") == expected
