"""goemo evaluate."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands import _settings as setting
from goemo_cli.commands._console import Console
from goemo_cli.commands._tables import LABEL_COLUMNS, label_row
from goemo_cli.core.labels import Split, parse_split

if TYPE_CHECKING:
    from goemo_cli.core.documents import Score
    from goemo_cli.core.layout import Layout
    from goemo_cli.services.evaluation.evaluate import EvaluationResult

_SHOWN = ("accuracy", "f1_macro", "f1_micro", "f1_weighted", "jaccard_samples", "subset_accuracy")
_RANKING = ("auc_micro", "auc_macro", "average_precision_macro")


def evaluate(
    run: opt.RunArg,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            help="A file or URL with labelled rows, - for standard input; or goemotions, sample, a folder or a Hub data set, see --split.",
            show_default=False,
            metavar="DATA",
        ),
    ],
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            help="Of a data set: test, val or train. A file is scored completely. [default: test]",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="What files call the data. [default: its file name]", show_default=False),
    ] = None,
    text_column: setting.TextColumnOpt = None,
    label_column: setting.LabelColumnOpt = None,
    label_columns: setting.LabelColumnsOpt = None,
    label_separator: setting.LabelSeparatorOpt = None,
    id_column: setting.IdColumnOpt = None,
    labels_file: setting.LabelsFileOpt = None,
    data_dir: opt.DataDirOpt = None,
    ignore_unknown_labels: Annotated[
        bool,
        typer.Option(
            "--ignore-unknown-labels", help="Leave out labels of the data that the run does not have."
        ),
    ] = False,
    threshold_rule: opt.ThresholdRuleOpt = None,
    device: opt.DeviceOpt = "auto",
    root: opt.RootOpt = Path(),
    as_json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
) -> None:
    """Score a run on labelled data that it was not trained with: scores with intervals, and predictions.

    Labels are mapped by name. Thresholds are those of the run; nothing is fitted on the data. Columns are those of the
    run's own data if nothing else is given.

    Example: goemo evaluate @latest --data new.csv
    """
    chosen = _parsed(split)

    from goemo_cli.commands._progress import Screen
    from goemo_cli.core.layout import Layout
    from goemo_cli.services.runs.references import open_run

    layout, out = Layout(root), Console(as_json=as_json, quiet=quiet)
    opened = open_run(run, layout, Screen(out))  # a wrong name fails here, before torch loads

    from goemo_cli.services.evaluation.evaluate import evaluate_run

    changes = {
        "text_column": text_column,
        "label_column": label_column,
        "label_columns": label_columns and label_columns.split(","),
        "label_separator": label_separator,
        "id_column": id_column,
        "labels_file": labels_file,
        "dir": data_dir,
    }
    with Screen(out) as screen:
        result = evaluate_run(
            opened,
            data,
            layout=layout,
            settings={key: value for key, value in changes.items() if value is not None},
            split=chosen,
            name=name,
            rule=threshold_rule,
            ignore_unknown_labels=ignore_unknown_labels,
            device=device,
            stdin=sys.stdin.buffer,
            on_event=screen,
        )
    _show(out, result, layout)


def _parsed(name: str | None) -> Split | None:
    split = parse_split(name) if name else None
    if name and split is None:
        raise typer.BadParameter(f"{name}: known are test, val, train", param_hint="--split")
    return split


def _show(out: Console, result: "EvaluationResult", layout: "Layout") -> None:
    from goemo_cli.core.layout import root_option
    from goemo_cli.core.schema import DISPLAY_NAMES

    record, by_rule = result.record, result.scores
    shown = [key for key in _SHOWN if by_rule.value(key) is not None]  # accuracy is of single-label runs
    named = [(key, by_rule.score(key)) for key in shown] + [
        (key, record.scores.score(key)) for key in _RANKING
    ]
    out.table(
        f"{record.run} on {record.data.name}, {record.data.rows:,} rows",
        ["score", "value", "95 % interval"],
        [[DISPLAY_NAMES[key], score.value, _interval(score)] for key, score in named],
    )
    rows = [row.as_json() for row in record.per_class]
    out.table("Metrics of each label", LABEL_COLUMNS, [label_row(row) for row in rows])
    more: dict[str, Any] = {}
    if out.as_json:
        more = record.as_json()
    out.result(
        f"Evaluated {record.run}",
        predictions=result.predictions,
        table=result.table,
        record=result.path,
        thresholds=record.threshold_rule,
        **more,
    )
    file, root = shlex.quote(str(result.predictions)), root_option(layout.root)
    out.hint(f"goemo errors {file}{root}", f"goemo report {file} --open{root}")


def _interval(score: "Score") -> str | None:
    from goemo_cli.services.data.result_tables import span

    return None if score.low is None or score.high is None else span(score.low, score.high)
