"""goemo commands in this process, as they are typed."""

from typer.testing import CliRunner, Result

from goemo_cli.app import app


def goemo(*arguments: object) -> Result:
    """How a command ended, and what it printed."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])
