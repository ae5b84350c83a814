"""Model folders of other tools: loaded completely, or refused with the file that is at fault."""

import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save, save_file

from goemo_cli.core.catalogue import model_entry
from goemo_cli.core.errors import CheckpointNotFoundError, GoemoError, ModelFolderError, ModelNotFoundError
from goemo_cli.core.events import Event, Info, Warning
from goemo_cli.core.settings import ModelSettings
from goemo_cli.ml.data.dataset import Dataset, LabelledTexts
from goemo_cli.ml.models.transformer import TransformerClassifier
from goemo_cli.ml.models.weight_safety import require_sound_weights
from goemo_cli.ml.training.batches import encode, unknown_share
from goemo_cli.services.runs.references import open_checkpoint
from goemo_cli.services.training.build import start_model
from goemo_cli.services.training.fit import encode_examples

LABELS = ("joy", "anger", "sadness")
SAFE, PICKLED = "model.safetensors", "pytorch_model.bin"
Change = Callable[[Path], object]


class Attack:
    """A pickle that leaves a mark if it is read without care."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


@pytest.fixture
def folder(make_tiny, tmp_path: Path) -> Path:
    """What save_pretrained of a classifier and its tokenizer leaves."""
    path = tmp_path / "model"
    classifier = make_tiny(seed=1)
    classifier.model.save_pretrained(path)
    classifier.tokenizer.save_pretrained(path)
    return path


def start(
    folder: Path, *, labels: tuple[str, ...] = LABELS, length: int = 32
) -> tuple[TransformerClassifier, list[Event]]:
    said: list[Event] = []
    settings = ModelSettings(name=str(folder), max_length=length)
    entry = model_entry(str(folder))
    model, _ = start_model(settings, entry, labels, (), device=torch.device("cpu"), on_event=said.append)
    return model, said


def warnings(said: list[Event]) -> list[str]:
    return [event.message for event in said if isinstance(event, Warning)]


def setting(**values: object) -> Change:
    """Change config.json."""

    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def tensors(edit: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Change:
    """Change model.safetensors."""

    def change(folder: Path) -> None:
        save_file(edit(load_file(folder / SAFE)), folder / SAFE, metadata={"format": "pt"})

    return change


def content(name: str, value: bytes) -> Change:
    return lambda folder: (folder / name).write_bytes(value)


def as_pickle(value: object, name: str = PICKLED) -> Change:
    """Weights as torch.save leaves them, instead of the safetensors file."""

    def change(folder: Path) -> None:
        state = load_file(folder / SAFE) if value is None else value
        (folder / SAFE).unlink()
        torch.save(state, folder / name)

    return change


def as_shards(folder: Path, *, form: str = "safetensors") -> list[Path]:
    """The weights in two files with an index."""
    state = load_file(folder / SAFE)
    (folder / SAFE).unlink()
    stem = {"safetensors": "model", "bin": "pytorch_model"}[form]
    names = [f"{stem}-0000{number}-of-00002.{form}" for number in (1, 2)]
    places = {key: names[at % 2] for at, key in enumerate(state)}
    for name in names:
        part = {key: tensor for key, tensor in state.items() if places[key] == name}
        if form == "bin":
            torch.save(part, folder / name)
        else:
            save_file(part, folder / name, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": places}
    (folder / f"{stem}.{form}.index.json").write_text(json.dumps(index))
    return [folder / name for name in names]


def without(*parts: str) -> Change:
    return tensors(
        lambda state: {key: value for key, value in state.items() if not any(part in key for part in parts)}
    )


def put(name: str, tensor: torch.Tensor) -> Change:
    return tensors(lambda state: state | {name: tensor})


def nan(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    state["bert.encoder.layer.1.output.dense.weight"][3, 5] = float("nan")
    return state


def drop(*names: str) -> Change:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return change


DAMAGED: list[tuple[str, str, Change]] = [
    # What transformers replaces by random numbers or an empty vocabulary, without an error.
    (SAFE, "layer.1", without("layer.1.")),
    (SAFE, "start at random", without("bert.")),
    (SAFE, "no tensors", tensors(lambda state: {})),
    (PICKLED, "no tensors", as_pickle({})),
    (SAFE, "start at random", setting(model_type="roberta", pad_token_id=0)),
    (SAFE, "layer.2", setting(num_hidden_layers=3)),
    ("config.json", "fewer layers", setting(num_hidden_layers=1)),
    ("config.json", "fewer layers", setting(num_hidden_layers=-1)),
    (SAFE, "does not fit config.json", setting(vocab_size=5000)),
    (SAFE, "does not fit config.json", setting(hidden_size=64)),
    (SAFE, "does not fit config.json", put("bert.pooler.dense.bias", torch.zeros(7))),
    (SAFE, "quantised", put("bert.pooler.dense.weight", torch.zeros(32, 32, dtype=torch.int8))),
    ("tokenizer.json", "is missing", drop("tokenizer.json", "tokenizer_config.json")),
    ("tokenizer.json", "is missing", drop("tokenizer.json")),
    ("config.json", "vocab_size is 10", lambda folder: _smaller_vocabulary(folder)),
    ("config.json", "id2label|needs classifier", setting(id2label={str(at): f"{at}" for at in range(2)} | {"2": "joy"} | {"3": "x"})),
    # What libraries raise their own errors for.
    (SAFE, "not a whole safetensors file", lambda folder: os.truncate(folder / SAFE, 1000)),
    (SAFE, "not a whole safetensors file", content(SAFE, b"")),
    (SAFE, "not a whole safetensors file", content(SAFE, struct.pack("<Q", 2**60) + b"{}")),
    (SAFE, "pickle under another name", as_pickle(None, SAFE)),
    (SAFE, "pooler.dense.bias holds numbers", put("bert.pooler.dense.bias", torch.full((32,), np.inf))),
    (SAFE, "layer.1.output.dense.weight holds numbers", tensors(nan)),
    (PICKLED, "not a torch file", lambda folder: (drop(SAFE)(folder), content(PICKLED, b"")(folder))),
    (PICKLED, "not a torch file", lambda folder: (folder / SAFE).rename(folder / PICKLED)),
    (PICKLED, "list instead of tensors", as_pickle([1, 2])),
    (PICKLED, "instead of a tensor", as_pickle({"state_dict": {"a": torch.ones(1)}})),
    ("config.json", "JSON list", content("config.json", b"[]")),
    ("config.json", "not valid JSON", content("config.json", b"{")),
    ("config.json", "model_type", content("config.json", b"{}")),
    ("config.json", "nonesuch", setting(model_type="nonesuch")),
    ("config.json", "AutoModelForSequenceClassification", setting(model_type="clip")),
    ("config.json", "attention heads", setting(num_attention_heads=5)),
    ("config.json", "hidden_size", setting(hidden_size=None)),
    ("config.json", "nope", setting(hidden_act="nope")),
    ("tokenizer.json", "cannot be loaded", content("tokenizer.json", b"{")),
    ("tokenizer.json", "cannot be loaded", content("tokenizer.json", b"{}")),
    ("tokenizer_config.json", "JSON list", content("tokenizer_config.json", b"[]")),
    ("tokenizer_config.json", "model_max_length is 0", content("tokenizer_config.json", b'{"model_max_length": 0}')),
]  # fmt: skip


def _smaller_vocabulary(folder: Path) -> None:
    setting(vocab_size=10)(folder)
    tensors(lambda state: state | {_WORDS: state[_WORDS][:10].clone()})(folder)


_WORDS = "bert.embeddings.word_embeddings.weight"


@pytest.mark.parametrize(
    ("name", "reason", "change"), DAMAGED, ids=[f"{at}-{case[1]}" for at, case in enumerate(DAMAGED)]
)
def test_what_is_not_complete_or_damaged_is_refused_with_its_file(
    folder: Path, name: str, reason: str, change: Change
):
    change(folder)
    with pytest.raises(ModelFolderError, match=reason) as raised:
        start(folder)
    assert raised.value.path == folder / name
    assert "weights_only" not in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("form", ["archive", "raw", "module", "shard"])
def test_a_pickle_that_would_run_something_is_refused_and_not_run(folder: Path, tmp_path: Path, form: str):
    mark = tmp_path / "executed"
    path = folder / PICKLED
    if form == "shard":
        path = as_shards(folder, form="bin")[1]
        torch.save({"a": Attack(mark)}, path)
    elif form == "archive":
        as_pickle({"a": Attack(mark)})(folder)
    elif form == "module":
        as_pickle(torch.nn.Linear(2, 2))(folder)
    else:
        drop(SAFE)(folder)
        path.write_bytes(pickle.dumps(Attack(mark)))
    with pytest.raises(ModelFolderError, match="unsafe") as raised:
        start(folder)
    assert raised.value.path == path
    assert "weights_only" not in str(raised.value)
    assert not mark.exists()


@pytest.mark.parametrize("form", ["safetensors", "bin"])
def test_weights_in_several_files_are_loaded(folder: Path, form: str):
    whole, _ = start(folder)
    expected = whole.predict_proba(["so happy", "angry"])
    shards = as_shards(folder, form=form)
    found, _ = start(folder)
    assert np.array_equal(found.predict_proba(["so happy", "angry"]), expected)
    shards[1].unlink()
    with pytest.raises(ModelFolderError, match=r"is missing; .*index\.json names it") as raised:
        start(folder)
    assert raised.value.path == shards[1]


@pytest.mark.parametrize(
    "index",
    [b"{", b"[]", b"{}", b'{"weight_map": {"a": [7]}}', b'{"weight_map": {"a": "../model.safetensors"}}'],
)
def test_an_index_that_names_no_shards_is_refused(folder: Path, index: bytes):
    as_shards(folder)
    content(f"{SAFE}.index.json", index)(folder)
    with pytest.raises(ModelFolderError) as raised:
        start(folder)
    assert raised.value.path == folder / f"{SAFE}.index.json"


@pytest.mark.parametrize("part", ["classifier", "classifier.bias", "pooler"])
def test_only_head_and_pooler_may_be_missing_and_no_row_is_reused_then(folder: Path, part: str):
    without(part)(folder)
    built, said = start(folder)
    assert built.continued == ()
    assert not any("reused" in event.message for event in said if isinstance(event, Info))


def test_classifiers_that_name_their_labels_only_by_number_are_not_reused(folder: Path):
    setting(id2label={str(at): f"LABEL_{at}" for at in range(3)})(folder)
    built, said = start(folder)
    assert built.continued == ()
    assert "no label head can be reused" in warnings(said)[0]
    _, said = start(folder, labels=("LABEL_0", "LABEL_1"))
    assert Info("Classifier: 2 of 2 label heads reused") in said


def test_as_many_positions_as_roberta_has_are_two_tokens_fewer(tmp_path: Path, make_tiny):
    from transformers import RobertaConfig, RobertaForSequenceClassification

    tokenizer = make_tiny().tokenizer
    tokenizer.model_max_length = 10**30
    config = RobertaConfig(
        vocab_size=len(tokenizer), hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
        max_position_embeddings=26, pad_token_id=1, type_vocab_size=1,
    )  # fmt: skip
    RobertaForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    built, said = start(tmp_path, length=1024)
    assert built.max_length == 24
    assert "the model reads at most 24 tokens" in warnings(said)[-1]
    assert built.predict_proba(["so happy " * 100]).shape == (1, 3)


def test_a_model_that_needs_the_last_token_of_each_text_is_loaded(tmp_path: Path, make_tiny):
    from transformers import BartConfig, BartForSequenceClassification

    tokenizer = make_tiny().tokenizer
    config = BartConfig(
        vocab_size=len(tokenizer), d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=1,
        decoder_attention_heads=1, encoder_ffn_dim=8, decoder_ffn_dim=8, max_position_embeddings=32,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.sep_token_id,
    )  # fmt: skip
    BartForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert start(tmp_path)[0].predict_proba(["so happy"]).shape == (1, 3)


def test_a_vocabulary_that_is_much_too_small_is_a_warning(folder: Path):
    setting(vocab_size=5000)(folder)
    tensors(lambda state: state | {_WORDS: torch.randn(5000, 32)})(folder)
    _, said = start(folder)
    assert "is it the tokenizer of this model?" in warnings(said)[0]


def test_the_share_of_unknown_tokens(make_tiny):
    tokenizer = make_tiny().tokenizer
    assert unknown_share(tokenizer, encode(tokenizer, [], 8)) == 0
    assert unknown_share(tokenizer, encode(tokenizer, ["happy"] * 3, 8)) == 0
    assert unknown_share(tokenizer, encode(tokenizer, ["happy 日", "日 日"], 8)) == 0.75
    assert unknown_share(tokenizer, encode(tokenizer, ["happy", "\u200b"], 8)) == 0.5  # nothing is left of it


def test_train_whose_words_the_tokenizer_does_not_know_is_a_warning(make_tiny):
    said: list[Event] = []
    known, unknown = (
        LabelledTexts(["happy"] * 4, np.eye(4, 3) > 0),
        LabelledTexts(["日 本"] * 4, np.eye(4, 3) > 0),
    )
    for train in (known, unknown):
        data = Dataset("own", LABELS, {"train": train, "val": unknown, "test": unknown}, source="own.csv")
        encode_examples(make_tiny(), data, said.append)
    (told,) = warnings(said)
    assert told.startswith("100 % of the tokens of train are unknown to the tokenizer")


ADAPTER = b'{"base_model_name_or_path": "roberta-base", "peft_type": "LORA"}'
MODULES = (
    b'[{"idx": 0, "name": "0", "path": "0_Transformer", "type": "sentence_transformers.models.Transformer"}]'
)


def _moved_into(name: str) -> Change:
    def change(folder: Path) -> None:
        inner = folder.rename(folder.parent / "inner")
        folder.mkdir()
        inner.rename(folder / name)

    return change


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("a PEFT adapter of roberta-base, not a model: merge", content("adapter_config.json", ADAPTER)),
        (
            "Trainer's checkpoints: checkpoint-500. Name one: .*/checkpoint-500$",
            _moved_into("checkpoint-500"),
        ),
        (
            "sentence-transformers model's encoder: 0_Transformer. Name one",
            lambda folder: (_moved_into("0_Transformer")(folder), content("modules.json", MODULES)(folder)),
        ),
        (
            r"it has model\.onnx, which goemo does not read",
            lambda folder: (folder / SAFE).rename(folder / "model.onnx"),
        ),
        (
            "but not the index",
            lambda folder: (as_shards(folder), (folder / f"{SAFE}.index.json").unlink()),
        ),
    ],
)
def test_folders_that_are_not_models_say_what_they_are_and_how_to_use_them(
    folder: Path, reason: str, change: Change
):
    change(folder)
    with pytest.raises(ModelNotFoundError, match=reason):
        start(folder)
    with pytest.raises(CheckpointNotFoundError, match=reason):
        open_checkpoint(folder)


@pytest.mark.parametrize(
    ("name", "kind"), [("config_setfit.json", "SetFit"), ("modules.json", "sentence-tr")]
)
def test_of_some_folders_only_the_encoder_is_used_and_it_is_said(folder: Path, name: str, kind: str):
    without("classifier")(folder)
    content(name, b"[]")(folder)
    _, said = start(folder)
    assert any(kind in event.message for event in said if isinstance(event, Info))
    with pytest.raises(CheckpointNotFoundError, match=f"{kind}.* goemo train --model"):
        open_checkpoint(folder)


def test_a_model_without_manifest_is_not_a_checkpoint_but_can_be_trained_on(folder: Path):
    with pytest.raises(
        CheckpointNotFoundError, match=r"a transformers model, .* goemo import .* goemo train --model"
    ):
        open_checkpoint(folder)


def test_float_weights_of_any_precision_load(folder: Path):
    tensors(lambda state: {key: value.half() for key, value in state.items()})(folder)
    built, _ = start(folder)
    assert built.model.dtype == torch.float32


@pytest.mark.parametrize("name", [SAFE, PICKLED])
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_files_with_numbers_that_are_not_finite_are_unsound(tmp_path: Path, name: str, number: float):
    for value in (1.0, number):
        state = {"a": torch.ones(3), "b": torch.tensor([value], dtype=torch.bfloat16)}
        with (tmp_path / name).open("wb") as stream:
            torch.save(state, stream) if name == PICKLED else stream.write(save(state))
        if value == 1.0:
            require_sound_weights(tmp_path / name, numbers=True)
        else:
            with pytest.raises(GoemoError, match="b holds numbers that are not finite"):
                require_sound_weights(tmp_path / name, numbers=True)
