"""goemo export-predictions."""

from pathlib import Path

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands._console import Console
from goemo_cli.commands._progress import Screen
from goemo_cli.core.hints import command_line
from goemo_cli.core.layout import Layout


def export_predictions(
    checkpoint: opt.OptionalCheckpointOpt = None,
    predictions: opt.PredictionsOpt = None,
    split: opt.SplitsOpt = None,
    output: opt.OutputDirOpt = None,
    threshold: opt.ThresholdOpt = None,
    threshold_rule: opt.ThresholdRuleOpt = None,
    calibrated: opt.CalibratedOpt = False,
    data_dir: opt.DataDirOpt = None,
    device: opt.DeviceOpt = "auto",
    engine: opt.EngineOpt = "auto",
    *,
    common: opt.Common,
) -> None:
    """Write the predictions of a split.

    Or, with --predictions, a predictions file again with other thresholds.

    Examples:
        goemo export-predictions -c @latest --split test --split val
    """
    opt.require_one(checkpoint, predictions)
    if threshold is not None and threshold_rule:
        raise typer.BadParameter("--threshold and --threshold-rule: give one")
    out = common.console()
    if predictions:
        if split or calibrated or data_dir or engine != "auto" or not output:
            raise typer.BadParameter(
                "a predictions file takes --output DIR and --threshold or --threshold-rule, nothing else"
            )
        _apply_thresholds(out, predictions, Path(output), threshold, threshold_rule, common.layout)
        return
    from goemo_cli.services.runs.references import open_predicting

    layout = common.layout
    opened = open_predicting(
        str(checkpoint), layout, Screen(out)
    )  # a wrong name fails here, before torch loads

    from goemo_cli.services.evaluation.export import export_predictions as export

    with Screen(out) as screen:
        result = export(
            opened,
            layout=layout,
            splits=tuple(opt.one_split(name) for name in split or ("test",)),
            threshold=threshold,
            rule=threshold_rule,
            calibrated=calibrated,
            data_dir=data_dir,
            output=output,
            device=device,
            engine=engine,
            on_event=screen,
        )
    paths = list(result.paths.values())
    by_label = {"by_label": result.thresholds} if common.as_json else {}
    out.result(
        "Wrote predictions",
        paths=paths,
        rows=list(result.rows.values()),
        thresholds=result.rule,
        engine=result.engine,
        **by_label,
    )
    out.hint(command_line("goemo export-metrics --predictions", paths[0]))


def _apply_thresholds(
    out: Console, path: Path, output: Path, threshold: float | None, rule: str | None, layout: Layout
) -> None:
    from goemo_cli.services.evaluation.apply_thresholds import apply_thresholds

    result = apply_thresholds(path, layout=layout, output=output, threshold=threshold, rule=rule)
    out.result("Wrote predictions", paths=[result.path], rows=[result.rows], thresholds=result.rule)
    out.hint(command_line("goemo export-metrics --predictions", result.path))
