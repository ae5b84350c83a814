"""goemo calibrate."""

from typing import TYPE_CHECKING, Annotated, Any

from goemo_cli.commands import _options as opt
from goemo_cli.commands._console import Console
from goemo_cli.commands._progress import Screen
from goemo_cli.core.schema import CalibrationMethod

if TYPE_CHECKING:
    from goemo_cli.services.evaluation.calibrate import Calibrated, Measured

MethodOpt = Annotated[
    CalibrationMethod | None,
    opt.choice(
        CalibrationMethod,
        "--method",
        help="Two numbers per label, or one; of single-label data one number for all labels.",
        default="platt, for single-label data temperature",
    ),
]
_OVERALL_COLUMNS = ("all cells", "Brier", "log loss", "ECE", "debiased", "mean of labels")
_LABEL_COLUMNS = ("label", "positives", "ECE", "after", "debiased", "after", "base rate")


def calibrate(
    checkpoint: opt.CheckpointOpt,
    method: MethodOpt = None,
    *,
    common: opt.Common,
) -> None:
    """Fit a run's probabilities to what is observed on val.

    The calibrator is saved in the checkpoint; the run's other files do not change.

    Examples:
        goemo calibrate -c @latest
    """
    from goemo_cli.services.runs.references import open_run

    layout = common.layout
    out = common.console()
    opened = open_run(checkpoint, layout, Screen(out))  # a wrong name fails here, before scikit-learn loads

    from goemo_cli.services.evaluation.calibrate import calibrate as fit

    with Screen(out) as screen:
        result = fit(opened, layout=layout, method=method, on_event=screen)
    _show(result.found, out)
    out.result(
        f"Calibrated {opened.run} with {result.found.calibrator.method}",
        calibrator=result.path,
        labels=result.labels,
        bins=result.bins,
        summary=result.summary,
        **(_document(result) if common.as_json else {}),
    )


def _show(found: "Measured", out: Console) -> None:
    from goemo_cli.services.evaluation.calibrate import overall_of

    out.table(
        "Calibration (after: cross-fitted on val)",
        _OVERALL_COLUMNS,
        [
            [f"{split}, {state.replace('_', ' ')}", *scores.values()]
            for split, states in overall_of(found).items()
            for state, scores in states.items()
        ],
    )
    split = "test" if "test" in found.assessments else "val"
    before, after = found.assessments[split]
    out.table(
        f"Each label on {split} (*: too few positives for its ECE to mean anything)",
        _LABEL_COLUMNS,
        [
            [
                label,
                f"{one.n_positives:,}{'*' if label in found.few_positives else ''}",
                one.ece,
                other.ece,
                one.ece_debiased,
                other.ece_debiased,
                found.base_rate.per_label[at].ece if found.base_rate else None,
            ]
            for at, (label, one, other) in enumerate(
                zip(found.calibrator.labels, before.per_label, after.per_label, strict=True)
            )
        ],
    )


def _document(result: "Calibrated") -> dict[str, Any]:
    from goemo_cli.services.evaluation.calibrate import overall_of

    return {
        "method": result.found.calibrator.method,
        "overall": overall_of(result.found),
        "kept": result.found.calibrator.kept,
        "few_positives": result.found.few_positives,
        "warnings": result.warnings,
    }
