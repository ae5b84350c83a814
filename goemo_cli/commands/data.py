"""goemo data."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands._console import Console
from goemo_cli.commands._progress import Screen
from goemo_cli.commands._settings import AuditSettings, StatsSettings
from goemo_cli.commands._tables import markdown_section
from goemo_cli.commands._typer import Typer
from goemo_cli.core.hints import command_line
from goemo_cli.core.labels import SPLITS
from goemo_cli.core.schema import ListedKind

if TYPE_CHECKING:
    from goemo_cli.services.audit.audit import AuditResult
    from goemo_cli.services.audit.statistics import DataStatistics, Lengths

data = Typer()
Format = Literal["table", "md", "json"]
KINDS = get_args(ListedKind)


def _kinds(names: list[str] | None) -> list[str] | None:
    for name in names or ():
        if name not in KINDS:
            raise typer.BadParameter(f"{name!r} is not a kind: {', '.join(KINDS)}")
    return names


@data.callback()
def _data() -> None:
    """Download GoEmotions, and examine any data.

    Examples:
        goemo data download
        goemo data stats --data mine.csv
        goemo data audit --data mine.csv
    """


@data.command("download")
def download(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder to put it in. [default: the user's cache]",
            metavar="DIR",
            callback=opt.output_folder,
        ),
    ] = None,
    as_json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
) -> None:
    """Download the GoEmotions files.

    Their hashes are verified, and their folder is printed. Files that are already there and intact are not downloaded again. GOEMO_DATA_URL names a mirror.

    Examples:
        goemo data download --output data/goemotions
    """
    from goemo_cli.services.data.download import fetch_goemotions

    out = Console(as_json=as_json, quiet=quiet)
    with Screen(out) as screen:
        folder = fetch_goemotions(output, on_event=screen)
    out.result("GoEmotions is here", folder=folder)
    out.hint(command_line("goemo train --data goemotions --data-dir", folder))


@data.command("stats")
def stats(
    *,
    settings: StatsSettings,
    top: Annotated[
        int, typer.Option("--top", min=0, help="Number of pairs of labels that occur together.", metavar="N")
    ] = 10,
    shape: Annotated[
        Format | None, opt.choice(Format, "--format", help="Format of standard output.", default="table")
    ] = None,
    common: opt.Common,
) -> None:
    """Count the rows, labels and lengths of a data set.

    Nothing is written. Tokens are counted if the tokenizer of the model is on this machine.

    Examples:
        goemo data stats --data goemotions
        goemo data stats --data mine.csv --text-column body --format md
    """
    out = common.console(shape=shape)
    from goemo_cli.services.audit.statistics import data_statistics
    from goemo_cli.services.data.find import load_data
    from goemo_cli.services.training.settings import resolve_settings

    with Screen(out) as screen:
        config = resolve_settings(None, settings, layout=common.layout, on_event=screen)
        loaded = load_data(config.data, root=common.root, stdin=sys.stdin.buffer, on_event=screen)
        found = data_statistics(loaded, config, top=top, on_event=screen)
    sections = list(_statistics(found))
    if shape == "md":
        out.text("\n\n".join(markdown_section(*section) for section in sections))
        return
    for section in sections:
        out.table(*section)
    out.result(found.source, **(found.document() if out.as_json else {}))


def _statistics(found: "DataStatistics") -> Iterator[tuple[str, list[str], list[list[object]]]]:
    """Title, columns and rows of each table."""
    splits = [found.splits[split] for split in SPLITS]
    facts: dict[str, list[object]] = {
        "rows": [one.rows for one in splits],
        "empty texts": [one.empty for one in splits],
        "repeated texts": [one.repeated for one in splits],
        "labels per text": [f"{one.labels_per_text:.2f}" for one in splits],
        "texts without a label": [one.by_number_of_labels.get(0, 0) for one in splits],
        "characters: median, 95 %, longest": [_lengths(one.characters) for one in splits],
        "words: median, 95 %, longest": [_lengths(one.words) for one in splits],
    }
    if found.tokenizer:
        facts[f"tokens of {found.tokenizer}: median, 95 %, longest"] = [
            _lengths(one.tokens) for one in splits
        ]
        facts[f"longer than {found.max_length} tokens"] = [_percent(one.truncated) for one in splits]
    for leak in found.leaks:
        row: list[object] = [leak.comments if leak.split == split else None for split in SPLITS]
        facts[f"texts also in {leak.other}"] = [
            new if new is not None else old
            for new, old in zip(row, facts.get(f"texts also in {leak.other}", [None] * 3), strict=True)
        ]
    yield f"{found.name}: splits", ["", *SPLITS], [[name, *cells] for name, cells in facts.items()]
    labels: list[list[object]] = [
        [label, *(cell for split in SPLITS for cell in (counts[split], _percent(found.share(label, split))))]
        for label, counts in found.labels.items()
    ]
    columns: list[str] = ["label"]
    for split in SPLITS:
        columns += [split, "share"]
    yield f"{found.name}: texts with each label", columns, labels
    if found.pairs:
        pairs: list[list[object]] = [
            [" + ".join(pair.labels), pair.count, _percent(pair.share), f"{pair.lift:.1f}"]
            for pair in found.pairs
        ]
        columns = ["labels", "texts of train", "share of the rarer", "times chance"]
        yield f"{found.name}: labels that occur together", columns, pairs


def _lengths(lengths: "Lengths | None") -> str:
    return f"{lengths.median:,}, {lengths.p95:,}, {lengths.longest:,}" if lengths else "–"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


@data.command("audit")
def audit(
    *,
    settings: AuditSettings,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            help="A run on this data: its probabilities rate the labels of val, and its test scores are shown with and without rows that are in train.",
            metavar="RUN",
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude",
            help=f"Write the action exclude for rows of train of this kind; may be given several times. [{', '.join(KINDS)}]",
            metavar="KIND",
            callback=_kinds,
        ),
    ] = None,
    max_labels: Annotated[
        int,
        typer.Option(
            "--max-labels",
            min=0,
            help="Rows with doubtful labels that are listed, the worst first.",
            metavar="N",
        ),
    ] = 1000,
    near: Annotated[
        bool, typer.Option("--near/--no-near", help="Look for similar texts too, not only for equal ones.")
    ] = True,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", help="Folder below output/audit/. [default: the name of the data]", metavar="NAME"
        ),
    ] = None,
    common: opt.CommonNewRoot,
) -> None:
    """List the rows of a data set that are worth a look.

    Texts that occur twice, exactly or nearly, within and across splits; texts with different labels; gold labels that are
    probably wrong. Writes a work list (CSV) and a page to output/audit/. The data is not changed: goemo train
    --exclude-audited leaves out the rows of train whose action is exclude.

    Examples:
        goemo data audit --data goemotions
        goemo data audit --data mine.csv --exclude leak --exclude duplicate
        goemo data audit --run @latest
    """
    from goemo_cli.services.runs.references import open_run

    layout, out = common.layout, common.console()
    # A wrong name fails before anything else.
    checkpoint = open_run(run, layout, Screen(out)) if run else None

    from goemo_cli.services.audit.audit import audit_data, audited_settings

    with Screen(out) as screen:
        result = audit_data(
            audited_settings(settings, checkpoint),
            layout=layout,
            checkpoint=checkpoint,
            name=name,
            near=near,
            max_labels=max_labels,
            exclude=[kind for kind in KINDS if kind in (exclude or ())],
            stdin=sys.stdin.buffer,
            on_event=screen,
        )
    _show_audit(out, result)


def _show_audit(out: Console, result: "AuditResult") -> None:
    from goemo_cli.services.data.result_tables import decimal, span
    from goemo_cli.services.data.work_list import MEANINGS

    record, files = result.record, result.files
    rows = [[kind, MEANINGS[kind], *(record.counts[kind][split] for split in SPLITS)] for kind in KINDS]
    out.table(f"Audit of {record.data.name}: rows", ["kind", "meaning", *SPLITS], rows)
    if record.scores:
        from goemo_cli.services.audit.page import SCORED_ROWS

        scores = [
            [SCORED_ROWS[part.rows], part.n]
            + [
                cell
                for key in ("f1_macro", "f1_micro")
                for score in [part.scores.score(key)]
                for cell in (decimal(score.value or 0), span(score.low or 0, score.high or 0))
            ]
            for part in record.scores
        ]
        columns = ["rows", "n", "macro-F1", "95 % interval", "micro-F1", "95 % interval"]
        out.table(f"Test scores of {record.run}", columns, scores)
    values = {"work_list": files.work_list, "page": files.page, "record": files.record}
    more = record.as_json() if out.as_json else {}
    out.result(f"{record.listed:,} rows to look at, {record.excluded:,} excluded", **values, **more)
    if record.excluded:
        out.note(
            "With the same options for the data: "
            + command_line("goemo train --exclude-audited", files.work_list)
        )
    else:
        out.note("To leave out rows of train, write exclude into their column action, or use --exclude KIND")
