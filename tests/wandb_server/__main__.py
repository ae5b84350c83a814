"""`python -m tests.wandb_server --port N`: serve until Ctrl-C, for trying things by hand."""

import argparse
import signal
import sys
import tempfile
import threading
from pathlib import Path

from tests.wandb_server import WandbServer


def main() -> None:
    """Serve, and say which variables to set and, at the end, what could not be answered."""
    parser = argparse.ArgumentParser(prog="python -m tests.wandb_server")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    port = parser.parse_args().port
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell started this with &
    with tempfile.TemporaryDirectory() as folder, WandbServer(port) as server:
        try:
            for name, value in server.environment(Path(folder)).items():
                sys.stdout.write(f"export {name}={value}\n")
            sys.stdout.flush()
            threading.Event().wait()
        except KeyboardInterrupt:
            for missing in sorted(set(server.unanswered)):
                sys.stderr.write(f"not answered: {missing}\n")


if __name__ == "__main__":
    main()
