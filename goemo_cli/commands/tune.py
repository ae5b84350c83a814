"""goemo tune."""

from pathlib import Path
from typing import Annotated, Any

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands._console import Console


def tune(
    checkpoint: opt.OptionalCheckpointOpt = None,
    predictions: opt.PredictionsOpt = None,
    objective: Annotated[
        str | None, typer.Option("--objective", help="f1_macro or f1_micro.", show_default=False)
    ] = None,
    beta: Annotated[
        float | None,
        typer.Option("--beta", help="Maximise F-beta instead: recall counts beta times.", show_default=False),
    ] = None,
    precision_floor: Annotated[
        float | None,
        typer.Option(
            "--precision-floor", help="Most recall with at least this precision.", show_default=False
        ),
    ] = None,
    recall_floor: Annotated[
        float | None,
        typer.Option("--recall-floor", help="Most precision with at least this recall.", show_default=False),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            "--rule",
            help="What labels follow: per_label, global, fixed_0.5 or fixed_0.3.",
            show_default=False,
        ),
    ] = None,
    shrinkage: Annotated[
        float | None,
        typer.Option(
            "--shrinkage",
            help="Val positives at which a label's own best and the global threshold count the same.",
            show_default=False,
        ),
    ] = None,
    never_empty: Annotated[
        bool | None,
        typer.Option(
            "--never-empty/--may-be-empty",
            help="Give a comment above no threshold its most probable label.",
            show_default=False,
        ),
    ] = None,
    top_k: Annotated[
        int | None, typer.Option("--top-k", help="Maximum number of labels per comment.", show_default=False)
    ] = None,
    root: opt.RootOpt = Path(),
    as_json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
) -> None:
    """Fit thresholds again, on val only; needs no model.

    With --checkpoint the run's labels, scores, card and summaries follow. What is not given stays as the run has it.

    Example: goemo tune --checkpoint @latest --precision-floor 0.6
    """
    if (checkpoint is None) == (predictions is None):
        raise typer.BadParameter("give either --checkpoint RUN or --predictions VAL.csv")
    changes = _changes(
        {"rule": rule, "shrinkage": shrinkage, "never_empty": never_empty, "top_k": top_k},
        {
            "objective": objective,
            "beta": beta,
            "precision_floor": precision_floor,
            "recall_floor": recall_floor,
        },
    )

    from goemo_cli.commands._progress import Screen
    from goemo_cli.core.layout import Layout
    from goemo_cli.core.settings import ThresholdSettings
    from goemo_cli.services.runs.references import open_run

    layout, out = Layout(root), Console(as_json=as_json, quiet=quiet)
    opened = open_run(checkpoint, layout, Screen(out)) if checkpoint else None

    from goemo_cli.services.evaluation.tune import changed_settings, tune_predictions, tune_run

    with Screen(out) as screen:
        if opened:
            settings = changed_settings(opened.config.thresholds, changes)
            result = tune_run(opened, settings, layout=layout, on_event=screen)
        else:
            settings = changed_settings(ThresholdSettings(), changes)
            result = tune_predictions(predictions or Path(), settings, layout=layout, on_event=screen)
    _show(out, result, str(opened.run) if opened else None)


def _changes(plain: dict[str, Any], aims: dict[str, Any]) -> dict[str, Any]:
    """The settings that the flags change. Each aim is an objective, so at most one can be given."""
    given = [name for name, value in aims.items() if value is not None]
    if len(given) > 1:
        flags = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        raise typer.BadParameter(f"{flags} are different objectives: give one")
    changes = {name: value for name, value in plain.items() if value is not None}
    for name in given:
        if name == "objective":
            if aims[name] not in ("f1_macro", "f1_micro"):
                raise typer.BadParameter(
                    f"{aims[name]!r} is none: f1_macro, f1_micro, or one of --beta, --precision-floor, --recall-floor",
                    param_hint="--objective",
                )
            changes["objective"] = aims[name]
        elif name == "beta":
            changes |= {"objective": "f_beta", "beta": aims[name]}
        else:
            changes |= {"objective": name, "floor": aims[name]}
    return changes


def _show(out: Console, result: Any, run: str | None) -> None:
    fitted, interval = result.thresholds, result.thresholds.per_label_ci
    out.table(
        "Thresholds (val)",
        ["label", "val positives", "threshold", "95 % interval"],
        [
            [
                label,
                fitted.n_positives[at],
                float(fitted.per_label[at]),
                "–" if interval is None else f"{interval[0, at]:.2f}–{interval[1, at]:.2f}",
            ]
            for at, label in enumerate(fitted.labels)
        ],
    )
    shown = ("f1_macro", "f1_micro", "precision_macro", "recall_macro", "subset_accuracy")
    test = result.test and result.test.rule(fitted.rule).as_json()
    columns = {"val before": result.before, "val after": result.after, "test after": test}
    present = {name: scores for name, scores in columns.items() if scores}
    out.table(
        f"Scores by {fitted.rule}",
        ["", *present],
        [[key, *(scores[key] for scores in present.values())] for key in shown],
    )
    out.result(
        f"Tuned {run}" if run else "Fitted thresholds; no run was changed",
        global_threshold=fitted.global_threshold,
        rule=fitted.rule,
        objective=fitted.settings.objective,
        wrote=[str(path) for path in result.written],
        **(
            {
                "per_label": dict(zip(fitted.labels, fitted.per_label.tolist(), strict=True)),
                "val_before": result.before,
                "val_after": result.after,
                "test": result.test and result.test.as_json(),
                "below_floor": result.below_floor,
            }
            if out.as_json
            else {}
        ),
    )
