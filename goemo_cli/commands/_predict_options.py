"""The options of goemo predict, in groups, and the rules about which go together."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands._console import Console
from goemo_cli.commands._predict_output import Shape, Target
from goemo_cli.commands._settings import setting_option
from goemo_cli.core.labels import TaxonomyName
from goemo_cli.core.schema import Executor
from goemo_cli.core.settings import LibraryMode
from goemo_cli.services.data.data_file import STDIN
from goemo_cli.services.data.formats import suffixes_for
from goemo_cli.services.data.readers import format_names
from goemo_cli.services.predicting.bulk.inputs import is_several
from goemo_cli.services.predicting.formats import BY_SUFFIX, OutputFormat
from goemo_cli.services.predicting.sources import TextSource, given_texts, open_texts

Format = Literal["table", OutputFormat]
Precision = Literal["fp32", "bf16"]
_BULK = "Many files"
WandbModeOpt = Annotated[
    LibraryMode | None,
    typer.Option(
        "--wandb-mode",
        help=f"local logs to the artifact library only; by default WANDB_MODE, else online. [{', '.join(get_args(LibraryMode))}]",
        metavar="MODE",
        rich_help_panel="Weights & Biases",
    ),
]


@dataclass(frozen=True)
class Input:
    """Where the texts come from."""

    text: Annotated[list[str] | None, typer.Argument(help="Texts to predict.", metavar="TEXT")] = None
    input: Annotated[
        str | None,
        typer.Option(
            "--input",
            "-i",
            help=f"File or URL with texts: {', '.join(suffixes_for('prediction'))}; - is standard input. "
            "A folder or a pattern with * means many files.",
            metavar="FILE",
        ),
    ] = None
    data_format: Annotated[
        str | None,
        typer.Option(
            "--data-format",
            "--input-format",
            help=f"Format of --input, if its suffix does not say it. [{', '.join(format_names('prediction'))}]",
            metavar="FORMAT",
        ),
    ] = None
    encoding: Annotated[str | None, setting_option("--encoding", "data.encoding")] = None
    text_column: Annotated[
        str | None, setting_option("--text-column", "data.text_column", default="text")
    ] = None
    interactive: Annotated[
        bool, typer.Option("--interactive", help="Ask for texts; an empty line or Ctrl-D ends.")
    ] = False

    @contextmanager
    def opened(self) -> Iterator[TextSource]:
        """The rows; of standard input by default."""
        if self.text:
            yield given_texts(self.text)
            return
        with open_texts(
            self.input or STDIN,
            stdin=sys.stdin.buffer,
            format=self.data_format,
            encoding=self.encoding,
            text_column=self.text_column,
        ) as source:
            yield source

    def check(self, *, is_on_terminal: bool) -> None:
        """Refuse options that would have no effect.

        Args:
            is_on_terminal: the answers are shown, and neither written nor logged.

        Raises:
            BadParameter: no texts, texts from several places, or an option without effect.
        """
        if bool(self.text) + bool(self.input) + self.interactive > 1:
            raise typer.BadParameter("give texts, --input FILE or --interactive: one of them")
        if self.interactive and not is_on_terminal:
            raise typer.BadParameter(
                "--interactive answers on the terminal: no --output, --format, --json or --wandb"
            )
        if (self.text or self.interactive) and (self.text_column or self.data_format or self.encoding):
            raise typer.BadParameter("--text-column, --data-format and --encoding belong to --input")
        if not (self.text or self.input or self.interactive) and sys.stdin.isatty():
            raise typer.BadParameter("nothing to predict: give texts, --input FILE or --interactive")


@dataclass(frozen=True)
class Output:
    """Where the predictions go, and in which format."""

    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File to write, completely or not at all: .jsonl, .csv, .parquet; - is standard output. "
            "For many files or shards, a folder.",
            metavar="FILE",
            callback=opt.output_file_or_folder,
        ),
    ] = None
    format: Annotated[
        Format | None,
        opt.choice(
            Format,
            "--format",
            "-f",
            help="Format of the predictions.",
            default="by the suffix of --output; parquet in a folder; table in a terminal, else jsonl",
        ),
    ] = None
    formula_safe: Annotated[
        bool,
        typer.Option(
            "--formula-safe", help="In CSV, write ' before texts that a spreadsheet would take for formulas."
        ),
    ] = False
    as_json: opt.JsonOpt = False

    @property
    def is_given(self) -> bool:
        """Whether anything but the terminal was asked for."""
        return bool(self.output or self.format or self.as_json)

    def target(self, most: int | None, *, quiet: bool) -> Target:
        """Where the predictions go, with at most `most` labels per text.

        Raises:
            BadParameter: a format that cannot be written there.
        """
        shape = self.shape()
        if self.formula_safe and shape != "csv":
            raise typer.BadParameter("--formula-safe belongs to CSV: --format csv, or --output FILE.csv")
        out = Console(as_json=self.as_json, quiet=quiet, output=self.output)
        return Target(out, shape, self.output, most, formula_safe=self.formula_safe)

    def shape(self) -> Shape:
        """The format of the predictions; json is one document.

        Raises:
            BadParameter: a format that cannot be written there.
        """
        if self.output:
            if self.output.is_dir():
                raise typer.BadParameter(f"{self.output} is a folder; name the file to write")
            shape = self.format or BY_SUFFIX.get(self.output.suffix.lower())
            if shape is None or shape == "table":
                raise typer.BadParameter(
                    f"{self.output}: a file ends in {', '.join(BY_SUFFIX)}, or has --format jsonl, csv or parquet",
                    param_hint="--output",
                )
            return shape
        if self.as_json and self.format:
            raise typer.BadParameter(
                "--json is a format already: leave out --format, or name an --output FILE"
            )
        if self.format == "parquet":
            raise typer.BadParameter("parquet needs --output FILE", param_hint="--format")
        return "json" if self.as_json else self.format or ("table" if sys.stdout.isatty() else "jsonl")


@dataclass(frozen=True)
class Bulk:
    """How the texts of many files are split into shards, and who computes them."""

    shards: Annotated[
        int | None,
        typer.Option(
            "--shards",
            min=1,
            help="Number of parts, each with an equal share of the rows. [default: one for each 100,000 rows]",
            metavar="N",
            rich_help_panel=_BULK,
        ),
    ] = None
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            help="Number of processes that predict; they share the threads, or have a GPU each. "
            "[default: 1; with Ray, all of the cluster]",
            metavar="K",
            rich_help_panel=_BULK,
        ),
    ] = None
    executor: Annotated[
        Executor,
        typer.Option(
            "--executor",
            help="Where the processes run: on this machine, or on a Ray cluster.",
            metavar="|".join(get_args(Executor)),
            rich_help_panel=_BULK,
        ),
    ] = "local"
    shard: Annotated[
        int | None,
        typer.Option(
            "--shard",
            min=0,
            help="Compute only this part, counted from 0; then --finalize.",
            metavar="I",
            rich_help_panel=_BULK,
        ),
    ] = None
    finalize: Annotated[
        bool,
        typer.Option(
            "--finalize",
            help="Check that --output has each row once, and write its manifest.",
            rich_help_panel=_BULK,
        ),
    ] = False

    @property
    def is_given(self) -> bool:
        """Whether one of the options was given."""
        return self != Bulk()

    def is_meant(self, texts: Input, output: Output) -> bool:
        """Whether a folder is to be written: by these options, a folder, or a pattern of inputs."""
        if self.is_given:
            return True
        if not texts.input or texts.input == STDIN:
            return False
        return is_several(texts.input) or bool(output.output and output.output.is_dir())

    def check(self, texts: Input, output: Output, *, is_logged: bool) -> Path:
        """The folder to write.

        Raises:
            BadParameter: options that are missing, or would have no effect.
        """
        if output.output is None or (output.output.exists() and not output.output.is_dir()):
            raise typer.BadParameter("many files or shards need --output FOLDER", param_hint="--output")
        if self.finalize:
            if texts.input or texts.text or (self.shards, self.shard, self.workers) != (None, None, None):
                raise typer.BadParameter("--finalize needs --output FOLDER only")
            return output.output
        if texts.text or texts.interactive or not texts.input or texts.input == STDIN:
            raise typer.BadParameter("shards need --input: a file, a folder, a pattern or a URL")
        if self.shard is not None and self.shards is None:
            raise typer.BadParameter("--shard I needs --shards N, the same for all parts")
        if self.shard is not None and (self.workers or self.executor != "local"):
            raise typer.BadParameter("--shard computes one part in this process: no --workers, no --executor")
        if output.format == "table":
            raise typer.BadParameter("parts are jsonl, csv or parquet", param_hint="--format")
        if output.formula_safe and output.format != "csv":
            raise typer.BadParameter("--formula-safe belongs to --format csv")
        if is_logged:
            raise typer.BadParameter("--wandb logs predictions of one file, not of shards")
        return output.output


@dataclass(frozen=True)
class Decision:
    """How the model is run, and how its probabilities become labels; as `Predictor.load` takes it."""

    top_k: Annotated[
        int | None,
        setting_option(
            "--top-k",
            "thresholds.top_k",
            help="Maximum number of labels per text, and of probabilities in tables and JSON.",
        ),
    ] = None
    taxonomy: Annotated[
        TaxonomyName | None,
        setting_option(
            "--taxonomy",
            "data.taxonomy",
            help="Merge GoEmotions labels to these groups, with thresholds fitted on val.",
        ),
    ] = None
    calibrated: opt.CalibratedOpt = False
    threshold: opt.ThresholdOpt = None
    threshold_rule: opt.ThresholdRuleOpt = None
    precision: Annotated[
        Precision,
        opt.choice(Precision, "--precision", help="bf16 is faster and less exact; recorded in every row."),
    ] = "fp32"
    device: opt.DeviceOpt = "auto"
    engine: opt.EngineOpt = "auto"
