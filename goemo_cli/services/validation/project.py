"""The order of a validation: checkpoints, their predictions, what follows from them, then the derived files."""

from pathlib import Path

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.events import Advanced, Listener, PhaseEnded, PhaseStarted, ignore
from goemo_cli.core.files import PARTIAL_PREFIX
from goemo_cli.core.layout import Layout, parse_predictions_name
from goemo_cli.services.validation.checkpoints import check_checkpoint
from goemo_cli.services.validation.derived import check_derived
from goemo_cli.services.validation.figures import check_figures
from goemo_cli.services.validation.predictions import check_predictions
from goemo_cli.services.validation.report import ValidationReport
from goemo_cli.services.validation.scores import check_scores


def validate_artifacts(layout: Layout, *, listen: Listener = ignore) -> ValidationReport:
    """Check every artifact below a root; all problems are collected, none stops the rest.

    Checked are layout and names, manifests with hashes, schemas, ranges, label order, row counts and order
    against the recorded split, that labels follow from probabilities and thresholds, thresholds from val,
    metrics from predictions, summaries from checkpoints, and that figures are whole pictures.
    A root without a finished run is a problem.
    """
    report = ValidationReport(layout.root)
    folders = list(layout.checkpoints())
    files = sorted(
        path for path in layout.predictions.glob("*.csv") if not path.name.startswith(PARTIAL_PREFIX)
    )
    listen(PhaseStarted("Validating", len(folders) + len(files), "items"))
    opened: dict[str, Checkpoint] = {}
    for folder in folders:
        if checkpoint := check_checkpoint(folder, report):
            opened[str(checkpoint.run)] = checkpoint
        listen(Advanced(1))
    for path in files:
        named = parse_predictions_name(path)
        if (
            report.check(
                "file name",
                path,
                holds=named is not None,
                otherwise="is not named {split}_predictions_{run}.csv",
            )
            and named
        ):
            check_predictions(path, named[0], opened.get(str(named[1])), report)
        listen(Advanced(1))
    listen(PhaseEnded())
    for checkpoint in opened.values():
        check_scores(checkpoint, layout, report)
    check_derived(layout, opened, report)
    check_figures(layout, report)
    _check_presence(layout, opened, report)
    return report


def _check_presence(layout: Layout, opened: dict[str, Checkpoint], report: ValidationReport) -> None:
    report.check(
        "at least one finished run",
        layout.models,
        holds=bool(opened),
        otherwise="no finished run below it: nothing to validate",
    )
    for base in (layout.root / "artifacts", layout.root / "output"):
        for path in _partials(base):
            report.warn(path, "left behind by a run that was killed; it may be deleted")


def _partials(base: Path) -> list[Path]:
    return sorted(base.rglob(f"{PARTIAL_PREFIX}*")) if base.is_dir() else []
