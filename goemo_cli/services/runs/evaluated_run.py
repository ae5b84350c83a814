"""A run as if the data that `goemo evaluate` scored were its test split, so that reports can show it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.documents.metrics import EvaluationRecord, Metrics
from goemo_cli.core.errors import DataFileError, DataNotFoundError, NotFoundError, SettingError
from goemo_cli.core.events import EventHandler, ignore
from goemo_cli.core.labels import Split
from goemo_cli.core.layout import EVALUATED, Layout, parse_predictions_name
from goemo_cli.core.names import RunName
from goemo_cli.core.predictions import read_predictions
from goemo_cli.ml.data.dataset import Dataset
from goemo_cli.ml.metrics.confusions import cooccurrence_counts
from goemo_cli.services.runs.run_data import RunData


@dataclass(frozen=True)
class _Layout(Layout):
    """A layout whose test predictions and per-class metrics are those of evaluated data."""

    data: str = ""
    """The name of the data."""

    def split_predictions(self, run: RunName, split: Split) -> Path:
        """The final predictions of a split."""
        return (
            self.evaluation_predictions(run, self.data)
            if split == "test"
            else super().split_predictions(run, split)
        )

    def per_class_metrics(self, run: RunName) -> Path:
        """The metrics of each label on the evaluated data."""
        return self.evaluation_table(run, self.data)


@dataclass(frozen=True)
class _Checkpoint(Checkpoint):
    """A checkpoint whose test scores are those of evaluated data."""

    evaluated: Metrics

    @cached_property
    def metrics(self) -> Metrics:
        """metrics.json with the scores of the evaluated data as those of test."""
        return self.evaluated


@dataclass
class EvaluatedRun(RunData):
    """A run with the data that it was evaluated on as its test split."""

    evaluated_on: str = ""
    """The name of that data."""

    @property
    def name(self) -> str:
        """What a report calls it."""
        return f"{self.checkpoint.run} on {self.evaluated_on}"

    def data(self) -> Dataset:
        """The data set of the run has nothing to do with the evaluated data.

        Raises:
            DataNotFoundError: always.
        """
        raise DataNotFoundError(
            self.evaluated_on,
            [f"the data set of {self.checkpoint.run} is in the report of the run, not of an evaluation"],
        )


def open_evaluated(
    path: Path, layout: Layout, data_dir: Path | None = None, on_event: EventHandler = ignore
) -> EvaluatedRun:
    """The run behind a predictions file of `goemo evaluate`, with that data as its test split.

    Raises:
        NotFoundError: no such file, run or record of the evaluation, or a run that was imported without data.
        SettingError: a predictions file that `goemo evaluate` did not write.
        DataFileError: other labels than those of the run.
        CorruptArtifactError: the record or the run is damaged.
    """
    if not path.is_file():
        raise NotFoundError(f"{path}: no such file")
    named = parse_predictions_name(path)
    if named is None or not named[0].startswith(EVALUATED):
        raise SettingError(
            [f"{path} is not a predictions file of goemo evaluate; for a split of a run, name the run"]
        )
    data, run = named[0].removeprefix(EVALUATED), named[1]
    folder, record_path = layout.find_checkpoint(run), layout.evaluation_record(run, data)
    if folder is None or not record_path.is_file():
        missing = record_path if folder else run
        raise NotFoundError(f"{path}: {missing} is not below {layout.root}")
    checkpoint, record = Checkpoint.open(folder), EvaluationRecord.read(record_path)
    if tuple(row.emotion for row in record.per_class) != checkpoint.labels:
        raise DataFileError(record_path, f"its labels are not those of {run}")
    metrics = _with_evaluated_test(checkpoint, record, path)
    return EvaluatedRun(
        _Checkpoint(checkpoint.path, checkpoint.run, checkpoint.manifest, metrics),
        _Layout(layout.root, data),
        data_dir,
        on_event,
        evaluated_on=data,
    )


def _with_evaluated_test(checkpoint: Checkpoint, record: EvaluationRecord, path: Path) -> Metrics:
    own = checkpoint.metrics
    data = own.data.model_copy(
        update={
            "name": f"{own.data.name}, evaluated on {record.data.name}",
            "source": record.data.source,
            "is_fallback": False,
            "split_sha256": own.data.split_sha256.model_copy(update={"test": record.data.sha256}),
            "sizes": own.data.sizes.model_copy(update={"test": record.data.rows}),
        }
    )
    matrix = None
    if checkpoint.rules.is_single_label:
        predictions = read_predictions(path)
        matrix = cooccurrence_counts(predictions.y_true, predictions.y_pred).tolist()
    return own.model_copy(
        update={
            "data": data,
            "threshold_rule": record.threshold_rule,
            "test": record.scores,
            "per_class": record.per_class,
            "taxonomies": {},
            "confusion_matrix": matrix,
        }
    )
