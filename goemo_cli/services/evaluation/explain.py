"""`goemo explain`: which words of a text moved which label of a run, as data and as an HTML page."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any, get_args

import numpy as np

from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.errors import SettingError, did_you_mean, known_name
from goemo_cli.core.events import EventHandler, Warning, ignore
from goemo_cli.core.files import write_text
from goemo_cli.core.schema import ExplainMethod
from goemo_cli.ml.data.dataset import without_surrogates
from goemo_cli.ml.metrics.attributions import (
    Attributions,
    integrated_gradients,
    linear_contributions,
    mean_attributions,
    occlusion,
    words_of,
)
from goemo_cli.ml.models.classifier import Classifier, load_classifier
from goemo_cli.ml.models.ensemble import Ensemble
from goemo_cli.ml.models.tfidf import TfidfClassifier
from goemo_cli.ml.models.transformer import TransformerClassifier

METHODS: tuple[str, ...] = get_args(ExplainMethod)
_NOTABLE_DELTA = 0.05


@dataclass(frozen=True)
class Word:
    """A word of the text and what it adds to a label."""

    text: str
    start: int
    end: int
    amount: float
    """Log-odds; positive speaks for the label."""


@dataclass(frozen=True)
class LabelExplanation:
    """One label of a text."""

    label: str
    probability: float
    threshold: float | None
    """None for single-label data, of which the most probable label is predicted."""
    is_predicted: bool
    logit: float
    """Log-odds that the words explain; of an ensemble the mean over its members."""
    baseline: float | None
    """Log-odds of a text that says nothing: baseline and amounts add up to the logit. None with occlusion."""
    delta: float | None
    """By how much they miss it."""
    words: tuple[Word, ...]

    def strongest(self, top: int) -> tuple[Word, ...]:
        """The words that move the label most, in either direction."""
        return tuple(sorted(self.words, key=lambda word: -abs(word.amount))[:top])


@dataclass(frozen=True)
class Explanation:
    """A text and the labels that were explained, the most probable first."""

    run: str
    text: str
    method: ExplainMethod
    rule: str
    """By which labels are predicted."""
    labels: tuple[LabelExplanation, ...]

    def document(self, top: int) -> dict[str, Any]:
        """Everything, for `--json`; of each label also the `top` strongest words."""
        values = asdict(self)
        for one, written in zip(self.labels, values["labels"], strict=True):
            written["strongest"] = [asdict(word) for word in one.strongest(top)]
        return values


def explain(
    text: str,
    *,
    checkpoint: Checkpoint,
    labels: Sequence[str] = (),
    method: str | None = None,
    device: str = "auto",
    on_event: EventHandler = ignore,
) -> Explanation:
    """Which words of a text moved which label.

    Args:
        text: with at least one word.
        checkpoint: whose model is asked.
        labels: which labels; by default those that are predicted, or the most probable one if none is predicted.
        method: one of `METHODS`; by default `exact` for tfidf, else `integrated-gradients`.
        device: auto, cpu, cuda or mps.

    Raises:
        SettingError: a text without words, an unknown label, or a method that the model does not have.
        MissingPackageError: integrated gradients without captum.
        CorruptArtifactError: damaged weights.
    """
    text = without_surrogates(text)
    if not words_of(text):
        raise SettingError(["the text has no word in it"])
    if method is not None:
        known_name(method, METHODS, "method")
    chosen = _positions(labels, checkpoint)
    decision = checkpoint.rules.decision()
    classifier = load_classifier(checkpoint, device=device, keep_members=True)
    y_prob = classifier.predict_proba([text])
    is_predicted = decision(y_prob)[0]
    if not chosen:
        chosen = np.flatnonzero(is_predicted).tolist() or [int(y_prob[0].argmax())]
    chosen.sort(key=lambda at: -y_prob[0, at])
    used, found = _attributions(classifier, method, text, chosen)
    words = [(text[start:end], start, end) for start, end in found.words]
    explained = tuple(
        LabelExplanation(
            label=checkpoint.labels[at],
            probability=float(y_prob[0, at]),
            threshold=decision.threshold_of(at),
            is_predicted=bool(is_predicted[at]),
            logit=float(found.logits[row]),
            baseline=None if found.baselines is None else float(found.baselines[row]),
            delta=None if found.deltas is None else float(found.deltas[row]),
            words=tuple(
                Word(*word, amount=float(amount))
                for word, amount in zip(words, found.amounts[row], strict=True)
            ),
        )
        for row, at in enumerate(chosen)
    )
    _warn(found.n_cut, explained, on_event)
    return Explanation(str(checkpoint.run), text, used, decision.rule, explained)


def _positions(labels: Sequence[str], checkpoint: Checkpoint) -> list[int]:
    known = checkpoint.labels
    if unknown := [label for label in labels if label not in known]:
        near = did_you_mean(unknown[0], known) or f"; it has {', '.join(known)}"
        raise SettingError([f"{checkpoint.run} has no label {unknown[0]!r}{near}"])
    return [known.index(label) for label in dict.fromkeys(labels)]


def _attributions(
    model: Classifier, method: str | None, text: str, labels: Sequence[int]
) -> tuple[ExplainMethod, Attributions]:
    """By the method, or by the one that suits the model; of an ensemble the mean over its members."""
    if method == "occlusion":
        return "occlusion", occlusion(model.predict_proba, text, labels)
    if isinstance(model, Ensemble):
        members = [_attributions(load(), method, text, labels) for load in model.members]
        return members[0][0], mean_attributions([found for _, found in members])
    if isinstance(model, TfidfClassifier) and method in (None, "exact"):
        return "exact", linear_contributions(model, text, labels)
    if isinstance(model, TransformerClassifier) and method in (None, "integrated-gradients"):
        return "integrated-gradients", integrated_gradients(model, text, labels)
    kind, other = ("tfidf", "exact") if isinstance(model, TfidfClassifier) else ("a transformer", METHODS[0])
    raise SettingError([f"{method} does not explain {kind}; {other} and occlusion do"])


def _warn(n_cut: int, explained: Sequence[LabelExplanation], on_event: EventHandler) -> None:
    if n_cut:
        on_event(
            Warning(f"the last {n_cut} word(s) were not read: the text is longer than the model's max_length")
        )
    for one in explained:
        notable = _NOTABLE_DELTA * max(1, abs(one.logit - (one.baseline or 0)))
        if one.delta is not None and not abs(one.delta) <= notable:
            on_event(
                Warning(f"{one.label}: the amounts miss their sum by {one.delta:+.2f}; take them as rough")
            )


# Blue speaks for a label, orange against it: apart for colour-blind eyes too.
_FOR, _AGAINST = "31,119,180", "230,97,1"
_STYLE = """body{font:16px/2 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h2{font-size:1.1rem;margin:2rem 0 0}p{margin:.3rem 0;white-space:pre-wrap;overflow-wrap:anywhere}
mark{color:inherit;border-radius:.2rem;padding:.1rem}sub{color:#555;font-size:.7rem}footer{color:#555;margin-top:2rem}"""


def write_explanation(path: Path, explanation: Explanation, *, top: int) -> None:
    """Write the page: one file, no scripts, nothing loaded from elsewhere.

    Args:
        explanation: of one text.
        top: words per label that get a number, the strongest ones.
    """
    sections = "\n".join(_section(explanation.text, one, top) for one in explanation.labels)
    write_text(
        path,
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(explanation.run)}</title>\n'
        f"<style>{_STYLE}</style>\n<body><h1>Which words moved which label</h1>\n{sections}\n"
        f"<footer>{escape(explanation.run)}, {explanation.method}. Numbers are log-odds: blue words speak for the "
        "label, orange ones against it.</footer></body></html>\n",
    )


def _section(text: str, one: LabelExplanation, top: int) -> str:
    numbered, most = one.strongest(top), max(abs(word.amount) for word in one.words)
    parts, at = [], 0
    for word in one.words:
        colour, depth = (_FOR if word.amount > 0 else _AGAINST), abs(word.amount) / most if most else 0
        number = f"<sub>{word.amount:+.2f}</sub>" if word in numbered else ""
        parts.append(escape(text[at : word.start]))
        parts.append(
            f'<mark style="background:rgba({colour},{depth * 0.6:.2f})" title="{word.amount:+.4f}">'
            f"{escape(word.text)}</mark>{number}"
        )
        at = word.end
    is_predicted = "predicted" if one.is_predicted else "not predicted"
    return (
        f"<h2>{escape(one.label)}: {one.probability:.3f}, {is_predicted} ({_rule_words(one)})</h2>\n"
        f"<p>{''.join(parts)}{escape(text[at:])}</p>"
    )


def _rule_words(one: LabelExplanation) -> str:
    return "the most probable label is" if one.threshold is None else f"threshold {one.threshold:.3f}"
