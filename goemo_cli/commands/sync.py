"""goemo sync."""

from typing import Annotated

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands._progress import Screen

RunsArg = Annotated[list[str], typer.Argument(help=opt.RUN, metavar="RUN")]


def sync(
    runs: RunsArg,
    wandb_project: opt.WandbProjectOpt = None,
    wandb_entity: opt.WandbEntityOpt = None,
    wandb_base_url: opt.WandbBaseUrlOpt = None,
    *,
    common: opt.Common,
) -> None:
    """Upload runs to Weights & Biases.

    Runs that were trained without W&B are created there, others are completed; by default in the project where the
    run began.

    Examples:
        goemo sync @latest --wandb-project emotions
    """
    from goemo_cli.services.wandb.sync import sync_run

    out = common.console()
    with Screen(out) as screen:
        synced = [
            sync_run(
                run,
                layout=common.layout,
                project=wandb_project,
                entity=wandb_entity,
                base_url=wandb_base_url,
                on_event=screen,
            )
            for run in runs
        ]
    if common.as_json:
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
