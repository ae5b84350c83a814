"""goemo download."""

from pathlib import Path
from typing import Any

import typer

from goemo_cli.commands import _download_options as flag
from goemo_cli.commands._console import Console
from goemo_cli.commands._options import (
    JsonOpt,
    NewRootOpt,
    QuietOpt,
    WandbBaseUrlOpt,
    WandbEntityOpt,
    WandbProjectOpt,
)
from goemo_cli.commands._progress import Screen
from goemo_cli.core.hints import command_line
from goemo_cli.core.layout import Layout


def download(
    run_id: flag.RunIdOpt = None,
    best: flag.BestOpt = None,
    artifact: flag.ArtifactOpt = None,
    hub: flag.HubOpt = None,
    what: flag.WhatOpt = None,
    entity: WandbEntityOpt = None,
    project: WandbProjectOpt = None,
    base_url: WandbBaseUrlOpt = None,
    overwrite: flag.OverwriteOpt = False,
    root: NewRootOpt = Path(),
    as_json: JsonOpt = False,
    quiet: QuietOpt = False,
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

    layout, out = Layout(root), Console(as_json=as_json, quiet=quiet)
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
        **({"source": result.source, "files": list(result.fetched)} if as_json else {}),
    )
    if result.checkpoints:
        out.hint(command_line("goemo export-predictions --checkpoint", result.checkpoints[-1], root=root))
