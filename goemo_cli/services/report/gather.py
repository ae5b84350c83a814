"""Reading what a report shows: each run, the leaderboard of all runs, and the results of `goemo compare`."""

from collections.abc import Iterator, Mapping, Sequence

from goemo_cli.core.csv_files import open_csv
from goemo_cli.core.errors import DataFileError, NotFoundError
from goemo_cli.core.events import EventHandler, ignore, progress
from goemo_cli.core.files import sha256_file
from goemo_cli.core.labels import terms_of
from goemo_cli.core.layout import Layout, parse_predictions_name
from goemo_cli.core.schema import DISPLAY_NAMES, SIGNIFICANCE_COLUMNS
from goemo_cli.services.report import origin, sections
from goemo_cli.services.report.content import (
    Leaderboard,
    LeaderboardRow,
    Missing,
    Pair,
    Report,
    RunContent,
    ScoreDifference,
    part,
)
from goemo_cli.services.report.sweeps import all_sweeps
from goemo_cli.services.runs.index import BEST_METRIC, ListedRun, best_first, listed_runs
from goemo_cli.services.runs.provenance import FilesNow
from goemo_cli.services.runs.run_data import RunData

MOST_LISTED = 100
_NUMBERS = ("a_value", "b_value", "difference", "ci_low", "ci_high", "p_holm")


def gather(
    sources: Sequence[RunData], *, left_out: str | None = None, on_event: EventHandler = ignore
) -> Report:
    """Read everything that a report shows.

    Args:
        sources: one run or several that compare; each knows the others.
        left_out: which runs are not among them, and why.
    """
    first, runs = sources[0], []
    with progress(on_event, "Reading", len(sources), "runs") as advance:
        for source in sources:
            runs.append(_run(source))
            advance(1, runs[-1].name)
    compared = part(lambda: _comparisons(sources))
    sweeps = all_sweeps(first.layout)
    return Report(
        labels=first.labels,
        terms=terms_of(first.checkpoint.metrics.data.name, first.labels),
        runs=tuple(runs),
        leaderboard=_leaderboard(sources),
        sweeps=sweeps,
        comparisons=compared,
        settings=part(lambda: origin.settings(sources)),
        paper=sections.paper_f1(first.checkpoint),
        recorded_data=part(lambda: first.checkpoint.metrics.data),
        data=part(lambda: origin.data_facts(first)),
        left_out=left_out,
        sources=first.files_used() | _compared_file(first, compared) | sweeps.sources,
    )


def _compared_file(source: RunData, compared: object) -> dict[str, str]:
    path = source.layout.significance_tests
    return {} if isinstance(compared, Missing) else {source.layout.shown(path): sha256_file(path)}


def _run(source: RunData) -> RunContent:
    metrics = source.checkpoint.metrics
    return RunContent(
        name=source.name,
        model=source.checkpoint.run.model,
        rule=metrics.threshold_rule,
        facts=origin.facts(source.checkpoint),
        headline=part(lambda: sections.headline(metrics)),
        rules=part(lambda: sections.rules(metrics)),
        emotions=part(lambda: sections.emotions(metrics)),
        taxonomies=part(lambda: sections.taxonomies(metrics)),
        thresholds=part(lambda: source.thresholds),
        predictions=part(lambda: sections.page_predictions(source)),
        outcomes=part(lambda: sections.outcomes(source)),
        calibration=part(lambda: sections.calibration(source)),
        confusions=part(lambda: sections.confusions_of(source)),
        matrix=metrics.confusion_matrix,
        pairs=part(lambda: sections.pairs(source)),
        disagreements=part(lambda: sections.disagreements(source)),
        epochs=part(lambda: origin.epochs(source)),
        best_epoch=metrics.best_epoch,
        steps=origin.steps(source),
        lineage=part(lambda: origin.lineage(source)),
        environment=part(lambda: origin.environment(source)),
        repeat=part(lambda: origin.repeat(source)),
    )


def _leaderboard(sources: Sequence[RunData]) -> Leaderboard:
    """Every finished run in the order of `@best`; those scored on other comments come below, and runs without scores last."""
    first = sources[0]
    finished = [one for one in listed_runs(first.layout) if one.is_finished]
    ordered = best_first(finished)
    every = ordered + [one for one in finished if one not in ordered]
    shown = {str(source.checkpoint.run) for source in sources}
    test = first.checkpoint.metrics.data.split_sha256.test
    rows = [_leaderboard_row(one, shown, test) for one in every]
    rows.sort(key=lambda row: not row.same_test)
    return Leaderboard(tuple(rows[:MOST_LISTED]), len(rows))


def _leaderboard_row(one: ListedRun, shown: set[str], test: str | None) -> LeaderboardRow:
    line = one.headline
    return LeaderboardRow(
        run=str(one.run),
        model=one.run.model,
        data=line.data,
        same_test=test is not None and line.test_sha256 == test,
        shown=str(one.run) in shown,
        rule=line.threshold_rule,
        val=one.score(BEST_METRIC),
        test={key: one.score(f"test/{key}") for key in ("f1_macro", "f1_micro", "auc_macro")},
        seconds=line.training_seconds,
    )


def _comparisons(sources: Sequence[RunData]) -> list[Pair]:
    """The pairs of significance_tests.csv whose two runs are shown, and whose predictions are still those compared.

    Raises:
        NotFoundError: none of them; the sentence says how to make it.
        DataFileError: not such a table.
    """
    layout, names = sources[0].layout, [str(source.checkpoint.run) for source in sources]
    file = parse_predictions_name(layout.split_predictions(sources[0].checkpoint.run, "test"))
    scored = file[0] if file else "test"
    command = f"goemo compare {' '.join(names)}"
    if not layout.significance_tests.is_file():
        raise NotFoundError(f"not compared yet: {command}")
    by_pair: dict[tuple[str, str], list[Mapping[str, str]]] = {}
    for row in _rows(layout):
        if row["split"] == scored and {row["a"], row["b"]} <= set(names):
            by_pair.setdefault((row["a"], row["b"]), []).append(row)
    if not by_pair:
        raise NotFoundError(f"the last goemo compare was of other runs: {command}")
    now = FilesNow(layout.root)
    if stale := [pair for pair, rows in by_pair.items() if _is_stale(now, rows[0])]:
        raise NotFoundError(f"the comparison of {' and '.join(stale[0])} is stale: {command}")
    return [_pair(*pair, rows) for pair, rows in by_pair.items()]


def _rows(layout: Layout) -> Iterator[Mapping[str, str]]:
    with open_csv(layout.significance_tests) as (header, rows):
        if missing := [name for name in SIGNIFICANCE_COLUMNS if name not in header]:
            raise DataFileError(layout.significance_tests, f"column {missing[0]!r} is missing", 1)
        for line, fields in rows:
            if len(fields) != len(header):
                raise DataFileError(layout.significance_tests, "has too few or too many fields", line)
            yield dict(zip(header, fields, strict=True))


def _is_stale(now: FilesNow, row: Mapping[str, str]) -> bool:
    files = ((now.root / row[f"{side}_source"], row[f"{side}_sha256"]) for side in "ab")
    return any(now.state_of(path, digest) != "current" for path, digest in files)


def _pair(a: str, b: str, rows: Sequence[Mapping[str, str]]) -> Pair:
    tested = [(row["emotion"], _score_difference(row)) for row in rows]
    emotions = [one for emotion, one in tested if emotion]
    return Pair(
        a=a,
        b=b,
        scores=tuple(one for emotion, one in tested if not emotion),
        emotions=tuple(one for one in emotions if one.better in ("a", "b")),
        n_emotions=len(emotions),
    )


def _score_difference(row: Mapping[str, str]) -> ScoreDifference:
    a, b, difference, low, high, p = (float(row[name]) if row[name] else None for name in _NUMBERS)
    name = row["emotion"] or DISPLAY_NAMES.get(row["metric"], row["metric"])
    return ScoreDifference(name, a, b, difference, low, high, p, row["better"])
