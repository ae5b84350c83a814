"""goemo sync."""

from pathlib import Path
from typing import Annotated

import typer

from goemo_cli.commands._console import Console
from goemo_cli.commands._options import (
    RUN,
    JsonOpt,
    QuietOpt,
    RootOpt,
    WandbBaseUrlOpt,
    WandbEntityOpt,
    WandbProjectOpt,
)
from goemo_cli.commands._progress import Screen
from goemo_cli.core.layout import Layout

RunsArg = Annotated[list[str], typer.Argument(help=RUN, metavar="RUN")]


def sync(
    runs: RunsArg,
    wandb_project: WandbProjectOpt = None,
    wandb_entity: WandbEntityOpt = None,
    wandb_base_url: WandbBaseUrlOpt = None,
    root: RootOpt = Path(),
    as_json: JsonOpt = False,
    quiet: QuietOpt = False,
) -> None:
    """Upload runs to Weights & Biases.

    Runs that were trained without W&B are created there, others are completed; by default in the project where the
    run began.

    Examples:
        goemo sync @latest --wandb-project emotions
    """
    from goemo_cli.services.wandb.sync import sync_run

    out = Console(as_json=as_json, quiet=quiet)
    with Screen(out) as screen:
        synced = [
            sync_run(
                run,
                layout=Layout(root),
                project=wandb_project,
                entity=wandb_entity,
                base_url=wandb_base_url,
                on_event=screen,
            )
            for run in runs
        ]
    if as_json:
        facts = [
            {"run": str(one.run), "wandb_run_id": one.mirror_id, "url": one.url, "sent": one.sent}
            for one in synced
        ]
        out.result("", runs=facts)
        return
    for one in synced:
        out.result(
            f"W&B has all of {one.run}" + ("" if one.sent else ", as before"),
            wandb_run_id=one.mirror_id,
            **({"sent": one.sent} if one.sent else {}),
        )
