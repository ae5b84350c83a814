"""Which words moved a label: integrated gradients, occlusion, and the exact sum of a linear model."""

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from goemo_cli.core.arrays import DoubleArray, FloatArray
from goemo_cli.core.errors import MissingPackageError
from goemo_cli.ml.models.tfidf import TfidfClassifier
from goemo_cli.ml.models.transformer import TransformerClassifier
from goemo_cli.ml.training.batches import cutting

Span = tuple[int, int]
"""Where a word begins and ends in its text."""

# Scripts without spaces between words: one character a word, as BERT's tokenizers cut them too.
_ALONE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_ALONE}]|[^\W{_ALONE}]+(?:['’][^\W{_ALONE}]+)*|[^\w\s]+")
_FEWEST_STEPS, _MOST_STEPS = 64, 512
_WANTED_DELTA = 0.01
_BATCH = 32


@dataclass(frozen=True)
class Attributions:
    """What each word of a text adds to the log-odds of some labels.

    Attributes:
        words: the words in the text's order.
        amounts: log-odds, float64, (n_labels, n_words); positive speaks for the label.
        logits: log-odds of each label, float64, (n_labels,).
        baselines: log-odds of a text that says nothing, (n_labels,), where `amounts` add up to the difference
            between the two; None for a method whose amounts do not add up to anything.
        n_cut: words at the end that the model did not read.
    """

    words: tuple[Span, ...]
    amounts: DoubleArray
    logits: DoubleArray
    baselines: DoubleArray | None
    n_cut: int = 0

    @property
    def deltas(self) -> DoubleArray | None:
        """By how much the amounts miss the difference between logit and baseline, (n_labels,)."""
        if self.baselines is None:
            return None
        missed: DoubleArray = self.amounts.sum(axis=1) - (self.logits - self.baselines)
        return missed


def words_of(text: str) -> tuple[Span, ...]:
    """The words of a text; adjacent punctuation marks and emoji form a word too."""
    return tuple(match.span() for match in _WORD.finditer(text))


def integrated_gradients(classifier: TransformerClassifier, text: str, labels: Sequence[int]) -> Attributions:
    """Integrated gradients of the logits along the word embeddings; the baseline is the text with every token padding.

    Steps are doubled until the amounts of every label add up to within 1 % of what they should, or 512 are reached.

    Args:
        classifier: in evaluation mode.
        text: with at least one word.
        labels: positions of the labels to explain.

    Raises:
        MissingPackageError: captum is not installed.

    Source:
        Sundararajan et al. 2017, https://arxiv.org/abs/1703.01365; captum's LayerIntegratedGradients.
    """
    try:
        from captum.attr import LayerIntegratedGradients
    except ImportError as error:
        raise MissingPackageError("captum", "explain", "explaining a transformer") from error

    tokens, baseline, offsets = _tokens(classifier, text)
    mask = torch.ones_like(tokens)

    def logits_of(ids: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = classifier.model(input_ids=ids, attention_mask=attention).logits
        return logits

    with torch.no_grad():
        logits, base = (
            logits_of(ids, mask)[0, list(labels)].double().cpu().numpy() for ids in (tokens, baseline)
        )
    layer = LayerIntegratedGradients(logits_of, classifier.model.get_input_embeddings())
    by_token = np.stack(
        [
            _until_complete(layer, tokens, baseline, mask, label, wanted)
            for label, wanted in zip(labels, logits - base, strict=True)
        ]
    )
    words = words_of(text)
    read = max((end for _, end in offsets), default=0)
    n_cut = sum(start >= read for start, _ in words)
    return Attributions(words, _by_word(by_token, offsets, words), logits, base, n_cut)


def occlusion(
    predict_proba: Callable[[Sequence[str]], FloatArray], text: str, labels: Sequence[int]
) -> Attributions:
    """How far the log-odds fall when a word is left out, one word at a time; works for any model.

    Args:
        predict_proba: texts to probabilities, float32, (n_examples, all labels).
        text: with at least one word.
        labels: positions of the labels to explain.

    Source:
        Zeiler & Fergus 2014, https://arxiv.org/abs/1311.2901, section 4.2, with words for patches.
    """
    words = words_of(text)
    without = [text[:start] + text[end:] for start, end in words]
    logits = _log_odds(predict_proba([text, *without])[:, list(labels)])  # (1 + n_words, n_labels)
    return Attributions(words, (logits[0] - logits[1:]).T, logits[0], None)


def linear_contributions(classifier: TfidfClassifier, text: str, labels: Sequence[int]) -> Attributions:
    """Coefficient times value of every term, exactly; a pair of words shares its amount between the two.

    The baseline is the intercept: a text without a known word.
    """
    vectorizer = classifier.vectorizer
    lowered = text.lower()
    found = list(re.finditer(vectorizer.token_pattern, lowered))
    places = _places_of_terms(vectorizer, [match.group() for match in found])
    values = vectorizer.transform([text])
    rows = classifier.coefficients[list(labels)].astype(np.float64)  # (n_labels, n_terms)
    amounts = np.zeros((len(labels), len(found)))
    for term, value in zip(values.indices, values.data, strict=True):
        np.add.at(amounts.T, places[term], rows[:, term] * value / len(places[term]))
    base = classifier.intercepts[list(labels)]
    # Lower case may be longer than what it was made from, so places in it are mapped back.
    origin = [at for at, character in enumerate(text) for _ in character.lower()]
    words = tuple((origin[match.start()], origin[match.end() - 1] + 1) for match in found)
    return Attributions(words, amounts, base + (values @ rows.T)[0], base)


def _places_of_terms(vectorizer: Any, tokens: Sequence[str]) -> dict[int, list[int]]:
    """Positions of the tokens that each known term covers, once for every time that it occurs."""
    places: dict[int, list[int]] = {}
    shortest, longest = vectorizer.ngram_range
    for length in range(shortest, longest + 1):
        for at in range(len(tokens) - length + 1):
            term = vectorizer.vocabulary_.get(" ".join(tokens[at : at + length]))
            if term is not None:
                places.setdefault(term, []).extend(range(at, at + length))
    return places


def mean_attributions(members: Sequence[Attributions]) -> Attributions:
    """The mean over the members of an ensemble: of amounts, logits and baselines."""
    first = members[0]
    bases = [one.baselines for one in members if one.baselines is not None]
    return Attributions(
        first.words,
        np.mean([one.amounts for one in members], axis=0),
        np.mean([one.logits for one in members], axis=0),
        np.mean(bases, axis=0) if bases else None,
        first.n_cut,
    )


def _tokens(classifier: TransformerClassifier, text: str) -> tuple[torch.Tensor, torch.Tensor, list[Span]]:
    """Token ids and the baseline's, (1, n_tokens) each, and the character range of each token; (0, 0) for special tokens."""
    encoded = cutting(classifier.tokenizer, classifier.max_length).encode(text)
    device = next(classifier.model.parameters()).device
    tokens = torch.tensor([encoded.ids], device=device)
    special = torch.tensor([encoded.special_tokens_mask], device=device, dtype=torch.bool)
    baseline = torch.where(special, tokens, classifier.tokenizer.pad_token_id or 0)
    return tokens, baseline, encoded.offsets


def _until_complete(
    layer: Any,
    tokens: torch.Tensor,
    baseline: torch.Tensor,
    mask: torch.Tensor,
    label: int,
    wanted: float,
) -> DoubleArray:
    """What each token adds to a label's logit, (n_tokens,), by as many steps as it takes to add up to `wanted`."""
    steps = _FEWEST_STEPS
    while True:
        amounts = layer.attribute(
            tokens,
            baseline,
            additional_forward_args=(mask,),
            target=label,
            n_steps=steps,
            internal_batch_size=_BATCH,
        )  # (1, n_tokens, width)
        by_token: DoubleArray = amounts[0].sum(dim=-1).detach().double().cpu().numpy()
        if abs(by_token.sum() - wanted) <= _WANTED_DELTA * max(1, abs(wanted)) or steps >= _MOST_STEPS:
            return by_token
        steps *= 2


def _by_word(by_token: DoubleArray, offsets: Sequence[Span], words: Sequence[Span]) -> DoubleArray:
    """Amounts of tokens, (n_labels, n_tokens), summed over the words that they are pieces of, (n_labels, n_words)."""
    starts = [start for start, _ in words]
    amounts = np.zeros((len(by_token), len(words)))
    for token, (_, end) in enumerate(offsets):
        # By its end, since the first character of some tokenizers' pieces is the space before the word.
        word = max(bisect_right(starts, end - 1) - 1, 0)
        amounts[:, word] += by_token[:, token]
    return amounts


def _log_odds(y_prob: FloatArray) -> DoubleArray:
    clipped = np.clip(y_prob.astype(np.float64), 1e-7, 1 - 1e-7)
    odds: DoubleArray = np.log(clipped / (1 - clipped))
    return odds
