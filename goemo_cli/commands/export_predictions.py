"""goemo export-predictions."""

from pathlib import Path

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands._console import Console
from goemo_cli.core.splits import Split, parse_split


def export_predictions(
    checkpoint: opt.CheckpointOpt,
    split: opt.SplitsOpt = None,
    output: opt.OutputDirOpt = None,
    threshold: opt.ThresholdOpt = None,
    threshold_rule: opt.ThresholdRuleOpt = None,
    data_dir: opt.DataDirOpt = None,
    device: opt.DeviceOpt = "auto",
    root: opt.RootOpt = Path(),
    as_json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
) -> None:
    """Write the predictions of a split.

    Example: goemo export-predictions -c artifacts/models/minilm/RUN --split test --split val
    """
    splits = _parsed(split or ["test"])

    from goemo_cli.core.checkpoint import Checkpoint
    from goemo_cli.core.layout import Layout

    opened = Checkpoint.open(checkpoint)  # a wrong path fails here, before torch loads

    from goemo_cli.commands._progress import Screen
    from goemo_cli.services.predictions import export_predictions as export

    out = Console(as_json=as_json, quiet=quiet)
    with Screen(out) as screen:
        result = export(
            opened,
            layout=Layout(root),
            splits=splits,
            threshold=threshold,
            rule=threshold_rule,
            data_dir=data_dir,
            output=output,
            device=device,
            listen=screen,
        )
    paths = list(result.paths.values())
    out.result("Wrote predictions", paths=paths, rows=list(result.rows.values()), thresholds=result.rule)
    out.hint(f"goemo export-metrics --predictions {paths[0]}")


def _parsed(names: list[str]) -> tuple[Split, ...]:
    splits = [parse_split(name) for name in names]
    if None in splits:
        raise typer.BadParameter(f"{', '.join(names)}: known are test, val, train", param_hint="--split")
    return tuple(split for split in splits if split)
