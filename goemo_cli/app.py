"""The goemo command: the list of subcommands and the global flags."""

import signal
import sys
from types import FrameType
from typing import Annotated

import typer

from goemo_cli import __version__
from goemo_cli.commands._errors import ErrorBoundary
from goemo_cli.commands._typer import Typer
from goemo_cli.commands.calibrate import calibrate
from goemo_cli.commands.compare import compare
from goemo_cli.commands.data import data
from goemo_cli.commands.download import download
from goemo_cli.commands.errors import errors
from goemo_cli.commands.explain import explain
from goemo_cli.commands.export_metrics import export_metrics
from goemo_cli.commands.export_predictions import export_predictions
from goemo_cli.commands.figures import figures
from goemo_cli.commands.lineage import lineage
from goemo_cli.commands.models import models
from goemo_cli.commands.predict import predict
from goemo_cli.commands.report import report
from goemo_cli.commands.runs import runs
from goemo_cli.commands.sweep import sweep
from goemo_cli.commands.sync import sync
from goemo_cli.commands.train import train
from goemo_cli.commands.tune import tune
from goemo_cli.commands.validate import validate

app = Typer(
    name="goemo",
    cls=ErrorBoundary,
    no_args_is_help=True,
    rich_markup_mode=None,  # help texts are plain: brackets in them are brackets
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("train")(train)
app.command("tune")(tune)
app.command("calibrate")(calibrate)
app.command("compare")(compare)
app.command("export-predictions")(export_predictions)
app.command("export-metrics")(export_metrics)
app.command("errors")(errors)
app.command("explain")(explain)
app.command("predict")(predict)
app.command("figures")(figures)
app.command("report")(report)
app.command("validate")(validate)
app.command("download")(download)
app.command("sync")(sync)
app.command("lineage")(lineage)
app.command("models")(models)
app.add_typer(runs, name="runs")
app.add_typer(data, name="data")
app.add_typer(sweep, name="sweep")


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
    """Train multi-label emotion classifiers, and look after everything that comes out of training."""
    signal.signal(signal.SIGTERM, _terminated)


def _show_version(shown: bool) -> None:
    if shown:
        typer.echo(f"goemo {__version__}")
        raise typer.Exit


def _terminated(signum: int, frame: FrameType | None) -> None:
    """Leave through the `finally` blocks, so that no temporary file stays behind."""
    sys.exit(128 + signum)
