"""Transformers as classifiers: build one to train, load one to predict, save one for from_pretrained."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from goemo_cli.core.arrays import DoubleArray, FloatArray, IntArray, require_probabilities
from goemo_cli.core.errors import CorruptArtifactError, ModelFolderError, SettingError
from goemo_cli.core.files import atomic_path, library_writes, staged_files, write_json, write_text
from goemo_cli.core.schema import PROBLEM_TYPES
from goemo_cli.core.settings import ModelSettings, WeightFiles
from goemo_cli.ml.models.bert import load_scorer
from goemo_cli.ml.models.cpu import packed_linears, use_cheap_dropout
from goemo_cli.ml.models.folders import CONFIG, weight_files
from goemo_cli.ml.models.layers import only_first_token, require_mean_layer
from goemo_cli.ml.models.pretrained import (
    has_whole_head,
    head_layers,
    load_config,
    load_model,
    load_tokenizer,
    quiet_transformers,
    require_all,
    require_encoder,
    require_matching_tokenizer,
    require_running,
    usable_length,
)
from goemo_cli.ml.training.batches import EncodedTexts, encode
from goemo_cli.ml.training.ranks import ALONE, Ranks

_DROPOUT_NAMES = (
    "hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout",  # BERT, RoBERTa, DeBERTa
    "dropout", "attention_dropout", "seq_classif_dropout",  # DistilBERT
    "embedding_dropout", "mlp_dropout",  # ModernBERT
)  # fmt: skip


@dataclass
class TransformerClassifier:
    """A model with its tokenizer: texts in, probabilities out."""

    model: Any
    tokenizer: Any
    labels: tuple[str, ...]
    max_length: int
    continued: tuple[str, ...] = ()
    """Labels whose rows of the classifier came with the weights."""
    offered: tuple[str, ...] = ()
    """Labels of the classifier that came with the weights; empty if there was none."""
    folder: Path | None = None
    """The checkpoint that the weights were read from; None for a model that is not saved."""
    ranks: Ranks = ALONE
    """The processes that score the same texts together; each computes a part of the batches and gets all probabilities."""

    def encode(self, texts: Sequence[str]) -> EncodedTexts:
        """Token ids of texts, cut at `max_length`."""
        return encode(self.tokenizer, texts, self.max_length)

    def predict_proba(
        self,
        texts: Sequence[str],
        on_progress: Callable[[int], None] = lambda rows: None,
        cut: Callable[[int], None] = lambda texts: None,
    ) -> FloatArray:
        """Probability of every label, in the precision of the weights: fp32 unless they were loaded in bf16.

        Args:
            texts: n_examples texts.
            on_progress: called with the number of rows done since the last call.
            cut: called with the number of texts that were longer than the model's maximum.

        Returns:
            float32, (n_examples, n_labels). Independent of the order of the texts but for batches of other lengths.

        Raises:
            CorruptArtifactError: the weights of a checkpoint give numbers that are not probabilities.
            TrainingFailedError: those of a model that is not saved do.
        """
        encoded = self.encode(texts)
        cut(encoded.n_cut)
        y_prob = self.ranks.add(predict_encoded(self.model, encoded, on_progress, self.ranks.part))
        require_probabilities(y_prob, self.labels, self.folder)
        return y_prob

    @property
    def is_single_label(self) -> bool:
        """Whether each text has exactly one label: probabilities are a softmax, and their sum is 1."""
        return _is_single_label(self.model)

    def head_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Named parameters outside the encoder: the classifier that starts from nothing."""
        prefix = f"{self.model.base_model_prefix}."
        for name, parameter in self.model.named_parameters():
            if not name.startswith(prefix):
                yield name, parameter

    def start_bias_at(self, prior: DoubleArray) -> None:
        """Set the classifier's bias to the log-odds of each label (its logarithm for a softmax), so that the first step need not learn them.

        Labels that continue keep theirs, and a classifier without bias stays as it is.

        Args:
            prior: share of positives of each label, (n_labels,); kept away from 0 and 1.

        Source:
            Lin et al. 2017, https://arxiv.org/abs/1708.02002, section 3.3.
        """
        clipped = np.clip(prior, 1e-4, 1 - 1e-4)
        bias = head_layers(self.model)[-1][1].bias
        if bias is None:
            return
        new = [row for row, label in enumerate(self.labels) if label not in self.continued]
        with torch.no_grad():
            start = np.log(clipped) if self.is_single_label else np.log(clipped / (1 - clipped))
            bias[new] = torch.tensor(start, dtype=bias.dtype)[new]

    def save(self, folder: Path, files: WeightFiles) -> None:
        """Write config.json and the weights: model.safetensors, pytorch_model.bin, or both."""
        self.save_weights(folder)
        if files != "safetensors":
            self.save_pickled_weights(folder)
        if files == "bin":
            (folder / "model.safetensors").unlink()

    def save_weights(self, folder: Path) -> None:
        """Write model.safetensors and config.json, each whole."""
        with quiet_transformers(), library_writes(folder), staged_files(folder) as stage:
            self.model.save_pretrained(stage)

    def save_pickled_weights(self, folder: Path) -> None:
        """Write pytorch_model.bin: the state dict, for tools that read nothing else."""
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in self.model.state_dict().items()}
        with (
            library_writes(folder),
            atomic_path(folder / "pytorch_model.bin") as partial,
            partial.open("wb") as stream,  # given a path, torch writes its random name into the file
        ):
            torch.save(state, stream)

    def save_tokenizer(self, folder: Path) -> None:
        """Write the tokenizer's files, vocab.txt and special_tokens_map.json included.

        transformers 5 writes only tokenizer.json and tokenizer_config.json; older tools want the other two.
        """
        with library_writes(folder), staged_files(folder) as stage:
            self.tokenizer.save_pretrained(stage)
        if type(self.tokenizer.backend_tokenizer.model).__name__ in ("WordPiece", "WordLevel"):
            vocabulary = self.tokenizer.get_vocab()
            words = sorted(vocabulary, key=lambda word: vocabulary[word])
            write_text(folder / "vocab.txt", "\n".join(words) + "\n")
        special = {name: str(token) for name, token in sorted(self.tokenizer.special_tokens_map.items())}
        write_json(folder / "special_tokens_map.json", special)


def build_transformer(
    folder: Path,
    labels: tuple[str, ...],
    settings: ModelSettings,
    *,
    device: torch.device,
    single_label: bool = False,
) -> TransformerClassifier:
    """A pretrained encoder with a classifier for the given labels, ready to be trained.

    Labels that the weights already classify, by name, keep their rows of the classifier; others start from nothing.

    Args:
        folder: with its weights and tokenizer.
        labels: label names in output order.
        settings: dropout, attention, max_length, new_head, pooling.
        device: where it will run; decides `attention: auto`.
        single_label: whether each text has exactly one label.

    Raises:
        ModelNotFoundError: no weights, or a package is missing.
        ModelFolderError: anything but the head would start at random, an architecture without a classification head or
            with code in its folder, or a file that is damaged, unsafe, missing, or does not fit the others.
        SettingError: `pooling` does not fit the weights.
    """
    known = load_config(folder).id2label
    config = load_config(folder, **label_settings(labels, single_label=single_label))
    _set_dropout(config, settings.dropout)
    tokenizer = load_tokenizer(folder)
    # Another label set's classifier has other shapes and is replaced.
    model, report = load_model(folder, config, attention=attention_for(settings.attention, device))
    require_encoder(model, report, folder)
    require_matching_tokenizer(model, tokenizer, folder)
    length = usable_length(settings.max_length, model, tokenizer, folder)
    require_running(model, tokenizer, length, folder)
    if settings.pooling == "mean":
        require_mean_layer(model)
    if device.type == "cpu":
        use_cheap_dropout(model)
    classifier = TransformerClassifier(model, tokenizer, labels, length)
    if f"{head_layers(model)[-1][0]}.weight" not in report["missing_keys"]:
        whole = has_whole_head(model, report)
        classifier.offered = tuple(known.values()) if whole else ()
        _begin_classifier(classifier, folder, known, anew=settings.new_head or not whole)
    return classifier


def build_static(
    folder: Path,
    labels: tuple[str, ...],
    settings: ModelSettings,
    *,
    device: torch.device,
    single_label: bool = False,
) -> TransformerClassifier:
    """A classifier of static token vectors, which start as the word embeddings of an encoder, ready to be trained.

    Args:
        folder: with the encoder's weights and tokenizer.
        labels: label names in output order.
        settings: dropout and max_length.
        device: where it will run.
        single_label: whether each text has exactly one label.

    Raises:
        As `build_transformer`; a SettingError for any `pooling`.
    """
    from goemo_cli.ml.models.static import start_static

    if settings.pooling:
        raise SettingError(
            ["model.pooling: a static model always reads the mean of the tokens; leave it out"]
        )
    encoder = build_transformer(folder, labels, settings, device=device, single_label=single_label)
    dropout = {} if settings.dropout is None else {"hidden_dropout_prob": settings.dropout}
    model = start_static(
        encoder.model.get_input_embeddings().weight.detach(),
        pad_token_id=encoder.tokenizer.pad_token_id,
        **dropout,
        **label_settings(labels, single_label=single_label),
    )
    if device.type == "cpu":
        use_cheap_dropout(model)
    length = min(settings.max_length, encoder.tokenizer.model_max_length)
    return TransformerClassifier(model, encoder.tokenizer, labels, length)


def load_transformer(
    folder: Path, labels: tuple[str, ...], settings: ModelSettings, *, device: torch.device
) -> TransformerClassifier:
    """A trained checkpoint, in fp32, on a device, ready to predict.

    Raises:
        CorruptArtifactError: weights that do not fill the model exactly, or labels in another order.
    """
    attention = attention_for(settings.attention, device)
    if attention == "eager" and (scorer := load_scorer(folder, labels)):
        model, tokenizer, longest = scorer
        length = min(settings.max_length, longest)
        return TransformerClassifier(model.to(device), tokenizer, labels, length, folder=folder)
    config, tokenizer = load_config(folder), load_tokenizer(folder)
    model, report = load_model(folder, config, attention=attention)
    require_all(report, weight_files(folder)[0])
    if tuple(model.config.id2label[index] for index in range(model.config.num_labels)) != labels:
        raise CorruptArtifactError(folder / CONFIG, "id2label differs from the manifest's labels")
    require_matching_tokenizer(model, tokenizer, folder)
    length = usable_length(settings.max_length, model, tokenizer, folder)
    return TransformerClassifier(model.to(device).eval(), tokenizer, labels, length, folder=folder)


@torch.no_grad()
def _begin_classifier(
    classifier: TransformerClassifier, folder: Path, known: Mapping[int, str], *, anew: bool
) -> None:
    """Give the rows of the classifier that came with the weights to their labels, by name.

    Loading alone would assign them by position: with label sets of equal length, to labels of other names.
    """
    layers = [layer for _, layer in head_layers(classifier.model)]
    for layer in layers if anew else layers[-1:]:
        layer.weight.normal_(std=getattr(classifier.model.config, "initializer_range", 0.02))
        if layer.bias is not None:
            layer.bias.zero_()
    named = list(known.values())
    shared = [] if anew else [label for label in classifier.labels if named.count(label) == 1]
    if shared:
        old_row = {label: row for row, label in known.items()}
        new, old = [classifier.labels.index(label) for label in shared], [old_row[label] for label in shared]
        for name, tensor in _last_layer_as_saved(folder).items():
            getattr(layers[-1], name)[new] = tensor[old]
    classifier.continued = tuple(shared)


def _last_layer_as_saved(folder: Path) -> Mapping[str, torch.Tensor]:
    """Weight and bias of the classifier's last layer with the rows that the folder's own labels have."""
    model, report = load_model(folder, load_config(folder), attention=None)
    if report["mismatched_keys"]:
        name, saved, wanted = next(iter(report["mismatched_keys"]))
        raise ModelFolderError(
            folder / CONFIG, f"needs {name} as {tuple(wanted)}, the weights have it as {tuple(saved)}"
        )
    return head_layers(model)[-1][1].state_dict()


def predict_encoded(
    model: Any,
    encoded: EncodedTexts,
    on_progress: Callable[[int], None] = lambda rows: None,
    part: Callable[[IntArray], IntArray] = lambda batches: batches,
) -> FloatArray:
    """Probability of every label for texts that are already tokens; float32, (n_examples, n_labels).

    Args:
        model: a classifier of transformers.
        encoded: the texts.
        on_progress: called with the number of rows done since the last call.
        part: of the numbers of all batches those to compute; rows of the others are 0.
    """
    activation = partial(torch.softmax, dim=-1) if _is_single_label(model) else torch.sigmoid
    return _scored(model, encoded, activation, on_progress, part)


def logits_of_encoded(model: Any, encoded: EncodedTexts) -> FloatArray:
    """What the model gives before the activation for texts that are already tokens; float32, (n_examples, n_labels)."""
    return _scored(model, encoded, torch.Tensor.float)


@torch.no_grad()
def _scored(
    model: Any,
    encoded: EncodedTexts,
    activation: Callable[[torch.Tensor], torch.Tensor],
    on_progress: Callable[[int], None] = lambda rows: None,
    part: Callable[[IntArray], IntArray] = lambda batches: batches,
) -> FloatArray:
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    shape = getattr(model, "output_shape", (model.config.num_labels,))
    found = np.zeros((len(encoded), *shape), dtype=np.float32)
    own = model.scoring(len(encoded)) if hasattr(model, "scoring") else nullcontext()
    with packed_linears(model, len(encoded)), only_first_token(model), own:
        batches = list(encoded.batches_by_length())
        for rows in (batches[at] for at in part(np.arange(len(batches)))):
            logits = model(**encoded.padded(rows, device)).logits  # (batch, n_labels)
            found[rows] = activation(logits.float()).cpu().numpy()
            on_progress(len(rows))
    model.train(was_training)
    return found


def _is_single_label(model: Any) -> bool:
    return bool(model.config.problem_type == PROBLEM_TYPES[True])


def label_settings(labels: tuple[str, ...], *, single_label: bool = False) -> dict[str, Any]:
    """What a transformers config must say about a label list."""
    return {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {label: index for index, label in enumerate(labels)},
        "problem_type": PROBLEM_TYPES[single_label],
    }


def _set_dropout(config: Any, dropout: float | None) -> None:
    for name in _DROPOUT_NAMES if dropout is not None else ():
        if hasattr(config, name):
            setattr(config, name, dropout)


def attention_for(setting: str, device: torch.device) -> str | None:
    """The attention of transformers that a setting means on a device; None for the default of the model."""
    if setting == "auto":
        # Eager beats scaled-dot-product attention on CPUs at comment lengths: benchmarks/throughput.py.
        return "eager" if device.type == "cpu" else None
    return setting
