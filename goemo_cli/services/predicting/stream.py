"""Predict a stream in windows: bounded memory, input order, little padding."""

import random
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from goemo_cli.core.documents.bulk import BatchStatistics
from goemo_cli.core.errors import SettingError
from goemo_cli.core.events import Advance, EventHandler, FileWritten, ignore, progress
from goemo_cli.core.files import atomic_path
from goemo_cli.services.predicting.formats import OutputFormat
from goemo_cli.services.predicting.predictor import Predictor, TextPredictions
from goemo_cli.services.predicting.sources import TextRow, TextSource
from goemo_cli.services.predicting.writers import Write, parquet_writer, text_writer

WINDOW_ROWS = 4096
"""Rows that are held at once; inside a window the model sees them by length."""
WINDOW_CHARACTERS = 8_000_000
"""A window of longer texts ends sooner."""


def predict_stream(
    predictor: Predictor,
    source: TextSource,
    write: Write,
    *,
    sample: "Sample | None" = None,
    on_event: EventHandler = ignore,
) -> BatchStatistics:
    """Predict every row and hand it on, in the order of the input.

    Args:
        source: rows; a window of them is read, predicted and written before the next is read.
        write: called with the rows and predictions of each window.
        sample: receives them too.
    """
    statistics = BatchStatistics()
    with _progress(source.total, on_event) as whole:
        for window in windows(source.rows):
            with nullcontext(whole) if whole else progress(on_event, "Predicting", len(window)) as advance:
                predictions = predictor.predict([row.text for row in window], on_progress=advance)
            write(window, predictions)
            if sample:
                sample.add(window, predictions)
            statistics += predictions.statistics
    return statistics


def _progress(total: int | None, on_event: EventHandler) -> AbstractContextManager[Advance | None]:
    """One phase for a known number of rows; otherwise each window is a phase."""
    return nullcontext() if total is None else progress(on_event, "Predicting", total)


def predict_to_file(
    predictor: Predictor,
    source: TextSource,
    output: Path,
    *,
    format: OutputFormat,
    most: int | None = None,
    formula_safe: bool = False,
    sample: "Sample | None" = None,
    on_event: EventHandler = ignore,
) -> BatchStatistics:
    """Predict each row and write the file atomically.

    Args:
        output: the file; an older one is replaced when all is done.
        format: jsonl, csv or parquet.
        most: maximum number of probabilities per JSONL row.
        formula_safe: write texts in CSV so that no spreadsheet takes them for formulas.
        sample: receives each row too.

    Raises:
        SettingError: the output is the input.
    """
    require_other_file(source, output)
    if format == "parquet":
        with atomic_path(output) as partial, parquet_writer(partial, source, predictor) as write:
            statistics = predict_stream(predictor, source, write, sample=sample, on_event=on_event)
    else:
        with (
            atomic_path(output) as partial,
            partial.open("wb") as stream,
            text_writer(stream, format, source, predictor, most=most, formula_safe=formula_safe) as write,
        ):
            statistics = predict_stream(predictor, source, write, sample=sample, on_event=on_event)
    on_event(FileWritten(output))
    return statistics


def require_other_file(source: TextSource, output: Path) -> None:
    """Refuse to replace the input.

    Raises:
        SettingError: the output is the input.
    """
    if source.path and output.resolve() == source.path.resolve():
        raise SettingError([f"--output {output}: the input would be replaced; name another file"])


def windows(rows: Iterable[TextRow]) -> Iterator[list[TextRow]]:
    """The rows in pieces of at most `WINDOW_ROWS` rows and about `WINDOW_CHARACTERS` characters."""
    window: list[TextRow] = []
    characters = 0
    for row in rows:
        window.append(row)
        characters += len(row.text)
        if len(window) == WINDOW_ROWS or characters >= WINDOW_CHARACTERS:
            yield window
            window, characters = [], 0
    if window:
        yield window


SAMPLE_ROWS = 1000


@dataclass
class Sample:
    """At most `SAMPLE_ROWS` rows, each with the same chance, by a fixed seed.

    Source:
        Vitter 1985, Random sampling with a reservoir, algorithm R.
    """

    kept: list[tuple[str, tuple[str, ...], float]] = field(default_factory=list)
    """Text, labels and highest probability."""
    seen: int = 0
    _random: random.Random = field(default_factory=lambda: random.Random(0))

    def add(self, rows: list[TextRow], predictions: TextPredictions) -> None:
        """Look at a window."""
        for at, row in enumerate(rows):
            self.seen += 1
            place = len(self.kept) if len(self.kept) < SAMPLE_ROWS else self._random.randrange(self.seen)
            if place >= SAMPLE_ROWS:
                continue
            one = (row.text, predictions.label_names(at), float(predictions.y_prob[at].max()))
            self.kept[place : place + 1] = [one]
