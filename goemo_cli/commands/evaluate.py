"""goemo evaluate."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands._console import Console
from goemo_cli.commands._progress import Screen
from goemo_cli.commands._settings import NewDataSettings
from goemo_cli.commands._tables import LABEL_COLUMNS, interval_of, label_row
from goemo_cli.core.hints import command_line
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import DISPLAY_NAMES

if TYPE_CHECKING:
    from goemo_cli.services.evaluation.evaluate import EvaluationResult

_SHOWN = ("accuracy", "f1_macro", "f1_micro", "f1_weighted", "jaccard_samples", "subset_accuracy")
_RANKING = ("auc_micro", "auc_macro", "average_precision_macro")


def evaluate(
    *,
    run: opt.RunArg,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            help="File or URL with labelled rows, - for standard input; or goemotions, sample, a folder or a Hub data set.",
            metavar="DATA",
        ),
    ],
    split: opt.SplitOpt = None,
    settings: NewDataSettings,
    ignore_unknown_labels: Annotated[
        bool,
        typer.Option(
            "--ignore-unknown-labels", help="Leave out labels of the data that the run does not have."
        ),
    ] = False,
    name: Annotated[
        str | None,
        typer.Option("--name", help="What files call the data. [default: its file name]", metavar="NAME"),
    ] = None,
    threshold_rule: opt.ThresholdRuleOpt = None,
    device: opt.DeviceOpt = "auto",
    common: opt.Common,
) -> None:
    """Score a run on new labelled data.

    Writes predictions, scores with intervals, and the metrics of each label. Labels are mapped by name. Thresholds are
    those of the run: nothing is fitted on the data. Columns are those of the run's own data if nothing else is given. A
    file is scored completely, a data set on one split.

    Examples:
        goemo evaluate @latest --data new.csv
        goemo evaluate RUN --data comments.jsonl --text-column comment --json
        goemo evaluate RUN --data goemotions --split val
    """
    layout, out = common.layout, common.console()

    from goemo_cli.services.runs.references import open_model

    opened = open_model(run, layout, Screen(out))  # a wrong name fails here, before torch loads

    from goemo_cli.services.evaluation.evaluate import evaluate_run

    with Screen(out) as screen:
        result = evaluate_run(
            opened,
            data,
            layout=layout,
            settings={key.removeprefix("data."): value for key, value in settings.items()},
            split=split,
            name=name,
            rule=threshold_rule,
            ignore_unknown_labels=ignore_unknown_labels,
            device=device,
            stdin=sys.stdin.buffer,
            on_event=screen,
        )
    _show(out, result, layout)


def _show(out: Console, result: "EvaluationResult", layout: Layout) -> None:
    record, by_rule = result.record, result.scores
    shown = [key for key in _SHOWN if by_rule.value(key) is not None]  # accuracy is of single-label runs
    named = [(key, by_rule.score(key)) for key in shown] + [
        (key, record.scores.score(key)) for key in _RANKING
    ]
    out.table(
        f"{record.run} on {record.data.name}, {record.data.rows:,} rows",
        ["score", "value", "95 % interval"],
        [[DISPLAY_NAMES[key], score.value, interval_of(score)] for key, score in named],
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
    file, root = result.predictions, layout.root
    hints = [command_line("goemo errors", file, root=root)]
    if result.is_reportable:
        hints.append(command_line("goemo report --open", file, root=root))
    out.hint(*hints)
