"""Runs benchmarks one after another and writes docs/performance.md: `make bench`, or `python -m benchmarks [NAME]...`."""

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.page import PAGE, page

QUICK: dict[str, str] = {
    "throughput": "--rounds 1 --comments 256",
    "quality": "--comments 512 --trainer-epochs 1",
    "predict": "--rounds 1 --comments 128",
    "engines": "--rounds 1 --comments 64",
    "serve": "--rounds 1 --requests 64",
    "startup": "--rounds 3",
    "saving": "--rounds 1 --comments 128",
    "tracking": "--rounds 1 --comments 128 --epochs 1",
    "growth": "--quick --limit 120",
}
"""The benchmarks, with the arguments of a quick run; without arguments they take the time that steady numbers need."""
WITH_DATA = ("throughput", "quality", "predict", "engines", "serve")
"""Those that read GoEmotions' files, if their folder is known; quality needs it."""


def main() -> int:
    """Run the chosen benchmarks; the exit code is 1 if one of them failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"by default all: {', '.join(QUICK)}")
    parser.add_argument(
        "--quick", action="store_true", help="few rounds of few comments: minutes, rough numbers"
    )
    parser.add_argument("--data-dir", type=Path, help="GoEmotions' files; by default the sample is used")
    options = parser.parse_args()
    if unknown := set(options.names) - set(QUICK):
        parser.error(f"unknown benchmark: {', '.join(sorted(unknown))}")
    failed = []
    names = options.names or [name for name in QUICK if options.data_dir or name != "quality"]
    for name in names:
        arguments = QUICK[name].split() if options.quick else []
        if options.data_dir and name in WITH_DATA:
            arguments += ["--data-dir", str(options.data_dir)]
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *arguments], check=False).returncode:
            failed.append(name)
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
