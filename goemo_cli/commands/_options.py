"""Options that mean the same in every command."""

from pathlib import Path
from typing import Annotated

import typer

from goemo_cli.core.errors import NotFoundError, SettingError
from goemo_cli.core.files import require_no_dangling_link

_RUN = "A run: its folder, its name, or @latest, @best, @MODEL."

CheckpointOpt = Annotated[
    str, typer.Option("--checkpoint", "-c", help=_RUN, show_default=False, metavar="RUN")
]
OptionalCheckpointOpt = Annotated[
    str | None, typer.Option("--checkpoint", "-c", help=_RUN, show_default=False, metavar="RUN")
]
RunArg = Annotated[str, typer.Argument(help=_RUN, show_default=False, metavar="RUN")]


def _existing_root(context: typer.Context, root: Path) -> Path:
    """A mistyped root would otherwise look like one without runs."""
    if not context.resilient_parsing and not root.is_dir():
        raise NotFoundError(
            f"--root {root}: {'is not a folder' if root.exists() else 'this folder does not exist'}"
        )
    return root


def _writable(path: Path | None) -> None:
    if path is not None:
        try:
            require_no_dangling_link(path)
        except SettingError as error:
            raise typer.BadParameter(str(error)) from error


def output_file(path: Path | None) -> Path | None:
    """Refuse what can be no file before anything is computed; `-` is standard output."""
    _writable(path)
    if path is not None and path.is_dir():
        raise typer.BadParameter(f"{path} is a folder; name the file to write")
    return Path("/dev/stdout") if path == Path("-") else path


def output_folder(path: Path | None) -> Path | None:
    """Refuse what can be no folder before anything is computed."""
    _writable(path)
    if path is not None and path.exists() and not path.is_dir():
        raise typer.BadParameter(f"{path} is not a folder")
    return path


_ROOT = "Project root, which holds artifacts/ and output/."
RootOpt = Annotated[Path, typer.Option("--root", help=_ROOT, metavar="DIR", callback=_existing_root)]
"""Of commands that read: the folder must exist."""
NewRootOpt = Annotated[Path, typer.Option("--root", help=_ROOT, metavar="DIR", callback=output_folder)]
"""Of commands that create the folder if it is missing."""
DataDirOpt = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder with the GoEmotions files.", show_default=False, metavar="DIR"),
]
ThresholdOpt = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        min=0,
        max=1,
        help="One threshold for all labels instead of the run's own.",
        show_default=False,
    ),
]
ThresholdRuleOpt = Annotated[
    str | None,
    typer.Option(
        "--threshold-rule",
        help="Another rule of the checkpoint: per_label, global, fixed_0.5 or fixed_0.3.",
        show_default=False,
        metavar="RULE",
    ),
]
DeviceOpt = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
JsonOpt = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else there.")]
QuietOpt = Annotated[
    bool, typer.Option("--quiet", "-q", help="Warnings and errors only, besides the result.")
]
SplitsOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--split", help="test, val or train; may be given several times. [default: test]", show_default=False
    ),
]
PredictionsOpt = Annotated[
    Path | None,
    typer.Option(
        "--predictions", "-p", help="A predictions CSV; needs no model.", metavar="FILE", show_default=False
    ),
]
OutputDirOpt = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Folder to write to instead of the usual one.",
        metavar="DIR",
        show_default=False,
        callback=output_folder,
    ),
]
OutputFileOpt = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="File to write instead of the usual one; - is standard output.",
        metavar="FILE",
        show_default=False,
        callback=output_file,
    ),
]
