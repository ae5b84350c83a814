"""What the script of a page computes with: probabilities and labels to the bit, texts, and what the charts show."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from goemo_cli.core.arrays import BoolArray
from goemo_cli.core.labels import Split
from goemo_cli.core.schema import HISTORY_KEYS, RULES
from goemo_cli.services.figures.label_grid import LEAST
from goemo_cli.services.report.content import Report, RunContent
from goemo_cli.services.report.data_facts import SplitFacts
from goemo_cli.services.report.parts import Missing, visible
from goemo_cli.services.report.predicted import Calibration
from goemo_cli.services.report.sweeps import Sweep

_CURVES = ("epoch", *(key for key in HISTORY_KEYS if key.startswith(("train_", "val_"))))
_F1 = ("f1_score", "f1_ci_low", "f1_ci_high")
_T = TypeVar("_T")


def page_data(report: Report) -> str:
    """The data of a page as JSON for a script element; texts are escaped.

    Probabilities are little-endian float32 and labels bits, row by row, both in base64: the page computes with the
    numbers that Python has.
    """
    shared = report.predictions
    document = {
        "labels": list(report.labels),
        "texts": shared.texts if shared else [],
        "ids": shared.ids if shared else None,
        "gold": _bits(shared.y_true) if shared else None,
        "paper": [report.paper[label] for label in report.labels] if report.paper else None,
        "counts": _unless_missing(report.data, lambda found: _counts(found.splits)),
        "runs": [_run(run, report.labels) for run in report.runs],
        "sweeps": [_unless_missing(one, _sweep) for one in report.sweeps.shown.values()],
    }
    text = json.dumps(_harmless(document), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _run(run: RunContent, labels: tuple[str, ...]) -> dict[str, Any]:
    return {
        "name": run.name,
        "prob": _unless_missing(run.predictions, lambda found: _base64(found.y_prob.astype("<f4"))),
        "pred": _unless_missing(run.predictions, lambda found: _bits(found.y_pred)),
        "rule": _unless_missing(run.thresholds, lambda found: found.rule),
        "thresholds": _unless_missing(
            run.thresholds, lambda found: {rule: found.of_rule(rule).tolist() for rule in RULES}
        ),
        "scores": _unless_missing(
            run.headline, lambda found: [[one.name, one.value, one.low, one.high] for one in found]
        ),
        "f1": _unless_missing(run.emotions, lambda found: [[row[key] for key in _F1] for row in found]),
        "epochs": _unless_missing(
            run.epochs, lambda found: [[epoch[key] for key in _CURVES] for epoch in found]
        ),
        "bins": _unless_missing(run.calibration, lambda found: _bins(found, labels)),
        "confusions": _unless_missing(
            run.confusions, lambda found: {"share": found.share, "count": found.count, "least": LEAST}
        ),
    }


def _sweep(sweep: Sweep) -> dict[str, Any]:
    """Finished trials by number: number, whether it is on the front, values of the objectives."""
    finished = sorted((one for one in sweep.trials if one.values), key=lambda one: one.number)
    return {
        "objectives": sweep.objectives,
        "trials": [[one.number, one in sweep.front, *one.values] for one in finished],
    }


def _unless_missing(value: _T | Missing, show: Callable[[_T], Any]) -> Any:
    return None if isinstance(value, Missing) else show(value)


def _bins(calibration: Calibration, labels: tuple[str, ...]) -> dict[str, Any]:
    """Of all cells first, then of each label; a list, since two labels may look alike once they are visible."""
    return {state: [found[label] for label in ("", *labels)] for state, found in calibration.bins.items()}


def _counts(splits: Mapping[Split, SplitFacts]) -> dict[str, Any]:
    return {split: {"comments": facts.comments, "labels": facts.per_label} for split, facts in splits.items()}


def _bits(cells: BoolArray) -> str:
    return _base64(np.packbits(cells.ravel()))


def _base64(array: NDArray[Any]) -> str:
    return base64.b64encode(array.tobytes()).decode("ascii")


def _harmless(value: Any) -> Any:
    """The same document with every text made visible."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return {key: _harmless(one) for key, one in value.items()}
    if isinstance(value, list | tuple) and not all(isinstance(one, int | float | None) for one in value):
        return [_harmless(one) for one in value]
    return value
