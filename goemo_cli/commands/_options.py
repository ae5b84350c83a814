"""Options that mean the same in every command."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from goemo_cli.commands._console import Console
from goemo_cli.commands._settings import choice_words, setting_option
from goemo_cli.core.errors import NotFoundError, SettingError
from goemo_cli.core.files import require_no_dangling_link
from goemo_cli.core.labels import Split, parse_split
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import Engine, Executor
from goemo_cli.core.settings import Device, NamedRule

RUN = "A run: its folder, its name, or @latest, @best, @MODEL."
RUN_OR_FILE = "A run (its folder, its name, @latest, @best, @MODEL) or a predictions CSV."


def choice(kind: Any, *flags: str, help: str, default: str | None = None) -> Any:
    """The Typer option of a `Literal`: its choices are listed in the help text.

    Args:
        flags: names of the option, the long one first.
        help: without the choices.
        default: shown as the default, for an option that is unset unless it is given.
    """
    metavar, choices = choice_words(flags[0], kind)
    words = "; ".join(part for part in (choices, default and f"default: {default}") if part)
    shown = default is None
    return typer.Option(
        *flags, help=f"{help} [{words}]" if words else help, metavar=metavar, show_default=shown
    )


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


def output_file_or_folder(path: Path | None) -> Path | None:
    """As `output_file`, for commands that write a folder too."""
    return path if path is not None and path.is_dir() else output_file(path)


def output_folder(path: Path | None) -> Path | None:
    """Refuse what can be no folder before anything is computed."""
    _writable(path)
    if path is not None and path.exists() and not path.is_dir():
        raise typer.BadParameter(f"{path} is not a folder")
    return path


def require_one(checkpoint: str | None, predictions: Path | None) -> None:
    """Refuse both or none of --checkpoint and --predictions.

    Raises:
        BadParameter: both or none is given.
    """
    if (checkpoint is None) == (predictions is None):
        raise typer.BadParameter("give either --checkpoint RUN or --predictions FILE")


def one_split(name: str) -> Split:
    """The split of a name; `dev` and `validation` are val.

    Raises:
        BadParameter: not a split.
    """
    split = parse_split(name)
    if split is None:
        raise typer.BadParameter(f"{name} is not a split: train, val, test")
    return split


def _splits(names: list[str] | None) -> list[str] | None:
    return names and [one_split(name) for name in names]


CheckpointOpt = Annotated[str, typer.Option("--checkpoint", "-c", help=RUN, metavar="RUN")]
OptionalCheckpointOpt = Annotated[str | None, typer.Option("--checkpoint", "-c", help=RUN, metavar="RUN")]
RunArg = Annotated[str, typer.Argument(help=RUN, metavar="RUN")]
RunOrFileArg = Annotated[str, typer.Argument(help=RUN_OR_FILE, metavar="RUN")]

_ROOT = "Project root, which contains artifacts/ and output/."
RootOpt = Annotated[Path, typer.Option("--root", help=_ROOT, metavar="DIR", callback=_existing_root)]
"""Of commands that read: the folder must exist."""
NewRootOpt = Annotated[Path, typer.Option("--root", help=_ROOT, metavar="DIR", callback=output_folder)]
"""Of commands that create the folder if it is missing."""
JsonOpt = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else there.")]
QuietOpt = Annotated[bool, typer.Option("--quiet", "-q", help="Only the result, warnings and errors.")]


@dataclass(frozen=True)
class Common:
    """The project of a command, and how it shows its result."""

    root: RootOpt = Path()
    as_json: JsonOpt = False
    quiet: QuietOpt = False

    @property
    def layout(self) -> Layout:
        """The files of the project."""
        return Layout(self.root)

    def console(self, *, output: Path | None = None, shape: str | None = None) -> Console:
        """The console of a command that writes the file `output`, or whose --format is `shape`.

        Raises:
            BadParameter: --json and another format.
        """
        if self.as_json and shape not in (None, "json"):
            raise typer.BadParameter(f"--json and --format {shape} exclude each other", param_hint="--format")
        return Console(as_json=self.as_json or shape == "json", quiet=self.quiet, output=output)


@dataclass(frozen=True)
class CommonNewRoot(Common):
    """The same of a command that creates the project if it is missing."""

    root: NewRootOpt = Path()


DataDirOpt = Annotated[Path | None, setting_option("--data-dir", "data.dir")]
ThresholdOpt = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        min=0,
        max=1,
        help="One threshold for all labels instead of the run's own.",
        metavar="X",
    ),
]
ThresholdRuleOpt = Annotated[
    NamedRule | None, choice(NamedRule, "--threshold-rule", help="Another rule of the checkpoint.")
]
CalibratedOpt = Annotated[
    bool, typer.Option("--calibrated", help="Calibrated probabilities (goemo calibrate).")
]
DeviceOpt = Annotated[Device, setting_option("--device", "training.device")]
EngineOpt = Annotated[
    Engine,
    choice(
        Engine,
        "--engine",
        help="What computes: onnx is the exported model of the run (goemo export-model); auto takes it if it is up to date, else torch.",
    ),
]
SplitOpt = Annotated[
    Split | None,
    typer.Option("--split", help="train, val or test. [default: test]", metavar="SPLIT", parser=one_split),
]
SplitsOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--split",
        help="train, val or test; may be given several times. [default: test]",
        metavar="SPLIT",
        callback=_splits,
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
        callback=output_file,
    ),
]
ExecutorOpt = Annotated[
    Executor,
    choice(Executor, "--executor", help="Where the processes run: on this machine, or on a Ray cluster."),
]
DryRunOpt = Annotated[bool, typer.Option("--dry-run", help="Show what would happen, and write nothing.")]
WandbProjectOpt = Annotated[str | None, setting_option("--wandb-project", "logging.wandb.project")]
WandbEntityOpt = Annotated[str | None, setting_option("--wandb-entity", "logging.wandb.entity")]
WandbBaseUrlOpt = Annotated[str | None, setting_option("--wandb-base-url", "logging.wandb.base_url")]
