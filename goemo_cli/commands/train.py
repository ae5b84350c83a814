"""goemo train."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands._console import Console, readable
from goemo_cli.commands._progress import Screen
from goemo_cli.commands._settings import TrainSettings, with_wandb
from goemo_cli.commands._streams import messages_need_no_reader, print_nothing
from goemo_cli.commands._tables import LABEL_COLUMNS, label_row, score_table
from goemo_cli.core.errors import SettingError
from goemo_cli.core.events import duration, working
from goemo_cli.core.hints import command_line
from goemo_cli.core.layout import Layout
from goemo_cli.core.schema import Executor
from goemo_cli.core.system.variables import launched
from goemo_cli.services.data.result_tables import decimal
from goemo_cli.services.parallel.event_file import with_event_file

if TYPE_CHECKING:
    from goemo_cli.core.checkpoint import Checkpoint
    from goemo_cli.services.training.seeds import SeedsResult

EPOCHS = "training.epochs"
_FALLBACK = "Trained on the embedded sample because GoEmotions was unavailable."
OverridesArg = Annotated[
    list[str] | None,
    typer.Argument(help="Any setting by its name: training.epochs=3", metavar="SECTION.KEY=VALUE"),
]
ConfigOpt = Annotated[Path | None, typer.Option("--config", help="YAML file with settings.", metavar="FILE")]
SeedsOpt = Annotated[
    int | None,
    typer.Option(
        "--seeds", min=2, metavar="N", help="Number of consecutive seeds to train, plus their ensemble."
    ),
]
WorkersOpt = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        metavar="K",
        help="With --seeds: trainings at a time, each in a process with its share of the cores or a GPU. [default: one after the other in one process]",
    ),
]
ResumeOpt = Annotated[
    str | None,
    typer.Option(
        "--resume",
        help="Continue an interrupted run with its settings: its name, its folder or @latest; with --epochs, train a finished run longer, as a new run.",
        metavar="RUN",
    ),
]
AllowChangesOpt = Annotated[
    bool,
    typer.Option(
        "--allow-changes",
        help="With --resume: continue although data, versions or hardware have changed; the result is not exact.",
    ),
]
PrintConfigOpt = Annotated[
    bool, typer.Option("--print-config", help="Print every setting as it would be used, and stop.")
]


def train(
    settings: TrainSettings,
    overrides: OverridesArg = None,
    config: ConfigOpt = None,
    seeds: SeedsOpt = None,
    workers: WorkersOpt = None,
    executor: opt.ExecutorOpt = "local",
    resume: ResumeOpt = None,
    allow_changes: AllowChangesOpt = False,
    dry_run: opt.DryRunOpt = False,
    print_config: PrintConfigOpt = False,
    *,
    common: opt.CommonNewRoot,
) -> None:
    """Train a classifier and save all results.

    Without options: MiniLM on GoEmotions. `--print-config` shows the settings of a model.

    Examples:
        goemo train --model tfidf
        goemo train --model minilm --data goemotions --epochs 3
        goemo train --data mine.csv --text-column body --label-column tags
        goemo train --seeds 3 --workers 3 training.schedule=linear
        goemo train --resume @latest
    """
    from goemo_cli.services.training.settings import resolve_settings

    given = with_wandb(settings)
    if launched()[0]:
        print_nothing()
    out = common.console()
    messages_need_no_reader()
    if resume:
        if resume.startswith("-"):  # the next option was taken for the run
            raise SettingError([f"needs a run, such as @latest, not {resume}"], "--resume")
        _require_alone({name for name in given if name != EPOCHS}, overrides, config, seeds)
        if dry_run or print_config:
            raise SettingError(["are for a new training"], "--dry-run and --print-config")
        how = {"allow_changes": allow_changes, "workers": workers, "executor": executor}
        _resume(out, resume, common.layout, epochs=given.get(EPOCHS), **how)
        return
    if allow_changes:
        raise SettingError(["is for an interrupted run: give --resume RUN"], "--allow-changes")
    require_several(seeds, workers, executor)
    resolved = resolve_settings(config, given, overrides or [], layout=common.layout, on_event=Screen(out))
    if print_config:
        _print_config(out, resolved)
    elif dry_run:
        _plan(out, resolved, common.layout, seeds)
    else:
        run_training(out, resolved, common.layout, seeds, workers=workers, executor=executor)


def require_several(seeds: int | None, workers: int | None, executor: Executor = "local") -> None:
    """Refuse options of several trainings for a single one."""
    if (workers or executor != "local") and not seeds:
        raise SettingError(["are for several trainings: give --seeds N"], "--workers and --executor")


def run_training(
    out: Console,
    settings: Any,
    layout: Layout,
    seeds: int | None,
    *,
    workers: int | None = None,
    executor: Executor = "local",
) -> None:
    """Train with resolved settings, once or with several seeds, and show the results."""
    if seeds and launched()[1] > 1:
        raise SettingError(
            ["trains one seed after the other; with torchrun, start one training per seed"], "--seeds"
        )
    if seeds:
        _train_seeds(out, settings, layout, seeds, workers=workers, executor=executor)
    else:
        _train(out, settings, layout)


def _train(out: Console, settings: Any, layout: Layout) -> None:
    if launched()[0]:
        from goemo_cli.services.training.follow import follow

        follow(settings, layout=layout)
        return
    with Screen(out) as screen:
        on_event = with_event_file(screen)
        with working(on_event, "Starting"):  # torch and transformers need seconds to load
            from goemo_cli.services.parallel.task import group_of_process
            from goemo_cli.services.training.tracking import open_tracker
            from goemo_cli.services.training.train import train as train_model

        tracker = open_tracker(settings, layout=layout, on_event=on_event)
        checkpoint = train_model(
            settings, layout=layout, tracker=tracker, group=group_of_process(), on_event=on_event
        )
    _show_run(out, checkpoint, layout)


def _require_alone(*others: object) -> None:
    if any(others):
        raise SettingError(
            ["takes every setting from the run; give no other setting but --epochs"], "--resume"
        )


def _resume(out: Console, reference: str, layout: Layout, *, epochs: int | None, **how: Any) -> None:
    from goemo_cli.services.training.resume import find_interrupted, longer_training

    if epochs is not None:
        _train(out, longer_training(reference, epochs, layout, Screen(out)), layout)
        return
    folder = find_interrupted(reference, layout)
    if launched()[0]:
        from goemo_cli.services.training.follow import follow_resumed

        follow_resumed(folder, layout=layout)
        return
    with Screen(out) as screen:
        on_event = with_event_file(screen)
        with working(on_event, "Starting"):
            from goemo_cli.services.training.seeds import SeedsResult, resume_run
            from goemo_cli.services.training.tracking import open_tracker

        found = resume_run(
            folder,
            layout=layout,
            open_tracker=partial(open_tracker, layout=layout, on_event=on_event),
            on_event=on_event,
            **how,
        )
    if isinstance(found, SeedsResult):
        _show_seeds(out, found, layout)
    else:
        _show_run(out, found, layout)


def _show_run(out: Console, checkpoint: "Checkpoint", layout: Layout) -> None:
    metrics = checkpoint.metrics
    _show_scores(out, checkpoint)
    if metrics.data.is_fallback:
        out.warn(_FALLBACK)
    files = {
        "checkpoint": checkpoint.path,
        "predictions": layout.split_predictions(checkpoint.run, "test"),
        "best_epoch": metrics.best_epoch,
    }
    memory = (metrics.peak_memory_bytes or 0) // 2**20
    if out.as_json:
        out.result(
            "",
            run=str(checkpoint.run),
            **files,
            training_seconds=round(metrics.training_seconds, 1),
            peak_memory_mib=memory,
            data=metrics.data.as_json(),
            test=metrics.test.as_json(),
        )
        return
    shown = {**files, "training": f"{duration(metrics.training_seconds)}, {memory:,} MiB"}
    out.result(_result_line(checkpoint), **({} if out.quiet else shown))
    out.hint(*_next(checkpoint, layout))


def _result_line(checkpoint: "Checkpoint") -> str:
    scores = checkpoint.metrics.test_rule
    own = f"micro-F1 {decimal(scores.f1_micro)}"
    if checkpoint.rules.is_single_label:
        own = f"accuracy {decimal(scores.subset_accuracy)}"
    return f"Trained {checkpoint.run}: macro-F1 {decimal(scores.f1_macro)}, {own} on test"


def _next(checkpoint: "Checkpoint", layout: Layout) -> list[str]:
    """What people do after a training."""
    from goemo_cli.services.runs.index import listed_runs

    run, root = checkpoint.run, layout.root
    data = checkpoint.metrics.data.split_sha256.test
    others = [
        str(listed.run)
        for listed in listed_runs(layout)
        if listed.is_finished and listed.run != run and listed.headline.test_sha256 == data
    ]
    return [
        command_line("goemo predict --checkpoint", run, "thank you!", root=root),
        command_line("goemo errors", run, root=root),
        command_line("goemo report", run, "--open", root=root),
        *(command_line("goemo compare", other, run, root=root) for other in others[-1:]),
    ]


def _train_seeds(
    out: Console, settings: Any, layout: Layout, seeds: int, *, workers: int | None, executor: Executor
) -> None:
    with Screen(out) as screen:
        with working(screen, "Starting"):
            from goemo_cli.services.training.seeds import train_seeds
            from goemo_cli.services.training.tracking import open_tracker

        result = train_seeds(
            settings,
            seeds,
            layout=layout,
            open_tracker=partial(open_tracker, layout=layout, on_event=screen),
            workers=workers,
            executor=executor,
            on_event=screen,
        )
    _show_seeds(out, result, layout)


def _show_seeds(out: Console, result: "SeedsResult", layout: Layout) -> None:
    seeds = len(result.runs)
    _show_scores(out, result.ensemble)
    shown = ("f1_macro", "f1_micro", "auc_micro", "auc_macro", "subset_accuracy")
    rows = [
        [key, *(row[column] for column in ("mean", "sd", "min", "max", "ensemble"))]
        for key in shown
        for row in result.spread
        if row["metric"] == f"test/{key}"
    ]
    if not out.quiet:
        out.table(f"{seeds} seeds, test", ["", "mean", "sd", "min", "max", "ensemble"], rows)
    if result.ensemble.metrics.data.is_fallback:
        out.warn(_FALLBACK)
    values = {
        "runs": [str(run.run) for run in result.runs],
        "ensemble": str(result.ensemble.run),
        "checkpoint": result.ensemble.path,
        "summary": result.summary,
        **({"spread": result.spread} if out.as_json else {}),
    }
    line = f"{_result_line(result.ensemble)}, the ensemble of {seeds} seeds"
    out.result(line, **({} if out.quiet and not out.as_json else values))
    out.hint(*_next(result.ensemble, layout))


def _show_scores(out: Console, checkpoint: "Checkpoint") -> None:
    """The tables at the end of a run: every threshold rule, then the best and worst labels; none with --quiet."""
    if out.quiet:
        return
    metrics, test = checkpoint.metrics, checkpoint.metrics.test
    out.table(
        f"Test scores of {metrics.run}  (AUC micro {readable(test.auc_micro)}, macro {readable(test.auc_macro)})",
        *score_table(metrics, "test"),
        footnote=_footnote(checkpoint),
    )
    ranked = sorted(metrics.per_class, key=lambda row: -row.f1_score)
    out.table(
        "Best and worst labels",
        LABEL_COLUMNS,
        [label_row(row.as_json()) for row in [*ranked[:5], *ranked[5:][-5:]]],
    )


def _footnote(checkpoint: "Checkpoint") -> str:
    """What the star means, and the thresholds of the run."""
    own = "* the run's own rule"
    if checkpoint.rules.is_single_label:
        return f"{own}: the most probable label"
    fitted, rule = checkpoint.thresholds, checkpoint.rules.rule
    if rule != "per_label":
        return f"{own}: the threshold {checkpoint.rules.decision().threshold_of(0):g} for all labels"
    order = fitted.per_label.argsort()
    ends = [f"{fitted.per_label[at]:.2f} ({fitted.labels[at]})" for at in (order[0], order[-1])]
    return f"{own}: thresholds {ends[0]} to {ends[1]}, from val"


def _print_config(out: Console, settings: Any) -> None:
    from goemo_cli.services.training.settings import enough_texts

    if enough := enough_texts(settings):
        out.note(
            f"With fewer than {enough:,} training texts, epochs, batch size, learning rate and patience are others: --dry-run shows them"
        )
    if out.as_json:
        out.result("", **settings.model_dump(mode="json"))
    else:
        out.text(settings.to_yaml())


def _plan(out: Console, settings: Any, layout: Layout, seeds: int | None) -> None:
    with Screen(out) as screen:
        with working(screen, "Starting"):
            from goemo_cli.services.training.dry_run import plan_training

        plan = plan_training(settings, layout=layout, on_event=screen)
    if not out.as_json:
        out.text(plan.config.to_yaml())
    out.result("Plan (nothing was written)", **({"runs": seeds} if seeds else {}), **plan.values())
