"""goemo push."""

from typing import Annotated

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands._progress import Screen
from goemo_cli.core.hints import command_line


def push(
    run: opt.RunArg,
    repository: Annotated[
        str,
        typer.Argument(help="Model repository: owner/name. It is created if it is missing.", metavar="REPO"),
    ],
    is_public: Annotated[
        bool | None,
        typer.Option(
            "--public/--private", help="Who can see it. [default: private if it is new, else as it is]"
        ),
    ] = None,
    dry_run: opt.DryRunOpt = False,
    *,
    common: opt.Common,
) -> None:
    """Upload a run to the Hugging Face Hub.

    The files that its manifest names: weights, tokenizer, model card, thresholds, metrics, settings. If the repository has
    them already, nothing is uploaded. The token is that of HF_TOKEN or `hf auth login`.

    Examples:
        goemo push @best owner/goemotions-minilm --dry-run
        goemo push @best owner/goemotions-minilm
    """
    from goemo_cli.services.hub.push import push_run
    from goemo_cli.services.runs.references import open_run

    out = common.console()
    with Screen(out) as screen:
        checkpoint = open_run(run, common.layout, screen)
        pushed = push_run(checkpoint, repository, is_public=is_public, is_dry=dry_run, on_event=screen)
    is_same = not pushed.uploaded and not pushed.removed
    done = f"{'Would push' if dry_run else 'Pushed'} {checkpoint.run} to {pushed.url}"
    out.result(
        f"Nothing to push: {pushed.url} has {checkpoint.run} already" if is_same else done,
        url=pushed.url,
        visibility="private" if pushed.is_private else "public",
        uploaded=list(pushed.uploaded),
        removed=list(pushed.removed),
        unchanged=pushed.unchanged,
        bytes=pushed.n_bytes,
        commit=pushed.commit,
    )
    out.hint(command_line("goemo download --hub", repository))
