"""goemo sync."""

from pathlib import Path
from typing import Annotated

import typer

from goemo_cli.commands._console import Console
from goemo_cli.commands._options import JsonOpt, QuietOpt, RootOpt

RunsArg = Annotated[
    list[str],
    typer.Argument(
        help="Runs: folders, names, or @latest, @best, @MODEL.", show_default=False, metavar="RUN..."
    ),
]
ProjectOpt = Annotated[
    str | None,
    typer.Option(
        "--wandb-project",
        help="W&B project instead of the run's own. [default: WANDB_PROJECT, or goemo]",
        show_default=False,
    ),
]
EntityOpt = Annotated[
    str | None,
    typer.Option(
        "--wandb-entity",
        help="W&B user or team instead of the run's own. [default: WANDB_ENTITY, or yours]",
        show_default=False,
    ),
]
BaseUrlOpt = Annotated[
    str | None,
    typer.Option(
        "--wandb-base-url",
        help="W&B server instead of the run's own. [default: WANDB_BASE_URL, or W&B's own]",
        show_default=False,
    ),
]


def sync(
    runs: RunsArg,
    wandb_project: ProjectOpt = None,
    wandb_entity: EntityOpt = None,
    wandb_base_url: BaseUrlOpt = None,
    root: RootOpt = Path(),
    as_json: JsonOpt = False,
    quiet: QuietOpt = False,
) -> None:
    """Bring runs to Weights & Biases that were trained without it, or complete them there.

    Example: goemo sync @latest --wandb-project emotions
    """
    from goemo_cli.commands._progress import Screen
    from goemo_cli.core.layout import Layout
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
