"""`goemo export-model`: a run as a folder that predicts without torch, compared with the run before it is written."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from goemo_cli.core.arrays import FloatArray
from goemo_cli.core.checkpoint import CARD, Checkpoint, write_manifest
from goemo_cli.core.documents.manifest import Export, ExportComparison
from goemo_cli.core.errors import ExportError, SettingError
from goemo_cli.core.events import EventHandler, FileWritten, Info, Warning, ignore, progress
from goemo_cli.core.files import atomic_folder, write_text
from goemo_cli.core.layout import Layout
from goemo_cli.core.predictions import Predictions
from goemo_cli.core.schema import ExportFormat, ExportPrecision
from goemo_cli.ml.metrics.comparison import COUNT_SCORES, paired_differences
from goemo_cli.ml.models.transformer import TransformerClassifier, logits_of_encoded
from goemo_cli.ml.onnx.classifier import MODEL, TOKENIZER, OnnxClassifier, load_onnx
from goemo_cli.ml.onnx.conversion import OPSET, has_vnni, require_packages, write_onnx
from goemo_cli.ml.training.batches import encode
from goemo_cli.services.data.find import load_sample
from goemo_cli.services.exporting.engines import require_transformer
from goemo_cli.services.exporting.exports import COPIED, require_export, sources_of
from goemo_cli.services.model_card.card import export_card
from goemo_cli.services.runs.locks import held
from goemo_cli.services.runs.run_predictions import read_recorded
from goemo_cli.tracking.environment import installed_versions, processor

LARGEST_DIFFERENCE = 1e-3
"""Of a logit in fp32 from torch."""
LARGEST_LOSS = 0.01
"""Of macro-F1 on test by an int8 model."""
CHECKED_TEXTS = 256
BITS, REDUCED_BITS = 8, 7
"""Of int8 weights, with and without VNNI."""
_PACKAGES = ("torch", "transformers", "tokenizers", "onnx", "onnxscript", "onnxruntime", "numpy")


@dataclass(frozen=True)
class ExportedModel:
    """What was written."""

    path: Path
    model_bytes: int
    """Size of model.onnx."""
    export: Export


def export_model(
    checkpoint: Checkpoint,
    *,
    layout: Layout,
    format: ExportFormat = "onnx",
    int8: bool = False,
    force: bool = False,
    on_event: EventHandler = ignore,
) -> ExportedModel:
    """Write a transformer in the ONNX format with all files that predictions need, and compare it with its run.

    In fp32, logits are compared with torch on texts of val. The test split is scored again and compared with the
    predictions of the run. Both splits are read from the predictions files of the run. A model that was imported without
    data is compared on goemo's sample, and has no scores.

    Args:
        checkpoint: a run of a transformer.
        layout: where its predictions are and the folder is written; an older one is replaced when the new one is complete.
        format: of the model.
        int8: quantize the weights.
        force: write an int8 model although its macro-F1 on test is more than .01 below that of the run, or unknown.
        on_event: called with each event.

    Raises:
        SettingError: a tfidf model, an ensemble or an exported model.
        NotFoundError: the run has no predictions of val or test, or a package is missing.
        ExportError: the architecture cannot be exported, logits differ from torch, or an int8 model loses too much.
        BusyError: another process changes the run.
        CorruptArtifactError: a file of the run is damaged.
    """
    if checkpoint.manifest.export is not None:
        raise SettingError(
            [f"{checkpoint.path} is an exported model already; name its run: {checkpoint.run}"]
        )
    require_transformer(checkpoint, "export-model")
    require_packages()
    precision: ExportPrecision = "int8" if int8 else "fp32"
    weight_bits = (BITS if has_vnni() else REDUCED_BITS) if int8 else None
    folder = layout.export(checkpoint.run, format, precision)
    with held(checkpoint.path, "goemo export-model"):
        checkpoint = Checkpoint.open(checkpoint.path)
        texts, test = _compared_rows(checkpoint, layout)
        classifier = _loaded(checkpoint)
        with atomic_folder(folder, replace=True) as stage:
            on_event(Info("Converting to ONNX"))
            write_onnx(classifier, stage / MODEL, weight_bits=weight_bits)
            _copy(checkpoint, classifier, stage)
            export = Export(
                format=format,
                precision=precision,
                reduce_range=weight_bits == REDUCED_BITS if weight_bits else None,
                sources=sources_of(checkpoint, layout),
                largest_logit_difference=0.0,
                checked_texts=len(texts),
                **_how_computed(classifier),
            )
            is_single_label = checkpoint.rules.is_single_label
            exported = load_onnx(stage, checkpoint.labels, export, is_single_label=is_single_label)
            difference = _logit_difference(classifier, exported, texts, int8=int8)
            scores = None if test is None else _compared(checkpoint, exported, test, on_event)
            _judge(checkpoint, scores, int8=int8, force=force, on_event=on_event)
            export = export.model_copy(update={"largest_logit_difference": difference, "test": scores})
            write_text(stage / CARD, export_card(checkpoint, export))
            written = _write_manifest(checkpoint, stage, export)
            size = written.manifest.files[MODEL].size
    on_event(FileWritten(folder))
    return ExportedModel(folder, size, require_export(written))


def _how_computed(classifier: TransformerClassifier) -> dict[str, Any]:
    """What reads texts as the classifier does, and what wrote the model."""
    return {
        "opset": OPSET,
        "max_length": classifier.max_length,
        "pad_token_id": classifier.tokenizer.pad_token_id,
        "truncation_side": classifier.tokenizer.truncation_side,
        "processor": processor(),
        "versions": installed_versions(_PACKAGES),
    }


def _compared_rows(checkpoint: Checkpoint, layout: Layout) -> tuple[list[str], Predictions | None]:
    """Texts for the comparison of logits, and the run's predictions of test."""
    if checkpoint.is_unscored:
        return _of_all_lengths(load_sample().val.texts), None
    val = read_recorded(checkpoint, "val", layout)
    return _of_all_lengths(val.texts), read_recorded(checkpoint, "test", layout)


def _of_all_lengths(texts: Sequence[str]) -> list[str]:
    """At most `CHECKED_TEXTS` texts, evenly from the shortest to the longest."""
    by_length = sorted(texts, key=len)
    places = np.linspace(0, len(by_length) - 1, min(CHECKED_TEXTS, len(by_length))).round().astype(int)
    return [by_length[place] for place in places]


def _loaded(checkpoint: Checkpoint) -> TransformerClassifier:
    from goemo_cli.ml.models.classifier import load_classifier

    classifier = load_classifier(checkpoint, device="cpu")
    assert isinstance(classifier, TransformerClassifier)  # no tfidf model, and no ensemble
    return classifier


def _copy(checkpoint: Checkpoint, classifier: TransformerClassifier, folder: Path) -> None:
    """Write the tokenizer as it is in memory, and copy the files that labels follow from."""
    backend = classifier.tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    backend.save(str(folder / TOKENIZER))
    for name in COPIED:
        if name in checkpoint.manifest.files:
            shutil.copyfile(checkpoint.intact_file(name), folder / name)


def _logit_difference(
    classifier: TransformerClassifier, exported: OnnxClassifier, texts: Sequence[str], *, int8: bool
) -> float:
    """The largest difference of a logit between torch and the exported model, tokenizers included.

    Raises:
        ExportError: it is not one of rounding in fp32.
    """
    theirs = exported.logits(encode(exported.tokenizer, texts, exported.max_length))
    largest = float(np.abs(logits_of_encoded(classifier.model, classifier.encode(texts)) - theirs).max())
    if not int8 and not largest <= LARGEST_DIFFERENCE:  # also if it is not a number
        raise ExportError(
            f"logits of the exported model differ from torch by up to {largest:.2g}, more than {LARGEST_DIFFERENCE:g}"
        )
    return largest


def _compared(
    checkpoint: Checkpoint, exported: OnnxClassifier, test: Predictions, on_event: EventHandler
) -> ExportComparison:
    """Score test with the exported model, and compare it with the predictions of the run."""
    with progress(on_event, "Scoring test", len(test)) as advance:
        y_prob = exported.predict_proba(test.texts, advance)
    both: list[FloatArray] = [test.y_prob, y_prob]
    decided = [checkpoint.rules.decide(one) for one in both]
    found = paired_differences(test.y_true, decided, both)[0]
    at = COUNT_SCORES.index("f1_macro")
    return ExportComparison(
        rows=len(test),
        f1_macro_of_run=float(found.a[at]),
        f1_macro=float(found.b[at]),
        difference=float(found.difference[at]),
        difference_ci=(float(found.low[at]), float(found.high[at])),
        changed_labels=int((decided[0] != decided[1]).sum()),
    )


def _judge(
    checkpoint: Checkpoint,
    scores: ExportComparison | None,
    *,
    int8: bool,
    force: bool,
    on_event: EventHandler,
) -> None:
    """Refuse an int8 model that loses too much, or whose loss is unknown.

    Raises:
        ExportError: without `force`.
    """
    if not int8:
        return
    if scores is None:
        fault = f"{checkpoint.run} was imported without data, so the loss of its int8 model is unknown"
    elif scores.difference < -LARGEST_LOSS:
        low, high = scores.difference_ci
        fault = (
            f"the int8 model has a macro-F1 of {scores.f1_macro:.4f} on test, the run {scores.f1_macro_of_run:.4f}: "
            f"{scores.difference:+.4f} (95 % interval {low:+.4f} to {high:+.4f}), more than {LARGEST_LOSS:g} less"
        )
    else:
        return
    if not force:
        raise ExportError(f"{fault}; nothing was written. --force writes it anyway")
    on_event(Warning(fault))


def _write_manifest(checkpoint: Checkpoint, folder: Path, export: Export) -> Checkpoint:
    manifest = checkpoint.manifest
    return write_manifest(
        folder,
        run=checkpoint.run,
        kind=checkpoint.kind,
        labels=checkpoint.labels,
        parents=manifest.parents,
        headline=manifest.headline,
        is_imported=manifest.origin == "imported",
        export=export,
    )
