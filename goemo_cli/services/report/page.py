"""The report as one HTML page that loads nothing: it contains its scripts, styles and data."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cache, partial
from typing import Any, TypeVar

import numpy as np
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup
from numpy.typing import NDArray

from goemo_cli import __version__
from goemo_cli.core.arrays import BoolArray
from goemo_cli.core.documents.metrics import EpochScores
from goemo_cli.core.labels import SPLITS, Split
from goemo_cli.core.schema import RULES
from goemo_cli.ml.metrics.confusions import LEAST
from goemo_cli.services.data.result_tables import p_text
from goemo_cli.services.report import findings
from goemo_cli.services.report.content import Calibration, Missing, Report, RunContent, SplitFacts, Sweep
from goemo_cli.services.report.text import compact, number, signed, visible
from goemo_cli.services.report.web_pages import policy, web_file
from goemo_cli.services.runs.provenance import sources_comment

SCRIPTS = (
    "scores.js", "charts.js", "figures.js", "curves.js", "sweeps.js", "drawing.js", "tables.js", "explorer.js", "texts.js",
    "address.js", "report.js",
)  # fmt: skip
"""One after the other they are one script."""
LIBRARY = "echarts.min.js"
MOST_TRIALS = 200
"""Rows of a sweep's table; its chart has all trials."""
_STYLE = "report.css"

resource = partial(web_file, "goemo_cli.services.report")
"""A file of the page, by its name."""


def page(report: Report) -> str:
    """The whole page."""
    library, script, style = resource(LIBRARY), "\n".join(map(resource, SCRIPTS)), resource(_STYLE)
    return _template().render(
        report=report,
        findings=findings,
        most_trials=MOST_TRIALS,
        least=LEAST,
        splits=SPLITS,
        version=__version__,
        policy=policy(scripts=(library, script), styles=(style,)),
        sources=Markup(sources_comment(report.sources)),
        library=Markup(library),
        script=Markup(script),
        style=Markup(style),
        data=Markup(page_data(report)),
    )


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    environment.tests["missing"] = lambda value: isinstance(value, Missing)
    environment.filters.update(
        number=number, signed=signed, p_text=p_text, grouped=_grouped, short=_short, compact=compact
    )
    return environment.from_string(resource("report.html.j2"))


def _grouped(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "–"


def _shown(value: Any) -> Any:
    """Everything that a template prints passes here: texts are made visible, and what is None is a dash."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, str):
        return visible(value)
    return "–" if value is None else value


_T = TypeVar("_T")


def page_data(report: Report) -> str:
    """The data of a page as JSON for a script element; texts are escaped.

    Probabilities are little-endian float32 and labels bits, row by row, both in base64: the page computes with the
    numbers that Python has.
    """
    shared = report.predictions
    document = {
        "labels": list(report.labels),
        "terms": {name: getattr(report.terms, name) for name in ("text", "texts", "label", "labels")},
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
        "rule": run.rule,
        "thresholds": _unless_missing(
            run.thresholds, lambda found: {rule: found.of_rule(rule).tolist() for rule in RULES}
        ),
        "scores": _unless_missing(
            run.headline, lambda found: [[one.name, one.value, one.low, one.high] for one in found]
        ),
        "f1": _unless_missing(
            run.emotions, lambda found: [[row.f1_score, row.f1_ci_low, row.f1_ci_high] for row in found]
        ),
        "epochs": _unless_missing(run.epochs, lambda found: [_curve_point(epoch) for epoch in found]),
        "kept": run.best_epoch,
        "steps": asdict(run.steps) if run.steps else None,
        "bins": _unless_missing(run.calibration, lambda found: _bins(found, labels)),
        "matrix": run.matrix,
        "confusions": _unless_missing(
            run.confusions, lambda found: {"share": found.share, "count": found.count, "least": LEAST}
        ),
    }


def _curve_point(epoch: EpochScores) -> list[float]:
    return [
        epoch.epoch,
        epoch.train_loss,
        epoch.val_loss,
        epoch.val_f1_macro,
        epoch.val_f1_micro,
        epoch.val_auc_micro,
    ]


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
