"""`python -m tests.validate_artifacts [--verbose]`: another door to `goemo validate`."""

import sys

from goemo_cli.app import app

if __name__ == "__main__":
    app(["validate", *sys.argv[1:]])
