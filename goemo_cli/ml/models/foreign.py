"""Classifiers that other tools trained: complete, with names for their labels, or refused."""

from pathlib import Path

import torch

from goemo_cli.core.errors import ModelFolderError
from goemo_cli.core.hints import command_line
from goemo_cli.core.schema import PROBLEM_TYPES
from goemo_cli.core.settings import ModelSettings
from goemo_cli.ml.data.label_cells import can_be_label
from goemo_cli.ml.models.folders import CONFIG, weight_files
from goemo_cli.ml.models.pretrained import (
    has_whole_head,
    load_config,
    load_model,
    load_tokenizer,
    require_encoder,
    require_matching_tokenizer,
    require_running,
    usable_length,
)
from goemo_cli.ml.models.transformer import TransformerClassifier, attention_for, label_settings


def foreign_transformer(
    folder: Path, settings: ModelSettings, *, single_label: bool, labels: tuple[str, ...] | None = None
) -> TransformerClassifier:
    """A classifier that another tool trained, with its whole head, on the CPU, ready to predict.

    Args:
        folder: with weights, config and tokenizer.
        settings: attention, max_length.
        single_label: whether each text has one label: probabilities are then a softmax.
        labels: names of its outputs, in their order, instead of those in its config.

    Raises:
        ModelNotFoundError: no weights, or a package is missing.
        ModelFolderError: a part of the model or its classifier is missing, labels without names, or a
            file that is damaged, unsafe, missing, or does not fit the others.
    """
    names = labels or label_names(folder)
    config = load_config(folder)
    if len(names) != config.num_labels:
        raise ModelFolderError(folder / CONFIG, f"has {config.num_labels} outputs, not {len(names)}")
    config = load_config(folder, **label_settings(names, single_label=single_label))
    tokenizer = load_tokenizer(folder)
    model, report = load_model(
        folder, config, attention=attention_for(settings.attention, torch.device("cpu"))
    )
    require_encoder(model, report, folder)
    if not has_whole_head(model, report) or report["mismatched_keys"]:
        raise ModelFolderError(
            weight_files(folder)[0],
            f"has no classifier for {len(names)} labels; train one: {command_line('goemo train --model', folder)}",
        )
    require_matching_tokenizer(model, tokenizer, folder)
    length = usable_length(settings.max_length, model, tokenizer, folder)
    require_running(model, tokenizer, length, folder)
    return TransformerClassifier(model.eval(), tokenizer, names, length)


def label_names(folder: Path) -> tuple[str, ...]:
    """The names of the outputs of a classifier, as its config has them.

    Raises:
        ModelFolderError: fewer than two outputs, names that say nothing, occur twice, or cannot be written to predictions.
    """
    known = load_config(folder).id2label
    names = tuple(str(known[at]) for at in sorted(known))
    fault = (
        f"has {len(names)} output; at least two labels are needed"
        if len(names) < 2
        else "names its labels only LABEL_0, LABEL_1, ...; --labels-file FILE gives names, one per line"
        if all(name == f"LABEL_{at}" for at, name in enumerate(names))
        else "has a label twice"
        if len(set(names)) < len(names)
        else next((f"{name!r} cannot be a label" for name in names if not can_be_label(name)), None)
    )
    if fault:
        raise ModelFolderError(folder / CONFIG, fault)
    return names


def is_single_label_folder(folder: Path) -> bool | None:
    """Whether a classifier was trained for one label per text, as its config says; None if it does not say it.

    Raises:
        ModelFolderError: it was trained for something other than classification.
    """
    kind = getattr(load_config(folder), "problem_type", None)
    if kind is None:
        return None
    found = next((single for single, name in PROBLEM_TYPES.items() if name == kind), None)
    if found is None:
        raise ModelFolderError(folder / CONFIG, f"problem_type is {kind!r}; goemo needs a classifier")
    return found
