"""goemo serve."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands._console import Console
from goemo_cli.commands._predict_options import Precision
from goemo_cli.commands._progress import Screen
from goemo_cli.core.errors import MissingPackageError
from goemo_cli.core.layout import Layout
from goemo_cli.services.serving.limits import Limits

_LIMITS = "Limits"


@dataclass(frozen=True)
class LimitOptions:
    """Limits of requests; as `Limits` takes them."""

    max_texts: Annotated[
        int,
        typer.Option(
            "--max-texts", metavar="N", min=1, help="Texts of one request.", rich_help_panel=_LIMITS
        ),
    ] = Limits.max_texts
    max_chars: Annotated[
        int,
        typer.Option(
            "--max-chars", metavar="N", min=1, help="Characters of one text.", rich_help_panel=_LIMITS
        ),
    ] = Limits.max_chars
    max_body: Annotated[
        int,
        typer.Option("--max-body", metavar="N", min=1, help="Bytes of one request.", rich_help_panel=_LIMITS),
    ] = Limits.max_body
    queue: Annotated[
        int,
        typer.Option(
            "--queue",
            metavar="N",
            min=1,
            help="Texts that wait; more are refused with 429.",
            rich_help_panel=_LIMITS,
        ),
    ] = Limits.queue
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            min=0.001,
            help="Seconds for a request to arrive, and for the model to answer it.",
            rich_help_panel=_LIMITS,
        ),
    ] = Limits.timeout


def serve(
    run: opt.RunArg,
    host: Annotated[
        str,
        typer.Option(
            "--host",
            metavar="ADDRESS",
            help="Address to listen at; other than the loopback needs GOEMO_TOKEN.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="0 takes a free one.")
    ] = 8000,
    *,
    limits: LimitOptions,
    engine: opt.EngineOpt = "auto",
    device: opt.DeviceOpt = "auto",
    precision: Annotated[
        Precision, opt.choice(Precision, "--precision", help="bf16 is faster and less exact.")
    ] = "fp32",
    root: opt.RootOpt = Path(),
    quiet: opt.QuietOpt = False,
) -> None:
    """Answer predictions over HTTP.

    POST /predict, and a page to try a text at /. The token of the environment variable GOEMO_TOKEN must be sent if it is
    set. Ctrl-C or SIGTERM end the server after open requests are answered.

    Examples:
        goemo serve @best
        goemo serve @best --port 9000 --engine onnx
    """
    for package in ("fastapi", "uvicorn", "prometheus_client"):
        if find_spec(package) is None:
            raise MissingPackageError(package.replace("_", "-"), "serve", "goemo serve")
    from goemo_cli.core.system.variables import serving_token
    from goemo_cli.services.runs.references import open_predicting
    from goemo_cli.services.serving.server import bind, server_of

    chosen, token = Limits(**vars(limits)), serving_token()
    out = Console(quiet=quiet)
    screen = Screen(out)
    opened = open_predicting(run, Layout(root), screen)
    with bind(host, port, token=token) as bound:  # fails before the model loads
        from goemo_cli.services.predicting.predictor import Predictor

        with screen:
            predictor = Predictor.of_checkpoint(
                opened, root=root, engine=engine, device=device, precision=precision, on_event=screen
            )
        out.note(f"Serving {predictor.run} ({predictor.engine}, {predictor.precision})")
        server_of(predictor, bound, limits=chosen, token=token, on_event=screen).run([bound])
