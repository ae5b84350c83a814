"""The TF-IDF baseline."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline

from goemo_cli.core.errors import CorruptArtifactError, DataError, TrainingFailedError
from goemo_cli.ml.models.tfidf import ARRAYS, VOCABULARY, TfidfClassifier, fit_tfidf, load_tfidf

LABELS = ("joy", "anger", "sadness")


@pytest.fixture
def fitted(comments) -> TfidfClassifier:
    return fit_tfidf(LABELS, *comments, seed=0, on_progress=lambda labels: None)


def test_a_saved_baseline_gives_the_same_probabilities_to_the_bit(fitted, comments, tmp_path: Path):
    texts = [*comments[0], "", "never seen", "happy happy !!", "😀 été"]
    fitted.save(tmp_path)
    loaded = load_tfidf(tmp_path, LABELS)
    assert np.array_equal(loaded.predict_proba(texts), fitted.predict_proba(texts))
    assert loaded.labels == LABELS


def test_there_is_no_pickle_in_the_folder(fitted, tmp_path: Path):
    fitted.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {VOCABULARY, ARRAYS}
    assert set(load_file(tmp_path / ARRAYS)) == {"idf", "coefficients", "intercepts"}
    assert list(json.loads((tmp_path / VOCABULARY).read_text())) == ["terms"]


def test_probabilities_are_scikit_learns_own_pipelines(fitted, comments):
    texts, y_true = comments
    pipeline = make_pipeline(
        TfidfVectorizer(
            ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=r"\w+(?:'\w+)?|[^\w\s]+"
        ),
        OneVsRestClassifier(LogisticRegression(C=4.0, solver="liblinear", random_state=0)),
    ).fit(texts, y_true)
    others = [*texts, "an angry day", "so sad"]
    assert fitted.predict_proba(others) == pytest.approx(pipeline.predict_proba(others), abs=1e-6)


def test_it_learns_what_words_say(fitted, comments):
    texts, y_true = comments
    assert np.array_equal(fitted.predict_proba(texts) >= 0.3, y_true)


def test_one_seed_gives_one_model(fitted, comments):
    again = fit_tfidf(LABELS, *comments, seed=0, on_progress=lambda labels: None)
    assert np.array_equal(again.predict_proba(comments[0]), fitted.predict_proba(comments[0]))


def test_labels_that_always_or_never_occur_are_predicted_so(comments):
    texts, _ = comments
    y_true = np.column_stack([np.ones(32, dtype=bool), np.zeros(32, dtype=bool)])
    y_prob = fit_tfidf(("a", "b"), texts, y_true, seed=0, on_progress=lambda labels: None).predict_proba(
        texts
    )
    assert (y_prob[:, 0] > 0.999).all()
    assert (y_prob[:, 1] < 0.001).all()


def test_progress_counts_labels_then_texts(comments):
    labels: list[int] = []
    classifier = fit_tfidf(LABELS, *comments, seed=0, on_progress=labels.append)
    assert labels == [1, 1, 1]
    texts: list[int] = []
    y_prob = classifier.predict_proba(["happy"] * 5_000, texts.append)
    assert sum(texts) == 5_000
    assert len(texts) == 2
    assert y_prob.shape == (5_000, 3)
    assert y_prob.dtype == np.float32
    assert len(np.unique(y_prob, axis=0)) == 1


def test_no_texts_have_no_probabilities(fitted):
    assert fitted.predict_proba([]).shape == (0, 3)


@pytest.mark.parametrize("texts", [["one", "two", "three"], ["", " ", "\n"]])
def test_texts_without_a_common_word_cannot_be_learnt(texts: list[str]):
    with pytest.raises(DataError, match=r"no word occurs in two texts of train, .*--model minilm"):
        fit_tfidf(("a", "b"), texts, np.eye(3, 2, dtype=bool), seed=0, on_progress=lambda labels: None)


def test_files_of_other_labels_terms_or_lengths_are_corrupt(fitted, tmp_path: Path):
    fitted.save(tmp_path)
    with pytest.raises(CorruptArtifactError, match="other labels or terms"):
        load_tfidf(tmp_path, ("joy", "anger"))
    arrays, terms = load_file(tmp_path / ARRAYS), json.loads((tmp_path / VOCABULARY).read_text())["terms"]
    save_file({**arrays, "intercepts": arrays["intercepts"][:1]}, tmp_path / ARRAYS)
    with pytest.raises(CorruptArtifactError):
        load_tfidf(tmp_path, LABELS)
    save_file(arrays, tmp_path / ARRAYS)
    (tmp_path / VOCABULARY).write_text(json.dumps({"terms": terms[:-1]}))
    with pytest.raises(CorruptArtifactError):
        load_tfidf(tmp_path, LABELS)


@pytest.mark.parametrize("name", [VOCABULARY, ARRAYS])
def test_damaged_or_missing_files_are_corrupt(fitted, tmp_path: Path, name: str):
    fitted.save(tmp_path)
    (tmp_path / name).write_bytes(b"{")
    with pytest.raises(CorruptArtifactError, match=r"cannot be loaded"):
        load_tfidf(tmp_path, LABELS)
    (tmp_path / name).unlink()
    with pytest.raises(CorruptArtifactError, match=r"cannot be loaded"):
        load_tfidf(tmp_path, LABELS)


@pytest.mark.parametrize("name", ["idf", "coefficients", "intercepts"])
def test_numbers_that_are_not_finite_are_corrupt(fitted, tmp_path: Path, name: str):
    fitted.save(tmp_path)
    arrays = load_file(tmp_path / ARRAYS)
    arrays[name].flat[0] = np.nan
    save_file(arrays, tmp_path / ARRAYS)
    with pytest.raises(CorruptArtifactError, match=f"{name} holds numbers that are not finite"):
        load_tfidf(tmp_path, LABELS)


def test_a_number_that_is_not_a_probability_leaves_no_model(fitted, tmp_path: Path):
    fitted.intercepts[1] = np.nan
    with pytest.raises(TrainingFailedError, match="nan as the probability of anger for text 1"):
        fitted.predict_proba(["so happy"])
    fitted.folder = tmp_path
    with pytest.raises(CorruptArtifactError, match=f"{tmp_path}: .* nan as the probability of anger"):
        fitted.predict_proba(["so happy"])
