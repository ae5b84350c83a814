"""goemo data."""

from pathlib import Path
from typing import Annotated

import typer

from goemo_cli.commands._console import Console
from goemo_cli.commands._options import JsonOpt, QuietOpt, output_folder
from goemo_cli.commands._progress import Screen
from goemo_cli.commands._typer import Typer
from goemo_cli.core.hints import command_line

data = Typer()


@data.callback()
def _data() -> None:
    """Download the GoEmotions data.

    Examples:
        goemo data download
    """


@data.command("download")
def download(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder to put it in. [default: the user's cache]",
            metavar="DIR",
            show_default=False,
            callback=output_folder,
        ),
    ] = None,
    as_json: JsonOpt = False,
    quiet: QuietOpt = False,
) -> None:
    """Download the GoEmotions files.

    Their hashes are verified, and their folder is printed. Files that are already there and intact are not downloaded again. GOEMO_DATA_URL names a mirror.

    Examples:
        goemo data download --output data/goemotions
    """
    from goemo_cli.services.data.download import fetch_goemotions

    out = Console(as_json=as_json, quiet=quiet)
    with Screen(out) as screen:
        folder = fetch_goemotions(output, on_event=screen)
    out.result("GoEmotions is here", folder=folder)
    out.hint(command_line("goemo train --data goemotions --data-dir", folder))
