"""goemo predict."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands import _predict_options as own
from goemo_cli.commands import _settings as flag
from goemo_cli.commands._console import Console

if TYPE_CHECKING:
    from goemo_cli.services.predicting.predictor import BatchStatistics, Predictor
    from goemo_cli.services.predicting.sources import TextSource
    from goemo_cli.services.predicting.stream import Sample

_FORMATS = ("table", "jsonl", "csv", "parquet")


def predict(
    text: own.TextsArg = None,
    checkpoint: opt.OptionalCheckpointOpt = None,
    input: own.InputOpt = None,
    output: own.OutputOpt = None,
    text_column: own.TextColumnOpt = None,
    data_format: own.DataFormatOpt = None,
    encoding: own.EncodingOpt = None,
    format: own.FormatOpt = None,
    top_k: own.TopKOpt = None,
    taxonomy: own.TaxonomyOpt = None,
    calibrated: own.CalibratedOpt = False,
    threshold: opt.ThresholdOpt = None,
    threshold_rule: opt.ThresholdRuleOpt = None,
    precision: own.PrecisionOpt = "fp32",
    device: opt.DeviceOpt = "auto",
    interactive: own.InteractiveOpt = False,
    wandb: flag.WandbOpt = None,
    wandb_project: flag.WandbProjectOpt = None,
    wandb_entity: flag.WandbEntityOpt = None,
    wandb_mode: flag.WandbModeOpt = None,
    root: opt.RootOpt = Path(),
    as_json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
) -> None:
    """Predict labels of any text, by default with the best run (@best).

    Example: goemo predict --input comments.csv --text-column body --output predicted.csv
    """
    shape = _output_format(output, format, as_json=as_json)
    writes = bool(output or format or as_json or wandb or wandb_project or wandb_entity or wandb_mode)
    _check_inputs(text, input, text_column or data_format or encoding, interactive, is_plain=not writes)
    out = Console(as_json=as_json, quiet=quiet, output=output)

    from goemo_cli.commands._progress import Screen
    from goemo_cli.core.layout import Layout
    from goemo_cli.services.runs.references import open_run

    opened = open_run(
        checkpoint or "@best", Layout(root), Screen(out)
    )  # a wrong name fails here, before torch loads
    mirror = _mirror_config(wandb, wandb_project, wandb_entity, wandb_mode)

    def load() -> "Predictor":
        from goemo_cli.services.predicting.predictor import Predictor

        with Screen(out) as screen:
            predictor = Predictor.load(
                opened,
                device=device,
                precision=precision,
                calibrated=calibrated,
                taxonomy=taxonomy,
                threshold=threshold,
                threshold_rule=threshold_rule,
                top_k=top_k,
                on_event=screen,
            )
        out.note(f"Predicting with {opened.run}")
        return predictor

    if interactive:
        from goemo_cli.commands._predict_terminal import converse

        converse(out, load(), top_k)
        return

    from goemo_cli.services.predicting.sources import given_texts, open_texts

    if text:
        _predict(out, given_texts(text), load, shape, output, top_k, mirror, root)
        return
    with open_texts(
        input or "-",
        stdin=sys.stdin.buffer,
        format=data_format,
        encoding=encoding,
        text_column=text_column,
    ) as source:
        _predict(out, source, load, shape, output, top_k, mirror, root)


def _predict(
    out: Console,
    source: "TextSource",
    load: Any,
    shape: str,
    output: Path | None,
    top_k: int | None,
    mirror: Any,
    root: Path,
) -> None:
    """Read, predict, write, say what came out."""
    from goemo_cli.services.predicting.stream import Sample, require_other_file

    if output:
        require_other_file(source, output)
    source = source.begun()  # a broken first row fails here, before torch loads
    predictor = load()
    sample = Sample() if mirror else None
    if output:
        statistics = _to_file(out, predictor, source, output, shape, top_k, sample)
    elif shape == "table":
        from goemo_cli.commands._predict_terminal import show_tables

        statistics = show_tables(out, predictor, source, top_k, sample)
    else:
        statistics = _to_stdout(out, predictor, source, shape, top_k, sample)
    if mirror and sample:
        _mirror(out, predictor, statistics, sample, mirror, root)
    if not output:
        out.note(_summary(statistics))


def _to_file(
    out: Console,
    predictor: "Predictor",
    source: "TextSource",
    output: Path,
    shape: Any,
    top_k: int | None,
    sample: "Sample | None",
) -> "BatchStatistics":
    from goemo_cli.commands._progress import Screen
    from goemo_cli.services.predicting.predictor import facts_of
    from goemo_cli.services.predicting.stream import predict_to_file

    with Screen(out) as screen:
        statistics = predict_to_file(
            predictor, source, output, format=shape, most=top_k, sample=sample, on_event=screen
        )
    facts = facts_of(predictor) if out.as_json else {"run": str(predictor.run)}
    shown = statistics.facts() if out.as_json else {"statistics": _summary(statistics)}
    out.result("Wrote predictions", path=output, format=shape, **facts, **shown)
    return statistics


def _to_stdout(
    out: Console,
    predictor: "Predictor",
    source: "TextSource",
    shape: Any,
    top_k: int | None,
    sample: "Sample | None",
) -> "BatchStatistics":
    from goemo_cli.commands._progress import Screen
    from goemo_cli.core.events import ignore
    from goemo_cli.services.predicting.stream import predict_stream
    from goemo_cli.services.predicting.writers import text_writer

    stream = sys.stdout.buffer
    with Screen(out) as screen, text_writer(stream, shape, source, predictor, most=top_k) as write:
        # A bar among the rows of a terminal would be in their way.
        on_event = ignore if sys.stdout.isatty() else screen
        return predict_stream(predictor, source, write, sample=sample, on_event=on_event)


def _output_format(output: Path | None, format: str | None, *, as_json: bool) -> str:
    """table, jsonl, csv, parquet, or json: one document."""
    if format is not None and format not in _FORMATS:
        raise typer.BadParameter(f"{format}: known are {', '.join(_FORMATS)}", param_hint="--format")
    if output:
        from goemo_cli.services.predicting.formats import BY_SUFFIX

        shape = format or BY_SUFFIX.get(output.suffix.lower())
        if shape is None or shape == "table":
            raise typer.BadParameter(
                f"{output}: a file ends in {', '.join(BY_SUFFIX)}, or has --format jsonl, csv or parquet",
                param_hint="--output",
            )
        return shape
    if as_json and format:
        raise typer.BadParameter("--json is a format already: leave out --format, or name an --output FILE")
    if format == "parquet":
        raise typer.BadParameter("parquet needs --output FILE", param_hint="--format")
    return "json" if as_json else format or ("table" if sys.stdout.isatty() else "jsonl")


def _check_inputs(
    text: list[str] | None,
    input: str | None,
    of_input: str | None,
    interactive: bool,
    *,
    is_plain: bool,
) -> None:
    if bool(text) + bool(input) + interactive > 1:
        raise typer.BadParameter("give texts, --input FILE or --interactive: one of them")
    if interactive and not is_plain:
        raise typer.BadParameter(
            "--interactive answers on the terminal: no --output, --format, --json or --wandb"
        )
    if (text or interactive) and of_input:
        raise typer.BadParameter("--text-column, --data-format and --encoding belong to --input")
    if not (text or input or interactive) and sys.stdin.isatty():
        raise typer.BadParameter("nothing to predict: give texts, --input FILE or --interactive")


def _mirror_config(wandb: bool | None, project: str | None, entity: str | None, mode: str | None) -> Any:
    """Settings of the W&B run; None if predictions are not logged."""
    if wandb is False or not (wandb or project or entity or mode):
        return None
    from goemo_cli.services.predicting.log_to_wandb import mirror_config

    return mirror_config(project=project, entity=entity, mode=mode)


def _mirror(
    out: Console,
    predictor: "Predictor",
    statistics: "BatchStatistics",
    sample: "Sample",
    config: Any,
    root: Path,
) -> None:
    from goemo_cli.commands._progress import Screen
    from goemo_cli.services.predicting.log_to_wandb import mirror_predictions

    with Screen(out) as screen:
        mirror_predictions(predictor, statistics, sample, config, root=root, on_event=screen)


def _summary(statistics: "BatchStatistics") -> str:
    confidence = statistics.mean_confidence
    parts = [
        f"{statistics.texts:,} text{'' if statistics.texts == 1 else 's'}",
        *([f"mean confidence {confidence:.3f}"] if confidence is not None else []),
        f"{statistics.unlabelled:,} without a label",
        *([f"{statistics.cut:,} longer than the model reads"] if statistics.cut else []),
    ]
    return ", ".join(parts)
