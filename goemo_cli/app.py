"""The goemo command: the list of subcommands and the global flags."""

import atexit
import gc
from typing import Annotated, Any

import typer

from goemo_cli import __version__
from goemo_cli.commands._errors import ErrorBoundary, run_program
from goemo_cli.commands._typer import LazyCommands, Typer

COMMANDS = {
    "Train": {
        "data": "Download GoEmotions, and examine any data.",
        "models": "List the models that goemo knows by name.",
        "train": "Train a classifier and save all results.",
        "distill": "Train a model on the predictions of another.",
        "sweep": "Search for good settings.",
        "import": "Make a run of a classifier that another tool trained.",
        "tune": "Fit thresholds again, on val only; needs no model.",
        "calibrate": "Fit a run's probabilities to what is observed on val.",
    },
    "Inspect": {
        "evaluate": "Score a run on new labelled data.",
        "runs": "List, compare, pin and remove runs.",
        "compare": "Test whether runs differ by more than chance.",
        "errors": "Show what a run gets wrong.",
        "figures": "Draw the figures of one or several runs.",
        "report": "Write a report of runs: one interactive HTML page.",
        "export-metrics": "Write precision, recall and F1 of each label.",
        "lineage": "Show the origin of a run and the files made from it.",
        "validate": "Check all files of all runs.",
        "doctor": "Examine this machine and the project.",
    },
    "Use": {
        "predict": "Predict the labels of any text.",
        "serve": "Answer predictions over HTTP.",
        "explain": "Show which words changed the score of a label.",
        "export-predictions": "Write the predictions of a split.",
        "export-model": "Export a run for prediction without PyTorch.",
    },
    "Share": {
        "sync": "Upload runs to Weights & Biases.",
        "push": "Upload a run to the Hugging Face Hub.",
        "download": "Download a run from W&B or the Hugging Face Hub.",
    },
}
"""By group: the first line of the help page of each subcommand, here so that `goemo --help` imports none of them."""


class Goemo(ErrorBoundary):
    """The group of all subcommands."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = LazyCommands([name for group in COMMANDS.values() for name in group])

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the order of the help page."""
        return list(self.commands)

    def summaries(self, ctx: Any) -> dict[str, dict[str, str]]:
        """What each subcommand does, by group."""
        return COMMANDS


_NEW_OBJECTS = 50_000
"""Objects that may refer to others, created and not yet deleted, after which Python searches for garbage among them."""

# Python searches for garbage once more when it ends, for half a second if torch is imported.
atexit.register(gc.freeze)

app = Typer(
    name="goemo",
    cls=Goemo,
    add_completion=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def goemo(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Show the version and stop.",
            callback=lambda shown: _show_version(shown),
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Train, score and share emotion classifiers, and manage their results.

    Examples:
        goemo train --model tfidf --data sample
        goemo predict "thank you so much" "what a day"
        goemo report --open
    """


def main() -> None:
    """The program `goemo`."""
    # Imports create many objects that stay: by default Python searches them for garbage again and again.
    gc.set_threshold(_NEW_OBJECTS)
    run_program(app)


def _show_version(shown: bool) -> None:
    if shown:
        typer.echo(f"goemo {__version__}")
        raise typer.Exit
