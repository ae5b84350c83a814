"""Arguments and options of goemo predict."""

from pathlib import Path
from typing import Annotated

import typer

from goemo_cli.commands._options import output_file
from goemo_cli.services.data.readers import format_names, known_suffixes

TextsArg = Annotated[
    list[str] | None, typer.Argument(help="Texts to predict.", metavar="[TEXT]...", show_default=False)
]
InputOpt = Annotated[
    str | None,
    typer.Option(
        "--input",
        "-i",
        help=f"File or URL with texts: {', '.join(known_suffixes('prediction'))}; - is standard input.",
        metavar="FILE",
        show_default=False,
    ),
]
DataFormatOpt = Annotated[
    str | None,
    typer.Option(
        "--data-format",
        "--input-format",
        help=f"Format of the input, if its suffix does not say it: {', '.join(format_names('prediction'))}.",
        metavar="FORMAT",
        show_default=False,
    ),
]
EncodingOpt = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        help="Text encoding of the input, such as cp1252. [default: UTF-8, or UTF-16 if the bytes show it]",
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
