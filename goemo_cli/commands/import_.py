"""goemo import."""

from typing import Annotated, Any

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands._progress import Screen
from goemo_cli.commands._settings import ImportSettings
from goemo_cli.core.hints import command_line


def import_(
    *,
    model: Annotated[
        str,
        typer.Argument(
            help="A model folder of another tool, or a Hub id.", metavar="MODEL", show_default=False
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="Labelled data to fit thresholds on (val) and to score (test): goemotions, sample, a file, folder or URL, "
            "or a Hub data set.",
            metavar="DATA",
        ),
    ] = None,
    settings: ImportSettings,
    device: opt.DeviceOpt = "auto",
    common: opt.CommonNewRoot,
) -> None:
    """Make a run of a classifier that another tool trained.

    With --data, thresholds are fitted on its val split, and test is scored. Without data, all thresholds are 0.5 and
    the run has no scores. Labels are those in the model's config, or in --labels-file.

    Examples:
        goemo import my-model
        goemo import SamLowe/roberta-base-go_emotions --data goemotions
        goemo import my-model --data labelled.csv --text-column comment
    """
    layout, out = common.layout, common.console()
    given = dict(settings)
    length = given.pop("model.max_length", None)
    named = {"name": data} if data else {}

    from goemo_cli.services.training.imported import MAX_LENGTH, import_model

    with Screen(out) as screen:
        checkpoint = import_model(
            model,
            layout=layout,
            revision=given.pop("model.revision", None),
            max_length=MAX_LENGTH if length is None else length,
            single_label=given.pop("data.single_label", None),
            data=named | {key.removeprefix("data."): value for key, value in given.items()},
            device=device,
            on_event=screen,
        )
    more: dict[str, Any] = {}
    if not checkpoint.is_unscored:
        more["test_f1_macro"] = checkpoint.metrics.test_rule.f1_macro
    fitted = "nothing" if checkpoint.is_unscored or checkpoint.rules.is_single_label else "val"
    out.result(
        f"Imported {model}",
        run=str(checkpoint.run),
        path=checkpoint.path,
        labels=len(checkpoint.labels),
        threshold_rule=checkpoint.rules.rule,
        fitted_on=fitted,
        **more,
    )
    out.hint(
        command_line("goemo predict --checkpoint", checkpoint.run, "TEXT", root=common.root),
        command_line(f"goemo evaluate {checkpoint.run} --data DATA", root=common.root),
    )
