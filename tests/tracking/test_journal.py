"""The journal: what is written is told again word for word, and no crash makes it unreadable."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from goemo_cli.core.arrays import Histogram
from goemo_cli.core.errors import BusyError, CorruptArtifactError, NotFoundError
from goemo_cli.core.names import RunName
from goemo_cli.tracking.base import Artifact, Picture, Table
from goemo_cli.tracking.journal import JournalTracker, LogLine, held, journal_path, parse_line, read_journal

RUN = RunName("tiny", "20260101-000000")


def written(root: Path, *, folder: str = "output/journal", finish: bool = True) -> Path:
    """A journal with a record of every kind; its path."""
    journal = JournalTracker(root / folder, root=root, mirror_id="abcd1234")
    journal.start(RUN, {"training": {"epochs": 2}}, {"git_commit": None})
    journal.log({"val/f1_macro": 0.1 + 0.2, "train/loss": float(np.float32(0.7))}, step=7, epoch=1)
    journal.log({"step/loss": 0.5}, step=8)
    journal.event("early_stopping", {"epoch": 1, "best_value": 0.3})
    journal.write("output.log", "a line \udce9\n")
    journal.picture(Picture("p", b"\x89PNG"), step=8)
    journal.histograms({"gradients/a": Histogram((1, 2), 0.0, 1.0, 1.5, 1.25)}, step=8)
    journal.table(
        Table("t", ("text", "n"), [["a \u2028 line\n \udce9", None], ["b", 2]], "confusion"), step=9
    )
    journal.save(root / "artifacts" / "x.csv", name="predictions/x.csv")
    journal.artifact(
        Artifact(
            "tiny-checkpoint-{run_id}",
            "model",
            {"x.csv": root / "artifacts" / "x.csv"},
            {"data.json": "{}\n"},
            {"n": 1},
            ("latest", "best"),
        )
    )
    if finish:
        journal.finish({"best_epoch": 1})
    return journal_path(root / folder, RUN)


def test_what_is_written_is_read_and_told_again_word_for_word(tmp_path: Path) -> None:
    path = written(tmp_path)
    journal = read_journal(path)
    assert (journal.run, journal.mirror_id, journal.is_finished, journal.last_step) == (
        RUN,
        "abcd1234",
        True,
        9,
    )
    first = journal.lines[0]
    assert isinstance(first, LogLine)
    assert first.values["val/f1_macro"] == 0.1 + 0.2
    assert journal.summary == {"best_epoch": 1}
    again = JournalTracker(tmp_path / "again", root=tmp_path, mirror_id="abcd1234")
    for line in path.read_bytes().splitlines():
        parse_line(path, line).send(again, tmp_path)
    assert journal_path(tmp_path / "again", RUN).read_bytes() == path.read_bytes()


def test_files_are_recorded_from_the_root_so_that_a_project_can_move(tmp_path: Path) -> None:
    written(tmp_path / "old")
    moved = (tmp_path / "old").rename(tmp_path / "new")
    journal = read_journal(journal_path(moved / "output/journal", RUN))
    assert journal.files(moved) == {"predictions/x.csv": moved / "artifacts/x.csv"}
    (artifact,) = journal.artifacts(moved)
    assert artifact.files == {"x.csv": moved / "artifacts/x.csv"}
    assert artifact.named("id9") == "tiny-checkpoint-id9"


def test_a_journal_cut_anywhere_reads_as_what_was_whole(tmp_path: Path) -> None:
    path = written(tmp_path)
    whole, lines = path.read_bytes(), path.read_bytes().splitlines(keepends=True)
    for kept in range(len(lines[0]), len(whole), 97):
        path.write_bytes(whole[:kept])
        journal = read_journal(path)
        assert len(journal.lines) == whole[:kept].count(b"\n") - 1
        assert not journal.is_finished
        assert journal.summary == {}


@pytest.mark.parametrize(
    "line",
    [
        b"no json\n",
        b"[1]\n",
        b'{"kind": "other"}\n',
        b'{"kind": "log", "step": 1}\n',
        b'{"kind": "log", "step": "1", "epoch": null, "values": {}}\n',
        b"\xff\xfe\n",
    ],
)
def test_a_line_that_no_journal_holds_is_named(tmp_path: Path, line: bytes) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes() + line)
    with pytest.raises(CorruptArtifactError, match="has a line"):
        read_journal(path)


@pytest.mark.parametrize("text", [b"", b'{"kind": "finish", "summary": {}, "exit_code": 0}\n'])
def test_a_journal_without_its_beginning_is_none(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "tiny-20260101-000000.jsonl"
    path.write_bytes(text)
    with pytest.raises(CorruptArtifactError, match="does not begin"):
        read_journal(path)
    with pytest.raises(NotFoundError, match="no journal"):
        read_journal(tmp_path / "other.jsonl")


def test_only_one_holds_a_journal_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    program = f"""
import os, sys
from pathlib import Path
from tests.tracking.test_journal import written
written(Path({str(tmp_path)!r}), finish=False)
print("written", flush=True)
sys.stdin.read()
"""
    # The tracker of `written` is gone with its frame, but its handle is not: as in a training that goes on.
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as going:
        assert going.stdout is not None
        assert going.stdout.readline() == b"written\n"
        path = journal_path(tmp_path / "output/journal", RUN)
        with pytest.raises(BusyError, match="still being trained"), held(path):
            pass
        going.kill()
    with held(path), pytest.raises(BusyError), held(path):
        pass


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    journal = JournalTracker(tmp_path, root=tmp_path, mirror_id="x")
    journal.start(RUN, {}, {})
    with pytest.raises(ValueError, match="not JSON compliant"):
        journal.log({"train/loss": float("nan")}, step=1)
    journal.finish({})
    assert len(read_journal(journal_path(tmp_path, RUN)).lines) == 1


def test_a_full_disk_is_an_error_of_the_journal_and_of_nobody_else(tmp_path: Path) -> None:
    journal_path(tmp_path, RUN).symlink_to("/dev/full")
    journal = JournalTracker(tmp_path, root=tmp_path, mirror_id="x")
    for _ in range(2):  # the lock is given back
        with pytest.raises(OSError, match="No space left"):
            journal.start(RUN, {}, {})
