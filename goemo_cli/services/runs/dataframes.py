"""Runs in Python: finished runs as objects, and their scores and predictions as data frames of pandas."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goemo_cli.core import predictions as predictions_csv
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.documents.manifest import Headline
from goemo_cli.core.errors import SettingError
from goemo_cli.core.events import EventHandler, ignore
from goemo_cli.core.hints import errors_in_python
from goemo_cli.core.labels import Split
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import ID_COLUMN, PER_CLASS_COLUMNS, PROBABILITY_PREFIX, SCORE_KEYS
from goemo_cli.services.runs import show
from goemo_cli.services.runs.index import ListedRun
from goemo_cli.services.runs.references import open_run
from goemo_cli.services.runs.run_predictions import require_predictions

if TYPE_CHECKING:
    from pandas import DataFrame

    from goemo_cli.services.predicting.predictor import Predictor

_SPLITS = ("val", "test")
_FACTS = tuple(name for name in Headline.model_fields if name not in _SPLITS)
RUN_COLUMNS = (
    "run",
    "path",
    "model",
    "family",
    "state",
    "pinned",
    *_FACTS,
    *(f"{split}/{key}" for split in _SPLITS for key in SCORE_KEYS),
)
"""Columns of `list_runs`. F1, precision and recall are by the run's own threshold rule."""


@dataclass(frozen=True)
class FinishedRun:
    """A finished run. Its files are read when they are asked for, so it is current after `tune` too.

    `train`, `tune` and `load_run` return it, and each function that takes a run accepts it.

    Example:
        >>> run = goemo_cli.load_run("@latest")
        >>> 0 <= run.scores("val")["f1_macro"] <= 1
        True
        >>> run.per_class()[["emotion", "f1_score"]].shape
        (28, 2)
        >>> run.predictions("test")[["text", "pred_labels"]].shape
        (309, 2)
        >>> run.predictor().predict_one("thank you so much").labels
        (...)
    """

    name: str
    path: Path
    """The checkpoint, which `from_pretrained` of transformers loads too if the model is a transformer."""
    root: Path
    """The folder of the project."""

    def __str__(self) -> str:
        return self.name

    @property
    def checkpoint(self) -> Checkpoint:
        """All documents of the run, typed: metrics, settings, thresholds, manifest.

        Raises:
            NotFoundError: the run was removed.
            CorruptArtifactError: it is damaged.
        """
        return Checkpoint.open(self.path)

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names in the order of the model's outputs."""
        return self.checkpoint.labels

    @property
    def settings(self) -> dict[str, Any]:
        """All settings that it was trained with, nested by section."""
        return self.checkpoint.config.model_dump(mode="json")

    @property
    def thresholds(self) -> dict[str, float]:
        """The threshold of each label, by the run's own rule; empty for a single-label run."""
        rules = self.checkpoint.rules
        return rules.decision().by_label(rules.labels)

    def scores(self, split: Split = "test") -> dict[str, float | None]:
        """The scores of val or test, such as `f1_macro`; F1, precision and recall by the run's own rule.

        A score that is undefined is None.

        Raises:
            SettingError: another split; there are no scores of train.
        """
        if split not in _SPLITS:
            raise SettingError([f"there are scores of val and test, not of {split!r}"], "scores")
        return Headline.of(self.checkpoint.metrics).scores(split)

    def per_class(self) -> "DataFrame":
        """The test scores of each label by the run's own rule; an undefined value is missing."""
        import pandas

        rows = [row.model_dump() for row in self.checkpoint.metrics.per_class]
        return pandas.DataFrame(rows, columns=list(PER_CLASS_COLUMNS))

    @errors_in_python
    def predictions(self, split: Split = "test") -> "DataFrame":
        """The written predictions of val or test, as `read_predictions` returns them; of train after `goemo export-predictions`.

        Raises:
            NotFoundError: there are none.
            SettingError: an unknown split.
        """
        return read_predictions(require_predictions(self.checkpoint, split, Layout(self.root)))

    def predictor(self, **options: Any) -> "Predictor":
        """Load the model to predict texts; the options are those of `Predictor.load`."""
        from goemo_cli.services.predicting.predictor import Predictor

        return Predictor.load(str(self.path), root=self.root, **options)


RunReference = FinishedRun | str | Path
"""A run: an object, its name, `@best`, `@latest`, `@MODEL`, or its checkpoint folder."""


def finished_run(checkpoint: Checkpoint, root: Path) -> FinishedRun:
    """The run of a checkpoint."""
    return FinishedRun(str(checkpoint.run), checkpoint.path, root)


@errors_in_python
def load_run(
    run: RunReference, root: Path | str | None = None, *, on_event: EventHandler = ignore
) -> FinishedRun:
    """Find a finished run.

    Example:
        >>> goemo_cli.load_run("@best").name.startswith("tiny-")
        True

    Args:
        run: its name, `@best`, `@best:val/METRIC`, `@latest`, `@MODEL`, a checkpoint folder, or an object.
        root: the folder of the project; the current one by default.

    Raises:
        NotFoundError: the run does not exist or is unfinished.
        SettingError: several runs begin with this name.
        CorruptArtifactError: the run is damaged.
    """
    if isinstance(run, FinishedRun):
        return run
    folder = Path(root or ".")
    return finished_run(open_run(str(run), Layout(folder), on_event), folder)


@errors_in_python
def list_runs(
    root: Path | str = ".", *, model: str | None = None, sort: str = "newest", limit: int | None = None
) -> "DataFrame":
    """List the runs of a project; unfinished and damaged runs are included.

    Example:
        >>> runs = goemo_cli.list_runs(sort="best")
        >>> runs[runs.state == "finished"].groupby("model")["val/f1_macro"].max().index.tolist()
        ['tiny']

    Args:
        root: the folder of the project.
        model: only runs of this model or family.
        sort: newest, oldest, best, model, seconds, or a val score such as `val/f1_macro`, best first.
        limit: maximum number of runs; None for all.

    Returns:
        One row per run: its name, facts, and scores on val and test. A value that is unknown is missing.

    Raises:
        SettingError: an unknown order, or one by a test score.
    """
    import pandas

    found = show.list_runs(Layout(Path(root)), model=model, sort=sort, limit=limit)
    rows = [dict(_run_facts(run, is_pinned=str(run.run) in found.pinned)) for run in found.runs]
    return pandas.DataFrame(rows, columns=list(RUN_COLUMNS))


runs_table = list_runs
"""The earlier name of `list_runs`."""


def per_class_metrics(run: RunReference, root: Path | str | None = None) -> "DataFrame":
    """Read the test scores of each label of a run, by the run's own threshold rule.

    Example:
        >>> scores = goemo_cli.per_class_metrics("@best").set_index("emotion").f1_score
        >>> len(scores)
        28

    Args:
        run: a name, `@best`, `@latest`, `@MODEL`, a checkpoint folder, or an object.
        root: the folder of the project; the current one by default.

    Returns:
        One row per label with the columns of the per-class metrics CSV. An undefined value is missing.

    Raises:
        NotFoundError: the run does not exist or is unfinished.
        CorruptArtifactError: the run is damaged.
    """
    return load_run(run, root).per_class()


def read_predictions(path: Path | str) -> "DataFrame":
    """Read a predictions CSV.

    Use it instead of `pandas.read_csv`, which reads the text `NA` as a missing value and splits a text at a carriage return.

    Example:
        >>> from pathlib import Path
        >>> file = next(Path("artifacts/predictions").glob("test_predictions_tiny_*.csv"))
        >>> frame = goemo_cli.read_predictions(file)
        >>> wrong = frame[frame.true_labels != frame.pred_labels].text

    Args:
        path: a file that goemo wrote, for example with `goemo export-predictions`.

    Returns:
        One row per text with the columns of the file: `text`, `true_labels` and `pred_labels` (tuples of names),
        `pred_prob_{label}` (float32), and `id` if the file has it.

    Raises:
        DataFileError: wrong columns, a row of another length, or a cell that is not a label list or a probability.
    """
    import pandas

    found = predictions_csv.read_predictions(Path(path))
    columns: dict[str, Any] = {"text": found.texts}
    for name, decided in (("true_labels", found.y_true), ("pred_labels", found.y_pred)):
        columns[name] = [
            tuple(label for label, is_on in zip(found.labels, row, strict=True) if is_on)
            for row in decided.tolist()
        ]
    for label, probabilities in zip(found.labels, found.y_prob.T, strict=True):
        columns[f"{PROBABILITY_PREFIX}{label}"] = probabilities
    if found.ids is not None:
        columns[ID_COLUMN] = found.ids
    return pandas.DataFrame(columns)


def _run_facts(run: ListedRun, *, is_pinned: bool) -> Iterator[tuple[str, Any]]:
    yield from zip(
        RUN_COLUMNS,
        (str(run.run), str(run.path), run.run.model, run.family, run.state, is_pinned),
        strict=False,
    )
    for name in _FACTS:
        yield name, getattr(run.headline, name)
    for split in _SPLITS:
        for key, score in run.headline.scores(split).items():
            yield f"{split}/{key}", score
