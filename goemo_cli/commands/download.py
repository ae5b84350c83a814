"""goemo download."""

from typing import Annotated, Any

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands._progress import Screen
from goemo_cli.core.hints import command_line

RunIdOpt = Annotated[
    str | None,
    typer.Option(
        "--run-id", help="A W&B run: ID, PROJECT/ID, ENTITY/PROJECT/ID, or the URL of its page.", metavar="ID"
    ),
]
BestOpt = Annotated[
    str | None,
    typer.Option(
        "--best",
        help="Instead of an ID: the finished run of the project with the best score on val, such as val/auc.",
        metavar="METRIC",
    ),
]
ArtifactOpt = Annotated[
    str | None,
    typer.Option(
        "--artifact",
        help="Instead of an ID: one version of a W&B artifact, such as MODEL-checkpoint-ID:v0.",
        metavar="NAME:VERSION",
    ),
]
HubOpt = Annotated[
    str | None,
    typer.Option(
        "--hub",
        help="Instead of W&B: a repository of the Hugging Face Hub, to which goemo push uploaded a run.",
        metavar="REPO[@REVISION]",
    ),
]
WhatOpt = Annotated[
    str | None,
    typer.Option(
        "--what",
        help="Only these of checkpoint, predictions, stats, figures, separated by commas. [default: all]",
        metavar="KINDS",
    ),
]
OverwriteOpt = Annotated[
    bool, typer.Option("--overwrite", help="Replace a valid checkpoint that is here in another version.")
]


def download(
    run_id: RunIdOpt = None,
    best: BestOpt = None,
    artifact: ArtifactOpt = None,
    hub: HubOpt = None,
    what: WhatOpt = None,
    entity: opt.WandbEntityOpt = None,
    project: opt.WandbProjectOpt = None,
    base_url: opt.WandbBaseUrlOpt = None,
    overwrite: OverwriteOpt = False,
    *,
    common: opt.CommonNewRoot,
) -> None:
    """Download a run from W&B or the Hugging Face Hub.

    Every file is checked before any of them is installed. Files that are here already are not fetched again.

    Examples:
        goemo download --run-id a71b9ddo --wandb-project emotions
        goemo download --hub owner/goemotions-minilm
    """
    if sum(given is not None for given in (run_id, best, artifact, hub)) != 1:
        raise typer.BadParameter(
            "give one of --run-id ID, --best METRIC, --artifact NAME:VERSION and --hub REPO"
        )
    if hub is not None and (what or entity or project or base_url):
        raise typer.BadParameter("a Hub repository has one run: no --what and no options of W&B")
    if artifact is not None and what is not None:
        raise typer.BadParameter("a W&B artifact is of one kind; --what is for runs", param_hint="--what")

    from goemo_cli.services.wandb.download import download_artifact, download_run, find_best
    from goemo_cli.services.wandb.plan import check_what

    layout, out = common.layout, common.console()
    kinds = None if what is None else check_what(what.split(","))
    place: dict[str, Any] = {"entity": entity, "project": project, "base_url": base_url}
    with Screen(out) as screen:
        if hub is not None:
            from goemo_cli.services.hub.fetch import fetch_run

            result = fetch_run(hub, layout=layout, overwrite=overwrite, on_event=screen)
        elif artifact is not None:
            result = download_artifact(artifact, layout=layout, overwrite=overwrite, on_event=screen, **place)
        else:
            run = find_best(best, on_event=screen, **place) if best is not None else str(run_id)
            result = download_run(
                run, layout=layout, what=kinds, overwrite=overwrite, on_event=screen, **place
            )
    out.result(
        f"Downloaded {result.source}"
        if result.fetched
        else f"Nothing to fetch: {result.source} is here already",
        checkpoints=list(result.checkpoints),
        fetched=len(result.fetched),
        fetched_bytes=result.fetched_bytes,
        unchanged=result.unchanged,
        **({"source": result.source, "files": list(result.fetched)} if common.as_json else {}),
    )
    if result.checkpoints:
        out.hint(
            command_line("goemo export-predictions --checkpoint", result.checkpoints[-1], root=common.root)
        )
