"""goemo sweep."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands._console import Console
from goemo_cli.commands._progress import Screen
from goemo_cli.commands._typer import Group, Typer
from goemo_cli.core.hints import command_line
from goemo_cli.core.layout import Layout

Target = Literal["wandb"]
Format = Literal["table", "md", "csv", "json"]


class _RunByDefault(Group):
    """`goemo sweep FILE` is `goemo sweep run FILE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `run` before what names no subcommand."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["run", *args]
        return super().parse_args(ctx, args)


sweep = Typer(cls=_RunByDefault)

FileArg = Annotated[Path, typer.Argument(help="YAML in W&B's sweep syntax.", metavar="FILE")]
NameArg = Annotated[str, typer.Argument(help="A sweep below output/sweeps/.", metavar="NAME")]
TrialsOpt = Annotated[
    int | None,
    typer.Option(
        "--trials",
        min=1,
        help="Number of trials of the whole sweep. [default: run_cap of the file, else all of a grid, else 20]",
        metavar="N",
    ),
]
CountOpt = Annotated[
    int | None, typer.Option("--count", min=1, help="Maximum number of trials in this call.", metavar="N")
]
WorkersOpt = Annotated[
    int, typer.Option("--workers", min=1, help="Trainings at a time; they share the cores.", metavar="N")
]
SweepNameOpt = Annotated[
    str | None, typer.Option("--name", help="Name of the sweep. [default: the file's name]", metavar="NAME")
]
StorageOpt = Annotated[
    str | None,
    typer.Option(
        "--storage",
        help="URL of a database for the study, instead of a journal in the sweep's folder.",
        metavar="URL",
    ),
]
EmitOpt = Annotated[
    Target | None, opt.choice(Target, "--emit", help="Print the file for `wandb sweep`, and stop.")
]
WandbOpt = Annotated[
    bool,
    typer.Option("--wandb", help="Search on W&B: create the sweep there and run an agent for --count runs."),
]
FormatOpt = Annotated[Format, opt.choice(Format, "--format", help="Format of the table.")]


@sweep.callback()
def _sweep() -> None:
    """Search for good settings.

    A file in W&B's sweep syntax says which settings and how: goemo sweep FILE.

    Examples:
        goemo sweep configs/sweep/minilm-quick.yaml --trials 12 --workers 2
        goemo sweep best minilm-quick
    """


@sweep.command("run")
def run(
    file: FileArg,
    trials: TrialsOpt = None,
    count: CountOpt = None,
    workers: WorkersOpt = 1,
    name: SweepNameOpt = None,
    executor: opt.ExecutorOpt = "local",
    storage: StorageOpt = None,
    emit: EmitOpt = None,
    wandb: WandbOpt = False,
    dry_run: opt.DryRunOpt = False,
    *,
    common: opt.CommonNewRoot,
) -> None:
    """Run a sweep, or continue it.

    Several processes may run the same sweep, also on other machines.

    Examples:
        goemo sweep configs/sweep/minilm-quick.yaml --trials 12 --workers 2
    """
    if wandb and (storage or workers > 1 or executor != "local"):
        raise typer.BadParameter(
            "--wandb searches on W&B: --storage, --workers and --executor are for a local search"
        )
    out = common.console()
    config = _read(out, file, name, common.layout)
    if emit:
        _emit(out, config)
    elif dry_run:
        _plan(out, config, trials)
    elif wandb:
        _search_on_wandb(out, config, common.layout, trials=trials, count=count)
    else:
        how = {"trials": trials, "count": count, "workers": workers, "executor": executor}
        _search(out, config, common.layout, **how, storage=storage)


@sweep.command("show")
def show(
    name: NameArg,
    form: FormatOpt = "table",
    storage: StorageOpt = None,
    root: opt.RootOpt = Path(),
) -> None:
    """Show every trial of a sweep, the best first.

    Examples:
        goemo sweep show minilm-quick --format md
    """
    result = _open(name, root, storage)
    _print(result, result.ranked(), form, f"Sweep {name}")


@sweep.command("best")
def best(
    name: NameArg,
    form: FormatOpt = "table",
    storage: StorageOpt = None,
    root: opt.RootOpt = Path(),
) -> None:
    """Show the best trial of a sweep.

    With several objectives: all trials that no other one beats.

    Examples:
        goemo sweep best minilm-quick --format json
    """
    result = _open(name, root, storage)
    trials, title = [result.require_best()], f"Best of {name}"
    if len(result.objectives) > 1:
        trials, title = [one for one in result.ranked() if one in result.front], f"Pareto front of {name}"
    _print(result, trials, form, title)
    Console().hint(command_line("goemo train --config", result.folder / "best.yaml", root=root))


def _read(out: Console, file: Path, name: str | None, layout: Layout) -> Any:
    """The sweep in a file, with warnings about parts that have another meaning here or no effect."""
    from goemo_cli.services.sweep.plan import useless_parameters
    from goemo_cli.services.sweep.sweep_file import read_sweep_file

    config = read_sweep_file(file, name=name)
    for doubt in config.doubts:
        out.warn(doubt)
    if useless := useless_parameters(config, layout):
        out.warn(useless)
    if config.ignored:
        out.note(f"Not used here, since goemo trains: {', '.join(config.ignored)}")
    return config


def _search(out: Console, config: Any, layout: Layout, **options: Any) -> None:
    _require_optuna()
    from goemo_cli.core.errors import TrainingFailedError
    from goemo_cli.services.sweep import sweep as search
    from goemo_cli.services.sweep.plan import total_trials

    with Screen(out) as screen:
        result = search(config, layout=layout, **options, on_event=screen)
    _conclude(out, result, layout, options["storage"])
    states = {one.state for one in result.trials}
    if states == {"failed"} and len(result.trials) >= total_trials(config, options["trials"]):
        raise TrainingFailedError(f"all {len(result.trials):,} trials of sweep {config.name} failed")


def _search_on_wandb(
    out: Console, config: Any, layout: Layout, *, trials: int | None, count: int | None
) -> None:
    from goemo_cli.services.sweep.plan import total_trials
    from goemo_cli.services.sweep.wandb_file import sweep_on_wandb

    runs = count or total_trials(config, trials)
    with Screen(out) as screen:
        id = sweep_on_wandb(config, layout=layout, count=runs, on_event=screen)
    out.result(f"Ran sweep {id} on W&B", sweep=id)


def _require_optuna() -> None:
    from importlib.util import find_spec

    from goemo_cli.core.errors import MissingPackageError

    if find_spec("optuna") is None:
        raise MissingPackageError("optuna", "sweep", "goemo sweep")


def _open(name: str, root: Path, storage: str | None) -> Any:
    _require_optuna()
    from goemo_cli.services.sweep import open_sweep

    return open_sweep(name, layout=Layout(root), storage=storage)[0]


def _emit(out: Console, config: Any) -> None:
    from goemo_cli.services.sweep.wandb_file import wandb_content, wandb_text

    if out.as_json:
        out.result("", **wandb_content(config, ("goemo",)))
    else:
        out.text(wandb_text(config).rstrip("\n"))


def _plan(out: Console, config: Any, trials: int | None) -> None:
    from goemo_cli.services.sweep.plan import plan_of

    plan = plan_of(config, trials)
    out.table(
        f"Sweep {config.name}: {config.method}",
        ["setting", "distribution", "values"],
        [[one.name, one.distribution, one.shown()] for one in config.parameters],
    )
    out.result("Plan (nothing was written)", **plan)


def _conclude(out: Console, result: Any, layout: Layout, storage: str | None) -> None:
    rows = result.ranked() if out.as_json else result.ranked()[:10]
    if not out.as_json:
        _table(out, result, rows, f"Trials of {result.name}, the best first")
    found = result.best
    out.result(
        f"Sweep {result.name}: {len([one for one in result.trials if one.is_over])} trials",
        finished=result.count("finished"),
        pruned=result.count("pruned"),
        failed=result.count("failed"),
        best_trial=found and found.number,
        best=found and dict(found.values),
        settings=found
        and (
            dict(found.settings)
            if out.as_json
            else {one: _cell(value) for one, value in found.settings.items()}
        ),
        folder=result.folder,
        **({"trials": result.rows()} if out.as_json else {}),
    )
    if found:
        out.hint(
            command_line("goemo train --config", result.folder / "best.yaml", root=layout.root),
            command_line("goemo sweep show", result.name, *_storage_option(storage), root=layout.root),
        )


def _storage_option(storage: str | None) -> list[str]:
    """The option for a hint, without the password."""
    if storage is None:
        return []
    from goemo_cli.services.sweep.database import url_without_password

    return ["--storage", url_without_password(storage)]


def _print(result: Any, rows: Any, form: str, title: str) -> None:
    by_number = {row["trial"]: row for row in result.rows()}
    records = [by_number[one.number] for one in rows]
    out, columns = Console(), result.columns()
    if form == "table":
        _table(out, result, rows, title)
    elif form == "json":
        typer.echo(json.dumps(records, ensure_ascii=False, indent=2, allow_nan=False, default=str))
    elif form == "csv":
        from goemo_cli.services.data.result_tables import table_text

        typer.echo(table_text(columns, records), nl=False)
    else:
        from goemo_cli.services.report.text import table

        shown = [column for column in columns if any(record[column] is not None for record in records)]
        out.text(table(shown, [[_cell(record[one]) for one in shown] for record in records]))


def _table(out: Console, result: Any, rows: Any, title: str) -> None:
    searched = result.searched
    aims = [one.name for one in result.objectives]
    state = ["state"] if any(one.state != "finished" or one.duplicate_of is not None for one in rows) else []
    why = ["reason"] if any(one.reason for one in rows) else []
    out.table(
        title,
        ["trial", *state, *aims, *(name.rpartition(".")[2] for name in searched), "seconds", *why],
        [
            [
                one.number,
                *([one.state if one.duplicate_of is None else f"as {one.duplicate_of}"] if state else []),
                *(one.values.get(aim) for aim in aims),
                *(_cell(one.settings.get(name)) for name in searched),
                one.seconds and round(one.seconds),
                *([one.reason or ""] if why else []),
            ]
            for one in rows
        ],
    )


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value).replace("|", "\\|").replace("\n", " ")
