"""The mirror's own process: reads a journal, while it grows or when it is whole, and tells W&B what it says.

`python -m goemo_cli.tracking.wandb_mirror JOB`, started by `wandb_process.Mirror`. It answers in JSON lines on a pipe:
`started`, `going on`, and in the end `finished` or `failed`. When its standard input closes, whoever started it is gone:
the run is closed as failed.
"""

import json
import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from goemo_cli.core.errors import AuthenticationError, GoemoError, NotFoundError, RemoteError
from goemo_cli.tracking.journal import Record, complete_lines, parse_line, read_journal, tell
from goemo_cli.tracking.wandb_process import Job
from goemo_cli.tracking.wandb_reach import reachable

_ORPHAN_SECONDS = 60
"""How long the run of a killed training may take to be closed."""
_PAUSE_SECONDS = 0.2


def main(job: Job) -> None:
    """Mirror, and answer; a failure is an answer too."""
    try:
        _mirror(job)
    except BaseException as error:  # whatever it is, the answer is what counts
        _answer(job, "failed", **reason(error))


def reason(error: BaseException) -> dict[str, str]:
    """An exception of wandb or of goemo as `why` (key, network, setting, gone, other) and a `message` of one line."""
    message = (str(error).strip().splitlines() or [type(error).__name__])[0]
    text, kind = str(error).lower(), type(error).__name__
    if isinstance(error, AuthenticationError) or any(
        sign in text
        for sign in (
            "not logged in",
            "no api key",
            "api key must",
            "api_key",
            "invalid api key",
            "401 unauthorized",
        )
    ):
        return {"why": "key", "message": "W&B has no valid API key: `wandb login`, or set WANDB_API_KEY"}
    if kind == "AuthenticationError":
        return {"why": "key", "message": "W&B refused the API key: `wandb login`, or set WANDB_API_KEY"}
    if isinstance(error, NotFoundError):
        return {"why": "gone", "message": message}
    if kind == "UsageError":
        return {"why": "setting", "message": f"W&B: {message}"}
    if isinstance(error, RemoteError) or kind in ("CommError", "WandbApiFailedError", "TimeoutError"):
        return {"why": "network", "message": message if isinstance(error, RemoteError) else f"W&B: {message}"}
    if kind == "Error":  # wandb's own
        message, kind = message.removeprefix("Error initializing run: "), "W&B"
    return {"why": "other", "message": message if isinstance(error, GoemoError) else f"{kind}: {message}"}


def _mirror(job: Job) -> None:
    import wandb  # whatever its import raises is answered too

    from goemo_cli.tracking.wandb_run import WandbRun

    settings = wandb.setup().settings
    online = (job.target.mode or settings.mode) == "online"
    server = str(settings.base_url)
    if online and not reachable(server):
        raise RemoteError(f"W&B does not answer at {server}")
    if not job.follow and not (lacking := _lacking(job, None)):
        _answer(job, "finished", missing=[], sent=[])
        return
    run = WandbRun(
        job.target,
        run_id=_first(job)["mirror_id"],
        directory=job.directory,
        process=job.process,
        going_on=lambda: _answer(job, "going on"),
    )
    for record in _records(job):
        tell(run, record, root=job.root)
        if record["kind"] == "start":
            where = {"directory": str(job.directory), "server": server if online else None}
            _answer(job, "started", url=run.url, mode=run.mode, **where)
    path = run.path
    still = _lacking(job, path) if path else []
    _answer(job, "finished", missing=still, sent=[] if job.follow else lacking)


def _lacking(job: Job, path: str | None) -> list[str]:
    from goemo_cli.tracking.wandb_check import missing_remotely

    entity, project = path.split("/")[:2] if path else (job.target.entity, job.target.project)
    return missing_remotely(read_journal(job.journal), root=job.root, project=project, entity=entity)


def _first(job: Job) -> Record:
    return parse_line(job.journal, complete_lines(job.journal)[0])


def _records(job: Job) -> Iterator[Record]:
    """Every record, the last of them `finish`; one is made up for a run that was killed."""
    at, growing = 0, job.follow
    while True:
        lines = complete_lines(job.journal, at)
        for line in lines:
            at += len(line)
            record = parse_line(job.journal, line)
            yield record
            if record["kind"] == "finish":
                return
        if growing:
            growing = bool(lines) or _is_watched()  # when it ends, what came meanwhile is still read
        elif not lines:
            signal.alarm(_ORPHAN_SECONDS if job.follow else 0)  # nobody is left to end this process
            yield {"kind": "finish", "summary": {}, "exit_code": 1}
            return


def _is_watched() -> bool:
    """Whether whoever started this process is still there; waits a moment."""
    ready, _, _ = select.select([0], [], [], _PAUSE_SECONDS)
    return not ready or bool(os.read(0, 1))


def _answer(job: Job, what: str, **values: Any) -> None:
    with suppress(OSError):  # nobody listens any more
        os.write(job.answers, (json.dumps({"what": what, **values}) + "\n").encode())


if __name__ == "__main__":
    main(Job.loads(sys.argv[1]))
