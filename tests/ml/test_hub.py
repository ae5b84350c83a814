"""Weights from the Hub: the real huggingface_hub client against a loopback server that answers as the Hub does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from goemo_cli.core.catalogue import model_entry
from goemo_cli.core.errors import ModelNotFoundError, RemoteError
from goemo_cli.core.settings import ModelSettings
from goemo_cli.ml.models.tiny import build_tiny
from goemo_cli.ml.models.weights import FoundWeights, find_weights
from tests.hub_server import Hub, ask_this_hub


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    classifier = build_tiny(["some words"], ("joy", "fear"), ModelSettings(max_length=32))
    folder = tmp_path / "repository"
    classifier.save_weights(folder)
    classifier.save_tokenizer(folder)
    (folder / "training_args.bin").write_bytes(b"pickle")
    server = Hub(folder)
    yield server
    server.shutdown()
    server.server_close()


def find(name: str) -> FoundWeights:
    return find_weights(name, model_entry(name))


def test_weights_come_from_the_hub_once_then_from_the_cache(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_this_hub(monkeypatch, hub.server_address[1], tmp_path / "cache")
    for name in ("org/other", "org/secret"):
        with pytest.raises(ModelNotFoundError, match="does not exist on the Hub, or is private"):
            find(name)
    assert [path for path in hub.asked if path.endswith(("other", "secret"))] == [
        "/api/models/org/other",
        "/api/models/org/secret",
    ], "each is asked for once"
    first, again = find("org/tiny"), find("org/tiny")
    assert [first.origin, again.origin] == ["hub", "cache"]
    names = {path.name for path in first.folder.iterdir()}
    assert "model.safetensors" in names
    assert "training_args.bin" not in names
    monkeypatch.setenv("GOEMO_OFFLINE", "1")
    assert find("org/tiny") == again
    assert again.folder == first.folder
    assert sum(path.endswith("model.safetensors") for path in hub.asked) <= 2  # HEAD and GET


def test_no_hub_is_a_remote_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask_this_hub(monkeypatch, 9, tmp_path)
    with pytest.raises(RemoteError):
        find("org/tiny")
