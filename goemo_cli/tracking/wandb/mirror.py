"""The upload process: reads a journal, while it grows or when it is complete, and sends it to W&B.

`python -m goemo_cli.tracking.wandb.mirror JOB`, started by `process.Mirror`. It answers in JSON lines on a pipe:
`started`, `going on`, and in the end `finished` or `failed`. When the process that started it is gone, the run is
closed as failed.
"""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from goemo_cli.core.errors import AuthenticationError, GoemoError, NotFoundError, RemoteError, SettingError
from goemo_cli.core.system.processes import take_output
from goemo_cli.tracking.base import Artifact
from goemo_cli.tracking.follower import answer, followed_lines
from goemo_cli.tracking.journal import Journal, StartLine, read_journal
from goemo_cli.tracking.wandb.client import RunReference, WandbClient, algorithm_of, newest
from goemo_cli.tracking.wandb.http import RemoteFile, digest_of, digest_of_text, is_same
from goemo_cli.tracking.wandb.process import Job
from goemo_cli.tracking.wandb.sdk import load_wandb, reached_server, translation

_WHY: dict[type[GoemoError], str] = {
    AuthenticationError: "key", NotFoundError: "gone", SettingError: "setting", RemoteError: "network"
}  # fmt: skip


def main(job: Job) -> None:
    """Upload, and answer; a failure is an answer too."""
    try:
        _mirror(job)
    except BaseException as error:  # whatever it is, the answer is needed in any case
        answer(job.answers, "failed", **reason(error), directory=str(job.directory))
    finally:
        if job.scratch:
            shutil.rmtree(job.scratch, ignore_errors=True)


def reason(error: BaseException) -> dict[str, str]:
    """An exception of wandb or of goemo as `why` (key, network, setting, gone, disk, other) and a `message` of one line."""
    ours = translation(error, "this run", may_be_missing=False)
    message = (str(ours).strip().splitlines() or [""])[0]
    if isinstance(ours, SettingError):
        message = "; ".join(ours.problems)
    elif isinstance(ours, OSError):
        return {"why": "disk", "message": f"W&B's local files: {ours.strerror or message}"}
    elif not isinstance(ours, GoemoError):
        message = f"{type(ours).__name__}: {message}"
    why = (why for kind, why in _WHY.items() if isinstance(ours, kind))
    return {"why": next(why, "other"), "message": message}


def _mirror(job: Job) -> None:
    wandb = load_wandb("uploading to W&B")
    from goemo_cli.tracking.wandb.run import WandbRun

    online = (job.target.mode or wandb.setup().settings.mode) == "online"
    server = reached_server() if online else None
    if not job.follow and not (lacking := _lacking(job, None)):
        answer(job.answers, "finished", missing=[], sent=[])
        return
    run = WandbRun(
        job.target,
        run_id=read_journal(job.journal).mirror_id,
        directory=job.directory,
        links=Path(wandb.env.get_data_dir()) / "links",
        process=job.process,
        going_on=lambda: answer(job.answers, "going on"),
    )
    for line in followed_lines(job.journal, (job.process, job.started) if job.follow else None):
        line.send(run, job.root)
        if isinstance(line, StartLine):
            where = {"directory": str(job.directory), "server": server}
            answer(job.answers, "started", url=run.url, mode=run.mode, **where)
    answer(job.answers, "going on")
    path = run.path
    still = _lacking(job, path) if path else []
    answer(job.answers, "finished", missing=still, sent=[] if job.follow else lacking)


def _lacking(job: Job, path: str | None) -> list[str]:
    entity, project = path.split("/")[:2] if path else (job.target.entity, job.target.project)
    return missing_remotely(read_journal(job.journal), root=job.root, project=project, entity=entity)


def missing_remotely(journal: Journal, *, root: Path, project: str | None, entity: str | None) -> list[str]:
    """Everything in the journal that is missing on W&B, each as a phrase; empty if the upload is complete.

    Args:
        root: its paths are relative to it.
        entity: W&B entity; that of the environment or of the API key if None.

    Raises:
        GoemoError: as `WandbClient`; or an error of the SDK if the server fails later.
    """
    source = WandbClient()
    reference = source.complete(RunReference(journal.mirror_id, project, entity))
    try:
        run = source.sdk_run(reference)
    except NotFoundError:
        return [f"the run {reference}"]
    return list(_missing(journal, source, run, root))


def _missing(journal: Journal, source: WandbClient, run: Any, root: Path) -> Iterator[str]:
    if journal.is_finished and run.state == "running":
        yield "the end of the run"
    if journal.last_step >= 0 and run.lastHistoryStep < journal.last_step:
        yield f"numbers after step {run.lastHistoryStep}"
    known = set(dict(run.summary_metrics))
    if lacking := sorted(set(journal.summary) - known):
        yield f"{len(lacking)} numbers of the summary, such as {lacking[0]}"
    there = {file.name: RemoteFile(file.name, file.size, file.md5, "") for file in run.files()}
    for name, path in journal.files(root).items():
        if name not in there or not is_same(path.resolve(), there[name]):
            yield f"the file {name}"
    for name, text in journal.texts.items():
        if name not in there or there[name].digest != digest_of_text(text):
            yield f"the file {name}"
    artifacts = journal.artifacts(root)
    logged = newest(run.logged_artifacts()) if any(not artifact.is_input for artifact in artifacts) else {}
    used = newest(run.used_artifacts()) if any(artifact.is_input for artifact in artifacts) else {}
    for artifact in artifacts:
        found = (used if artifact.is_input else logged).get(artifact.named(journal.mirror_id))
        if found is None or _differs(artifact, source.entries_of(found)):
            yield f"the W&B artifact {artifact.named(journal.mirror_id)}"


def _differs(artifact: Artifact, entries: dict[str, Any]) -> bool:
    """Whether an artifact of W&B, by its manifest, has other files than ours."""
    if set(entries) != {*artifact.files, *artifact.texts}:
        return True
    return any(
        not path.is_file() or digest_of(path, algorithm_of(entries[name])) != entries[name].digest
        for name, path in artifact.files.items()
    ) or any(digest_of_text(text) != entries[name].digest for name, text in artifact.texts.items())


if __name__ == "__main__":
    main(Job.model_validate_json(sys.argv[1]).model_copy(update={"answers": take_output()}))
