"""What a report contains, for the page and for Markdown. A part that is unavailable is a `Missing`."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from goemo_cli.core.documents.metrics import DataFacts, EpochScores, LabelScores
from goemo_cli.core.errors import DAMAGE, GoemoError, StorageError
from goemo_cli.core.labels import Split, Terms
from goemo_cli.core.predictions import Predictions
from goemo_cli.core.schema import ARGMAX
from goemo_cli.core.thresholds import Thresholds
from goemo_cli.ml.data.leaks import Leak
from goemo_cli.ml.metrics.confusions import RowOutcomes
from goemo_cli.services.evaluation.error_tables import Confusion
from goemo_cli.services.report.text import visible
from goemo_cli.services.runs.lineage_tree import Node
from goemo_cli.services.sweep.sweep_file import Goal, Method

_T = TypeVar("_T")


@dataclass(frozen=True)
class Missing:
    """A part that cannot be shown."""

    reason: str
    damage: GoemoError | None = None
    """The error, if a file is here and cannot be used."""


def part(make: Callable[[], _T]) -> _T | Missing:
    """What `make` gives, or why it cannot.

    Raises:
        OSError, StorageError: a file cannot be read.
    """
    try:
        return make()
    except StorageError:
        raise
    except GoemoError as error:
        return Missing(visible(str(error)), error if isinstance(error, DAMAGE) else None)


@dataclass(frozen=True)
class Score:
    """A score with its 95 % interval; None if undefined or unknown."""

    name: str
    """For people."""
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Fact:
    """A property of a run, for the top of a report."""

    name: str
    value: str
    detail: str


@dataclass(frozen=True)
class TaxonomyScore:
    """Macro-F1 of a taxonomy by the run's kind of rule."""

    taxonomy: str
    roll_up: str
    f1_macro: Score
    paper: float
    """Of the paper's model trained on it; compares only if the report has the paper's F1 of each emotion too."""


@dataclass(frozen=True)
class Calibration:
    """Measures over all cells, after the mean ECE of the labels, and bins; by state, `before` and if there is one `after`."""

    measures: Mapping[str, Mapping[str, float]]
    bins: Mapping[str, Mapping[str, list[list[float]]]]
    """By state and label (`""`: all): rows of mean predicted, observed share, its interval's ends, cells."""


@dataclass(frozen=True)
class Confusions:
    """Which label is predicted if a gold one is missed."""

    shown: tuple[Confusion, ...]
    """The significant ones with the highest lift, highest first."""
    standing_out: int
    share: list[list[float | None]]
    """Row i, column j: of the comments that miss gold i and do not carry j, the share on which j is predicted."""
    count: list[list[int]]


@dataclass(frozen=True)
class LabelPair:
    """Two labels that some text has together."""

    first: str
    second: str
    gold: int
    """Texts with both as gold labels."""
    predicted: int
    share: float
    """Of the texts with the rarer one as gold label, the share that has both."""
    p_holm: float | None
    """Of the exact McNemar test that the pair is predicted as often as it is gold."""


@dataclass(frozen=True)
class Pairs:
    """Labels that occur together."""

    shown: tuple[LabelPair, ...]
    """The most frequent by gold labels, most frequent first."""
    total: int


@dataclass(frozen=True)
class Disagreement:
    """A label of a text on which the model confidently disagrees with the gold labels."""

    row: int
    """From 1."""
    id: str | None
    text: str
    label: str
    probability: float
    usual: float
    """The mean probability of the label: over its texts if it is not gold here, over the other texts if it is."""
    gold: tuple[str, ...]
    """Of the text."""


@dataclass(frozen=True)
class Disagreements:
    """Gold labels worth a second look; either side may be right."""

    extra: tuple[Disagreement, ...]
    """The model is confident of a label that is not gold; the most probable first."""
    n_extra: int
    missed: tuple[Disagreement, ...]
    """A gold label that the model confidently rules out; first the least probable compared with `usual`."""
    n_missed: int


@dataclass(frozen=True)
class Steps:
    """Training by optimizer step, as the run's journal has it."""

    epochs: Mapping[int, int]
    """The last step of each epoch."""
    losses: tuple[tuple[int, float], ...]
    """Train loss by step, if steps were logged."""


@dataclass(frozen=True)
class SettingRow:
    """One setting of the runs of a report."""

    name: str
    values: tuple[str, ...]
    """Of each run."""
    is_changed: bool
    """Whether a value differs from the default of the run's model, or runs differ from each other."""


@dataclass(frozen=True)
class Line:
    """One line of the lineage tree."""

    depth: int
    node: Node
    made_from: tuple[str, ...]
    """Parent runs at other places in the tree."""

    @property
    def is_faulty(self) -> bool:
        """Whether it no longer fits what it was made from."""
        return self.node.state in ("stale", "gone", "damaged")


@dataclass(frozen=True)
class Environment:
    """What a run ran on."""

    facts: Mapping[str, str]
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Repeating:
    """How to make the run again."""

    command: str
    settings: Mapping[str, Any]
    """Those that differ from the defaults of its model, by dotted name."""
    data_sha256: str | None
    seed: int | None


@dataclass(frozen=True)
class SplitFacts:
    """One split."""

    comments: int
    labels_per_comment: float
    unlabelled: int
    characters: tuple[int, int, int]
    """Median, 95th percentile and longest."""
    per_label: tuple[int, ...]
    """Gold positives, in label order."""
    repeated: int
    """Comments whose text appears earlier in the same split."""


@dataclass(frozen=True)
class CountedData:
    """The data set, read again."""

    splits: Mapping[Split, SplitFacts]
    leaks: tuple[Leak, ...]


@dataclass(frozen=True)
class RunContent:
    """One run."""

    name: str
    model: str
    rule: str | Missing
    facts: tuple[Fact, ...]
    headline: tuple[Score, ...] | Missing
    rules: Mapping[str, tuple[Score, ...]] | Missing
    emotions: list[LabelScores] | Missing
    taxonomies: list[TaxonomyScore] | Missing
    thresholds: Thresholds | Missing
    predictions: Predictions | Missing
    outcomes: RowOutcomes | Missing
    calibration: Calibration | Missing
    confusions: Confusions | Missing
    matrix: list[list[int]] | None
    """Of single-label data: test texts by gold label, and within a row by predicted label."""
    pairs: Pairs | Missing
    disagreements: Disagreements | Missing
    epochs: list[EpochScores] | Missing
    best_epoch: int | None
    """The epoch whose weights were kept."""
    steps: Steps | None
    lineage: list[Line] | Missing
    environment: Environment | Missing
    repeat: Repeating | Missing

    def missing(self) -> Iterator[tuple[str, Missing]]:
        """The parts that cannot be shown, by name."""
        for field in fields(self):
            if isinstance(value := getattr(self, field.name), Missing):
                yield field.name, value


@dataclass(frozen=True)
class LeaderboardRow:
    """One line of the leaderboard."""

    run: str
    model: str
    data: str | None
    same_test: bool
    """Scored on the same test comments as the first run of the report."""
    shown: bool
    """One of the runs of the report."""
    rule: str | None
    val: float | None
    """Mean average precision, what runs are ranked by."""
    test: Mapping[str, float | None]
    seconds: float | None


@dataclass(frozen=True)
class Leaderboard:
    """All finished runs below the root, the best on val first."""

    runs: tuple[LeaderboardRow, ...]
    total: int
    """How many there are before the limit."""


@dataclass(frozen=True)
class ScoreDifference:
    """One score of a pair of runs: B minus A."""

    name: str
    a: float | None
    b: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    """Corrected by Holm."""
    better: str


@dataclass(frozen=True)
class Pair:
    """Two runs that `goemo compare` set side by side."""

    a: str
    b: str
    scores: tuple[ScoreDifference, ...]
    emotions: tuple[ScoreDifference, ...]
    """Those at which one is better."""
    n_emotions: int


STATES = ("finished", "pruned", "failed", "running", "waiting")
"""Of a trial."""
Cell = float | str | None


@dataclass(frozen=True)
class Trial:
    """One row of trials.csv."""

    number: int
    state: str
    values: tuple[float, ...]
    """Of the objectives; empty unless finished."""
    cells: tuple[Cell, ...]
    """Of `Sweep.columns`."""
    run: str | None
    seconds: float | None
    duplicate_of: int | None
    """The trial with the same settings whose result this one has."""
    reason: str | None


@dataclass(frozen=True)
class Sweep:
    """One sweep as its tables have it."""

    method: Method
    objectives: tuple[tuple[str, Goal], ...]
    columns: tuple[str, ...]
    """The settings that were searched; before them what a combined score was made from."""
    trials: tuple[Trial, ...]
    """Finished ones first, the best by the first objective on top; then the others by number."""
    front: tuple[Trial, ...]
    """Those that no other one beats in every objective, the best by the first on top; with one objective the best alone."""
    best: str | Missing
    """best.yaml."""
    sources: Mapping[str, str]
    """SHA-256 of the files by path from the root; none while trials run, since the files change then."""

    def count(self, state: str) -> int:
        """How many trials are in one of `STATES`."""
        return sum(one.state == state for one in self.trials)

    def is_number(self, column: int) -> bool:
        """Whether a column holds numbers and nothing else."""
        return all(not isinstance(one.cells[column], str) for one in self.trials)


@dataclass(frozen=True)
class Sweeps:
    """Every sweep below the root, by its name, the newest first."""

    shown: Mapping[str, Sweep | Missing]
    total: int
    """How many there are before the limit."""

    @property
    def sources(self) -> dict[str, str]:
        """SHA-256 of the files of those that are shown."""
        found = (one for one in self.shown.values() if isinstance(one, Sweep))
        return {path: digest for one in found for path, digest in one.sources.items()}

    def missing(self) -> list[tuple[str, str, str]]:
        """(sweep, part, reason) of what cannot be shown."""
        found = [(f"sweep {name}", "trials", one) for name, one in self.shown.items()]
        return [(name, what, one.reason) for name, what, one in found if isinstance(one, Missing)]


@dataclass(frozen=True)
class Report:
    """The runs, in the order they were named, and what they share."""

    labels: tuple[str, ...]
    terms: Terms
    runs: tuple[RunContent, ...]
    leaderboard: Leaderboard
    sweeps: Sweeps
    comparisons: list[Pair] | Missing
    settings: list[SettingRow] | Missing
    paper: Mapping[str, float] | None
    """The paper's F1 of each emotion, if it can be compared."""
    recorded_data: DataFacts | Missing
    data: CountedData | Missing
    left_out: str | None
    """Which runs are not shown, and why."""
    sources: Mapping[str, str]
    """SHA-256 of the files that it was made from, by path from the root."""

    @property
    def is_single_label(self) -> bool:
        """Whether each run predicts the most probable label, without thresholds."""
        return all(run.rule == ARGMAX for run in self.runs)

    @property
    def damage(self) -> GoemoError | None:
        """The first file of the runs or their data that is here and cannot be used; a sweep's does not count."""
        parts = [part for run in self.runs for _, part in run.missing()]
        parts += [
            one
            for one in (self.comparisons, self.settings, self.recorded_data, self.data)
            if isinstance(one, Missing)
        ]
        return next((part.damage for part in parts if part.damage), None)

    @property
    def predictions(self) -> Predictions | None:
        """Those of the first run that has some: texts and gold labels are the same for all."""
        found = (run.predictions for run in self.runs if not isinstance(run.predictions, Missing))
        return next(found, None)
