"""The public Python API: train, evaluate, tune and compare, with data frames in and out. `goemo_cli` exports it lazily."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from goemo_cli.core.errors import SettingError
from goemo_cli.core.events import Event, EventHandler, GoemoWarning, Warning
from goemo_cli.core.hints import errors_in_python, in_python
from goemo_cli.core.labels import Split
from goemo_cli.core.layering import flat, merge_layers, nested
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import PER_CLASS_COLUMNS, SIGNIFICANCE_COLUMNS
from goemo_cli.services.runs.dataframes import (
    FinishedRun,
    RunReference,
    finished_run,
    load_run,
    read_predictions,
)

if TYPE_CHECKING:
    from pandas import DataFrame

    from goemo_cli.core.documents.metrics import EvaluationRecord
    from goemo_cli.core.settings import (
        Device,
        LossName,
        NamedRule,
        ThresholdObjective,
        ThresholdRule,
    )

_NONE: Mapping[str, Any] = MappingProxyType({})


def warn(event: Event) -> None:
    """Turn warnings of goemo into a `GoemoWarning` of Python; other events are ignored. The default of `on_event`."""
    if isinstance(event, Warning):
        warnings.warn(in_python(event.message), GoemoWarning, stacklevel=2)


@errors_in_python
def train(
    data: "DataFrame | Mapping[str, DataFrame] | str | Path | None" = None,
    *,
    model: str | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    label_columns: Sequence[str] | None = None,
    label_separator: str | None = None,
    id_column: str | None = None,
    single_label: bool | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    loss: "LossName | None" = None,
    max_length: int | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] = _NONE,
    config: Path | str | None = None,
    root: Path | str = ".",
    on_event: EventHandler = warn,
) -> FinishedRun:
    """Train a classifier and write all files of the run, as `goemo train` does.

    Keywords are named as the settings; what is None comes from `config`, then from the defaults of the model, then from
    goemo's. `settings` takes every other one by its full name (docs/reference/config.md).

    Example:
        >>> run = goemo_cli.train("sample", model="tiny", epochs=1, settings={"data.max_train_samples": 64})
        >>> sorted(run.scores("test"))[:3]
        ['auc_macro', 'auc_micro', 'average_precision_macro']

        Your rows, each with a list of labels. Val and test are split off; `{"train": a, "val": b, "test": c}` gives
        all three:

        >>> import pandas
        >>> rows = [("where is my parcel", ["delivery"]), ("one charge too many", ["billing"])] * 40
        >>> frame = pandas.DataFrame(rows, columns=["message", "labels"])
        >>> run = goemo_cli.train(frame, model="tfidf", text_column="message", seed=1)
        >>> run.labels
        ('billing', 'delivery')

    Args:
        data: labelled rows, as one data frame or one for each split; or what `--data` takes: a file, a folder, a URL, a
            data set of the Hub, `goemotions` or `sample`. By default GoEmotions, else the sample.
        model: a name of the catalogue, a Hub id, a folder, or a run such as `@latest`.
        text_column: the column with the text.
        label_column: the column with the labels: a list, or a text with separators.
        label_columns: one column of 0 and 1 for each label, instead of `label_column`.
        label_separator: what separates labels within a text.
        id_column: a column that is kept in predictions.
        single_label: whether each text has exactly one label.
        epochs: the number of passes over train.
        batch_size: texts per optimizer step.
        learning_rate: the peak value.
        loss: bce, weighted_bce, focal or asymmetric.
        max_length: tokens per text; longer texts are cut.
        seed: of shuffling, dropout and new weights.
        settings: further settings by their full names, such as `{"training.early_stopping.patience": 2}`.
        config: a YAML file with settings.
        root: the folder of the project.
        on_event: called with each event; by default warnings become `GoemoWarning`s. `print` shows all events.

    Returns:
        The run, which is finished.

    Raises:
        UnknownSettingError: an unknown setting, with similar names.
        SettingError: a value that does not fit.
        DataError, NotFoundError: data or model cannot be used; nothing has been written.
        TrainingFailedError: a loss that is not finite, or out of memory.
    """
    from goemo_cli.services.data.find import load_data
    from goemo_cli.services.data.tables import FRAME
    from goemo_cli.services.training.settings import resolve_settings
    from goemo_cli.services.training.tracking import open_tracker
    from goemo_cli.services.training.train import train as train_model

    layout = Layout(Path(root))
    keywords = {
        "model.name": model,
        "model.max_length": max_length,
        "data.name": str(data) if isinstance(data, (str, Path)) else None,
        "data.single_label": single_label,
        **_reading(text_column, label_column, label_columns, label_separator, id_column),
        "training.epochs": epochs,
        "training.batch_size": batch_size,
        "training.learning_rate": learning_rate,
        "training.loss": loss,
        "training.seed": seed,
    }
    given = _given(keywords, settings)
    frames = None if data is None or isinstance(data, (str, Path)) else _frames(data)
    if frames is not None:
        given = merge_layers(given, nested("data.name", FRAME))
    file = None if config is None else Path(config)
    resolved = resolve_settings(file, {}, given=given, layout=layout, on_event=on_event)
    loaded = (
        None
        if frames is None
        else load_data(resolved.data, root=layout.root, frames=frames, on_event=on_event)
    )
    tracker = open_tracker(resolved, layout=layout, on_event=on_event)
    checkpoint = train_model(resolved, layout=layout, data=loaded, tracker=tracker, on_event=on_event)
    return finished_run(checkpoint, layout.root)


@errors_in_python
def resume(
    run: Path | str = "@latest",
    data: "DataFrame | Mapping[str, DataFrame] | None" = None,
    *,
    epochs: int | None = None,
    allow_changes: bool = False,
    root: Path | str = ".",
    on_event: EventHandler = warn,
) -> FinishedRun:
    """Continue a training that was interrupted, from its newest saved state, with its settings.

    The result has the bytes of an undisturbed training. With `epochs`, a finished run is trained longer instead, as a
    new run.

    Example:
        >>> run = goemo_cli.resume("@latest")
        Traceback (most recent call last):
        ...
        goemo_cli.core.errors.NotFoundError: no interrupted run in ...
        >>> longer = goemo_cli.resume("@tiny", epochs=2)  # a finished run, one epoch more
        >>> len(longer.checkpoint.metrics.history)
        1

    Args:
        run: a name, a folder, or `@latest`: the newest interrupted run. With `epochs`, a finished run.
        data: the same rows again, if the run was trained on data frames.
        epochs: of both runs together.
        allow_changes: continue although data, versions or hardware have changed; metrics.json then has `exact: false`.
        root: the folder of the project.
        on_event: called with each event; by default warnings become `GoemoWarning`s.

    Returns:
        The run, which is finished. For a training with several seeds: their ensemble.

    Raises:
        NotFoundError: no such run, no saved state, or its data is missing.
        BusyError: the run is finished, or another process trains it.
        DataError: something has changed that changes the result.
        CorruptArtifactError: every saved state is damaged.
    """
    from goemo_cli.services.data.find import load_data
    from goemo_cli.services.training.resume import find_interrupted, longer_training
    from goemo_cli.services.training.saved_states import StateStore
    from goemo_cli.services.training.seeds import SeedsResult, resume_run
    from goemo_cli.services.training.tracking import open_tracker
    from goemo_cli.services.training.train import train as train_model

    layout = Layout(Path(root))
    frames = None if data is None else _frames(data)

    load = partial(load_data, root=layout.root, frames=frames, on_event=on_event)
    if epochs is None:
        folder = find_interrupted(str(run), layout)
        found = resume_run(
            folder,
            layout=layout,
            data=None if frames is None else load(StateStore(folder).settings().data),
            open_tracker=partial(open_tracker, layout=layout, on_event=on_event),
            allow_changes=allow_changes,
            on_event=on_event,
        )
        checkpoint = found.ensemble if isinstance(found, SeedsResult) else found
    else:
        config = longer_training(str(run), epochs, layout, on_event)
        loaded = None if frames is None else load(config.data)
        tracker = open_tracker(config, layout=layout, on_event=on_event)
        checkpoint = train_model(config, layout=layout, data=loaded, tracker=tracker, on_event=on_event)
    return finished_run(checkpoint, layout.root)


def _frames(data: "DataFrame | Mapping[str, DataFrame]") -> "DataFrame | Mapping[str, DataFrame]":
    """Data in memory, if it is a data frame or one for each split.

    Raises:
        TypeError: it is something else.
    """
    from pandas import DataFrame

    parts = data.values() if isinstance(data, Mapping) else [data]
    if odd := [part for part in parts if not isinstance(part, DataFrame)]:
        raise TypeError(
            f"data is a {type(odd[0]).__name__}, not a data frame, a path or the name of a data set"
        )
    return data


def _reading(
    text_column: str | None,
    label_column: str | None,
    label_columns: Sequence[str] | None,
    label_separator: str | None,
    id_column: str | None,
) -> dict[str, Any]:
    """How to read labelled rows, by the names of the settings."""
    return {
        "data.text_column": text_column,
        "data.label_column": label_column,
        "data.label_columns": [*label_columns] if isinstance(label_columns, (list, tuple)) else label_columns,
        "data.label_separator": label_separator,
        "data.id_column": id_column,
    }


def _given(keywords: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords and other settings as nested settings.

    Raises:
        SettingError: a setting is given twice.
        TypeError: settings is something else than a mapping.
    """
    given = {name: value for name, value in keywords.items() if value is not None}
    if not isinstance(settings, Mapping):
        raise TypeError(f"settings is a {type(settings).__name__}, not a mapping from names to values")
    further = flat(settings)
    if both := [name for name in given if name in further]:
        raise SettingError([f"{both[0]} is given twice, as a keyword and in settings"], "settings")
    found: dict[str, Any] = {}
    for name, value in (given | further).items():
        found = merge_layers(found, nested(name, value))
    return found


@dataclass(frozen=True)
class Evaluation:
    """The scores of a run on other data."""

    name: str
    """Of the data, in the names of the files."""
    scores: dict[str, float | None]
    """Such as `f1_macro`; F1, precision and recall by the rule that the labels follow. An undefined score is None."""
    path: Path
    """The JSON file with all scores, intervals and sources."""
    predictions_path: Path
    """The predictions file, which `compare` accepts too."""
    record: "EvaluationRecord"
    """The content of the JSON file, typed."""

    def per_class(self) -> "DataFrame":
        """The scores of each label; an undefined value is missing."""
        import pandas

        rows = [row.model_dump() for row in self.record.per_class]
        return pandas.DataFrame(rows, columns=list(PER_CLASS_COLUMNS))

    def predictions(self) -> "DataFrame":
        """The predictions, as `read_predictions` returns them."""
        return read_predictions(self.predictions_path)


@errors_in_python
def evaluate(
    run: RunReference,
    data: "DataFrame | str | Path",
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    label_columns: Sequence[str] | None = None,
    label_separator: str | None = None,
    id_column: str | None = None,
    name: str | None = None,
    split: Split | None = None,
    rule: "NamedRule | None" = None,
    ignore_unknown_labels: bool = False,
    settings: Mapping[str, Any] = _NONE,
    device: "Device" = "auto",
    root: Path | str | None = None,
    on_event: EventHandler = warn,
) -> Evaluation:
    """Score a run on labelled data that it was not trained with, and write predictions and scores.

    Nothing is fitted on the data. Columns and labels are read as in the run's own data, unless keywords say otherwise.

    Example:
        >>> import pandas
        >>> frame = pandas.DataFrame({"text": ["I love this", "so unfair"], "labels": [["love"], ["anger"]]})
        >>> found = goemo_cli.evaluate("@latest", frame, name="two")
        >>> 0 <= found.scores["f1_micro"] <= 1
        True
        >>> found.predictions().true_labels.tolist()
        [('love',), ('anger',)]

    Args:
        run: a name, `@best`, `@latest`, `@MODEL`, a checkpoint folder, or an object.
        data: labelled rows as a data frame, a file or a URL; or a data set with splits.
        text_column: the column with the text.
        label_column: the column with the labels: a list, or a text with separators.
        label_columns: one column of 0 and 1 for each label, instead of `label_column`.
        label_separator: what separates labels within a text.
        id_column: a column that is kept in predictions.
        name: what the written files call the data; by default the name of its file. Data frames without a name are
            called `frame`, and each replaces the one before.
        split: of a data set; test by default.
        rule: another threshold rule of the run: per_label, global, fixed_0.5 or fixed_0.3.
        ignore_unknown_labels: whether labels that the run does not have are left out instead of being an error.
        settings: further settings of the section `data` by their full names, such as `{"data.encoding": "utf-16"}`.
        device: auto, cpu, cuda or mps.
        root: the folder of the project; that of the run by default.
        on_event: called with each event; by default warnings become `GoemoWarning`s.

    Raises:
        NotFoundError: the run or the data is missing.
        DataError: the data cannot be read, or has labels that the run does not have.
        SettingError: an unknown rule, or settings that do not fit.
        BusyError: other data was evaluated under this name.
    """
    from goemo_cli.services.evaluation.evaluate import evaluate_run

    found = load_run(run, root, on_event=on_event)
    reading = _reading(text_column, label_column, label_columns, label_separator, id_column)
    given = _given(reading, settings)
    if not isinstance(data, (str, Path)):
        _frames(data)
    if others := [section for section in given if section != "data"]:
        raise SettingError([f"evaluate uses the settings of data only, not those of {others[0]}"], "settings")
    result = evaluate_run(
        found.checkpoint,
        data,
        layout=Layout(found.root),
        settings=given.get("data", {}),
        split=split,
        name=name,
        rule=rule,
        ignore_unknown_labels=ignore_unknown_labels,
        device=device,
        source="settings",
        on_event=on_event,
    )
    record = result.record
    scores = record.scores.by_key(record.threshold_rule)
    return Evaluation(record.data.name, scores, result.path, result.predictions, record)


@errors_in_python
def tune(
    run: RunReference,
    *,
    objective: "ThresholdObjective | None" = None,
    rule: "ThresholdRule | None" = None,
    beta: float | None = None,
    floor: float | None = None,
    shrinkage: float | None = None,
    never_empty: bool | None = None,
    top_k: int | None = None,
    root: Path | str | None = None,
    on_event: EventHandler = warn,
) -> FinishedRun:
    """Fit the thresholds of a run again, on val only, and write everything anew that follows from them.

    Keywords are named as the settings of `thresholds`; what is None stays as the run has it. No model is needed.

    Example:
        >>> run = goemo_cli.tune("@latest", objective="f1_micro", rule="global")
        >>> len(set(run.thresholds.values()))
        1

    Args:
        run: a name, `@best`, `@latest`, `@MODEL`, a checkpoint folder, or an object.
        objective: what thresholds maximise on val: f1_macro, f1_micro, f_beta, precision_floor, recall_floor or
            recall_guarantee.
        rule: what labels follow: auto, per_label, global, fixed_0.5 or fixed_0.3.
        beta: f_beta: recall counts beta times as much as precision.
        floor: precision_floor, recall_floor: the least precision or recall on val; recall_guarantee: the expected recall
            on new texts.
        shrinkage: val positives at which a label's own best and the global threshold count the same.
        never_empty: whether a text above no threshold gets its most probable label.
        top_k: maximum number of labels per text.
        root: the folder of the project; that of the run by default.
        on_event: called with each event; by default warnings become `GoemoWarning`s.

    Returns:
        The run with the new thresholds and scores.

    Raises:
        NotFoundError: the run, or its val or test predictions, are missing.
        SettingError: values that do not fit, or a single-label run.
        BusyError: another process changes the run.
    """
    from goemo_cli.services.evaluation.tune import changed_settings, tune_run

    found = load_run(run, root, on_event=on_event)
    checkpoint = found.checkpoint
    keywords = {
        "objective": objective,
        "rule": rule,
        "beta": beta,
        "floor": floor,
        "shrinkage": shrinkage,
        "never_empty": never_empty,
        "top_k": top_k,
    }
    changes = {name: value for name, value in keywords.items() if value is not None}
    settings = changed_settings(checkpoint.config.thresholds, changes, source="tune")
    tune_run(checkpoint, settings, layout=Layout(found.root), on_event=on_event)
    return found


@errors_in_python
def compare(
    *runs: RunReference,
    split: Split = "test",
    resamples: int = 10_000,
    seed: int = 0,
    root: Path | str | None = None,
    on_event: EventHandler = warn,
) -> "DataFrame":
    """Tell whether runs differ by more than chance, each from the first, on the same rows.

    Example:
        >>> first = goemo_cli.load_run("@latest")
        >>> second = goemo_cli.train("sample", model="tfidf", settings={"data.max_train_samples": 64})
        >>> table = goemo_cli.compare(first, second, resamples=1_000)
        >>> table[table.metric == "f1_macro"][["difference", "ci_low", "ci_high", "p_holm"]].shape
        (1, 4)

    Args:
        runs: two or more; names, `@best`, `@MODEL`, checkpoint folders, objects, or predictions CSV files.
        split: which predictions of the runs, test or val.
        resamples: draws of rows, with replacement.
        seed: of the draws.
        root: the folder of the project, with the table of all comparisons; that of the first run by default.
        on_event: called with each event; by default warnings become `GoemoWarning`s.

    Returns:
        The rows of artifacts/stats/significance_tests.csv: for each pair each score, then the F1 of each label
        (`emotion`), with `difference` (B - A), its 95 % interval `ci_low` to `ci_high`, `p_holm` and `better`.

    Raises:
        SettingError: fewer than two runs.
        NotFoundError: a run or its predictions are missing.
        DataFileError: other rows or labels than the first.
    """
    import pandas

    from goemo_cli.services.evaluation.compare import compare as compare_models

    roots = [run.root for run in runs if isinstance(run, FinishedRun)]
    layout = Layout(Path(root) if root is not None else next(iter(roots), Path()))
    references = [str(run.path) if isinstance(run, FinishedRun) else str(run) for run in runs]
    named = {} if all(Path(reference).is_file() for reference in references) else {"split": split}
    found = compare_models(
        references, layout=layout, resamples=resamples, seed=seed, on_event=on_event, **named
    )
    return pandas.DataFrame(found.rows, columns=list(SIGNIFICANCE_COLUMNS))
