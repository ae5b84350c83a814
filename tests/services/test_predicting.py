"""The Predictor: the same probabilities as everywhere, labels that follow from them, streams of any length."""

import csv
import io
import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest
import torch

import goemo_cli
from goemo_cli.core.checkpoint import Checkpoint
from goemo_cli.core.documents.bulk import BatchStatistics
from goemo_cli.core.errors import (
    CorruptArtifactError,
    DataError,
    DataFileError,
    NotFoundError,
    SettingError,
)
from goemo_cli.core.events import Advanced, Event, Warning
from goemo_cli.core.labels import TAXONOMIES
from goemo_cli.core.layout import Layout
from goemo_cli.core.thresholds import decide
from goemo_cli.ml.models.classifier import load_classifier
from goemo_cli.services.predicting import prediction_log
from goemo_cli.services.predicting import stream as streaming
from goemo_cli.services.predicting.log_to_wandb import log_predictions
from goemo_cli.services.predicting.predictor import Predictor, TextPredictions
from goemo_cli.services.predicting.sources import given_texts, open_texts
from goemo_cli.services.predicting.stream import Sample, predict_stream, predict_to_file
from goemo_cli.tracking import ArtifactManager, LoggerConfig, Registry, TrackingWarning
from goemo_cli.tracking.artifacts.local_runs import read_metrics
from tests.csv_rows import rows_of
from tests.prediction_checkpoints import (
    MAX_LENGTH,
    TEXTS,
    add_calibrator,
    write_ensemble,
    write_tfidf,
    write_tiny,
)

Runs = dict[str, Checkpoint]


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return Layout(tmp_path_factory.mktemp("predicting"))


@pytest.fixture(scope="module")
def runs(layout: Layout) -> Runs:
    """A checkpoint of every kind."""
    members = [write_tiny(layout, seed=seed, f1_macro=0.2 + seed) for seed in range(2)]
    return {"tiny": members[0], "tfidf": write_tfidf(layout), "ensemble": write_ensemble(layout, members)}


@pytest.fixture(scope="module")
def predictor(runs: Runs) -> Predictor:
    return Predictor.load(runs["tiny"])


def plain_transformers(checkpoint: Checkpoint, texts: list[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """What the checkpoint says without goemo, text by text."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(checkpoint.path).eval()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint.path)
    with torch.no_grad():
        logits = [
            model(**tokenizer(text, return_tensors="pt", truncation=True, max_length=MAX_LENGTH)).logits[0]
            for text in texts
        ]
    return torch.sigmoid(torch.stack(logits)).numpy()


def test_probabilities_are_those_of_plain_transformers(predictor: Predictor, runs: Runs) -> None:
    expected = plain_transformers(runs["tiny"], TEXTS)
    assert len(TEXTS) > 64, "enough for packed layers and for a second batch"
    assert predictor.predict(TEXTS).y_prob == pytest.approx(expected, abs=1e-5)
    assert predictor.predict(TEXTS[:3]).y_prob == pytest.approx(expected[:3], abs=1e-5)
    assert np.ptp(expected) > 0.3


@pytest.mark.parametrize("kind", ["tiny", "tfidf", "ensemble"])
def test_every_kind_predicts_what_exports_write(kind: str, runs: Runs) -> None:
    expected = load_classifier(runs[kind]).predict_proba(TEXTS)
    found = Predictor.load(runs[kind].path).predict(TEXTS)
    assert found.y_prob == pytest.approx(expected, abs=1e-5)
    assert (found.y_pred == runs[kind].thresholds.decide(found.y_prob)).all()
    assert 0 < found.y_pred.mean() < 1


def test_a_run_is_loaded_by_folder_name_or_reference_from_the_package(runs: Runs, layout: Layout) -> None:
    best = goemo_cli.Predictor.load("@best", root=layout.root)
    assert best.run != runs["tiny"].run, "the second one has the better score"
    by_name = goemo_cli.Predictor.load(str(runs["tfidf"].run), root=layout.root)
    assert by_name.run == runs["tfidf"].run
    with pytest.raises(AttributeError):
        _ = goemo_cli.Predicter


def test_one_text_and_its_labels(predictor: Predictor) -> None:
    whole, one = predictor.predict(TEXTS), predictor.predict_one(TEXTS[5])
    assert one.labels == whole.label_names(5)
    assert list(one.probabilities) == list(predictor.labels)
    assert list(one.probabilities.values()) == pytest.approx(whole.y_prob[5].tolist(), abs=1e-5)


def test_statistics_are_counted(predictor: Predictor) -> None:
    texts = ["happy", "", "happy " * 100]
    found = predictor.predict(texts)
    facts = found.statistics.facts()
    assert facts["texts"] == 3
    assert facts["cut"] == 1
    assert facts["mean_confidence"] == pytest.approx(np.mean([max(row) for row in found.y_prob.tolist()]))
    assert facts["unlabelled"] == sum(not found.label_names(row) for row in range(3))
    joy = [("joy" in found.label_names(row)) for row in range(3)]
    assert facts["label_distribution"]["joy"] == pytest.approx(sum(joy) / 3)
    assert (BatchStatistics() + found.statistics + found.statistics).facts()["texts"] == 6
    assert predictor.predict([]).statistics.mean_confidence is None


def test_what_is_no_list_of_texts_is_refused(predictor: Predictor) -> None:
    with pytest.raises(TypeError, match="predict_one"):
        predictor.predict("happy")
    with pytest.raises(TypeError, match="text 1"):
        predictor.predict(["happy", None])  # type: ignore[list-item]
    assert len(predictor.predict(["half of a pair \ud83d"])) == 1


def test_threads_share_one_predictor(runs: Runs) -> None:
    shared = Predictor.load(runs["ensemble"])
    pieces = [TEXTS[at : at + 9 + at] for at in range(8)]
    found: dict[int, TextPredictions] = {}

    def work(at: int) -> None:
        found[at] = shared.predict(pieces[at])

    threads = [threading.Thread(target=work, args=(at,)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for at, piece in enumerate(pieces):
        assert found[at].y_prob == pytest.approx(shared.predict(piece).y_prob, abs=1e-5)


def test_a_long_text_is_read_as_far_as_the_model_reads(predictor: Predictor, runs: Runs) -> None:
    long = " \n".join(["happy", "table!", "x" * 300, "sad"] * 2000)
    expected = plain_transformers(runs["tiny"], [long])
    found = predictor.predict([long, " " * 10_000 + "happy", "y" * 20_000])
    assert found.y_prob[:1] == pytest.approx(expected, abs=1e-5)
    assert found.y_prob[1] == pytest.approx(predictor.predict(["happy"]).y_prob[0], abs=1e-5)
    assert found.statistics.cut == 1


def test_groups_of_a_taxonomy_have_thresholds_of_their_own(runs: Runs, predictor: Predictor) -> None:
    fine, ekman = predictor.predict(TEXTS), Predictor.load(runs["tiny"], taxonomy="ekman").predict(TEXTS)
    assert ekman.labels == tuple(TAXONOMIES["ekman"])
    for at, members in enumerate(TAXONOMIES["ekman"].values()):
        columns = [fine.labels.index(member) for member in members]
        assert (ekman.y_prob[:, at] == fine.y_prob[:, columns].max(axis=1)).all()
    assert (ekman.y_pred == (ekman.y_prob.astype(np.float64) >= 0.6)).all()
    at_half = Predictor.load(runs["tiny"], taxonomy="grouped", threshold_rule="fixed_0.5").predict(TEXTS)
    assert (at_half.y_pred == (at_half.y_prob >= 0.5)).all()


def test_calibrated_probabilities_mean_the_same_labels(runs: Runs, layout: Layout) -> None:
    checkpoint = runs["tiny"]
    with pytest.raises(NotFoundError, match="goemo calibrate"):
        Predictor.load(checkpoint, calibrated=True)
    calibrator = add_calibrator(checkpoint)
    plain, calibrated = Predictor.load(checkpoint), Predictor.load(checkpoint.path, calibrated=True)
    before, after = plain.predict(TEXTS), calibrated.predict(TEXTS)
    assert after.y_prob == pytest.approx(calibrator.apply(before.y_prob), abs=1e-6)
    assert (after.y_pred == before.y_pred).all()
    assert (after.y_pred == calibrated.rule.decision(after.y_prob)).all()
    at_half = Predictor.load(checkpoint.path, calibrated=True, threshold=0.5).predict(TEXTS)
    assert (at_half.y_pred == (at_half.y_prob >= 0.5)).all(), "what is typed is compared with what is shown"


def test_choices_that_make_no_sense_are_refused(runs: Runs) -> None:
    for wrong, said in (
        ({"taxonomy": "ekmann"}, "did you mean 'ekman'"),
        ({"taxonomy": "ekman", "calibrated": True}, "one of the two"),
        ({"taxonomy": "ekman", "threshold_rule": "global"}, "its own rule"),
        ({"threshold": 2.0}, "between 0 and 1"),
        ({"threshold": 0.5, "threshold_rule": "global"}, "give one"),
        ({"top_k": 0}, "less than 1"),
        ({"precision": "fp16"}, "fp32, bf16"),
    ):
        with pytest.raises(SettingError, match=said):
            Predictor.load(runs["tiny"], **wrong)
    with pytest.raises(SettingError, match="tfidf"):
        Predictor.load(runs["tfidf"], precision="bf16")
    for run in runs.values():
        with pytest.raises(SettingError, match="unknown device 'foo'"):
            Predictor.load(run, device="foo")


def test_another_threshold_is_said_aloud_and_top_k_limits(runs: Runs) -> None:
    heard: list[Event] = []
    found = Predictor.load(runs["tiny"], threshold=0.1, top_k=2, on_event=heard.append).predict(TEXTS)
    assert any(isinstance(event, Warning) for event in heard)
    assert (found.y_pred == decide(found.y_prob, 0.1, top_k=2)).all()
    assert found.y_pred.sum(axis=1).max() == 2


def test_never_empty_holds_for_single_texts(tmp_path: Path) -> None:
    checkpoint = write_tiny(Layout(tmp_path), never_empty=True)
    found = Predictor.load(checkpoint, threshold_rule="per_label").predict(TEXTS)
    assert found.y_pred.any(axis=1).all()


def test_damaged_weights_are_not_used(tmp_path: Path) -> None:
    checkpoint = write_tiny(Layout(tmp_path))
    weights = checkpoint.path / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CorruptArtifactError):
        Predictor.load(checkpoint.path)


def test_bf16_is_near_and_says_so_in_every_row(runs: Runs, predictor: Predictor, tmp_path: Path) -> None:
    rough = Predictor.load(runs["tiny"], precision="bf16")
    difference = np.abs(rough.predict(TEXTS).y_prob - predictor.predict(TEXTS).y_prob).max()
    assert 0 < difference < 0.2
    for name in ("out.jsonl", "out.csv", "out.parquet"):
        write_file(rough, TEXTS[:2], tmp_path / name)
    assert json.loads((tmp_path / "out.jsonl").read_text().splitlines()[1])["precision"] == "bf16"
    assert [row["precision"] for row in rows_of(tmp_path / "out.csv")] == ["bf16", "bf16"]
    table = parquet.read_table(tmp_path / "out.parquet")
    assert table["precision"].to_pylist() == ["bf16", "bf16"]
    assert table.schema.metadata[b"goemo_run"].decode() == str(rough.run)


def write_file(predictor: Predictor, texts: list[str], path: Path) -> BatchStatistics:
    return predict_to_file(
        predictor,
        given_texts(texts),
        path,
        format=path.suffix[1:],  # type: ignore[arg-type]
    )


def predict_file(predictor: Predictor, source: Path, target: Path, **options: Any) -> list[dict[str, Any]]:
    with open_texts(source, stdin=io.BytesIO(), **options) as opened:
        predict_to_file(predictor, opened.begun(), target, format=target.suffix[1:])  # type: ignore[arg-type]
    if target.suffix == ".csv":
        return list(rows_of(target))
    if target.suffix == ".parquet":
        rows: list[dict[str, Any]] = parquet.read_table(target).to_pylist()
        return rows
    return [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]


def test_windows_keep_order_and_columns_and_hold_little(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "WINDOW_ROWS", 7)
    monkeypatch.setattr(streaming, "WINDOW_CHARACTERS", 200)
    source = tmp_path / "in.csv"
    with source.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "body", "pred_labels"])
        writer.writerows([at, text, "old"] for at, text in enumerate(TEXTS))
    rows = predict_file(predictor, source, tmp_path / "out.csv", text_column="body")
    assert list(rows[0])[:3] == ["id", "body", "pred_labels"]
    assert [row["body"] for row in rows] == TEXTS
    assert [int(row["id"]) for row in rows] == list(range(len(TEXTS)))
    shown = np.asarray(
        [[row[f"pred_prob_{label}"] for label in predictor.labels] for row in rows], np.float32
    )
    assert shown == pytest.approx(predictor.predict(TEXTS).y_prob, abs=1e-5)
    follows = predictor.rule.decision(shown)
    for row, yes in zip(rows, follows, strict=True):
        assert row["pred_labels"] == ",".join(np.asarray(predictor.labels)[yes])


def test_json_lines_keep_what_they_hold(predictor: Predictor, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(
        '\ufeff{"n": 1, "text": "happy", "more": {"a": [1, null]}}\n\n{"text": "\u00e9 sad", "odd": true}\n',
        encoding="utf-8",
    )
    rows = predict_file(predictor, source, tmp_path / "out.jsonl")
    assert rows[0]["more"] == {"a": [1, None]}
    assert rows[1]["odd"] is True
    assert list(rows[0]["pred_prob"]) == list(predictor.labels)
    y_prob = np.asarray([list(row["pred_prob"].values()) for row in rows], np.float32)
    assert [row["pred_labels"] for row in rows] == [
        list(np.asarray(predictor.labels)[yes]) for yes in predictor.rule.decision(y_prob)
    ]
    with pytest.raises(DataError, match="line 3: column 'odd'"):
        predict_file(predictor, source, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_lines_of_a_pipe_arrive_one_by_one() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stdin, os.fdopen(writing, "wb", buffering=0) as sender:
        sender.write('{"text": "first é"}\n'.encode())
        with open_texts("-", stdin=stdin, format="jsonl") as source:
            assert (next(source.rows).text, source.total) == ("first é", None)
            sender.write(b'{"text": "second"}\n')
            assert next(source.rows).text == "second"


@pytest.mark.parametrize("format", ["lines", "csv"])
def test_utf16_and_other_pipes_are_read_whole(tmp_path: Path, format: str) -> None:
    texts = ["text", "schön", "last"]
    content = "\r\n".join([*texts, ""]).encode("utf-16")
    expected = texts if format == "lines" else texts[1:]
    with open_texts("-", stdin=io.BytesIO(content), format=format) as source:
        assert [row.text for row in source.rows] == expected
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,), daemon=True)
    writer.start()
    with open_texts(pipe, stdin=io.BytesIO(), format=format) as source:
        assert [row.text for row in source.rows] == expected
    writer.join()


def test_csv_can_be_safe_for_spreadsheets(predictor: Predictor, tmp_path: Path) -> None:
    cells = ["=1+1", "@x", "-3.5", "+5", "+-5", "\tx", "plain - text", "＝1"]
    safe = ["'=1+1", "'@x", "-3.5", "+5", "'+-5", "'\tx", "plain - text", "'＝1"]
    with (tmp_path / "in.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["=n", "text"], *([cell, cell] for cell in cells)])
    for formula_safe, shown in ((True, safe), (False, cells)):
        with open_texts(tmp_path / "in.csv", stdin=io.BytesIO()) as source:
            predict_to_file(predictor, source, tmp_path / "out.csv", format="csv", formula_safe=formula_safe)
        rows = rows_of(tmp_path / "out.csv")
        assert [(row["'=n" if formula_safe else "=n"], row["text"]) for row in rows] == list(
            zip(shown, shown, strict=True)
        )


def test_parquet_keeps_types(predictor: Predictor, tmp_path: Path) -> None:
    source = tmp_path / "in.parquet"
    parquet.write_table(
        arrow.table({"n": arrow.array([1, 2], arrow.int16()), "text": ["happy", None]}), source
    )
    rows = predict_file(predictor, source, tmp_path / "out.parquet")
    assert [row["n"] for row in rows] == [1, 2]
    assert parquet.read_schema(tmp_path / "out.parquet").field("n").type == arrow.int16()
    found = np.asarray(
        [[row[f"pred_prob_{label}"] for label in predictor.labels] for row in rows], np.float32
    )
    assert found == pytest.approx(predictor.predict(["happy", ""]).y_prob, abs=1e-5)
    assert predict_file(predictor, source, tmp_path / "out.csv")[1]["text"] == ""


def test_every_line_is_a_text_also_an_empty_one(predictor: Predictor, tmp_path: Path) -> None:
    source = tmp_path / "in.txt"
    source.write_bytes(b"\xef\xbb\xbfhappy\r\n\n a\tb \nlast")
    rows = predict_file(predictor, source, tmp_path / "out.jsonl")
    assert [row["text"] for row in rows] == ["happy", "", " a\tb ", "last"]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_nothing_in_gives_a_table_without_rows(suffix: str, predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id,text\n", encoding="utf-8")
    assert predict_file(predictor, tmp_path / "in.csv", tmp_path / f"out.{suffix}") == []
    if suffix != "jsonl":
        assert "pred_prob_joy" in (
            (tmp_path / "out.csv").read_text()
            if suffix == "csv"
            else parquet.read_schema(tmp_path / "out.parquet").names
        )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"good\ncaf\xe9\n", r"a\.txt:2: not UTF-8"),
        ("a.csv", b"text\ngood\ncaf\xe9\n", r"a\.csv:3: not UTF-8"),
        ("a.csv", b"id,txt\n1,x\n", r"a\.csv:1: no column 'text'.*did you mean 'txt'"),
        ("a.csv", b"", "is empty"),
        ("a.jsonl", b'{"text": "x"}\n{"txt": "y"}\n', r"a\.jsonl:2: no column"),
        ("a.jsonl", b'{"text": 5}\n', r"a\.jsonl:1: text is 5, not a string"),
        ("a.doc", b"text", "unknown format '.doc'"),
    ],
)
def test_bad_input_is_named_and_the_old_output_stays(
    name: str, content: bytes, said: str, predictor: Predictor, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "out.jsonl").write_text("old")
    with pytest.raises(DataFileError, match=said):
        predict_file(predictor, tmp_path / name, tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "out.jsonl"])


def test_the_input_is_never_replaced(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n')
    (tmp_path / "b.jsonl").symlink_to(tmp_path / "a.jsonl")
    with pytest.raises(SettingError, match="would be replaced"):
        predict_file(predictor, tmp_path / "a.jsonl", tmp_path / "b.jsonl")


def test_a_subclass_loads_itself(runs: Runs) -> None:
    class Mine(Predictor):
        pass

    assert type(Mine.load(runs["tiny"])) is Mine


def test_progress_adds_up(predictor: Predictor) -> None:
    heard: list[Event] = []
    predict_stream(predictor, given_texts(TEXTS), lambda rows, found: None, on_event=heard.append)
    assert sum(event.amount for event in heard if isinstance(event, Advanced)) == len(TEXTS)


def test_a_sample_is_bounded_and_fair(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "SAMPLE_ROWS", 10)
    sample = Sample()
    predict_stream(predictor, given_texts(TEXTS), lambda rows, found: None, sample=sample)
    assert len(sample.kept) == 10
    assert sample.seen == len(TEXTS)
    assert len({text for text, _, _ in sample.kept} - set(TEXTS[:10])) > 3


def test_predictions_are_logged_in_the_local_store_and_never_hurt(
    predictor: Predictor, tmp_path: Path
) -> None:
    sample, heard = Sample(), list[Event]()
    statistics = predict_stream(predictor, given_texts(TEXTS), lambda rows, found: None, sample=sample)
    config = LoggerConfig(mode="local")

    def log(root: Path) -> str | None:
        return log_predictions(predictor, statistics, sample, config, root=root, on_event=heard.append)

    assert log(tmp_path) == f"{predictor.run}-predict:v0"
    [metrics] = (tmp_path / "artifacts" / "registry").rglob("metrics.jsonl")
    written = metrics.read_text()
    assert '"predict/mean_confidence"' in written
    assert '"predict/share_joy"' in written
    (tmp_path / "file").write_text("a file where a folder should be")
    assert log(tmp_path / "file") is None
    assert any(isinstance(event, Warning) for event in heard)


def test_a_tracked_predictor_logs_statistics_of_each_call_and_its_predictions_in_parts(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction_log, "PART_ROWS", 20)
    registry = Registry(tmp_path / "artifacts/registry")
    with Predictor.load(runs["tiny"], tracking=LoggerConfig(mode="local"), root=tmp_path) as predictor:
        found = predictor.predict(TEXTS[:10])
        predictor.predict([])
        predictor.predict_one(TEXTS[10])
        [metrics] = registry.folder.rglob("metrics.jsonl")
        assert [line["predict/texts"] for line in read_metrics(metrics)] == [10, 1]
        assert read_metrics(metrics)[0]["predict/mean_confidence"] == found.statistics.mean_confidence
        for text in TEXTS[11:23]:
            predictor.predict_one(text)
    predictor.predict(TEXTS[:1])  # the log is closed
    versions = registry.versions(f"{predictor.run}-predictions")
    assert [version.metadata["rows"] for version in versions] == [20, 3]
    registry.fetch(versions[0].reference, tmp_path / "out")
    rows = rows_of(tmp_path / "out/texts_predictions.csv")
    assert [row["text"] for row in rows] == TEXTS[:20]
    for at, row in enumerate(rows[:10]):
        assert row["pred_labels"] == ",".join(found.label_names(at))
        assert [np.float32(row[f"pred_prob_{label}"]) for label in found.labels] == list(found.y_prob[at])
    record = json.loads((metrics.parent / "run.json").read_text())
    assert (record["state"], record["summary"]["predict/texts"]) == ("finished", 23)
    assert record["config"]["run"] == str(predictor.run)


def test_a_log_that_fails_never_fails_a_prediction(runs: Runs, tmp_path: Path) -> None:
    with Predictor.load(runs["tiny"], tracking=LoggerConfig(mode="local"), root=tmp_path) as predictor:
        shutil.rmtree(tmp_path / "artifacts")
        (tmp_path / "artifacts").write_text("a file where the store was")
        with pytest.warns(TrackingWarning, match="no longer logged"):
            predictor.predict(TEXTS[:2])
        assert len(predictor.predict(TEXTS[:2])) == 2


def test_predictions_of_texts_are_logged_as_they_are(predictor: Predictor, tmp_path: Path) -> None:
    found = predictor.predict(TEXTS[:3])
    with ArtifactManager(LoggerConfig(mode="local"), root=tmp_path) as manager:
        manager.log_predictions(found, "mine")
        written = manager.get_model_artifact("mine") / "test_predictions.csv"
    assert written.read_text().splitlines()[0].startswith("text,pred_labels,pred_prob_admiration,")
