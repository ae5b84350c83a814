"""`python -m goemo_cli`: the goemo command without its console script."""

from goemo_cli.app import app

if __name__ == "__main__":
    app(prog_name="goemo")
