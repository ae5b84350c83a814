"""goemo compare."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands._console import Console
from goemo_cli.commands._progress import Screen
from goemo_cli.commands._tables import exact, markdown_section
from goemo_cli.core.schema import SIGNIFICANCE_COLUMNS, ComparedScore
from goemo_cli.services.data.result_tables import decimal, table_text

if TYPE_CHECKING:
    from goemo_cli.services.evaluation.compare import Comparison

Format = Literal["table", "md", "csv", "json"]

RunsArg = Annotated[list[str], typer.Argument(help=f"Two or more. Each is: {opt.RUN_OR_FILE}", metavar="RUN")]
MetricOpt = Annotated[
    ComparedScore, opt.choice(ComparedScore, "--metric", help="The score that the verdict is about.")
]
ResamplesOpt = Annotated[
    int,
    typer.Option("--resamples", min=100, max=1_000_000, help="Draws of rows, with replacement.", metavar="N"),
]
SeedOpt = Annotated[int, typer.Option("--seed", min=0, help="Random seed of the draws.", metavar="N")]
FormatOpt = Annotated[
    Format | None, opt.choice(Format, "--format", help="Format of standard output.", default="table")
]


def compare(
    references: RunsArg,
    split: opt.SplitOpt = None,
    metric: MetricOpt = "f1_macro",
    resamples: ResamplesOpt = 10_000,
    seed: SeedOpt = 0,
    shape: FormatOpt = None,
    *,
    common: opt.Common,
) -> None:
    """Test whether runs differ by more than chance.

    Each is compared with the first, on the same rows. Paired bootstrap with 95 % intervals and corrected p-values, for all rows and for each emotion; written to
    artifacts/stats/significance_tests.csv.

    Examples:
        goemo compare @minilm @tfidf
    """
    if len(references) < 2:
        raise typer.BadParameter("give two or more runs or predictions files", param_hint="RUN")
    out = common.console(shape=shape)
    if split == "train":
        raise typer.BadParameter("test or val: runs save no predictions of train", param_hint="--split")
    from goemo_cli.services.evaluation.compare import compare as compare_models

    with Screen(out) as screen:
        found = compare_models(
            references, layout=common.layout, split=split, resamples=resamples, seed=seed, on_event=screen
        )
    _say(found, metric, shape, out)


def _say(found: "Comparison", metric: str, shape: Format | None, out: Console) -> None:
    verdicts = found.verdicts(metric)
    if shape == "csv":
        out.text(table_text(SIGNIFICANCE_COLUMNS, found.rows).rstrip("\n"))
        out.note("\n".join(verdicts))
    elif shape == "md":
        out.text("\n\n".join([*verdicts, *(markdown_section(*section) for section in _sections(found))]))
    else:
        for section in _sections(found):
            out.table(*section)
        details: dict[str, Any] = {"emotions": [_emotions(pair) for pair in found.pairs]}
        if out.as_json:
            details = {"metric": metric, "verdicts": verdicts, "rows": found.rows}
            details["differing"] = [_named_pair(pair) for pair in found.differing]
        out.result("\n".join(verdicts), path=found.path, **details)


def _sections(found: "Comparison") -> Iterator[tuple[str, list[str], list[list[object]]]]:
    """For each pair: title, columns and rows of its scores, its emotions, its agreement, and what its runs differ in."""
    tested = ["A", "B", "B - A", "95 % interval", "p", "better"]
    for pair, differing in zip(found.pairs, found.differing, strict=True):
        a, b = (f"{side} = {pair[0][side.lower()]}" for side in "AB")
        scores = [[row["metric"], *_cells(row)] for row in pair if not row["emotion"]]
        yield f"Scores on {pair[0]['n_examples']:,} rows: {a}, {b}", ["score", *tested], scores
        emotions = [[row["emotion"], *_cells(row)] for row in pair if row["emotion"]]
        yield (
            f"F1 of each emotion (p corrected for {pair[-1]['family_size']} tests): {a}, {b}",
            ["emotion", *tested],
            emotions,
        )
        yield f"Agreement: {a}, {b}", ["", "value"], _agreement(pair[0])
        if differing:
            settings = [[name, *map(exact, values)] for name, values in differing.items()]
            yield f"Settings and training sizes that differ: {a}, {b}", ["", "A", "B"], settings


def _named_pair(differing: Mapping[str, tuple[Any, Any]] | None) -> dict[str, dict[str, Any]] | None:
    return None if differing is None else {name: {"a": a, "b": b} for name, (a, b) in differing.items()}


def _cells(row: Mapping[str, Any]) -> list[object]:
    """Narrow enough for a terminal of 80 columns."""
    from goemo_cli.services.data.result_tables import p_text

    difference = None if row["difference"] is None else decimal(row["difference"], 3, sign="+")
    ends = (row["ci_low"], row["ci_high"])
    interval = None if None in ends else " ".join(f"{end:+.3f}" for end in ends)
    better = {None: None, "a": "A", "b": "B"}.get(row["better"], "neither")
    return [row["a_value"], row["b_value"], difference, interval, p_text(row["p_holm"]), better]


def _agreement(row: Mapping[str, Any]) -> list[list[object]]:
    from goemo_cli.services.data.result_tables import p_text

    return [
        ["rows with equal label sets", f"{row['equal_rows']:.1%}"],
        ["Cohen's kappa, mean over emotions", row["cohen_kappa"]],
        ["rows with all labels right in A only", row["only_a_right"]],
        ["rows with all labels right in B only", row["only_b_right"]],
        ["p that they are equally many (McNemar)", p_text(row["mcnemar_p"])],
    ]


def _emotions(pair: Sequence[Mapping[str, Any]]) -> str:
    found = [row["better"] for row in pair if row["emotion"]]
    a, b = found.count("a"), found.count("b")
    return f"A better at {a}, B better at {b}, not distinguishable at {len(found) - a - b}"
