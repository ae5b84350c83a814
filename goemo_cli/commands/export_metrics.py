"""goemo export-metrics."""

from pathlib import Path
from typing import Any

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands._progress import Screen
from goemo_cli.commands._tables import LABEL_COLUMNS, label_row


def export_metrics(
    checkpoint: opt.OptionalCheckpointOpt = None,
    predictions: opt.PredictionsOpt = None,
    output: opt.OutputFileOpt = None,
    threshold: opt.ThresholdOpt = None,
    threshold_rule: opt.ThresholdRuleOpt = None,
    data_dir: opt.DataDirOpt = None,
    device: opt.DeviceOpt = "auto",
    *,
    common: opt.Common,
) -> None:
    """Write precision, recall and F1 of each label.

    Examples:
        goemo export-metrics --predictions artifacts/predictions/test_predictions_RUN.csv
    """
    opt.require_one(checkpoint, predictions)
    if predictions and threshold_rule:
        raise typer.BadParameter(
            "a predictions file has no rules, only --threshold", param_hint="--threshold-rule"
        )

    from goemo_cli.services.runs.references import open_model

    layout, out = common.layout, common.console(output=output)
    opened = None if checkpoint is None else open_model(checkpoint, layout, Screen(out))

    from goemo_cli.services.evaluation.metrics import metrics_of_checkpoint, metrics_of_predictions

    with Screen(out) as screen:
        shared: dict[str, Any] = {
            "layout": layout,
            "output": output,
            "threshold": threshold,
            "on_event": screen,
        }
        if opened:
            result = metrics_of_checkpoint(
                opened, rule=threshold_rule, data_dir=data_dir, device=device, **shared
            )
        else:
            result = metrics_of_predictions(predictions or Path(), **shared)
    out.table(
        "Metrics of each label",
        LABEL_COLUMNS,
        [label_row(row) for row in result.rows],
    )
    more: dict[str, Any] = {}
    if common.as_json:
        more = {"labels_without_support": result.labels_without_support, "per_class": result.rows}
    out.result("Wrote per-class metrics", path=result.path, f1_macro=result.f1_macro, **more)
