"""Weights from the Hub: the real huggingface_hub client against a loopback server that answers as the Hub does."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from goemo_cli.core.settings import ModelSettings
from goemo_cli.ml.models.tiny import build_tiny
from tests.hub_server import Hub, hub_environment
from tests.waiting import GUARD_SECONDS

PROGRAM = """
import os, sys
from goemo_cli.core.catalogue import model_entry
from goemo_cli.core.errors import GoemoError
from goemo_cli.ml.models.weights import find_weights
for name in sys.argv[1:]:
    if name == "offline":
        os.environ["GOEMO_OFFLINE"] = "1"
        continue
    try:
        found = find_weights(name, model_entry(name))
        print(found.origin, *sorted(path.name for path in found.folder.iterdir()))
    except GoemoError as error:
        print(type(error).__name__, error)
"""


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


def find(home: Path, port: int, *names: str) -> list[str]:
    """What is found of each name, in one process; `offline` switches the network off for those after it."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *names],
        env=hub_environment(home, port),
        capture_output=True,
        text=True,
        check=False,
        timeout=GUARD_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_weights_come_from_the_hub_once_then_from_the_cache(hub: Hub, tmp_path: Path) -> None:
    names = ["org/other", "org/secret", "org/tiny", "org/tiny", "offline", "org/tiny"]
    missing, secret, first, again, offline = find(tmp_path / "home", hub.server_address[1], *names)
    for message in (missing, secret):
        assert message.startswith("ModelNotFoundError")
        assert "does not exist on the Hub, or is private" in message
    assert [path for path in hub.asked if path.endswith(("other", "secret"))] == [
        "/api/models/org/other",
        "/api/models/org/secret",
    ], "each is asked for once"
    assert first.startswith("hub ")
    assert "model.safetensors" in first
    assert "training_args.bin" not in first
    assert again == offline == first.replace("hub", "cache", 1)
    assert sum(path.endswith("model.safetensors") for path in hub.asked) <= 2  # HEAD and GET


def test_no_hub_is_a_remote_error(tmp_path: Path) -> None:
    assert find(tmp_path, 9, "org/tiny")[0].startswith("RemoteError")
