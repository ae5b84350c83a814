"""Every path below artifacts/ and output/. The only module that spells a directory name."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from goemo_cli.core.files import path_from_root
from goemo_cli.core.labels import Split
from goemo_cli.core.names import RunName
from goemo_cli.core.schema import ExportFormat, ExportPrecision

EVALUATED = "eval-"
"""Begins the split in the name of a predictions file of data that `goemo evaluate` scored: eval-{name}."""
_PREDICTIONS = re.compile(
    rf"(?P<split>test|val(?:_epoch\d+)?|train|{EVALUATED}[a-z0-9.-]+)_predictions_(?P<run>.+)\.csv"
)


class _Below:
    """A path below the root of a layout."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __get__(self, layout: "Layout", owner: object = None) -> Path:
        return layout.root / self.path


@dataclass(frozen=True)
class Layout:
    """The place of every file, relative to one root.

    Nothing is created by asking for a path.
    """

    root: Path = Path()

    artifacts = _Below("artifacts")
    """Everything that belongs to runs."""

    output = _Below("output")
    """Everything that is drawn from runs or logged to trackers."""

    models = _Below("artifacts/models")
    """Checkpoints: {family}/{run}/."""

    pins = _Below("artifacts/models/pinned.json")
    """Runs that `goemo runs gc` never removes."""

    exports = _Below("artifacts/exports")
    """Exported models: {format}/{run}/."""

    def export(self, run: RunName, format: ExportFormat, precision: ExportPrecision) -> Path:
        """The folder of an exported model of a run."""
        return self.exports / (format if precision == "fp32" else f"{format}-{precision}") / str(run)

    def exported_files(self, run: RunName) -> list[Path]:
        """All files of the exported models of a run."""
        return sorted(path for path in self.exports.glob(f"*/{run}/*") if path.is_file())

    teachers = _Below("artifacts/teachers")
    """What students learn from: {teacher}/, with one file for each set of texts."""

    def teacher_probabilities(self, teacher: RunName, texts_sha256: str) -> Path:
        """The probabilities that a run gives to the texts of a student."""
        return self.teachers / str(teacher) / f"{texts_sha256[:16]}.safetensors"

    predictions = _Below("artifacts/predictions")
    """Predictions of every run and split."""

    stats = _Below("artifacts/stats")
    """Tables and summaries derived from predictions."""

    figures = _Below("output/figures")
    """Pictures, numbered."""

    figure_data = _Below("output/figures/data")
    """The numbers in each picture, and what it was drawn from."""

    report_page = _Below("output/report/report.html")
    """Runs on one page that needs nothing else."""

    report_results = _Below("output/report/results.md")
    """The same numbers as Markdown."""

    wandb = _Below("output/wandb")
    """W&B's own local files."""

    journals = _Below("output/journal")
    """The event log of each run, which trackers read: {run}.jsonl."""

    def journal(self, run: RunName) -> Path:
        """The event log of a run."""
        return self.journals / f"{run}.jsonl"

    sweeps = _Below("output/sweeps")
    """Searches for settings: {name}/ with the study, its trials, tables and pictures."""

    seeds = _Below("output/seeds")
    """Trainings with several seeds in processes, until they are finished: {group}/{seed}/."""

    registry = _Below("artifacts/registry")
    """The local store of versioned artifacts."""

    audits = _Below("output/audit")
    """What `goemo data audit` found in data sets: {name}/; the name is a `data_slug`."""

    def audit(self, name: str) -> "AuditFiles":
        """The files of one audit."""
        return AuditFiles(self.audits / name)

    def audit_records(self) -> list[Path]:
        """The record of each audit that is there."""
        return sorted(self.audits.glob(self.audit("*").record.relative_to(self.audits).as_posix()))

    tensorboard = _Below("output/tensorboard")
    """TensorBoard's event files: {run}/."""

    trackers = _Below("output/trackers")
    """The folders of other trackers: {name}/, in which {run}/ is removed with the run."""

    metric_summary = _Below("artifacts/stats/metric_summary.csv")
    """One row per run, rebuilt whole."""

    summary_record = _Below("artifacts/stats/summaries.json")
    """What the tables over all runs were made from, to distinguish an old table from an edited one."""

    downloads = _Below("artifacts/downloads")
    """What `goemo download` brought, one record per W&B run or artifact."""

    def checkpoint(self, run: RunName, family: str) -> Path:
        """The folder of a run's checkpoint."""
        return self.models / family / str(run)

    def split_predictions(self, run: RunName, split: Split) -> Path:
        """The final predictions of a split."""
        return self.predictions / split_predictions_name(run, split)

    def epoch_predictions(self, run: RunName, epoch: int) -> Path:
        """The val predictions at the end of an epoch, counted from 1."""
        return self.predictions / f"val_epoch{epoch}_predictions_{run.file_stem}.csv"

    def evaluation_predictions(self, run: RunName, name: str) -> Path:
        """The predictions of data that `goemo evaluate` scored; the name of the data is a `data_slug`."""
        return self.predictions / f"{EVALUATED}{name}_predictions_{run.file_stem}.csv"

    evaluations = _Below("artifacts/stats/evaluation")
    """Scores of runs on data that they were not trained with."""

    def evaluation_record(self, run: RunName, name: str) -> Path:
        """The scores on such data, and what they were computed from."""
        return self.evaluations / f"scores_{EVALUATED}{name}_{run.file_stem}.json"

    def evaluation_table(self, run: RunName, name: str) -> Path:
        """The metrics of each label on such data."""
        return self.evaluations / f"per_class_metrics_{EVALUATED}{name}_{run.file_stem}.csv"

    def per_class_metrics(self, run: RunName) -> Path:
        """The test metrics of each label."""
        return self.stats / f"per_class_metrics_{run.file_stem}.csv"

    def run_outputs(self, run: RunName) -> tuple[Path, Path, Path]:
        """What each finished run has outside its checkpoint: predictions of val and of test, and the metrics of each label."""
        return (
            self.split_predictions(run, "val"),
            self.split_predictions(run, "test"),
            self.per_class_metrics(run),
        )

    def test_metrics(self, model: str) -> Path:
        """The test metrics of a model's newest run."""
        return self.stats / f"test_metrics_{model}.json"

    threshold_sweep = _Below("artifacts/stats/threshold_sweep")
    """Scores over candidate thresholds, and what they were computed from."""

    calibration = _Below("artifacts/stats/calibration")
    """How far probabilities are from what is observed, before and after `goemo calibrate`."""

    def calibration_table(self, run: RunName) -> Path:
        """The calibration of each label."""
        return self.calibration / f"calibration_{run.file_stem}.csv"

    def reliability_table(self, run: RunName) -> Path:
        """The bins that reliability diagrams are drawn from."""
        return self.calibration / f"reliability_{run.file_stem}.csv"

    def calibration_summary(self, run: RunName) -> Path:
        """The calibration over all cells, and what it was computed from."""
        return self.calibration / f"calibration_{run.file_stem}.json"

    cooccurrence = _Below("artifacts/stats/cooccurrence")
    """Labels that occur together and labels that are confused: tables of `goemo errors`."""

    def cooccurrence_table(self, table: str, stem: str) -> Path:
        """One of those tables: gold, predicted, crossed, pairs or confusions."""
        return self.cooccurrence / f"cooccurrence_{table}_{stem}.csv"

    def cooccurrence_summary(self, stem: str) -> Path:
        """What those tables were made from, and the rest of the analysis."""
        return self.cooccurrence / f"cooccurrence_summary_{stem}.json"

    per_emotion_scores = _Below("artifacts/stats/per_emotion_scores.csv")
    """One row per run and label, rebuilt whole."""

    multiseed_summary = _Below("artifacts/stats/multiseed_summary.csv")
    """Mean and spread of every score over the seeds of a group."""

    significance_tests = _Below("artifacts/stats/significance_tests.csv")
    """Differences between models and what they mean: the last `goemo compare`."""

    significance_record = _Below("artifacts/stats/significance_tests.json")
    """What that table was computed from."""

    def shown(self, path: Path) -> str:
        """A path for records: from the root if it is below it, so that a moved project stays checkable."""
        folders = (self.models, self.predictions, self.stats, self.figures, self.artifacts, self.output)
        return path_from_root(path, self.root, *folders)

    def checkpoints(self) -> Iterator[Path]:
        """Every directory that could be a checkpoint, oldest run first; unfinished ones too."""
        found = [
            path
            for path in self.models.glob("*/*")
            if RunName.parse(path.name) and os.path.isdir(path)  # noqa: PTH112  # no error without permission
        ]
        yield from sorted(found, key=lambda path: (_run_of(path).stamp, path.name))

    def find_checkpoint(self, run: RunName) -> Path | None:
        """The checkpoint folder of a run, of any family; None if there is none."""
        for path in self.models.glob(f"*/{run}"):
            return path
        return None


@dataclass(frozen=True)
class AuditFiles:
    """The files that an audit writes into its folder."""

    folder: Path

    @property
    def work_list(self) -> Path:
        """Rows that are worth a look; the user edits it."""
        return self.folder / "worklist.csv"

    @property
    def page(self) -> Path:
        """The same as a page."""
        return self.folder / "audit.html"

    @property
    def record(self) -> Path:
        """Counts, scores, and what they were computed from."""
        return self.folder / "audit.json"


def split_predictions_name(run: RunName, split: Split) -> str:
    """The file name of a split's final predictions."""
    return f"{split}_predictions_{run.file_stem}.csv"


def parse_predictions_name(path: Path) -> tuple[str, RunName] | None:
    """Split (`test`, `val`, `val_epoch3`, `eval-new`) and run that a predictions file is named after; None if it is not."""
    match = _PREDICTIONS.fullmatch(path.name)
    run = match and (RunName.parse(match["run"]) or RunName.parse("-".join(match["run"].rsplit("_", 1))))
    return (match["split"], run) if match and run else None


def _run_of(path: Path) -> RunName:
    run = RunName.parse(path.name)
    if run is None:
        raise ValueError(f"{path.name} is not a run name")
    return run
