"""What W&B has of a run, compared with its journal: refused uploads are silent, so one has to look."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.sdk.lib.hashutil import md5_string

from goemo_cli.core.errors import NotFoundError
from goemo_cli.tracking.base import Artifact
from goemo_cli.tracking.journal import Journal
from goemo_cli.tracking.wandb.client import WandbSource, algorithm_of, newest
from goemo_cli.tracking.wandb.http import digest_of, is_same
from goemo_cli.tracking.wandb.names import RemoteFile, RunReference


def missing_remotely(journal: Journal, *, root: Path, project: str, entity: str | None) -> list[str]:
    """What the journal holds and W&B does not have, each as a phrase; empty if the mirror is complete.

    Args:
        journal: of the run.
        root: what its paths are relative to.
        project: W&B's folder of runs.
        entity: its owner; that of the environment or of the key if None.

    Raises:
        GoemoError: as `WandbSource`; or whatever the SDK raises if the server fails later.
    """
    source = WandbSource()
    reference = source.complete(RunReference(journal.mirror_id, project, entity))
    try:
        run = source.sdk_run(reference)
    except NotFoundError:
        return [f"the run {reference}"]
    return list(_missing(journal, source, run, root))


def _missing(journal: Journal, source: WandbSource, run: Any, root: Path) -> Iterator[str]:
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
        if name not in there or there[name].digest != md5_string(text):
            yield f"the file {name}"
    artifacts = journal.artifacts(root)
    logged = newest(run.logged_artifacts()) if any(not one.is_input for one in artifacts) else {}
    used = newest(run.used_artifacts()) if any(one.is_input for one in artifacts) else {}
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
    ) or any(md5_string(text) != entries[name].digest for name, text in artifact.texts.items())
