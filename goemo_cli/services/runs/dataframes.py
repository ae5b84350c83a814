"""Results as data frames of pandas, for notebooks and scripts."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goemo_cli.core import predictions as predictions_csv
from goemo_cli.core.documents import Headline
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import ID_COLUMN, PER_CLASS_COLUMNS, PROBABILITY_PREFIX, SCORE_KEYS
from goemo_cli.services.runs.index import ListedRun
from goemo_cli.services.runs.references import open_run
from goemo_cli.services.runs.show import list_runs

if TYPE_CHECKING:
    from pandas import DataFrame

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
"""Columns of `runs_table`. F1, precision and recall are by the run's own threshold rule."""


def read_predictions(path: Path | str) -> "DataFrame":
    """Read a predictions CSV.

    Use it instead of `pandas.read_csv`, which reads the text `NA` as a missing value and splits a text at a carriage return.

    Example:
        >>> frame = goemo_cli.read_predictions("artifacts/predictions/test_predictions_minilm_20260103_101500.csv")
        >>> frame[frame.true_labels != frame.pred_labels].text

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


def runs_table(root: Path | str = ".") -> "DataFrame":
    """List the runs of a project, the newest first; unfinished and damaged runs are included.

    Example:
        >>> runs = goemo_cli.runs_table()
        >>> runs[runs.state == "finished"].groupby("model")["val/f1_macro"].max()

    Args:
        root: the folder of the project.

    Returns:
        One row per run: its name, facts, and scores on val and test. A value that is unknown is missing.
    """
    import pandas

    found = list_runs(Layout(Path(root)))
    rows = [dict(_run_facts(run, is_pinned=str(run.run) in found.pinned)) for run in found.runs]
    return pandas.DataFrame(rows, columns=list(RUN_COLUMNS))


def per_class_metrics(run: str, root: Path | str = ".") -> "DataFrame":
    """Read the test scores of each label of a run, by the run's own threshold rule.

    Example:
        >>> goemo_cli.per_class_metrics("@best").set_index("emotion").f1_score.sort_values()

    Args:
        run: a name, `@best`, `@latest`, `@MODEL`, or a checkpoint folder.
        root: the folder of the project.

    Returns:
        One row per label with the columns of the per-class metrics CSV. An undefined value is missing.

    Raises:
        NotFoundError: the run does not exist or is unfinished.
        CorruptArtifactError: the run is damaged.
    """
    import pandas

    metrics = open_run(run, Layout(Path(root))).metrics
    return pandas.DataFrame([row.model_dump() for row in metrics.per_class], columns=list(PER_CLASS_COLUMNS))


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
