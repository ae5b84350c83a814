"""TF-IDF with logistic regression: the baseline in seconds. Its checkpoint holds arrays and JSON, no pickle."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from scipy.special import softmax
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from goemo_cli.core.arrays import BoolArray, DoubleArray, FloatArray, require_probabilities
from goemo_cli.core.errors import CorruptArtifactError, DataError
from goemo_cli.core.files import atomic_path, library_writes, read_json_object, write_json
from goemo_cli.core.schema import PROBLEM_TYPES
from goemo_cli.core.settings import WeightFiles

VOCABULARY = "tfidf.json"
ARRAYS = "tfidf.safetensors"
_INFERENCE_ROWS = 4096


@dataclass
class TfidfClassifier:
    """Words and pairs of words, weighted by rarity, and a logistic regression: one per label, or one over all labels.

    Attributes:
        labels: label names.
        vectorizer: fitted.
        coefficients: (n_labels, n_terms), float32.
        intercepts: (n_labels,), float64.
        folder: the checkpoint that it was read from; None if it is not saved.
        is_single_label: probabilities are a softmax, and their sum is 1.
    """

    labels: tuple[str, ...]
    vectorizer: TfidfVectorizer
    coefficients: FloatArray
    intercepts: DoubleArray
    folder: Path | None = None
    is_single_label: bool = False

    def predict_proba(
        self,
        texts: Sequence[str],
        on_progress: Callable[[int], None] = lambda rows: None,
        cut: Callable[[int], None] = lambda texts: None,
    ) -> FloatArray:
        """Probability of every label, float32, (n_examples, n_labels). No text is ever cut.

        Raises:
            CorruptArtifactError: the numbers of a checkpoint give something that is not a probability.
        """
        blocks = [np.zeros((0, len(self.labels)), np.float32)]
        for start in range(0, len(texts), _INFERENCE_ROWS):
            block = texts[start : start + _INFERENCE_ROWS]
            scores = (
                self.vectorizer.transform(block) @ self.coefficients.T.astype(np.float64) + self.intercepts
            )
            y_prob = softmax(scores, axis=1) if self.is_single_label else 1 / (1 + np.exp(-scores))
            blocks.append(y_prob.astype(np.float32))
            on_progress(len(block))
        y_prob = np.concatenate(blocks)
        require_probabilities(y_prob, self.labels, self.folder)
        return y_prob

    def save(self, folder: Path, files: WeightFiles = "safetensors") -> None:
        """Write tfidf.json (terms and settings) and tfidf.safetensors (numbers).

        Args:
            folder: of the checkpoint.
            files: has no effect; this model has one format.
        """
        vocabulary = self.vectorizer.vocabulary_
        terms = sorted(vocabulary, key=lambda term: vocabulary[term])
        task = {"problem_type": PROBLEM_TYPES[True]} if self.is_single_label else {}
        write_json(folder / VOCABULARY, {"terms": terms, **task})
        with library_writes(folder), atomic_path(folder / ARRAYS) as partial:
            save_file(
                {
                    "idf": self.vectorizer.idf_.astype(np.float64),
                    "coefficients": np.ascontiguousarray(self.coefficients),
                    "intercepts": self.intercepts,
                },
                partial,
            )


def fit_tfidf(
    labels: tuple[str, ...],
    texts: Sequence[str],
    y_true: BoolArray,
    *,
    seed: int,
    single_label: bool = False,
    on_progress: Callable[[int], None],
) -> TfidfClassifier:
    """Fit the baseline.

    Args:
        labels: label names.
        texts: n_examples texts.
        y_true: gold labels, bool, (n_examples, n_labels).
        seed: of the solver.
        single_label: each text has exactly one label: one regression over all of them.
        on_progress: called with the number of labels done since the last call.

    Raises:
        DataError: no term occurs in two texts.
    """
    vectorizer = _vectorizer()
    try:
        features = vectorizer.fit_transform(texts)
    except ValueError as error:
        raise DataError(
            "no word occurs in two texts of train, which tfidf needs; another model can be trained, such as --model minilm"
        ) from error
    if single_label:
        coefficients, intercepts = _over_all_labels(features, y_true, seed)
        on_progress(len(labels))
        return TfidfClassifier(labels, vectorizer, coefficients, intercepts, is_single_label=True)
    coefficients = np.zeros((len(labels), features.shape[1]), np.float32)
    intercepts = np.zeros(len(labels))
    for label in range(len(labels)):
        coefficients[label], intercepts[label] = _one_label(features, y_true[:, label], seed)
        on_progress(1)
    return TfidfClassifier(labels, vectorizer, coefficients, intercepts)


def load_tfidf(folder: Path, labels: tuple[str, ...]) -> TfidfClassifier:
    """A saved baseline.

    Raises:
        CorruptArtifactError: files that do not belong together, or numbers that are not finite.
    """
    try:
        arrays = load_file(folder / ARRAYS)
        described = read_json_object(folder / VOCABULARY)
        terms = described["terms"]
        vectorizer = _vectorizer(vocabulary={term: at for at, term in enumerate(terms)})
        vectorizer.idf_ = arrays["idf"]
        shapes = [arrays[name].shape for name in ("idf", "coefficients", "intercepts")]
        shapes_fit = shapes == [(len(terms),), (len(labels), len(terms)), (len(labels),)]
    except Exception as error:  # safetensors and scikit-learn raise their own
        raise CorruptArtifactError(folder, f"cannot be loaded ({error})") from error
    if not shapes_fit:
        raise CorruptArtifactError(
            folder / ARRAYS, "has other labels or terms than the manifest and tfidf.json"
        )
    for name, numbers in arrays.items():
        if not np.isfinite(numbers).all():
            raise CorruptArtifactError(folder / ARRAYS, f"{name} holds numbers that are not finite")
    is_single_label = described.get("problem_type") == PROBLEM_TYPES[True]
    return TfidfClassifier(
        labels, vectorizer, arrays["coefficients"], arrays["intercepts"], folder, is_single_label
    )


def _vectorizer(**more: Any) -> TfidfVectorizer:
    # Punctuation and emoji are words too: "!!" and a heart say more about emotions than most nouns.
    return TfidfVectorizer(
        ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=r"\w+(?:'\w+)?|[^\w\s]+", **more
    )


def _over_all_labels(features: Any, y_true: BoolArray, seed: int) -> tuple[FloatArray, DoubleArray]:
    """Coefficients (n_labels, n_terms) and intercepts (n_labels,) of a softmax; a label without a text is never likely."""
    coefficients = np.zeros((y_true.shape[1], features.shape[1]), np.float32)
    intercepts = np.full(y_true.shape[1], -20.0)
    labels = y_true.argmax(axis=1)
    present = np.unique(labels)
    intercepts[present] = 0.0
    if len(present) > 1:
        model = LogisticRegression(C=4.0, random_state=seed, max_iter=1000).fit(features, labels)
        # Of two labels, scikit-learn has the numbers of the second only: those of the first are 0.
        fitted = present[-len(model.coef_) :]
        coefficients[fitted], intercepts[fitted] = model.coef_, model.intercept_
    return coefficients, intercepts


def _one_label(features: Any, gold: BoolArray, seed: int) -> tuple[DoubleArray, float]:
    if not gold.any() or gold.all():  # nothing to separate: always or never
        return np.zeros(features.shape[1]), 20.0 if gold.any() else -20.0
    model = LogisticRegression(C=4.0, solver="liblinear", random_state=seed).fit(features, gold)
    return model.coef_[0], float(model.intercept_[0])
