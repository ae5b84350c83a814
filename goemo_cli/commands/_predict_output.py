"""What goemo predict writes: a file, rows on standard output, a table, or answers to single texts."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from goemo_cli.commands._console import Console
from goemo_cli.commands._progress import Screen
from goemo_cli.commands._tables import one_line
from goemo_cli.core.documents.bulk import BatchStatistics
from goemo_cli.core.events import ignore
from goemo_cli.services.data.result_tables import counted
from goemo_cli.services.predicting.formats import OutputFormat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from goemo_cli.services.predicting.predictor import (
        Predictor,
        TextPrediction,
        TextPredictions,
    )
    from goemo_cli.services.predicting.sources import TextRow, TextSource
    from goemo_cli.services.predicting.stream import Sample

_LONGEST = 300
"""Characters of a text in a table."""


Shape = Literal["table", "json", OutputFormat]


@dataclass(frozen=True)
class Target:
    """Where predictions go."""

    out: Console
    shape: Shape
    path: Path | None
    """The file; None is standard output."""
    most: int | None
    """Maximum number of labels per text, and of probabilities in tables and JSON."""
    formula_safe: bool = False
    """Write texts in CSV so that no spreadsheet takes them for formulas."""

    def write(self, predictor: "Predictor", source: "TextSource", sample: "Sample | None") -> BatchStatistics:
        """Predict all rows and write them."""
        if self.path:
            return self._to_file(predictor, source, self.path, sample)
        write = self._to_tables if self.shape == "table" else self._to_stdout
        statistics = write(predictor, source, sample)
        self.out.note(_summary(statistics))
        return statistics

    def _to_file(
        self, predictor: "Predictor", source: "TextSource", path: Path, sample: "Sample | None"
    ) -> BatchStatistics:
        from goemo_cli.services.predicting.predictor import facts_of
        from goemo_cli.services.predicting.stream import predict_to_file

        shape: Any = self.shape
        with Screen(self.out) as screen:
            statistics = predict_to_file(
                predictor,
                source,
                path,
                format=shape,
                most=self.most,
                formula_safe=self.formula_safe,
                sample=sample,
                on_event=screen,
            )
        facts = facts_of(predictor) if self.out.as_json else {"run": str(predictor.run)}
        shown = statistics.facts() if self.out.as_json else {"statistics": _summary(statistics)}
        self.out.result("Wrote predictions", path=path, format=shape, **facts, **shown)
        return statistics

    def _to_stdout(
        self, predictor: "Predictor", source: "TextSource", sample: "Sample | None"
    ) -> BatchStatistics:
        from goemo_cli.services.predicting.stream import predict_stream
        from goemo_cli.services.predicting.writers import text_writer

        shape: Any = self.shape
        options: Any = {"most": self.most, "formula_safe": self.formula_safe}
        with (
            Screen(self.out) as screen,
            text_writer(sys.stdout.buffer, shape, source, predictor, **options) as write,
        ):
            # A bar among the rows of a terminal would be in their way.
            on_event = ignore if sys.stdout.isatty() else screen
            return predict_stream(predictor, source, write, sample=sample, on_event=on_event)

    def _to_tables(
        self, predictor: "Predictor", source: "TextSource", sample: "Sample | None"
    ) -> BatchStatistics:
        """A table for each window."""
        from goemo_cli.services.predicting.stream import predict_stream

        def write(rows: "Sequence[TextRow]", predictions: "TextPredictions") -> None:
            cells = [
                [one_line(row.text, _LONGEST), answer(predictions[at], self.most)]
                for at, row in enumerate(rows)
            ]
            self.out.table("", ["text", "labels"], cells)

        return predict_stream(predictor, source, write, sample=sample)


def converse(out: Console, predictor: "Predictor", top_k: int | None) -> None:
    """Answer line by line until an empty one, the end of input, or Ctrl-C."""
    prompt = "> " if sys.stdin.isatty() else ""
    while True:
        try:
            text = input(prompt)
            if not text.strip():
                return
            out.text(answer(predictor.predict_one(text), top_k))
        except (EOFError, KeyboardInterrupt):
            return


def answer(prediction: "TextPrediction", top_k: int | None = None) -> str:
    """The labels, most probable first; in brackets what is shown without being one.

    Args:
        top_k: number of labels to show; by default the predicted ones, or the most probable one if none is predicted.
    """
    ranked = sorted(prediction.probabilities.items(), key=lambda entry: -entry[1])
    predicted = [entry for entry in ranked if entry[0] in prediction.labels]
    shown = ranked[:top_k] if top_k else predicted or ranked[:1]
    return "  ".join(
        f"{label} {probability:.3f}" if label in prediction.labels else f"({label} {probability:.3f})"
        for label, probability in shown
    )


def _summary(statistics: BatchStatistics) -> str:
    confidence = statistics.mean_confidence
    parts = [
        counted(statistics.texts, "text"),
        *([f"mean confidence {confidence:.3f}"] if confidence is not None else []),
        f"{statistics.unlabelled:,} without a label",
        *([f"{statistics.cut:,} longer than the model reads"] if statistics.cut else []),
    ]
    return ", ".join(parts)
