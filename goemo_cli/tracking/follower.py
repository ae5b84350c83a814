"""The process of a registered tracker: reads a journal while it grows, and calls the tracker.

`python -m goemo_cli.tracking.follower JOB`, started by `separate.FollowingTracker`. It answers in JSON lines on a pipe:
`started`, `going on`, and in the end `finished` or `failed`. When the process that started it is gone, the run is
closed as failed.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from goemo_cli.core.files import complete_lines
from goemo_cli.core.system.processes import end_in, lives, take_output
from goemo_cli.tracking.base import TrackerContext, TrackerFactory
from goemo_cli.tracking.journal import FinishLine, Line, StartLine, parse_line, read_journal
from goemo_cli.tracking.redaction import without_secrets
from goemo_cli.tracking.registered import find_tracker

_ORPHAN_SECONDS = 60
"""How long the run of a killed training may take to be closed."""
_PAUSE_SECONDS = 0.2


class Job(BaseModel):
    """Which tracker follows which journal; as JSON the argument of the process, without secrets."""

    name: str
    """Under which the tracker is registered."""
    journal: Path
    root: Path
    """What the journal's paths are relative to."""
    folder: Path
    """That the tracker may write to."""
    process: int
    """Id of the training process."""
    started: float
    """When that process started, in seconds since 1970."""


def main(job: Job) -> None:
    """Follow the journal, and answer; a failure is an answer too."""
    answers = take_output()
    try:
        _follow(job, answers)
    except BaseException as error:  # whatever it is, the answer is needed in any case
        first_line = (str(error).strip().splitlines() or [""])[0]
        told = without_secrets({"message": f"{type(error).__name__}: {first_line}"})
        answer(answers, "failed", **told)


def _follow(job: Job, answers: int) -> None:
    factory: TrackerFactory = find_tracker(job.name).entry.load()
    tracker = factory(TrackerContext(read_journal(job.journal).mirror_id, root=job.root, folder=job.folder))
    for line in followed_lines(job.journal, (job.process, job.started)):
        line.send(tracker, job.root)
        if isinstance(line, StartLine):
            answer(answers, "started", address=tracker.address)
        else:
            answer(answers, "going on")
    answer(answers, "finished")


def followed_lines(journal: Path, writer: tuple[int, float] | None) -> Iterator[Line]:
    """Every line up to `finish`, which is added for a training that was killed.

    Args:
        writer: id and start time of the process that writes it; more lines are awaited while it is alive. None: the
            journal is complete.
    """
    position, is_growing = 0, writer is not None
    while True:
        lines = complete_lines(journal, position)
        for text in lines:
            position += len(text)
            line = parse_line(journal, text)
            yield line
            if isinstance(line, FinishLine):
                return
        if is_growing and writer:
            is_growing = bool(lines) or _waits_for(
                *writer
            )  # the last lines are read even if the training has ended
        elif not lines:
            if writer:
                end_in(_ORPHAN_SECONDS)  # no other process can end this one
            yield FinishLine(kind="finish", summary={}, exit_code=1)
            return


def _waits_for(process: int, started: float) -> bool:
    """Whether the process that started this one is still alive; waits a moment."""
    time.sleep(_PAUSE_SECONDS)
    return lives(process, started)


def answer(descriptor: int, what: str, **values: Any) -> None:
    """Write an answer, unless the other process is gone."""
    with suppress(OSError):
        os.write(descriptor, (json.dumps({"what": what, **values}) + "\n").encode())


if __name__ == "__main__":
    main(Job.model_validate_json(sys.argv[1]))
