"""Predictions for people: a table, or a conversation."""

import sys
from typing import TYPE_CHECKING

from goemo_cli.commands._console import Console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from goemo_cli.services.predicting.predictor import (
        BatchStatistics,
        Predictor,
        TextPrediction,
        TextPredictions,
    )
    from goemo_cli.services.predicting.sources import TextRow, TextSource
    from goemo_cli.services.predicting.stream import Sample

_LONGEST = 300
"""Characters of a text in a table."""


def show_tables(
    out: Console, predictor: "Predictor", source: "TextSource", top_k: int | None, sample: "Sample | None"
) -> "BatchStatistics":
    """A table for each window."""
    from goemo_cli.services.predicting.stream import predict_stream

    def write(rows: "Sequence[TextRow]", predictions: "TextPredictions") -> None:
        cells = [[_one_line(row.text), answer(predictions[at], top_k)] for at, row in enumerate(rows)]
        out.table("", ["text", "labels"], cells)

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
        prediction: of one text.
        top_k: number of labels to show; by default the predicted ones, or the most probable one if none is predicted.
    """
    ranked = sorted(prediction.probabilities.items(), key=lambda entry: -entry[1])
    predicted = [entry for entry in ranked if entry[0] in prediction.labels]
    shown = ranked[:top_k] if top_k else predicted or ranked[:1]
    return "  ".join(
        f"{label} {probability:.3f}" if label in prediction.labels else f"({label} {probability:.3f})"
        for label, probability in shown
    )


def _one_line(text: str) -> str:
    line = " ".join(text[: 2 * _LONGEST].split())
    return line if len(line) <= _LONGEST and len(text) <= 2 * _LONGEST else line[:_LONGEST] + "…"
