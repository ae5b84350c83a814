"""goemo tune."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from goemo_cli.commands import _options as opt
from goemo_cli.commands._console import Console
from goemo_cli.commands._progress import Screen
from goemo_cli.commands._settings import TuneSettings, setting_option
from goemo_cli.core.layout import Layout
from goemo_cli.core.settings import F1Objective, ThresholdSettings

ObjectiveOpt = Annotated[
    F1Objective | None, opt.choice(F1Objective, "--objective", help="Score to maximise on val.")
]
BetaOpt = Annotated[
    float | None,
    setting_option("--beta", "thresholds.beta", help="Maximise F-beta: recall counts beta times."),
]
PrecisionFloorOpt = Annotated[
    float | None,
    setting_option("--precision-floor", "thresholds.floor", help="Most recall with at least this precision."),
]
RecallFloorOpt = Annotated[
    float | None,
    setting_option("--recall-floor", "thresholds.floor", help="Most precision with at least this recall."),
]
GuaranteeOpt = Annotated[
    str | None,
    typer.Option(
        "--guarantee",
        help="recall=X: the highest thresholds whose expected recall on new texts is at least X, if val is like them. [0<X<1]",
        metavar="recall=X",
    ),
]


def tune(
    *,
    checkpoint: opt.OptionalCheckpointOpt = None,
    predictions: opt.PredictionsOpt = None,
    objective: ObjectiveOpt = None,
    beta: BetaOpt = None,
    precision_floor: PrecisionFloorOpt = None,
    recall_floor: RecallFloorOpt = None,
    guarantee: GuaranteeOpt = None,
    settings: TuneSettings,
    common: opt.Common,
) -> None:
    """Fit thresholds again, on val only; needs no model.

    With --checkpoint, the run's labels, scores, model card and summaries are written again. Settings without an option
    keep the run's values.

    Examples:
        goemo tune --checkpoint @latest --precision-floor 0.6
        goemo tune --checkpoint @latest --guarantee recall=0.8
        goemo tune --predictions artifacts/predictions/val_predictions_RUN.csv --objective f1_micro
    """
    opt.require_one(checkpoint, predictions)
    changes = _changes(
        settings,
        objective=objective,
        beta=beta,
        precision_floor=precision_floor,
        recall_floor=recall_floor,
        guarantee=_guaranteed_recall(guarantee),
    )
    layout, out = common.layout, common.console()
    from goemo_cli.services.runs.references import open_run

    opened = open_run(checkpoint, layout, Screen(out)) if checkpoint else None

    from goemo_cli.services.evaluation.tune import changed_settings, tune_predictions, tune_run

    wanted = changed_settings(opened.config.thresholds if opened else ThresholdSettings(), changes)
    with Screen(out) as screen:
        if opened:
            result = tune_run(opened, wanted, layout=layout, on_event=screen)
        else:
            result = tune_predictions(predictions or Path(), wanted, layout=layout, on_event=screen)
    _show(out, result, str(opened.run) if opened else None, layout)


def _changes(settings: Mapping[str, Any], **objectives: Any) -> dict[str, Any]:
    """The threshold settings that the options change. Each of `objectives` chooses one, so at most one may be given."""
    given = {name: value for name, value in objectives.items() if value is not None}
    if len(given) > 1:
        flags = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        raise typer.BadParameter(f"{flags} are different objectives: give one")
    changes = {name.removeprefix("thresholds."): value for name, value in settings.items()}
    for name, value in given.items():
        if name == "objective":
            changes["objective"] = value
        elif name == "beta":
            changes |= {"objective": "f_beta", "beta": value}
        elif name == "guarantee":
            changes |= {"objective": "recall_guarantee", "floor": value}
        else:
            changes |= {"objective": name, "floor": value}
    return changes


def _guaranteed_recall(wanted: str | None) -> float | None:
    """The level in `recall=0.8`; None without a guarantee."""
    if wanted is None:
        return None
    score, _, level = wanted.partition("=")
    if score == "precision":
        raise typer.BadParameter(
            "precision cannot be guaranteed: it need not grow with the threshold, which the method requires; "
            "--precision-floor holds it on val",
            param_hint="--guarantee",
        )
    try:
        value = float(level)
    except ValueError:
        value = 0.0
    if score != "recall" or not 0 < value < 1:
        raise typer.BadParameter(
            f"{wanted!r} is not recall=X with X between 0 and 1, such as recall=0.8", param_hint="--guarantee"
        )
    return value


def _show(out: Console, result: Any, run: str | None, layout: Layout) -> None:
    from goemo_cli.services.runs.outdated import outdated_files, renewal

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
    outdated = outdated_files(layout) if run else []
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
                **({"guarantee": fitted.guarantee.as_json()} if fitted.guarantee else {}),
                "out_of_date": [file.path for file in outdated],
            }
            if out.as_json
            else {}
        ),
    )
    if outdated:
        out.warn(renewal(outdated, layout.root))
