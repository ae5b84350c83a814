"""goemo runs: list, compare, pin and remove runs."""

from typing import Annotated

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands._console import Console
from goemo_cli.commands._progress import Screen
from goemo_cli.commands._tables import (
    DIFF_COLUMNS,
    EPOCH_COLUMNS,
    delta_of,
    detail_facts,
    diff_rows,
    epoch_row,
    exact,
    list_columns,
    run_facts,
    run_row,
    score_table,
)
from goemo_cli.commands._typer import Typer
from goemo_cli.core.documents.metrics import Metrics
from goemo_cli.core.hints import command_line, root_option
from goemo_cli.services.data.result_tables import counted, file_size

_SHOWN = 30

runs = Typer()

MetricOpt = Annotated[
    str | None,
    typer.Option(
        "--metric",
        help="A score of val: never of test. [default: val/average_precision_macro]",
        metavar="METRIC",
    ),
]

ModelOpt = Annotated[
    str | None, typer.Option("--model", help="Only runs of this model or family.", metavar="NAME")
]
SortOpt = Annotated[
    str,
    typer.Option(
        "--sort",
        help="newest, oldest, best (as @best), model, seconds, or a score such as val/f1_macro.",
        metavar="KEY",
    ),
]
LimitOpt = Annotated[
    int | None,
    typer.Option(
        "--limit", min=1, help=f"Maximum number of runs. [default: {_SHOWN}; all with --json]", metavar="N"
    ),
]
RemoveOpt = Annotated[bool, typer.Option("--remove", help="Remove the pin.")]
KeepOpt = Annotated[
    int | None,
    typer.Option(
        "--keep",
        min=0,
        help="Remove finished runs beyond the N newest of each model. [default: keep all]",
        metavar="N",
    ),
]
UnfinishedAfterOpt = Annotated[
    float,
    typer.Option(
        "--unfinished-after",
        min=0,
        help="Hours without a change after which an unfinished run counts as killed.",
        metavar="HOURS",
    ),
]
YesOpt = Annotated[bool, typer.Option("--yes", help="Remove; without it, only show what would be removed.")]


@runs.callback()
def _runs() -> None:
    """List, compare, pin and remove runs.

    Examples:
        goemo runs list
        goemo runs show @latest
    """


@runs.command("list")
def list_(
    model: ModelOpt = None,
    sort: SortOpt = "newest",
    limit: LimitOpt = None,
    *,
    common: opt.Common,
) -> None:
    """List the runs, the newest first.

    Examples:
        goemo runs list --sort best --limit 5
    """
    from goemo_cli.services.runs.index import BEST_METRIC, training_progress
    from goemo_cli.services.runs.show import list_runs

    out = common.console()
    most = limit or (None if common.as_json else _SHOWN)
    found = list_runs(common.layout, model=model, sort=sort, limit=most, on_event=Screen(out))
    progress = {one.run: training_progress(one, common.layout) for one in found.runs if not one.is_finished}
    if common.as_json:
        runs = [run_facts(one, found.pinned, progress.get(one.run)) for one in found.runs]
        out.result("", total=found.total, runs=runs)
        return
    if not found.total and model is not None and (known := list_runs(common.layout).runs):
        names = sorted({one.run.model for one in known})
        out.text(f"No runs of {model} in {common.layout.models}; there are runs of {', '.join(names)}")
        return
    if not found.total:
        out.text(f"No runs in {common.layout.models}")
        out.hint(command_line("goemo train", root=common.root))
        return
    metric = sort if "/" in sort else BEST_METRIC
    out.table(
        f"Runs in {common.layout.models}",
        list_columns(metric),
        [run_row(one, found.pinned, metric, progress.get(one.run)) for one in found.runs],
    )
    if found.total > len(found.runs):
        out.note(f"{found.total - len(found.runs):,} more: --limit {found.total}")
    if resumable := [one.run for one in found.runs if one.state == "interrupted"]:
        out.hint(command_line("goemo train --resume", resumable[0], root=common.root))
    out.note(
        "AP is mean average precision, which @best goes by; F1 is macro-F1 by each run's own threshold rule."
    )


def _show_scores(out: Console, metrics: Metrics) -> None:
    for split in ("val", "test"):
        out.table(f"Scores on {split}", *score_table(metrics, split))
        if missing := metrics.split(split).labels_without_positives:
            out.warn(_count_as_zero(missing, split))
    out.table("Epochs", EPOCH_COLUMNS, [epoch_row(epoch) for epoch in metrics.history])


@runs.command("show")
def show(run: opt.RunArg, *, common: opt.Common) -> None:
    """Show one run: scores, epochs, settings, files.

    Examples:
        goemo runs show @latest
    """
    from goemo_cli.services.runs.references import open_run
    from goemo_cli.services.runs.show import describe_run

    out, layout = common.console(), common.layout
    screen = Screen(out)
    details = describe_run(open_run(run, layout, screen), layout=layout, on_event=screen)
    checkpoint, name = details.checkpoint, str(details.checkpoint.run)
    if common.as_json:
        written = {} if checkpoint.is_unscored else checkpoint.metrics.as_json()
        more = {key: written.get(key) for key in ("val", "test", "history")}
        files = {str(path): size for path, size in details.files.items()}
        out.result("", run=name, **detail_facts(details), settings=details.settings, **more, files=files)
        return
    out.result(name, **detail_facts(details))
    if not checkpoint.is_unscored:
        _show_scores(out, checkpoint.metrics)
    out.table(
        "Settings other than the model's defaults",
        ["setting", ""],
        [[name, exact(value)] for name, value in details.settings.items()],
    )
    out.table(
        "Files", ["file", "size"], [[path.name, file_size(size)] for path, size in details.files.items()]
    )
    out.hint(
        f"goemo figures --run {name}{root_option(common.root)}", f"goemo validate{root_option(common.root)}"
    )


@runs.command("best")
def best(
    metric: MetricOpt = None,
    *,
    common: opt.Common,
) -> None:
    """Name the best run by a score of val.

    Among the runs scored on the same comments as the newest. The default is mean average precision: nothing is fitted for it, while thresholds are fitted on val.

    Examples:
        goemo runs best --metric val/auc_micro
    """
    from goemo_cli.services.runs.references import choose_best

    out = common.console()
    chosen = choose_best(common.layout, metric, Screen(out))
    if chosen.left_out:
        out.note(f"{chosen.left_out:,} runs were scored on other comments and do not compare.")
    out.result(
        str(chosen),
        run=str(chosen.run.run),
        path=chosen.run.path,
        data=chosen.run.headline.data,
        metric=chosen.metric,
        value=chosen.run.score(chosen.metric),
    )
    out.hint(f"goemo runs show {chosen.run.run}{root_option(common.root)}")


@runs.command("diff")
def diff(
    first: opt.RunArg,
    second: opt.RunArg,
    *,
    common: opt.Common,
) -> None:
    """Show the differing settings and the scores of two runs.

    Examples:
        goemo runs diff @minilm @best
    """
    from goemo_cli.services.runs.references import open_run
    from goemo_cli.services.runs.show import diff_runs

    out, layout = common.console(), common.layout
    screen = Screen(out)
    found = diff_runs(open_run(first, layout, screen), open_run(second, layout, screen))
    for split in found.other_data:
        out.warn(f"The two were scored on different {split} comments: these scores do not compare.")
    for split, missing in found.without_positives.items():
        out.warn(_count_as_zero(missing, split))
    if common.as_json:
        scores = {name: {"a": a, "b": b, "delta": delta_of(a, b)} for name, (a, b) in found.scores.items()}
        settings = {name: {"a": a, "b": b} for name, (a, b) in found.settings.items()}
        out.result("", a=found.runs[0], b=found.runs[1], settings=settings, scores=scores)
        return
    out.result(
        "The two", a=f"{found.runs[0]}, by {found.rules[0]}", b=f"{found.runs[1]}, by {found.rules[1]}"
    )
    out.table(
        "Settings and training sizes that differ",
        ["setting", "a", "b"],
        [[name, exact(a), exact(b)] for name, (a, b) in found.settings.items()],
    )
    out.table(
        "Scores, F1, precision and recall by each run's own threshold rule", DIFF_COLUMNS, diff_rows(found)
    )
    out.note("Whether a difference is more than chance: goemo compare")


@runs.command("pin")
def pin(
    run: opt.RunArg,
    remove: RemoveOpt = False,
    *,
    common: opt.Common,
) -> None:
    """Pin a run, so that `goemo runs gc` never removes it.

    Examples:
        goemo runs pin @best
    """
    from goemo_cli.services.runs import pins
    from goemo_cli.services.runs.references import open_run

    out, layout = common.console(), common.layout
    is_gone = remove and run in pins.pinned_runs(layout)  # a pin may outlive its run
    name = run if is_gone else str(open_run(run, layout, Screen(out)).run)
    changed = pins.unpin(name, layout=layout) if remove else pins.pin(name, layout=layout)
    said = {(True, True): "Unpinned", (True, False): "Was not pinned:", (False, True): "Pinned"}
    out.result(
        f"{said.get((remove, changed), 'Was pinned already:')} {name}",
        run=name,
        pinned=list(pins.pinned_runs(layout)),
    )


@runs.command("gc")
def gc(
    keep: KeepOpt = None,
    unfinished_after: UnfinishedAfterOpt = 24,
    yes: YesOpt = False,
    *,
    common: opt.Common,
) -> None:
    """Remove killed runs, and with --keep older runs.

    Each with all its files; also leftovers of killed writes. The best of each model by val, pinned runs and members of ensembles are never removed.

    Examples:
        goemo runs gc --keep 3
    """
    from goemo_cli.services.runs.removal import find_removable, remove_planned

    out, layout = common.console(), common.layout
    screen = Screen(out)
    plan = find_removable(layout, keep=keep, unfinished_after=unfinished_after, on_event=screen)
    removed = remove_planned(plan, layout=layout, on_event=screen) if yes else plan.candidates
    rows = [
        [piece.run or piece.path, piece.kind, len(piece.outside), file_size(piece.size)] for piece in removed
    ]
    size = sum(piece.size for piece in removed)
    if rows:
        out.table("Removed" if yes else "Would be removed", ["what", "", "other files", "size"], rows)
    out.result(
        f"{'Freed' if yes else 'Would free'} {file_size(size)}",
        **{
            "removed" if yes else "would_remove": [piece.path for piece in removed]
            if common.as_json
            else len(removed)
        },
        **({"bytes": size, "kept": dict(plan.kept)} if common.as_json else {}),
    )
    if removed and not yes:
        out.hint(
            f"goemo runs gc{f' --keep {keep}' if keep is not None else ''} --yes{root_option(common.root)}"
        )


def _count_as_zero(labels: int, split: str) -> str:
    return f"{counted(labels, 'label')} without a comment in {split} count as 0 in its macro averages."
