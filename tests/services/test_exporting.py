"""Exported models: they agree with torch, are used while they are up to date, and need neither torch nor transformers."""

import json
import re
import shlex
import shutil
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from goemo_cli.core.arrays import FloatArray
from goemo_cli.core.checkpoint import MANIFEST, THRESHOLDS, Checkpoint
from goemo_cli.core.documents.manifest import Export
from goemo_cli.core.errors import CorruptArtifactError, ExportError, NotFoundError, SettingError
from goemo_cli.core.layout import Layout
from goemo_cli.core.settings import ThresholdSettings
from goemo_cli.ml.models.classifier import load_classifier
from goemo_cli.ml.models.transformer import TransformerClassifier, label_settings, logits_of_encoded
from goemo_cli.ml.onnx.classifier import MODEL, TOKENIZER, load_onnx, sigmoid, softmax
from goemo_cli.ml.onnx.conversion import write_onnx
from goemo_cli.services.evaluation.export import export_predictions
from goemo_cli.services.evaluation.tune import tune_run
from goemo_cli.services.exporting.export_model import export_model
from goemo_cli.services.predicting.predictor import Predictor, facts_of
from goemo_cli.services.runs.lineage import trace_lineage
from goemo_cli.services.runs.outdated import outdated_files
from goemo_cli.services.runs.references import open_run
from goemo_cli.services.runs.removal import find_removable
from goemo_cli.services.training.imported import import_model
from goemo_cli.services.validation.project import validate_artifacts
from tests.conftest import REPOSITORY
from tests.processes import python
from tests.serving import serving_process
from tests.typed import goemo

TEXTS = ["thank you so much", "", "what a day " * 40, "I hate this, I really do!", "ok"]
LABELS = ("joy", "anger", "sadness")


@pytest.fixture(scope="module")
def exported_root(two_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a run of tiny and its exported model. To be copied, not changed."""
    root = tmp_path_factory.mktemp("exported") / "root"
    shutil.copytree(two_runs, root)
    made = goemo("export-model", "@tiny", "--root", root, "--json")
    assert made.exit_code == 0, made.output
    shown = json.loads(made.stdout)
    assert (shown["format"], shown["precision"], shown["test"]["changed_labels"]) == ("onnx", "fp32", 0)
    assert shown["model_bytes"] == (Path(shown["path"]) / MODEL).stat().st_size
    return root


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["@tfidf"], 2, "only transformers have an ONNX form"),
        (["@tiny", "--force"], 2, "--force belongs to --int8"),
        (["@bert"], 4, "no run '@bert'"),
    ],
)
def test_what_cannot_be_exported(two_runs: Path, arguments: list[str], code: int, message: str):
    found = goemo("export-model", *arguments, "--root", two_runs)
    assert found.exit_code == code
    assert message in found.stderr


@pytest.fixture
def copied(exported_root: Path, tmp_path: Path) -> Layout:
    return Layout(Path(shutil.copytree(exported_root, tmp_path / "root")))


def exported_folder(layout: Layout) -> Path:
    return layout.export(open_run("@tiny", layout).run, "onnx", "fp32")


def test_an_exported_model_gives_the_labels_of_its_run(exported_root: Path):
    layout = Layout(exported_root)
    run = open_run("@tiny", layout)
    ours = Predictor.load(run, root=exported_root, engine="torch", device="cpu")
    theirs = Predictor.load(run, root=exported_root, device="cpu")  # auto
    alone = Predictor.load(exported_folder(layout))
    assert [facts_of(one)["engine"] for one in (ours, theirs, alone)] == ["torch", "onnx", "onnx"]
    expected = ours.predict(TEXTS)
    for predictor in (theirs, alone):
        found = predictor.predict(TEXTS)
        np.testing.assert_allclose(found.y_prob, expected.y_prob, atol=1e-6)
        assert (found.y_pred == expected.y_pred).all()
        assert found.statistics.cut == expected.statistics.cut == 1

    export = Checkpoint.open(exported_folder(layout)).manifest.export
    assert export is not None
    assert export.test is not None
    assert export.largest_logit_difference < 1e-4
    assert (
        export.test.f1_macro == export.test.f1_macro_of_run == pytest.approx(run.metrics.test_rule.f1_macro)
    )
    assert (export.test.difference, export.test.changed_labels) == (0, 0)
    card = (exported_folder(layout) / "README.md").read_text()
    assert "Exported model" in card
    assert "from transformers import" not in card


def test_a_changed_run_is_predicted_with_torch_until_it_is_exported_again(copied: Layout):
    assert validate_artifacts(copied).warnings == []
    run = open_run("@tiny", copied)
    tune_run(run, ThresholdSettings(rule="global"), layout=copied)
    run = Checkpoint.open(run.path)

    (outdated,) = [file for file in outdated_files(copied) if file.kind == "model"]
    assert outdated.renew == f"goemo export-model {run.run}"
    assert Predictor.load(run, root=copied.root).engine == "torch"
    with pytest.raises(NotFoundError, match="has changed since it was exported: goemo export-model"):
        Predictor.load(run, root=copied.root, engine="onnx")
    (node,) = [node for node in trace_lineage(run, layout=copied).nodes if node.kind == "exported model"]
    assert node.state == "stale"
    report = validate_artifacts(copied)
    assert report.ok
    assert "model" in [file.kind for file in report.outdated]


@pytest.mark.parametrize("name", [MODEL, TOKENIZER, THRESHOLDS])
def test_a_damaged_exported_model_is_found(copied: Layout, name: str):
    path = exported_folder(copied) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert [problem.path for problem in validate_artifacts(copied).problems] == [path]
    with pytest.raises(CorruptArtifactError, match=name):
        Predictor.load(path.parent)


def test_files_of_a_removed_run_and_of_another_place_are_named(copied: Layout):
    folder = exported_folder(copied)
    run = open_run("@tiny", copied)
    moved = folder.parent.parent / "onnx-int8" / folder.name
    shutil.copytree(folder, moved)
    shutil.rmtree(run.path)
    report = validate_artifacts(copied)
    assert moved in [problem.path for problem in report.problems]
    assert folder in [warning.path for warning in report.warnings]


def test_an_exported_model_goes_with_its_run(copied: Layout):
    run = open_run("@tiny", copied)
    (run.path / MANIFEST).unlink()
    plan = find_removable(copied, unfinished_after=0)
    (candidate,) = plan.candidates
    assert set(copied.exports.glob("onnx/*")) <= {path.parent for path in candidate.outside}


PROGRAM = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Missing())
from goemo_cli.app import app
app({arguments!r})
"""


def test_prediction_needs_only_the_packages_of_the_runtime(copied: Layout):
    """Every other package that goemo depends on is hidden."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    runtime = project["optional-dependencies"]["runtime"]
    lines = (REPOSITORY / "requirements-runtime.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == runtime

    names = [re.split(r"[>=<]", package)[0] for package in (*project["dependencies"], *runtime)]
    modules = {"scikit-learn": "sklearn", "pillow": "PIL", "huggingface-hub": "huggingface_hub"}
    missing = {modules.get(name, name) for name in names[: -len(runtime)]} - set(names[-len(runtime) :])
    assert {"torch", "transformers", "pandas", "sklearn", "scipy"} <= missing - {"yaml"}
    folder = exported_folder(copied)
    words = ["predict", *TEXTS, "--checkpoint", folder.name, "--json"]
    found = python("-c", PROGRAM.format(missing=missing, arguments=words), cwd=folder.parent)
    assert found.returncode == 0, found.stderr
    expected = Predictor.load(open_run("@tiny", copied), engine="torch").predict(TEXTS)
    labels = [list(expected.label_names(row)) for row in range(len(TEXTS))]
    assert [row["pred_labels"] for row in json.loads(found.stdout)["predictions"]] == labels

    words = ["serve", folder.name, "--port", "0"]
    hidden = missing - {"jinja2"}  # which is not needed, and starlette looks for
    with serving_process(folder.parent, PROGRAM.format(missing=hidden, arguments=words)) as client:
        status, answer = client.ask("POST", "/predict", {"text": TEXTS})
        assert (status, answer["engine"]) == (200, "onnx"), answer
        assert [row["pred_labels"] for row in answer["predictions"]] == labels


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"engine": "tensorrt"}, "unknown engine 'tensorrt'; known: auto, torch, onnx"),
        ({"engine": "onnx", "precision": "bf16"}, "precision bf16: an exported model has the precision"),
        ({"engine": "onnx", "device": "cuda"}, "device cuda: exported models run on the CPU"),
    ],
)
def test_options_that_exclude_the_engine(exported_root: Path, options: dict[str, str], fault: str):
    with pytest.raises(SettingError, match=fault):
        Predictor.load("@tiny", root=exported_root, **options)  # type: ignore[arg-type]  # values of several types


def commands_to_calibrate(folder: Path) -> list[list[str]]:
    """What to type, by the message about an exported model without calibrator."""
    found = goemo("predict", "-c", folder, "--calibrated", "hello")
    assert found.exit_code == 4
    return [shlex.split(command) for command in found.stderr.partition("export it again: ")[2].split("&&")]


def test_the_commands_that_add_a_calibrator_work(copied: Layout):
    folder = exported_folder(copied)
    for program, *arguments in commands_to_calibrate(folder):
        done = goemo(*arguments, "--root", copied.root)
        assert (program, done.exit_code) == ("goemo", 0), done.output
    assert goemo("predict", "-c", folder, "--calibrated", "hello").exit_code == 0


def test_a_calibrator_of_an_int8_model_needs_another_int8_model(copied: Layout):
    goemo("export-model", "@tiny", "--int8", "--force", "--root", copied.root)
    folder = copied.export(open_run("@tiny", copied).run, "onnx", "int8")
    assert "--int8" in commands_to_calibrate(folder)[-1]


def test_an_exported_model_only_predicts(copied: Layout, tmp_path: Path):
    folder, layout = exported_folder(copied), copied
    with pytest.raises(SettingError, match="is an exported model; name"):
        Predictor.load(folder, engine="torch")
    with pytest.raises(SettingError, match="an exported model, which only predicts; name its run: tiny-"):
        open_run(str(folder), layout)
    with pytest.raises(SettingError, match="is an exported model already"):
        export_model(Checkpoint.open(folder), layout=layout)
    tfidf = open_run("@tfidf", layout)
    with pytest.raises(SettingError, match="only transformers have an ONNX form"):
        export_model(tfidf, layout=layout)
    with pytest.raises(SettingError, match="only transformers have an ONNX form"):
        Predictor.load(tfidf, root=layout.root, engine="onnx")
    assert Predictor.load(tfidf, root=layout.root).engine == "scikit-learn"
    run = open_run("@tiny", layout)
    for own in (None, layout.predictions):
        with pytest.raises(SettingError, match="needs --output DIR"):
            export_predictions(run, layout=layout, output=own, engine="onnx")
    before = layout.split_predictions(run.run, "test").read_bytes()
    written = export_predictions(run, layout=layout, output=tmp_path / "out")
    assert written.engine == "onnx"
    assert export_predictions(run, layout=layout).engine == "torch"
    assert layout.split_predictions(run.run, "test").read_bytes() == before


def roberta(vocabulary: int, **options: Any) -> Any:
    return RobertaForSequenceClassification(
        RobertaConfig(
            vocab_size=vocabulary,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=40,
            **options,
        )
    )


def albert(vocabulary: int, **options: Any) -> Any:
    """Its layers share their weights."""
    return AlbertForSequenceClassification(
        AlbertConfig(
            vocab_size=vocabulary,
            embedding_size=16,
            hidden_size=32,
            num_hidden_layers=3,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=32,
            **options,
        )
    )


def distilbert(vocabulary: int, **options: Any) -> Any:
    return DistilBertForSequenceClassification(
        DistilBertConfig(
            vocab_size=vocabulary,
            dim=32,
            n_layers=2,
            n_heads=2,
            hidden_dim=64,
            max_position_embeddings=32,
            **options,
        )
    )


def modernbert(vocabulary: int, **options: Any) -> Any:
    return ModernBertForSequenceClassification(
        ModernBertConfig(
            vocab_size=vocabulary,
            hidden_size=32,
            num_hidden_layers=3,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=32,
            local_attention=8,
            bos_token_id=2,
            eos_token_id=3,
            cls_token_id=2,
            sep_token_id=3,
            **options,
        )
    )


@pytest.mark.slow
@pytest.mark.parametrize("build", [albert, roberta, distilbert, modernbert])
def test_other_architectures(
    make_tiny: Callable[..., TransformerClassifier], tmp_path: Path, build: Callable[..., Any]
):
    """Their padding, positions and masks are right at every length and number of texts."""
    torch.manual_seed(0)
    tiny = make_tiny()
    pad = tiny.tokenizer.pad_token_id
    model = build(len(tiny.tokenizer), pad_token_id=pad, **label_settings(LABELS)).eval()
    classifier = replace(tiny, model=model)
    write_onnx(classifier, tmp_path / MODEL)
    tiny.tokenizer.backend_tokenizer.save(str(tmp_path / TOKENIZER))
    exported = load_onnx(tmp_path, LABELS, export_facts(classifier), is_single_label=False)
    for texts in (["happy"], ["happy " * 100], ["", "sad", "so very angry today", "ok " * 20]):
        encoded = classifier.encode(texts)
        np.testing.assert_allclose(
            exported.logits(encoded), logits_of_encoded(classifier.model, encoded), atol=1e-5
        )
    np.testing.assert_allclose(exported.predict_proba(texts), classifier.predict_proba(texts), atol=1e-6)

    write_onnx(classifier, tmp_path / "int8.onnx", weight_bits=7)
    assert (tmp_path / "int8.onnx").stat().st_size < (tmp_path / MODEL).stat().st_size
    session = onnxruntime.InferenceSession(tmp_path / "int8.onnx", providers=["CPUExecutionProvider"])
    rough = session.run(None, encoded.inputs(range(len(texts))))[0]
    np.testing.assert_allclose(rough, logits_of_encoded(classifier.model, encoded), atol=0.05)


def export_facts(classifier: TransformerClassifier) -> Export:
    return Export(
        format="onnx",
        precision="fp32",
        opset=20,
        max_length=classifier.max_length,
        pad_token_id=classifier.tokenizer.pad_token_id,
        truncation_side="right",
        processor="",
        versions={},
        sources={},
        largest_logit_difference=0,
        checked_texts=0,
    )


def test_a_text_has_the_same_result_alone_and_next_to_others(exported_root: Path, tmp_path: Path):
    """onnxruntime's dynamic quantization, with one scale for all texts of a batch, has another one."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    layout = Layout(exported_root)
    tiny: Any = load_classifier(open_run("@tiny", layout), device="cpu")
    texts = ["what a sad day", "happy", "I am so very angry today, ok?", "thank you 😀"]
    exact = logits_of_encoded(tiny.model, tiny.encode(texts))
    exported = exported_folder(layout) / MODEL
    write_onnx(tiny, tmp_path / "int8.onnx", weight_bits=8)
    quantize_dynamic(exported, tmp_path / "batch.onnx", per_channel=True, weight_type=QuantType.QInt8)
    differences, errors = {}, {}
    for name in ("int8", "batch"):
        loaded = onnxruntime.InferenceSession(tmp_path / f"{name}.onnx", providers=["CPUExecutionProvider"])

        def logits(some: list[str], loaded: Any = loaded) -> FloatArray:
            found: FloatArray = loaded.run(None, tiny.encode(some).inputs(range(len(some))))[0]
            return found

        together = logits(texts)
        differences[name] = np.abs(together - np.concatenate([logits([text]) for text in texts])).max()
        errors[name] = np.abs(together - exact).max()
    assert differences["int8"] < 1e-6 < differences["batch"]
    assert 0 < errors["int8"] < errors["batch"]
    assert (tmp_path / "int8.onnx").stat().st_size < exported.stat().st_size


def test_probabilities_are_those_of_torch():
    logits = np.array([[-200, -30, -1, 0, 2, 40, 200]], dtype=np.float32)
    tensor = torch.from_numpy(logits)
    np.testing.assert_allclose(sigmoid(logits), torch.sigmoid(tensor), rtol=1e-6, atol=1e-38)
    np.testing.assert_allclose(softmax(logits), torch.softmax(tensor, -1), rtol=1e-6)
    assert sigmoid(logits).dtype == softmax(logits).dtype == np.float32


@pytest.mark.slow
def test_an_int8_model_that_loses_too_much_is_written_only_if_it_is_forced(
    make_tiny: Callable[..., TransformerClassifier], layout: Layout, tmp_path: Path
):
    """A huge weight of a channel that is always 0 leaves no steps for the others. The labels are the model's own."""
    tiny, rng = make_tiny(), np.random.default_rng(0)
    with torch.no_grad():
        layer = tiny.model.bert.encoder.layer[0]
        layer.attention.output.LayerNorm.weight[0] = layer.attention.output.LayerNorm.bias[0] = 0
        layer.intermediate.dense.weight[:, 0] = 1000
    words = ["happy", "angry", "sad", "table", "ok", "day", "it", "was", "what", "more"]
    texts = [" ".join(rng.choice(words, size=6)) + f" {at}" for at in range(300)]
    with torch.no_grad():  # each label for about half of the texts
        tiny.model.classifier.bias -= torch.from_numpy(
            np.median(logits_of_encoded(tiny.model, tiny.encode(texts)), axis=0)
        )
    decided = tiny.predict_proba(texts) >= 0.5
    rows = [
        {"text": text, "labels": [label for label, has in zip(LABELS, row, strict=True) if has]}
        for text, row in zip(texts, decided, strict=True)
    ]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    folder = tmp_path / "model"
    tiny.save_weights(folder)
    tiny.save_tokenizer(folder)
    run = import_model(str(folder), layout=layout, data={"name": str(tmp_path / "data.jsonl")})
    with pytest.raises(ExportError, match=r"less; nothing was written\. --force writes it anyway"):
        export_model(run, layout=layout, int8=True)
    assert not list(layout.exports.rglob("*.onnx"))
    forced = export_model(run, layout=layout, int8=True, force=True).export
    assert forced.test is not None
    assert forced.test.difference < -0.01
    assert forced.test.difference_ci[0] <= forced.test.difference <= forced.test.difference_ci[1]
    assert Predictor.load(run, root=layout.root).engine == "torch"  # int8 is never used unasked
