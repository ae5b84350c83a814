"""Model folders of transformers, from any tool: loaded completely, or refused with the file that is at fault."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from goemo_cli.core.errors import (
    CorruptArtifactError,
    GoemoError,
    ModelFolderError,
    ModelNotFoundError,
    TrainingFailedError,
    first_names,
)
from goemo_cli.core.files import read_json_object
from goemo_cli.ml.models.devices import is_out_of_memory
from goemo_cli.ml.models.folders import CONFIG, weight_files
from goemo_cli.ml.models.weight_safety import require_finite, require_sound_weights
from goemo_cli.ml.training.batches import encode

_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
_TOKENIZER_SETTINGS = "tokenizer_config.json"
_SMALL_TOKENIZER_FILES = ("special_tokens_map.json", "added_tokens.json")
_LAYER = re.compile(r"(?P<list>.*?)\.\d+(?=\.)")
_LONGEST_REASON = 200


def load_config(folder: Path, **changes: Any) -> Any:
    """The config of a model folder, with some settings changed.

    Raises:
        ModelFolderError: damaged, or of an architecture that transformers does not know.
        ModelNotFoundError: a package is missing.
    """
    from transformers import AutoConfig

    from goemo_cli.ml.models.static import register_static

    register_static()
    _require_object(folder / CONFIG)
    with _blamed(folder / CONFIG):
        return AutoConfig.from_pretrained(folder, trust_remote_code=False, **changes)


def load_tokenizer(folder: Path) -> Any:
    """The fast tokenizer of a model folder.

    Raises:
        ModelFolderError: no tokenizer files, a damaged one, or a vocabulary without words.
        ModelNotFoundError: a package is missing.
    """
    from transformers import AutoTokenizer

    found = [path for pattern in _VOCABULARIES for path in sorted(folder.glob(pattern))]
    if not found:
        raise ModelFolderError(
            folder / "tokenizer.json",
            "is missing, and so is every other tokenizer file; save_pretrained the tokenizer to the same folder",
        )
    for path in (folder / name for name in (_TOKENIZER_SETTINGS, *_SMALL_TOKENIZER_FILES)):
        if path.is_file():
            _require_object(path)
    with _blamed(found[0]):
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        words = set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens)
    if not words:
        raise ModelFolderError(found[0], "the tokenizer has no words, only special tokens")
    if not tokenizer.is_fast:
        raise ModelFolderError(found[0], "this tokenizer has no fast version; goemo needs one")
    return tokenizer


def load_model(folder: Path, config: Any, *, attention: str | None) -> tuple[Any, Mapping[str, Any]]:
    """A classifier in fp32, in evaluation mode, and what transformers reports of its tensors.

    Tensors whose shape differs start at random: the caller checks the report (`require_encoder`, `require_all`).

    Raises:
        ModelNotFoundError: no weights, or a package is missing.
        ModelFolderError: a config that makes no classifier; damaged or unsafe weights, or numbers that are not finite.
    """
    from transformers import AutoModelForSequenceClassification

    files = weight_files(folder)
    for path in files:
        with _blamed(path):
            require_sound_weights(path, numbers=False)
    with (
        _blamed(folder / CONFIG),
        torch.device("meta"),
    ):  # without memory: what fails here is not the weights' fault
        AutoModelForSequenceClassification.from_config(config, trust_remote_code=False)
    with _blamed(files[0]):
        model, report = AutoModelForSequenceClassification.from_pretrained(
            folder,
            config=config,
            attn_implementation=attention,
            ignore_mismatched_sizes=True,  # reported, and then judged by the caller
            dtype=torch.float32,
            weights_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    new = {*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}
    with _blamed(files[0]):
        for name, parameter in model.named_parameters():
            if name not in new:
                require_finite(files[0], name, parameter)
    return model, report


def require_encoder(model: Any, report: Mapping[str, Any], folder: Path) -> None:
    """Refuse a model whose encoder did not come whole from the weights; its head and pooler may be new.

    Raises:
        ModelFolderError: with the tensors.
    """
    encoder = f"{model.base_model_prefix}."
    blamed = weight_files(folder)[0]
    missing = [
        name for name in sorted(report["missing_keys"]) if name.startswith(encoder) and ".pooler." not in name
    ]
    if missing:
        raise ModelFolderError(
            blamed,
            f"has no {first_names(missing, most=3)}: parts of the encoder, which would start at random",
        )
    resized = [
        f"{name} as {_shape(saved)} instead of {_shape(wanted)}"
        for name, saved, wanted in sorted(report["mismatched_keys"])
        if name.startswith(encoder)
    ]
    if resized:
        raise ModelFolderError(blamed, f"does not fit {CONFIG}: has {first_names(resized, most=3)}")
    modules = {name for name, _ in model.named_modules()}
    unused = [
        name
        for name in sorted(report["unexpected_keys"])
        if (layer := _LAYER.match(name)) and layer["list"] in modules and layer[0] not in modules
    ]
    if unused:
        raise ModelFolderError(
            folder / CONFIG,
            f"has fewer layers than the weights: {first_names(unused, most=3)} would not be used",
        )


def require_all(report: Mapping[str, Any], path: Path) -> None:
    """Refuse weights that do not fill the model exactly.

    Raises:
        ModelFolderError: with the tensors.
    """
    odd = [
        *report["missing_keys"],
        *report["unexpected_keys"],
        *(name for name, *_ in report["mismatched_keys"]),
    ]
    if odd:
        raise ModelFolderError(
            path, f"the weights do not fit the model: {first_names(sorted(map(str, odd)), most=3)}"
        )


def require_matching_tokenizer(model: Any, tokenizer: Any, folder: Path) -> None:
    """Refuse a tokenizer whose tokens the model does not all know, or without a padding token.

    Raises:
        ModelFolderError: with both sizes.
    """
    rows = model.get_input_embeddings().num_embeddings
    tokens = max(tokenizer.get_vocab().values()) + 1
    if tokens > rows:
        raise ModelFolderError(
            folder / CONFIG,
            f"vocab_size is {rows}, but the tokenizer has {tokens} tokens: it belongs to another model",
        )
    if tokenizer.pad_token_id is None and model.config.pad_token_id is not None:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(model.config.pad_token_id)
    if tokenizer.pad_token_id is None:
        raise ModelFolderError(
            folder / _TOKENIZER_SETTINGS, "names no pad_token; texts are padded to one length"
        )
    model.config.pad_token_id = tokenizer.pad_token_id


def usable_length(wanted: int, model: Any, tokenizer: Any, folder: Path) -> int:
    """The maximum number of tokens per text: `wanted`, or fewer if model or tokenizer allow fewer.

    Raises:
        ModelFolderError: the tokenizer allows fewer than one token next to its special ones.
    """
    limits = [wanted]
    if (positions := getattr(model.config, "max_position_embeddings", None) or 0) > 0:
        limits.append(positions)
    for name, module in model.named_modules():
        # RoBERTa and its relatives count positions from the padding index + 1: 514 rows are 512 tokens.
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            limits.append(module.num_embeddings - module.padding_idx - 1)
    allowed, fewest = tokenizer.model_max_length, tokenizer.num_special_tokens_to_add() + 1
    if not isinstance(allowed, (int, float)) or min(*limits, allowed) < fewest:
        raise ModelFolderError(
            folder / _TOKENIZER_SETTINGS,
            f"model_max_length is {allowed!r}; at least {fewest} tokens are needed",
        )
    return int(min(*limits, allowed))


@torch.no_grad()
def require_running(model: Any, tokenizer: Any, length: int, folder: Path) -> None:
    """Run the model on one text of the maximum length.

    Raises:
        ModelFolderError: it fails, or gives numbers that are not finite.
    """
    text = encode(tokenizer, ["a " * length], length)
    with _blamed(folder / CONFIG):
        logits = model(**text.padded([0])).logits
    if not logits.isfinite().all():
        raise ModelFolderError(weight_files(folder)[0], "the model gives numbers that are not finite")


def has_whole_head(model: Any, report: Mapping[str, Any]) -> bool:
    """Whether the weights filled the head; the last layer may have another number of rows."""
    last = f"{head_layers(model)[-1][0]}."
    return not report["missing_keys"] and all(name.startswith(last) for name, *_ in report["mismatched_keys"])


def head_layers(model: Any) -> list[tuple[str, nn.Linear]]:
    """The linear layers outside the encoder with their names, in order; the last has one row per label."""
    prefix = f"{model.base_model_prefix}."
    return [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not name.startswith(prefix)
    ]


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars and no log lines below errors from transformers inside the block."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    had_bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if had_bars:
            logging.enable_progress_bar()


@contextmanager
def _blamed(path: Path) -> Iterator[None]:
    """Turn everything that libraries raise in the block into an error of one file.

    Errors of the disk, a full memory, and missing packages are not the file's fault.
    """
    try:
        with quiet_transformers():
            yield
    except CorruptArtifactError as error:
        raise ModelFolderError(error.path, error.reason) from error
    except GoemoError:
        raise
    except ImportError as error:
        raise ModelNotFoundError(str(path.parent), f"needs a package: {_reason(error)}") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise
        if is_out_of_memory(error):
            raise TrainingFailedError(f"out of memory while loading {path.parent}") from error
        raise ModelFolderError(path, f"cannot be loaded ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    text = str(error).strip()
    if "weights_only" in text:  # torch's advice, to load it in an unsafe way, is not passed on
        return "not a plain state dict"
    reason = " ".join(text.split())
    if len(reason) > _LONGEST_REASON:
        reason = reason[:_LONGEST_REASON] + "…"
    # KeyError and its kind say only a name.
    return reason if " " in reason else f"{type(error).__name__} {reason}".rstrip()


def _require_object(path: Path) -> None:
    try:
        read_json_object(path)
    except CorruptArtifactError as error:
        raise ModelFolderError(path, error.reason) from error


def _shape(size: Any) -> str:
    return "x".join(map(str, size))
