"""Headings that say what there is to see, one sentence each."""

from collections.abc import Mapping

import numpy as np

from goemo_cli.core.checkpoint import CALIBRATION
from goemo_cli.core.labels import PAPER_F1_ROUNDING, Terms
from goemo_cli.ml.metrics.intervals import beyond
from goemo_cli.services.report.content import STATES, Missing, Report, RunContent, Score, Sweep
from goemo_cli.services.report.text import data_name

KEY_SCORES = ("macro-F1", "micro-F1", "macro-AUC")
_NOTHING = ""


def title(report: Report) -> str:
    """What was trained on what: the name of the page."""
    data = "" if isinstance(report.recorded_data, Missing) else f" on {data_name(report.recorded_data.name)}"
    if len(report.runs) > 1:
        return f"{len(report.runs)} runs{data}"
    return f"{report.runs[0].model}{data}"


def summary(report: Report) -> str:
    """The headline score of the only run, or what the runs share."""
    count = _texts(report)
    if len(report.runs) > 1:
        return f"{len(report.runs)} runs{f', scored on the same {count}' if count else ''}"
    headline = report.runs[0].headline
    if isinstance(headline, Missing):
        return "One run"
    score = headline[0]
    if score.value is None:
        return "One run"
    interval = "" if score.low is None else f" (95\u00a0%: {score.low:.3f} to {score.high:.3f})"
    name = score.name[0].upper() + score.name[1:]
    return f"{name} {score.value:.3f}{interval}{f' on {count}' if count else ''}"


def key_scores(run: RunContent) -> list[Score]:
    """The scores at the top of a report."""
    found = () if isinstance(run.headline, Missing) else run.headline
    return [score for score in found if score.name in KEY_SCORES]


def unsupported(report: Report) -> str:
    """Labels that no text of test has; nothing if all are there."""
    rows = next((run.emotions for run in report.runs if not isinstance(run.emotions, Missing)), [])
    missing = [row.emotion for row in rows if not row.support]
    if not missing:
        return _NOTHING
    return f"Without a {report.terms.text} in test, and 0 in macro averages: {', '.join(missing)}."


def emotions(run: RunContent, paper: Mapping[str, float] | None) -> str:
    """The best and the worst label, and how many are above the paper."""
    if isinstance(run.emotions, Missing) or not run.emotions:
        return _NOTHING
    by_f1 = sorted(run.emotions, key=lambda row: -row.f1_score)
    best, worst = by_f1[0], by_f1[-1]
    text = f"F1 from {best.f1_score:.2f} ({best.emotion}) down to {worst.f1_score:.2f} ({worst.emotion})"
    if not paper:
        return text
    ours = np.array(
        [(row.f1_score, row.f1_ci_low, row.f1_ci_high) for row in by_f1], dtype=np.float64
    ).T  # None is NaN
    theirs = np.array([paper[row.emotion] for row in by_f1])
    above, below = beyond(ours, theirs, rounding=PAPER_F1_ROUNDING)
    return f"{text}; the whole interval is above the paper\u2019s BERT-base at {above} of {len(by_f1)}, below at {below}"


def calibration(run: RunContent) -> str:
    """The calibration error before and after."""
    if isinstance(run.calibration, Missing):
        return _NOTHING
    measures = run.calibration.measures
    text = f"Mean calibration error (ECE) of the labels {measures['before']['ece_macro']:.4f}"
    if "after" in measures:
        return f"{text}, {measures['after']['ece_macro']:.4f} after calibration"
    return f"{text}; not calibrated: this run has no {CALIBRATION} (goemo calibrate makes one)"


def confusions(run: RunContent) -> str:
    """The confusion with the highest lift."""
    if isinstance(run.confusions, Missing):
        return _NOTHING
    if not run.confusions.shown:
        return "No two labels are confused more often than chance would"
    top = run.confusions.shown[0]
    n = run.confusions.standing_out
    return (
        f"{n} pair{'' if n == 1 else 's'} confused more often than chance; most of all, {top.predicted} is predicted "
        f"where {top.gold} is missed"
    )


def pairs(run: RunContent, terms: Terms) -> str:
    """The most frequent pair of gold labels."""
    if isinstance(run.pairs, Missing):
        return _NOTHING
    if not run.pairs.shown:
        return f"No test {terms.text} has two gold labels"
    top = run.pairs.shown[0]
    texts = terms.text if top.gold == 1 else terms.texts
    return (
        f"Most often {top.first} and {top.second}: {top.gold:,} test {texts} have both, "
        f"{top.predicted:,} were predicted to have both"
    )


def disagreements(run: RunContent, terms: Terms) -> str:
    """How many gold labels the model contradicts with confidence."""
    if isinstance(run.disagreements, Missing):
        return _NOTHING
    found = run.disagreements
    if not found.n_extra + found.n_missed:
        return "The model contradicts no gold label with confidence"
    return (
        f"On the test {terms.texts}, the model is confident of {found.n_extra:,} {terms.labels} that are not gold, "
        f"and rules out {found.n_missed:,} that are"
    )


def outcomes(run: RunContent, terms: Terms) -> str:
    """How many texts came out how."""
    if isinstance(run.outcomes, Missing):
        return _NOTHING
    found = run.outcomes
    parts = (
        ("all labels right", found.exactly_right),
        ("partly right", found.partly_right),
        ("no label right", found.wrong),
        ("nothing predicted", found.nothing_predicted),
    )
    shares = ", ".join(f"{what} {count:,} ({count / found.rows:.0%})" for what, count in parts if count)
    return f"Test {terms.texts}: {shares}"


def training(run: RunContent) -> str:
    """The epoch that was kept."""
    if isinstance(run.epochs, Missing) or run.best_epoch is None:
        return _NOTHING
    kept = next((epoch for epoch in run.epochs if epoch.epoch == run.best_epoch), None)
    if kept is None:
        return _NOTHING
    return (
        f"Epoch {kept.epoch} of {len(run.epochs)} was kept: val macro-F1 at 0.3 was {kept.val_f1_macro:.4f}"
    )


def settings(report: Report) -> str:
    """How many settings are not the defaults."""
    if isinstance(report.settings, Missing):
        return _NOTHING
    n = sum(row.is_changed for row in report.settings)
    several = "differ from the defaults or between the runs"
    what = several if len(report.runs) > 1 else "differ from the defaults of the model"
    return f"{n or 'None'} of {len(report.settings)} settings {what}"


def data(report: Report) -> str:
    """How many texts leak."""
    if isinstance(report.data, Missing):
        return "Shared texts not counted"
    leak, terms = report.data.leaks[0], report.terms
    if not leak.comments:
        return f"No test {terms.text} is in train"
    shown = f"{leak.share:.1%}" if leak.share >= 0.001 else "<0.1%"
    verb = "is" if leak.comments == 1 else "are"
    return f"{leak.comments:,} of the test {terms.texts} ({shown}) {verb} in train too"


def sweep(found: Sweep) -> str:
    """How many trials came out how, and the best value or the size of the front."""
    counts = ", ".join(f"{count:,} {state}" for state in STATES if (count := found.count(state)))
    trials = f"{len(found.trials):,} trial{'' if len(found.trials) == 1 else 's'}: {counts or 'none yet'}"
    if not found.front:
        return trials
    best, (name, _) = found.front[0], found.objectives[0]
    if len(found.objectives) > 1:
        verb = "is" if len(found.front) == 1 else "are"
        return f"{trials}; {len(found.front):,} {verb} beaten by no other in every objective"
    return f"{trials}; best {name} {best.values[0]:.4g} by trial {best.number}"


def _texts(report: Report) -> str:
    data = report.recorded_data
    return "" if isinstance(data, Missing) else f"{data.sizes.test:,} test {report.terms.texts}"
