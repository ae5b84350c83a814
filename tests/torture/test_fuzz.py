"""Damaged files of every kind that goemo reads: each is read, or refused with an error that names the file."""

import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save

from goemo_cli.core.documents.manifest import Manifest
from goemo_cli.core.documents.metrics import Metrics
from goemo_cli.core.documents.rules import CalibrationValues, ThresholdValues
from goemo_cli.core.documents.runs import LockHolder, Pins
from goemo_cli.core.documents.training import SavedState, TrainingRecord
from goemo_cli.core.errors import GoemoError
from goemo_cli.core.events import ignore
from goemo_cli.core.layering import read_yaml_mapping
from goemo_cli.core.predictions import Predictions, read_predictions, write_predictions
from goemo_cli.core.settings import DataSettings, TrainConfig
from goemo_cli.ml.models.weight_safety import require_sound_weights
from goemo_cli.services.data.own_data import read_rows
from goemo_cli.services.sweep.sweep_file import read_sweep_file
from goemo_cli.services.training.saved_states import StateStore
from goemo_cli.tracking.artifacts.facts import media_facts
from goemo_cli.tracking.journal import read_journal
from tests.conftest import REPOSITORY

EXAMPLES = int(os.environ.get("GOEMO_FUZZ_EXAMPLES", "15"))
"""Damaged versions of each file; `make torture` asks for more."""
TABLE = b'text,labels\nI love this,joy\n"Oh, no","anger,fear"\nWell,neutral\nHm,joy\n'


MAX_MESSAGE = 2_000
"""Characters of an error."""


@dataclass(frozen=True)
class Format:
    """A kind of file: an intact one, and its reader."""

    name: str
    content: bytes
    read: Callable[[Path], object]


def _predictions() -> bytes:
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"goemo-fuzz-{os.getpid()}.csv"
    y_prob = np.linspace(0, 1, 8, dtype=np.float32).reshape(4, 2)
    y_true = y_prob > 0.6
    texts = ["Hello", "a, b", 'say "x"\nagain', "é"]
    try:
        write_predictions(path, Predictions(("anger", "joy"), texts, y_true, y_true, y_prob, None))
        return path.read_bytes()
    finally:
        path.unlink(missing_ok=True)


def _png() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (4, 3)).save(stream, "PNG")
    return stream.getvalue()


def _json(**values: object) -> bytes:
    return json.dumps({"schema_version": 1, "run": "tiny-20260101-000000", **values}).encode()


HASHES = {"train": "0", "val": "1", "test": "2"}
DATA = {
    "name": "x",
    "source": "x",
    "sha256": "0",
    "split_sha256": HASHES,
    "sizes": {"train": 1, "val": 1, "test": 1},
}
POSITION = {"step": 3, "epoch": 1, "epoch_seconds": 1.0, "averaged_steps": 0, "best_epoch": 0, "best_value": None, "waited": 0}  # fmt: skip
STATE = _json(position=POSITION, history=[], training_seconds=1.0, journal_bytes=0, files={})
JOURNAL = b"".join(
    json.dumps(line).encode() + b"\n"
    for line in (
        {"kind": "start", "run": "tiny-20260101-000000", "mirror_id": "x", "settings": {}, "facts": {}},
        {"kind": "log", "step": 1, "epoch": None, "values": {"step/loss": 0.5}},
        {"kind": "text", "name": "output.log", "text": "hello"},
        {"kind": "finish", "summary": {}, "exit_code": 0},
    )
)
MANIFEST = _json(labels=["joy"], parents={}, files={"a": {"sha256": "0", "size": 1}})
THRESHOLDS = _json(
    fitted_on="val", rule="global", objective="f1_macro", beta=1.0, floor=None, shrinkage=10.0, never_empty=False,
    top_k=None, global_ci=[0.1, 0.2], per_label={"joy": 0.3}, per_label_ci=None, n_positives={"joy": 3}, **{"global": 0.2},
)  # fmt: skip
WEIGHTS = save({"w": torch.ones(3)})

FORMATS = (
    Format("predictions.csv", _predictions(), read_predictions),
    Format("data.csv", TABLE, lambda path: read_rows(path, DataSettings())),
    Format("data.tsv", TABLE.replace(b",", b"\t"), lambda path: read_rows(path, DataSettings())),
    Format(
        "data.jsonl",
        b'{"text": "I love this", "labels": ["joy"]}\n{"text": "Oh", "labels": []}\n',
        lambda path: read_rows(path, DataSettings()),
    ),
    Format("data.json", b'[{"text": "I", "labels": ["joy"]}]', lambda path: read_rows(path, DataSettings())),
    Format("train_config.yaml", TrainConfig().to_yaml().encode(), TrainConfig.of_run),
    Format("settings.yaml", b"training: {lr: 1e-4}\nmodel:\n  name: tiny\n", read_yaml_mapping),
    Format("sweep.yaml", (REPOSITORY / "configs/sweep/pareto.yaml").read_bytes(), read_sweep_file),
    Format("tiny-20260101-000000.jsonl", JOURNAL, read_journal),
    Format("manifest.json", MANIFEST, Manifest.read),
    Format("metrics.json", _json(model="tiny", data=DATA), Metrics.read),
    Format("thresholds.json", THRESHOLDS, ThresholdValues.read),
    Format(
        "calibration.json",
        _json(method="platt", fitted_on="val", per_label={}, kept={}),
        CalibrationValues.read,
    ),
    Format("pinned.json", b'{"pinned": ["tiny-20260101-000000"]}', Pins.read),
    Format("lock", b'{"pid": 1, "host": "x", "started": 1.0, "command": "goemo train"}', LockHolder.read),
    Format("state.json", STATE, SavedState.read),
    Format("training.json", _json(labels=["joy"], data=DATA, conditions={}), TrainingRecord.read),
    Format("model.safetensors", WEIGHTS, lambda path: require_sound_weights(path, numbers=True)),
    Format("picture.png", _png(), media_facts),
)

EDIT = st.tuples(
    st.sampled_from(["set", "insert", "delete", "cut", "repeat"]),
    st.floats(0, 1),
    st.binary(min_size=1, max_size=6),
)


def edited(content: bytes, edits: list[tuple[str, float, bytes]]) -> bytes:
    """Content after edits at relative positions."""
    for kind, position, value in edits:
        at = int(position * len(content))
        if kind == "set":
            content = content[:at] + value + content[at + len(value) :]
        elif kind == "insert":
            content = content[:at] + value + content[at:]
        elif kind == "delete":
            content = content[:at] + content[at + len(value) :]
        elif kind == "cut":
            content = content[:at]
        else:
            content = content[:at] + content[at : at + 40] * 3 + content[at:]
    return content


def refusal(read: Callable[[], object]) -> str | None:
    """The message of goemo's error; None if the file is read."""
    try:
        read()
    except GoemoError as error:
        return str(error)
    return None


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(EDIT, min_size=1, max_size=4))
def test_a_damaged_file_is_read_or_refused(
    format: Format, edits: list[tuple[str, float, bytes]], tmp_path: Path
) -> None:
    path = tmp_path / format.name
    path.write_bytes(edited(format.content, edits))
    message = refusal(lambda: format.read(path))
    assert message is None or (str(path) in message and len(message) < MAX_MESSAGE)


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=st.lists(EDIT, min_size=1, max_size=3), name=st.sampled_from(["state.json", "training.safetensors"])
)
def test_a_damaged_state_is_never_used(
    edits: list[tuple[str, float, bytes]], name: str, tmp_path: Path
) -> None:
    folder = tmp_path / "state" / "step-00000003"
    folder.mkdir(parents=True, exist_ok=True)
    content = {"state.json": STATE, "training.safetensors": WEIGHTS}
    for file, intact in content.items():
        (folder / file).write_bytes(edited(intact, edits) if file == name else intact)
    message = refusal(lambda: StateStore(tmp_path).newest(ignore))
    assert message is None or str(folder) in message
