"""`goemo validate --wandb RUN`: whether W&B has every required file of a run, equal to the local one."""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from goemo_cli.core.checkpoint import MANIFEST, Checkpoint
from goemo_cli.core.errors import (
    CheckpointNotFoundError,
    CorruptArtifactError,
    NotFoundError,
    RunNotFoundError,
)
from goemo_cli.core.events import EventHandler, Info, ignore
from goemo_cli.core.layout import Layout
from goemo_cli.services.runs.index import listed_runs, run_files
from goemo_cli.services.runs.references import find_run, open_run
from goemo_cli.services.validation.report import ValidationReport
from goemo_cli.services.wandb.plan import WHAT, ArtifactName, as_run_files, plan_download
from goemo_cli.services.wandb.records import read_records
from goemo_cli.tracking.journal import read_journal
from goemo_cli.tracking.wandb.client import RemoteRun, RunReference, WandbClient, open_client
from goemo_cli.tracking.wandb.http import RemoteFile, digest_of


def validate_remote(run: str, *, layout: Layout, on_event: EventHandler = ignore) -> ValidationReport:
    """Compare a finished run with its copy on W&B: names, sizes and digests; nothing is downloaded.

    Args:
        run: a reference to a local run, or its W&B run.

    Raises:
        NotFoundError: no such run here, it has no W&B run, or W&B has no such run.
        AuthenticationError, RemoteError: as they say.
    """
    checkpoint, expected = _local(run, layout)
    report = ValidationReport(layout.root)
    client = open_client(str(expected), base_url=checkpoint.config.logging.wandb.base_url)
    reference = client.complete(expected)
    remote = client.run(reference)
    on_event(Info(f"Comparing {checkpoint.run} with {reference}"))
    report.check(
        "ended on W&B",
        checkpoint.path,
        holds=remote.state not in ("running", "pending"),
        otherwise=f"{reference} is still {remote.state} on W&B",
    )
    for path, message in list(checkpoint.hash_faults()):
        report.problem(path, message)
    here = _must_have(checkpoint, layout)
    _compare_files(here, remote, checkpoint, layout, report)
    _compare_artifacts(client, reference, here, checkpoint, layout, report)
    return report


def _local(run: str, layout: Layout) -> tuple[Checkpoint, RunReference]:
    """The checkpoint and its W&B run."""
    if "://" in run or (run.count("/") in (1, 2) and not find_run(run, layout).is_dir()):
        reference = RunReference.parse(run)
        return _by_run_id(reference, layout), reference
    try:
        checkpoint = open_run(run, layout)
    except RunNotFoundError:
        if run.startswith("@"):
            raise
        reference = RunReference.parse(run)
        return _by_run_id(reference, layout), reference
    return checkpoint, reference_of(checkpoint, layout)


def _by_run_id(reference: RunReference, layout: Layout) -> Checkpoint:
    """The local run that was logged as this W&B run, or downloaded from it."""
    came = {path for record in read_records(layout) if record.is_of(reference) for path in record.files}
    for listed in reversed(listed_runs(layout)):
        if listed.is_finished:
            try:
                checkpoint = Checkpoint.open(listed.path)
            except (CheckpointNotFoundError, CorruptArtifactError, OSError):
                continue  # `goemo validate` without --wandb names it
            is_copy = layout.shown(listed.path / MANIFEST) in came
            if is_copy or _logged_id(checkpoint, layout) == reference.run_id:
                return checkpoint
    raise NotFoundError(f"no finished run below {layout.root} is the W&B run {reference}")


def reference_of(checkpoint: Checkpoint, layout: Layout) -> RunReference:
    """A run's W&B run: the one it was downloaded from, else the one in its settings."""
    run_id = _logged_id(checkpoint, layout)
    manifest = layout.shown(checkpoint.path / MANIFEST)
    for record in read_records(layout):
        if record.run and manifest in record.files and run_id in (None, record.run.run_id):
            return record.run
    if not run_id:
        raise NotFoundError(f"{checkpoint.run} has no W&B run: it was not logged there")
    wanted = checkpoint.config.logging.wandb
    return RunReference(run_id, wanted.project, wanted.entity)


def _logged_id(checkpoint: Checkpoint, layout: Layout) -> str | None:
    """W&B's id of a run: from its metrics or, if it was uploaded later, from its journal."""
    if run_id := checkpoint.metrics.wandb_run_id:
        return str(run_id)
    journal = layout.journal(checkpoint.run)
    return read_journal(journal).mirror_id if journal.is_file() else None


def _must_have(checkpoint: Checkpoint, layout: Layout) -> dict[Path, bool]:
    """The files of a run that W&B may have, and whether it must; `goemo validate` reports those that are missing here."""
    outputs = {layout.root / name for name in checkpoint.manifest.outputs}
    if not outputs:  # an older manifest
        outputs = {*layout.run_outputs(checkpoint.run)}
    has_model = checkpoint.config.logging.wandb.log_model
    files = {checkpoint.path / name: has_model for name in (*checkpoint.manifest.files, MANIFEST)}
    others = run_files(layout, [listed.run for listed in listed_runs(layout)]).get(checkpoint.run, [])
    below = (layout.predictions, layout.stats)
    others = [path for path in others if any(folder in path.parents for folder in below)]
    return files | dict.fromkeys(others, False) | dict.fromkeys(sorted(outputs), True)


def _compare_files(
    here: Mapping[Path, bool],
    remote: RemoteRun,
    checkpoint: Checkpoint,
    layout: Layout,
    report: ValidationReport,
) -> None:
    where = str(remote.reference)
    plan = plan_download(remote.files, WHAT, layout=layout, where=where, name=str(checkpoint.run))
    there = {_name(file.target, checkpoint, layout): file.remote for file in plan.files}
    for path, must in here.items():
        name = _name(path, checkpoint, layout)
        if not path.is_file():
            report.check("here", path, holds=not must, otherwise="is missing here")
        elif name not in there:
            report.check("on W&B", path, holds=not must, otherwise=f"is missing in the files of {where}")
        else:
            _compare(path, there[name], where, report)
    for name, file in there.items():
        if PurePosixPath(name).parts[0] == "checkpoint" and name not in {
            _name(path, checkpoint, layout) for path in here
        }:
            report.warn(checkpoint.path, f"{where} also holds {file.name}, which the run does not name")


def _compare(path: Path, file: RemoteFile, where: str, report: ValidationReport) -> None:
    size = path.stat().st_size
    same_size = report.check(
        "size on W&B",
        path,
        holds=file.size == size,
        otherwise=f"has {size:,} bytes, {file.name} of {where} has {file.size:,}",
    )
    if same_size and file.digest is None:
        report.warn(path, f"{where} has no digest of {file.name} to compare with")
    elif same_size:
        report.check(
            "digest on W&B",
            path,
            holds=file.digest == digest_of(path, file.algorithm),
            otherwise=f"differs from {file.name} of {where} ({file.algorithm.upper()})",
        )


def _compare_artifacts(
    client: WandbClient,
    reference: RunReference,
    here: Mapping[Path, bool],
    checkpoint: Checkpoint,
    layout: Layout,
    report: ValidationReport,
) -> None:
    """Compare the newest versions of the run's W&B artifacts, if there are any."""
    by_name = {_name(path, checkpoint, layout): path for path in here if path.is_file()}
    for artifact in client.artifacts_of(reference):
        kind = ArtifactName.parse(artifact.name)
        if kind is None or kind.run_id != reference.run_id:
            continue
        for file in as_run_files(artifact.files, kind.what, str(checkpoint.run)):
            if file.name in by_name:
                _compare(by_name[file.name], file, str(artifact), report)
        if kind.what == "checkpoint":
            there = {file.name for file in as_run_files(artifact.files, kind.what, str(checkpoint.run))}
            for name in _lacking(by_name, there):
                report.problem(by_name[name], f"is missing in the W&B artifact {artifact}")


def _lacking(by_name: Mapping[str, Path], there: set[str]) -> Iterator[str]:
    yield from (name for name in by_name if name.startswith("checkpoint/") and name not in there)


def _name(path: Path, checkpoint: Checkpoint, layout: Layout) -> str:
    """The name of a local file in the Files tab."""
    for folder, name in (
        (checkpoint.path, f"checkpoint/{checkpoint.run}"),
        (layout.predictions, "predictions"),
        (layout.stats, "stats"),
        (layout.figures, "figures"),
    ):
        if folder in path.parents:
            return f"{name}/{path.relative_to(folder).as_posix()}"
    return path.as_posix()
