"""goemo export-model."""

from typing import Annotated

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands._progress import Screen
from goemo_cli.core.hints import command_line
from goemo_cli.core.schema import ExportFormat


def export_model(
    run: opt.RunArg,
    format: Annotated[
        ExportFormat, opt.choice(ExportFormat, "--format", help="Format of the model.")
    ] = "onnx",
    int8: Annotated[
        bool, typer.Option("--int8", help="Weights with 8 bits: smaller and faster, slightly less accurate.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Write an int8 model although its macro-F1 on test is more than .01 lower."
        ),
    ] = False,
    *,
    common: opt.Common,
) -> None:
    """Export a run for prediction without PyTorch.

    The exported model is compared with its run on val and test before it is written. `goemo predict` uses it from then
    on, until the run changes.

    Examples:
        goemo export-model @best
        goemo export-model @best --int8
    """
    if force and not int8:
        raise typer.BadParameter("--force belongs to --int8")
    layout, out = common.layout, common.console()
    from goemo_cli.services.runs.references import open_run

    opened = open_run(run, layout, Screen(out))  # a wrong name fails here, before torch loads

    from goemo_cli.services.exporting.export_model import export_model as export

    with Screen(out) as screen:
        result = export(opened, layout=layout, format=format, int8=int8, force=force, on_event=screen)
    made = result.export
    out.result(
        f"Exported {opened.run}",
        path=result.path,
        format=made.format,
        precision=made.precision,
        model_bytes=result.model_bytes,
        largest_logit_difference=made.largest_logit_difference,
        test=None if made.test is None else made.test.as_json(),
    )
    if int8:
        out.hint(command_line("goemo predict TEXT --checkpoint", result.path))
    else:
        out.hint(command_line("goemo predict TEXT --checkpoint", opened.run, root=common.root))
