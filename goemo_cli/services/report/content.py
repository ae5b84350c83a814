"""The content of a report, for the page and for Markdown. A part that is unavailable is a `Missing`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from goemo_cli.core.errors import GoemoError
from goemo_cli.core.events import EventHandler, ignore, progress
from goemo_cli.core.files import sha256_file
from goemo_cli.core.predictions import Predictions
from goemo_cli.core.thresholds import Thresholds
from goemo_cli.ml.metrics.confusions import RowOutcomes
from goemo_cli.services.report import comparisons, sections
from goemo_cli.services.report.parts import Missing, part
from goemo_cli.services.report.sweeps import Sweeps, all_sweeps
from goemo_cli.services.runs.run_data import RunData


@dataclass(frozen=True)
class RunContent:
    """One run."""

    name: str
    model: str
    rule: str | Missing
    headline: tuple[sections.Score, ...] | Missing
    rules: Mapping[str, tuple[sections.Score, ...]] | Missing
    emotions: list[dict[str, Any]] | Missing
    taxonomies: list[sections.TaxonomyScore] | Missing
    thresholds: Thresholds | Missing
    predictions: Predictions | Missing
    outcomes: RowOutcomes | Missing
    calibration: sections.Calibration | Missing
    confusions: sections.Confusions | Missing
    epochs: list[Mapping[str, Any]] | Missing
    lineage: list[sections.Line] | Missing
    environment: sections.Environment | Missing
    repeat: sections.Repeating | Missing

    def missing(self) -> Iterator[tuple[str, Missing]]:
        """The parts that cannot be shown, by name."""
        for field in fields(self):
            if isinstance(value := getattr(self, field.name), Missing):
                yield field.name, value


@dataclass(frozen=True)
class Report:
    """The runs, in the order they were named, and what they share."""

    labels: tuple[str, ...]
    runs: tuple[RunContent, ...]
    leaderboard: comparisons.Leaderboard
    sweeps: Sweeps
    comparisons: list[comparisons.Pair] | Missing
    paper: Mapping[str, float] | None
    """The paper's F1 of each emotion, if it can be compared."""
    recorded_data: Mapping[str, Any] | Missing
    data: sections.DataFacts | Missing
    left_out: str | None
    """Which runs are not shown, and why."""
    sources: Mapping[str, str]
    """SHA-256 of the files that it was made from, by path from the root."""

    @property
    def damage(self) -> GoemoError | None:
        """The first file of the runs or their data that is here and cannot be used; a sweep's does not count."""
        parts = [part for run in self.runs for _, part in run.missing()]
        parts += [
            one for one in (self.comparisons, self.recorded_data, self.data) if isinstance(one, Missing)
        ]
        return next((part.damage for part in parts if part.damage), None)

    @property
    def predictions(self) -> Predictions | None:
        """Those of the first run that has some: texts and gold labels are the same for all."""
        found = (run.predictions for run in self.runs if not isinstance(run.predictions, Missing))
        return next(found, None)


def gather(
    sources: Sequence[RunData], *, left_out: str | None = None, on_event: EventHandler = ignore
) -> Report:
    """Read everything that a report shows.

    Args:
        sources: one run or several that compare; each knows the others.
        left_out: which runs are not among them, and why.
        on_event: called with each event.
    """
    first, runs = sources[0], []
    with progress(on_event, "Reading", len(sources), "runs") as advance:
        for source in sources:
            runs.append(_run(source))
            advance(1, runs[-1].name)
    compared = part(lambda: comparisons.comparisons(sources))
    sweeps = all_sweeps(first.layout)
    return Report(
        labels=first.labels,
        runs=tuple(runs),
        leaderboard=comparisons.leaderboard(sources),
        sweeps=sweeps,
        comparisons=compared,
        paper=sections.paper_f1(first.checkpoint),
        recorded_data=part(lambda: sections.recorded(first)),
        data=part(lambda: sections.data_facts(first)),
        left_out=left_out,
        sources=first.files_used() | _compared_file(first, compared) | sweeps.sources,
    )


def _compared_file(source: RunData, compared: object) -> dict[str, str]:
    path = source.layout.significance_tests
    return {} if isinstance(compared, Missing) else {source.layout.shown(path): sha256_file(path)}


def _run(source: RunData) -> RunContent:
    metrics = source.checkpoint.metrics
    return RunContent(
        name=str(source.checkpoint.run),
        model=source.checkpoint.run.model,
        rule=metrics.threshold_rule,
        headline=part(lambda: sections.headline(metrics)),
        rules=part(lambda: sections.rules(metrics)),
        emotions=part(lambda: sections.emotions(metrics)),
        taxonomies=part(lambda: sections.taxonomies(metrics)),
        thresholds=part(lambda: source.thresholds),
        predictions=part(lambda: sections.page_predictions(source)),
        outcomes=part(lambda: sections.outcomes(source)),
        calibration=part(lambda: sections.calibration(source)),
        confusions=part(lambda: sections.confusions_of(source)),
        epochs=part(lambda: sections.epochs(source)),
        lineage=part(lambda: sections.lineage(source)),
        environment=part(lambda: sections.environment(source)),
        repeat=part(lambda: sections.repeat(source)),
    )
