"""Exported models: every file is as the manifest says, and they are of a finished run below the root."""

from collections.abc import Collection

from goemo_cli.core.checkpoint import CARD, MANIFEST, Checkpoint
from goemo_cli.core.layout import Layout
from goemo_cli.core.names import RunName
from goemo_cli.ml.onnx.classifier import MODEL, TOKENIZER
from goemo_cli.services.exporting.exports import export_folders, require_export
from goemo_cli.services.validation.report import ValidationReport


def check_exports(layout: Layout, runs: Collection[RunName], report: ValidationReport) -> None:
    """Check the exported models. Those whose run has changed since are found with the other derived files.

    Args:
        runs: every run whose manifest is there, sound or not.
    """
    for folder in export_folders(layout):
        with report.guard(folder):
            report.checks.append(("opens", folder))
            checkpoint = Checkpoint.read(folder)
            _check_export(checkpoint, layout, report)
            if checkpoint.run not in runs:
                report.warn(folder, "belongs to no finished run")


def _check_export(checkpoint: Checkpoint, layout: Layout, report: ValidationReport) -> None:
    folder = checkpoint.path
    export = require_export(checkpoint)
    own = layout.export(checkpoint.run, export.format, export.precision)
    report.check(
        "place",
        folder,
        holds=folder == own,
        otherwise=f"contains {checkpoint.run} as {export.format} in {export.precision}, which belongs in {layout.shown(own)}",
    )
    report.checks.append(("SHA-256 of every file", folder / MANIFEST))
    for path, fault in checkpoint.hash_faults():
        report.problem(path, fault)
    listed = {*checkpoint.manifest.files}
    for name in (MODEL, TOKENIZER, CARD):
        report.check("present", folder / name, holds=name in listed, otherwise="is missing from the manifest")
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        if path.name not in {*listed, MANIFEST}:
            report.warn(path, "is not named in the manifest")
    if report.sound(folder):
        checkpoint.require_readable()
