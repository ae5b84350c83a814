"""goemo download."""

from pathlib import Path
from typing import Annotated

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands._console import Console


def download(
    run_id: Annotated[
        str | None,
        typer.Option(
            "--run-id",
            help="A W&B run: ID, PROJECT/ID, ENTITY/PROJECT/ID, or the URL of its page.",
            metavar="ID",
            show_default=False,
        ),
    ] = None,
    best: Annotated[
        str | None,
        typer.Option(
            "--best",
            help="Instead of an ID: the finished run of the project with the best score on val, such as val/auc.",
            metavar="METRIC",
            show_default=False,
        ),
    ] = None,
    artifact: Annotated[
        str | None,
        typer.Option(
            "--artifact",
            help="Instead of an ID: one version of a W&B artifact, such as MODEL-checkpoint-ID:v0.",
            metavar="NAME:VERSION",
            show_default=False,
        ),
    ] = None,
    what: Annotated[
        str | None,
        typer.Option(
            "--what",
            help="Only these of checkpoint, predictions, stats, figures; with commas between. [default: all there is]",
            metavar="KINDS",
            show_default=False,
        ),
    ] = None,
    entity: Annotated[
        str | None,
        typer.Option(
            "--wandb-entity",
            help="W&B user or team, where the ID names none.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    project: Annotated[
        str | None,
        typer.Option(
            "--wandb-project",
            help="W&B project, where the ID names none. [default: WANDB_PROJECT, or goemo]",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace a sound checkpoint that is here in another version."),
    ] = False,
    root: opt.RootOpt = Path(),
    as_json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
) -> None:
    """Bring a run from Weights & Biases to where it would lie had it been trained here.

    Every file is checked before any of them moves; files that are here already are not fetched again, and what was
    downloaded before needs no network. Example: goemo download --run-id a71b9ddo --wandb-project emotions
    """
    if sum(given is not None for given in (run_id, best, artifact)) != 1:
        raise typer.BadParameter("give one of --run-id ID, --best METRIC and --artifact NAME:VERSION")
    if artifact is not None and what is not None:
        raise typer.BadParameter("a W&B artifact is of one kind; --what is for runs", param_hint="--what")

    from goemo_cli.commands._progress import Screen
    from goemo_cli.core.layout import Layout
    from goemo_cli.services.download_plan import check_what
    from goemo_cli.services.downloads import download_artifact, download_run, find_best

    layout, out = Layout(root), Console(as_json=as_json, quiet=quiet)
    kinds = None if what is None else check_what(what.split(","))
    with Screen(out) as screen:
        if artifact is not None:
            result = download_artifact(
                artifact, layout=layout, entity=entity, project=project, overwrite=overwrite, listen=screen
            )
        else:
            reference = (
                str(run_id)
                if best is None
                else find_best(best, entity=entity, project=project, listen=screen)
            )
            result = download_run(
                reference,
                layout=layout,
                entity=entity,
                project=project,
                what=kinds,
                overwrite=overwrite,
                listen=screen,
            )
    out.result(
        f"Downloaded {result.source}"
        if result.fetched
        else f"Nothing to fetch: {result.source} is here already",
        checkpoints=list(result.checkpoints),
        fetched=len(result.fetched),
        fetched_bytes=result.fetched_bytes,
        unchanged=result.unchanged,
        **({"source": result.source, "files": list(result.fetched)} if as_json else {}),
    )
    if result.checkpoints:
        where = "" if root == Path() else f" --root {root}"
        out.hint(f"goemo export-predictions --checkpoint {result.checkpoints[-1]}{where}")
