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


@dataclass(frozen=True)
class Layout:
    """The place of every file, relative to one root.

    Nothing is created by asking for a path.
    """

    root: Path = Path()

    @property
    def artifacts(self) -> Path:
        """Everything that belongs to runs."""
        return self.root / "artifacts"

    @property
    def output(self) -> Path:
        """Everything that is drawn from runs or logged to trackers."""
        return self.root / "output"

    @property
    def models(self) -> Path:
        """Checkpoints: {family}/{run}/."""
        return self.root / "artifacts" / "models"

    @property
    def pins(self) -> Path:
        """Runs that `goemo runs gc` never removes."""
        return self.models / "pinned.json"

    @property
    def exports(self) -> Path:
        """Exported models: {format}/{run}/."""
        return self.root / "artifacts" / "exports"

    def export(self, run: RunName, format: ExportFormat, precision: ExportPrecision) -> Path:
        """The folder of an exported model of a run."""
        return self.exports / (format if precision == "fp32" else f"{format}-{precision}") / str(run)

    def exported_files(self, run: RunName) -> list[Path]:
        """All files of the exported models of a run."""
        return sorted(path for path in self.exports.glob(f"*/{run}/*") if path.is_file())

    @property
    def teachers(self) -> Path:
        """What students learn from: {teacher}/, with one file for each set of texts."""
        return self.root / "artifacts" / "teachers"

    def teacher_probabilities(self, teacher: RunName, texts_sha256: str) -> Path:
        """The probabilities that a run gives to the texts of a student."""
        return self.teachers / str(teacher) / f"{texts_sha256[:16]}.safetensors"

    @property
    def predictions(self) -> Path:
        """Predictions of every run and split."""
        return self.root / "artifacts" / "predictions"

    @property
    def stats(self) -> Path:
        """Tables and summaries derived from predictions."""
        return self.root / "artifacts" / "stats"

    @property
    def figures(self) -> Path:
        """Pictures, numbered."""
        return self.root / "output" / "figures"

    @property
    def figure_data(self) -> Path:
        """The numbers in each picture, and what it was drawn from."""
        return self.figures / "data"

    @property
    def report_page(self) -> Path:
        """Runs on one page that needs nothing else."""
        return self.root / "output" / "report" / "report.html"

    @property
    def report_results(self) -> Path:
        """The same numbers as Markdown."""
        return self.root / "output" / "report" / "results.md"

    @property
    def wandb(self) -> Path:
        """W&B's own local files."""
        return self.root / "output" / "wandb"

    @property
    def journals(self) -> Path:
        """The event log of each run, which trackers read: {run}.jsonl."""
        return self.root / "output" / "journal"

    @property
    def sweeps(self) -> Path:
        """Searches for settings: {name}/ with the study, its trials, tables and pictures."""
        return self.root / "output" / "sweeps"

    @property
    def seeds(self) -> Path:
        """Trainings with several seeds in processes, until they are finished: {group}/{seed}/."""
        return self.root / "output" / "seeds"

    @property
    def registry(self) -> Path:
        """The local store of versioned artifacts."""
        return self.root / "artifacts" / "registry"

    @property
    def audits(self) -> Path:
        """What `goemo data audit` found in data sets: {name}/; the name is a `data_slug`."""
        return self.root / "output" / "audit"

    def audit(self, name: str) -> "AuditFiles":
        """The files of one audit."""
        return AuditFiles(self.audits / name)

    def audit_records(self) -> list[Path]:
        """The record of each audit that is there."""
        return sorted(self.audits.glob(self.audit("*").record.relative_to(self.audits).as_posix()))

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's event files: {run}/."""
        return self.root / "output" / "tensorboard"

    @property
    def trackers(self) -> Path:
        """The folders of other trackers: {name}/, in which {run}/ is removed with the run."""
        return self.root / "output" / "trackers"

    @property
    def metric_summary(self) -> Path:
        """One row per run, rebuilt whole."""
        return self.stats / "metric_summary.csv"

    @property
    def summary_record(self) -> Path:
        """What the tables over all runs were made from, to distinguish an old table from an edited one."""
        return self.stats / "summaries.json"

    @property
    def downloads(self) -> Path:
        """What `goemo download` brought, one record per W&B run or artifact."""
        return self.root / "artifacts" / "downloads"

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

    @property
    def evaluations(self) -> Path:
        """Scores of runs on data that they were not trained with."""
        return self.stats / "evaluation"

    def evaluation_record(self, run: RunName, name: str) -> Path:
        """The scores on such data, and what they were computed from."""
        return self.evaluations / f"scores_{EVALUATED}{name}_{run.file_stem}.json"

    def evaluation_table(self, run: RunName, name: str) -> Path:
        """The metrics of each label on such data."""
        return self.evaluations / f"per_class_metrics_{EVALUATED}{name}_{run.file_stem}.csv"

    def per_class_metrics(self, run: RunName) -> Path:
        """The test metrics of each label."""
        return self.stats / f"per_class_metrics_{run.file_stem}.csv"

    def test_metrics(self, model: str) -> Path:
        """The test metrics of a model's newest run."""
        return self.stats / f"test_metrics_{model}.json"

    @property
    def threshold_sweep(self) -> Path:
        """Scores over candidate thresholds, and what they were computed from."""
        return self.stats / "threshold_sweep"

    @property
    def calibration(self) -> Path:
        """How far probabilities are from what is observed, before and after `goemo calibrate`."""
        return self.stats / "calibration"

    def calibration_table(self, run: RunName) -> Path:
        """The calibration of each label."""
        return self.calibration / f"calibration_{run.file_stem}.csv"

    def reliability_table(self, run: RunName) -> Path:
        """The bins that reliability diagrams are drawn from."""
        return self.calibration / f"reliability_{run.file_stem}.csv"

    def calibration_summary(self, run: RunName) -> Path:
        """The calibration over all cells, and what it was computed from."""
        return self.calibration / f"calibration_{run.file_stem}.json"

    @property
    def cooccurrence(self) -> Path:
        """Labels that occur together and labels that are confused: tables of `goemo errors`."""
        return self.stats / "cooccurrence"

    def cooccurrence_table(self, table: str, stem: str) -> Path:
        """One of those tables: gold, predicted, crossed, pairs or confusions."""
        return self.cooccurrence / f"cooccurrence_{table}_{stem}.csv"

    def cooccurrence_summary(self, stem: str) -> Path:
        """What those tables were made from, and the rest of the analysis."""
        return self.cooccurrence / f"cooccurrence_summary_{stem}.json"

    @property
    def per_emotion_scores(self) -> Path:
        """One row per run and label, rebuilt whole."""
        return self.stats / "per_emotion_scores.csv"

    @property
    def multiseed_summary(self) -> Path:
        """Mean and spread of every score over the seeds of a group."""
        return self.stats / "multiseed_summary.csv"

    @property
    def significance_tests(self) -> Path:
        """Differences between models and what they mean: the last `goemo compare`."""
        return self.stats / "significance_tests.csv"

    @property
    def significance_record(self) -> Path:
        """What that table was computed from."""
        return self.stats / "significance_tests.json"

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
