"""What figures are drawn from: a run's files and its data set, each read when first wanted, and once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from goemo_cli.core.arrays import DoubleArray, IntArray
from goemo_cli.core.checkpoint import CALIBRATION, METRICS, THRESHOLDS, Checkpoint
from goemo_cli.core.documents.metrics import EpochScores, Metrics
from goemo_cli.core.errors import CorruptArtifactError, DataError, DataFileError, GoemoError, NotFoundError
from goemo_cli.core.events import EventHandler, ignore
from goemo_cli.core.files import sha256_file
from goemo_cli.core.labels import EMOTIONS, SPLITS, Split, Terms, terms_of
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import Predictions, read_predictions
from goemo_cli.core.thresholds import LabelRules, Thresholds
from goemo_cli.ml.data.dataset import Dataset
from goemo_cli.ml.data.token_counts import TOKENIZER, token_counts
from goemo_cli.ml.metrics.calibrator import Calibrator, open_calibrator
from goemo_cli.services.data.find import checkpoint_data
from goemo_cli.services.evaluation.per_class_metrics import read_per_class_metrics

if TYPE_CHECKING:  # torch loads for the one figure that needs a model
    from goemo_cli.ml.models.classifier import Classifier

NEUTRAL = EMOTIONS[-1]
MOST_RUNS = 6
"""Maximum number of runs in one figure: readers distinguish as many colours."""
_T = TypeVar("_T")


@dataclass
class RunData:
    """One run, as figures see it.

    Everything is read at the first call; what failed once fails again without a second try, so that data that is
    not here is not looked for (or downloaded) by every figure anew.
    """

    checkpoint: Checkpoint
    layout: Layout
    data_dir: Path | None = None
    on_event: EventHandler = ignore
    others: "tuple[RunData, ...]" = ()
    """Further runs, for the figures that compare."""
    _kept: dict[str, Any] = field(default_factory=dict)
    _used: set[Path] = field(default_factory=set)
    _used_data: bool = False

    @property
    def name(self) -> str:
        """What a report calls it."""
        return str(self.checkpoint.run)

    def forget_use(self) -> None:
        """Another figure begins: `files_used` starts empty, what was read stays in memory."""
        for source in (self, *self.others):
            source._used.clear()
            source._used_data = False

    def files_used(self) -> dict[str, str]:
        """SHA-256 of every artifact that was asked for since `forget_use`, of all runs, by its path from the root."""
        used = {path for source in (self, *self.others) for path in source._used}
        return {self.layout.shown(path): sha256_file(path) for path in sorted(used) if path.is_file()}

    def data_used(self) -> dict[str, str]:
        """SHA-256 of each split of the data set, as the run recorded them; empty if no figure asked for it."""
        return self.checkpoint.metrics.data.split_sha256.as_json() if self._used_data else {}

    def comparable(self) -> "tuple[RunData, ...]":
        """This run and the others, all with the same labels and scored on the same test texts.

        Raises:
            DataError: a run has other labels or other test texts, or there are more than `MOST_RUNS`.
        """
        runs = (self, *self.others)
        if len(runs) > MOST_RUNS:
            raise DataError(f"{len(runs)} runs: a figure shows at most {MOST_RUNS} side by side")
        for other in self.others:
            if other.labels != self.labels:
                raise DataError(f"{other.checkpoint.run} has other labels than {self.checkpoint.run}")
            if other.test_sha256() != self.test_sha256():
                raise DataError(
                    f"{other.checkpoint.run} was scored on other test {self.terms.texts} than {self.checkpoint.run}"
                )
        return runs

    def test_sha256(self) -> str:
        """SHA-256 of the test split that the run was scored on."""
        return self.metrics.data.split_sha256.test

    @property
    def rules(self) -> LabelRules:
        """How the run's labels follow from its probabilities."""
        self._used.add(self.checkpoint.path / THRESHOLDS)
        return self.checkpoint.rules

    @property
    def thresholds(self) -> Thresholds:
        """The run's thresholds.

        Raises:
            SettingError: the run is single-label and has none.
        """
        self._used.add(self.checkpoint.path / THRESHOLDS)
        return self.checkpoint.thresholds

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names in the order of the model's outputs."""
        return self.checkpoint.labels

    @property
    def terms(self) -> Terms:
        """What the run's texts and labels are called."""
        headline = self.checkpoint.manifest.headline
        return terms_of(headline.data if headline else None, self.labels)

    def data(self) -> Dataset:
        """The data set as the run used it: train cut to `max_train_samples`.

        Raises:
            DataError: not the data that the run recorded.
            DataNotFoundError, RemoteError: the data is unavailable.
        """
        self._used_data = True
        return self._once("data", self._read_data)

    def per_class(self) -> list[dict[str, Any]]:
        """Rows of the per-class metrics CSV.

        Raises:
            NotFoundError: no such file.
            DataFileError: other columns, no rows, or an empty cell among the numbers that every label has.
        """
        self._used.add(self.layout.per_class_metrics(self.checkpoint.run))
        return self._once("per_class", self._read_per_class)

    def by_label(self, column: str) -> DoubleArray:
        """A column of the per-class metrics CSV in the order of `labels`, (n_labels,); NaN if it is empty.

        Raises:
            NotFoundError: no such file.
            DataFileError: it cannot be used, or holds other labels.
        """
        rows = {row["emotion"]: row for row in self.per_class()}
        if set(rows) != set(self.labels):
            raise DataFileError(
                self.layout.per_class_metrics(self.checkpoint.run),
                f"its labels are not those of {self.checkpoint.run}",
            )
        return np.array(
            [np.nan if (value := rows[label].get(column)) is None else value for label in self.labels],
            dtype=np.float64,
        )

    def score(self, key: str, rule: str | None = None) -> tuple[float, float, float]:
        """A score of test in metrics.json, and its 95 % interval; NaN if it is undefined or has none.

        Args:
            key: one of `RANKING_KEYS`, or with a rule one of `RULE_KEYS`.
            rule: a threshold rule.
        """
        test = self.metrics.test
        found = test.rule(rule).score(key) if rule else test.score(key)
        value, low, high = (np.nan if number is None else number for number in found)
        return value, low, high

    def predictions(self, split: Split) -> Predictions:
        """The final predictions of a split, over the checkpoint's labels.

        Raises:
            NotFoundError: no such file.
            DataFileError: not a predictions file, no rows, or other labels.
        """
        self._used.add(self.layout.split_predictions(self.checkpoint.run, split))
        return self._once(f"{split} predictions", lambda: self._read_predictions(split))

    def predictions_sha256(self, split: Split) -> str:
        """SHA-256 of the texts, gold labels and order of `predictions`, whose errors it raises."""
        found = self.predictions(split)
        return self._once(f"{split} digest", found.sha256)

    def calibrator(self) -> Calibrator | None:
        """What `goemo calibrate` fitted on val; None if the run has none.

        Raises:
            CorruptArtifactError: calibration.json is not what the manifest says.
        """
        if CALIBRATION not in self.checkpoint.manifest.files:
            return None
        self._used.add(self.checkpoint.path / CALIBRATION)
        return self._once("calibrator", lambda: open_calibrator(self.checkpoint))

    def classifier(self) -> "Classifier":
        """The run's model, loaded at every call: few figures use it.

        Raises:
            CorruptArtifactError: a file of the checkpoint differs from the manifest, or the weights do not fit.
        """
        from goemo_cli.ml.models.classifier import load_classifier

        self._used.update(
            self.checkpoint.path / name
            for name in self.checkpoint.manifest.files
            if name.endswith((".safetensors", ".bin"))
        )
        return load_classifier(self.checkpoint)

    def token_counts(self, split: Split) -> IntArray:
        """Tokens of each text of a split before any cut, special tokens included, (n_examples,).

        Raises:
            NotFoundError: the checkpoint has no tokenizer.
            CorruptArtifactError: the tokenizer cannot be read.
        """
        self._used.add(self.checkpoint.path / TOKENIZER)
        self._used_data = True
        return self._once(f"{split} tokens", lambda: self._count_tokens(split))

    def history(self) -> list[EpochScores]:
        """What metrics.json recorded of each epoch.

        Raises:
            NotFoundError: the run is an ensemble, which is not trained.
            CorruptArtifactError: it recorded none.
        """
        if not self.metrics.history and self.checkpoint.kind == "ensemble":
            raise NotFoundError(
                f"{self.checkpoint.run} is an ensemble: it was not trained, only its members were"
            )
        if self.metrics.origin == "imported":
            raise NotFoundError(f"{self.checkpoint.run} is imported: another tool trained it")
        if not self.metrics.history:
            raise CorruptArtifactError(self.checkpoint.path / METRICS, "history has no epoch")
        return self.metrics.history

    @property
    def metrics(self) -> Metrics:
        """metrics.json, which then counts as used.

        Raises:
            CorruptArtifactError: a value is missing or has the wrong type.
        """
        self._used.add(self.checkpoint.path / METRICS)
        return self.checkpoint.metrics

    def test_size(self) -> str:
        """`test, 5,427 comments`."""
        return f"test, {self.metrics.data.sizes.test:,} {self.terms.texts}"

    def subtitle(self, *facts: str) -> str:
        """The line below a title: the run, and what the figure adds."""
        return " · ".join([f"{self.checkpoint.run.model}, run {self.checkpoint.run}", *facts])

    def _once(self, key: str, read: Callable[[], _T]) -> _T:
        if key not in self._kept:
            try:
                self._kept[key] = read()
            except GoemoError as error:
                self._kept[key] = error
        kept: _T = self._kept[key]
        if isinstance(kept, GoemoError):
            raise kept
        return kept

    def _read_data(self) -> Dataset:
        return checkpoint_data(
            self.checkpoint, self.layout, data_dir=self.data_dir, splits=SPLITS, on_event=self.on_event
        )

    def _read_per_class(self) -> list[dict[str, Any]]:
        path = _present(self.layout.per_class_metrics(self.checkpoint.run))
        rows = read_per_class_metrics(path)
        if not rows:
            raise DataFileError(path, "holds no rows")
        for line, row in enumerate(rows, start=2):
            if empty := [key for key in ("emotion", "f1_score", "support") if row[key] is None]:
                raise DataFileError(path, f"column {empty[0]} is empty", line)
        return rows

    def _read_predictions(self, split: Split) -> Predictions:
        path = _present(self.layout.split_predictions(self.checkpoint.run, split))
        predictions = read_predictions(path)
        if not len(predictions):
            raise DataFileError(path, "holds no rows")
        if predictions.labels != self.labels:
            raise DataFileError(
                path, f"its labels are not those of {self.checkpoint.run}, or in another order"
            )
        return predictions

    def _count_tokens(self, split: Split) -> IntArray:
        path = self.checkpoint.path / TOKENIZER
        if not path.is_file():
            raise NotFoundError(f"{path} is missing: a model of kind {self.checkpoint.kind} has no tokenizer")
        return token_counts(path, self.data().splits[split].texts)


def _present(path: Path) -> Path:
    if not path.is_file():
        raise NotFoundError(f"{path} is missing")
    return path
