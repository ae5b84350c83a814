"""Arguments and options of goemo predict."""

from pathlib import Path
from typing import Annotated

import typer

from goemo_cli.commands._options import output_file

TextsArg = Annotated[
    list[str] | None, typer.Argument(help="Texts to predict.", metavar="[TEXT]...", show_default=False)
]
InputOpt = Annotated[
    Path | None,
    typer.Option(
        "--input",
        "-i",
        help="File with texts: .txt (a line each), .csv, .tsv, .jsonl, .parquet; - is standard input.",
        metavar="FILE",
        show_default=False,
    ),
]
InputFormatOpt = Annotated[
    str | None,
    typer.Option(
        "--input-format",
        help="lines, csv, tsv, jsonl or parquet, where the suffix does not say; standard input: lines or jsonl.",
        show_default=False,
    ),
]
OutputOpt = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="File to write, whole or not at all: .jsonl, .csv, .parquet; - is standard output.",
        metavar="FILE",
        show_default=False,
        callback=output_file,
    ),
]
FormatOpt = Annotated[
    str | None,
    typer.Option(
        "--format",
        "-f",
        help="jsonl, csv, parquet or table. [default: by the suffix of --output; on a terminal table, else jsonl]",
        show_default=False,
    ),
]
TextColumnOpt = Annotated[
    str | None,
    typer.Option("--text-column", help="Column with the texts. [default: text]", show_default=False),
]
TopKOpt = Annotated[
    int | None,
    typer.Option(
        "--top-k",
        min=1,
        help="Maximum number of labels per text, and of probabilities in tables and JSON.",
        show_default=False,
    ),
]
TaxonomyOpt = Annotated[
    str | None,
    typer.Option(
        "--taxonomy",
        help="ekman or grouped: GoEmotions labels rolled up, with thresholds fitted on val.",
        show_default=False,
    ),
]
CalibratedOpt = Annotated[
    bool, typer.Option("--calibrated", help="Calibrated probabilities (goemo calibrate).")
]
PrecisionOpt = Annotated[
    str, typer.Option("--precision", help="fp32, or bf16: faster, less exact, recorded in every row.")
]
InteractiveOpt = Annotated[
    bool, typer.Option("--interactive", help="Ask for texts; an empty line or Ctrl-D ends.")
]
