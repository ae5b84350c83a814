"""The report as Markdown, for a repository or a pull request."""

from collections.abc import Iterator, Sequence

from goemo_cli.core.documents.metrics import LabelScores
from goemo_cli.core.labels import SPLITS
from goemo_cli.services.data.result_tables import p_text
from goemo_cli.services.report import findings
from goemo_cli.services.report.content import Missing, Report, RunContent, Score, Sweep, Sweeps
from goemo_cli.services.report.text import compact, number, plain, signed, table
from goemo_cli.services.runs.provenance import sources_comment


def markdown(report: Report) -> str:
    """The whole document; all numbers are in metrics.json or are computed from the predictions."""
    sections = [
        f"# {plain(findings.summary(report))}",
        *([report.left_out] if report.left_out else []),
        "## Scores on test\n\n" + _scores(report.runs),
        f"Intervals are 95 % intervals over the {report.terms.texts} of test; thresholds were fitted on val.",
        *([plain(missing)] if (missing := findings.unsupported(report)) else []),
        "## All runs\n\n" + _leaderboard(report),
        *_sweeps(report.sweeps),
        f"## Each {report.terms.label}\n\n" + _emotions(report),
        *_comparisons(report),
        "## Data\n\n" + _data(report),
        "## Repeat\n\n" + "\n".join(_repeat(report.runs)),
        sources_comment(report.sources),
    ]
    return "\n\n".join(sections) + "\n"


def _scores(runs: Sequence[RunContent]) -> str:
    reasons = [f"{run.name}: {run.headline.reason}" for run in runs if isinstance(run.headline, Missing)]
    shown = [(run, run.headline) for run in runs if not isinstance(run.headline, Missing)]
    if not shown:
        return plain("; ".join(reasons))
    header = ["score", *(f"{run.name} ({run.rule})" for run, _ in shown)]
    rows = [
        [name, *(_interval(headline[at]) for _, headline in shown)]
        for at, name in enumerate(one.name for one in shown[0][1])
    ]
    return "\n\n".join([_cells(header, rows), *map(plain, reasons)])


def _leaderboard(report: Report) -> str:
    header = ["run", "val mean AP", "test macro-F1", "test micro-F1", "test macro-AUC", "rule"]
    rows = [
        [
            one.run + ("" if one.same_test else f" (other test {report.terms.texts})"),
            number(one.val),
            *(number(one.test[key]) for key in ("f1_macro", "f1_micro", "auc_macro")),
            one.rule or "–",
        ]
        for one in report.leaderboard.runs
    ]
    more = report.leaderboard.total - len(rows)
    return _cells(header, rows) + (f"\n\nAnd {more:,} more." if more else "")


def _sweeps(sweeps: Sweeps) -> Iterator[str]:
    if not sweeps.shown:
        return
    read = [(name, one) for name, one in sweeps.shown.items() if isinstance(one, Sweep)]
    rows = [[name, one.method, findings.sweep(one), _aims(one), _front(one)] for name, one in read]
    reasons = [f"{name}: {reason}" for name, _, reason in sweeps.missing()]
    more = sweeps.total - len(sweeps.shown)
    yield "\n\n".join(
        [
            "## Sweeps",
            *([_cells(["sweep", "method", "trials", "searched for", "best"], rows)] if rows else []),
            *map(plain, reasons),
            *([f"And {more:,} more."] if more else []),
        ]
    )


def _aims(sweep: Sweep) -> str:
    return ", ".join(f"{name} ({goal})" for name, goal in sweep.objectives)


def _front(sweep: Sweep) -> str:
    """Run and values of the best trial; of several objectives those of every trial that no other one beats."""
    found = [f"{one.run}: {', '.join(map(compact, one.values))}" for one in sweep.front]
    return "; ".join(found) or "–"


def _emotions(report: Report) -> str:
    known = [(run, run.emotions) for run in report.runs if not isinstance(run.emotions, Missing)]
    if not known:
        return plain(
            "; ".join(run.emotions.reason for run in report.runs if isinstance(run.emotions, Missing))
        )
    paper = report.paper
    header = [
        report.terms.label,
        "support",
        *(f"F1, {run.name}" for run, _ in known),
        *(["paper's F1"] if paper else []),
    ]
    rows = [
        [
            row.emotion,
            f"{row.support:,}",
            *(_interval(_f1(emotions[at])) for _, emotions in known),
            *([number(paper[row.emotion], 2)] if paper else []),
        ]
        for at, row in enumerate(known[0][1])
    ]
    return _cells(header, rows)


def _comparisons(report: Report) -> Iterator[str]:
    if len(report.runs) < 2:
        return
    if isinstance(report.comparisons, Missing):
        yield f"## Compared\n\n{plain(report.comparisons.reason)}"
        return
    for pair in report.comparisons:
        rows = [
            [one.name, number(one.a), number(one.b), signed(one.difference), p_text(one.p), one.better]
            for one in pair.scores
        ]
        title = f"## Compared: a = {pair.a}, b = {pair.b}"
        yield f"{title}\n\n{_cells(['score', 'a', 'b', 'b - a', 'p (Holm)', 'better'], rows)}"


def _data(report: Report) -> str:
    if isinstance(report.recorded_data, Missing):
        return plain(report.recorded_data.reason)
    recorded = report.recorded_data
    sizes = ", ".join(f"{recorded.sizes.of(split):,} {split}" for split in SPLITS)
    lines = [f"- {plain(recorded.name)}: {sizes}", f"- SHA-256 {recorded.sha256}"]
    if isinstance(report.data, Missing):
        return "\n".join([*lines, f"- Texts in two splits: not counted ({plain(report.data.reason)})"])
    return "\n".join(
        lines
        + [
            f"- {leak.comments:,} {report.terms.texts} of {leak.split} ({leak.share:.2%}) are in {leak.other} too, "
            f"{leak.other_labels:,} of them with other labels"
            for leak in report.data.leaks
        ]
    )


def _repeat(runs: Sequence[RunContent]) -> Iterator[str]:
    for run in runs:
        if isinstance(run.repeat, Missing):
            yield f"- {run.name}: {plain(run.repeat.reason)}"
        else:
            yield f"- {run.name}: `{run.repeat.command}`"


def _f1(row: LabelScores) -> Score:
    return Score("F1", row.f1_score, row.f1_ci_low, row.f1_ci_high)


def _interval(score: Score) -> str:
    if score.low is None:
        return number(score.value)
    return f"{number(score.value)} ({number(score.low)} to {number(score.high)})"


def _cells(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of plain texts."""
    return table([plain(cell) for cell in header], [[plain(cell) for cell in row] for row in rows])
