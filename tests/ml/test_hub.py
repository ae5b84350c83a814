"""Weights from the Hub: the real huggingface_hub client against a loopback server that answers as the Hub does."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from goemo_cli.core.settings import ModelSettings
from goemo_cli.ml.models.tiny import build_tiny
from tests.waiting import GUARD_SECONDS

COMMIT = "0123456789abcdef0123456789abcdef01234567"
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


class Hub(http.server.ThreadingHTTPServer):
    """One model repository, org/tiny, at one commit."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, list[str]()
        super().__init__(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answer(http.server.BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(path)
        if "/org/tiny" not in path:
            self._send(
                404,
                b"{}",
                {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"},
                with_body,
            )
        elif "/api/models/org/tiny/tree" in path:
            files = [
                {"type": "file", "oid": "0" * 40, "size": f.stat().st_size, "path": f.name}
                for f in self._files()
            ]
            self._send(200, json.dumps(files).encode(), {}, with_body)
        elif path.startswith("/api/models/org/tiny"):
            info = {
                "id": "org/tiny",
                "sha": COMMIT,
                "siblings": [{"rfilename": f.name} for f in self._files()],
            }
            self._send(200, json.dumps(info).encode(), {}, with_body)
        else:
            data = (self.server.folder / path.rsplit("/", 1)[-1]).read_bytes()
            headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(data).hexdigest()}"'}
            self._send(200, data, headers, with_body)

    def _files(self) -> list[Path]:
        return sorted(self.server.folder.iterdir())

    def _send(self, status: int, body: bytes, headers: dict[str, str], with_body: bool) -> None:
        self.send_response(status)
        for name, value in {
            **headers,
            "Content-Length": str(len(body)),
            "Content-Type": "application/json",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Silent."""


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
    environment = {
        key: value for key, value in os.environ.items() if key not in ("HF_HUB_OFFLINE", "GOEMO_OFFLINE")
    }
    environment |= {
        "HF_HOME": str(home),
        "HF_ENDPOINT": f"http://127.0.0.1:{port}",
        "HF_HUB_DISABLE_XET": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *names],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=GUARD_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_weights_come_from_the_hub_once_then_from_the_cache(hub: Hub, tmp_path: Path) -> None:
    names = ["org/other", "org/tiny", "org/tiny", "offline", "org/tiny"]
    missing, first, again, offline = find(tmp_path / "home", hub.server_address[1], *names)
    assert missing.startswith("ModelNotFoundError")
    assert "does not exist on the Hub" in missing
    assert first.startswith("hub ")
    assert "model.safetensors" in first
    assert "training_args.bin" not in first
    assert again == offline == first.replace("hub", "cache", 1)
    assert sum(path.endswith("model.safetensors") for path in hub.asked) <= 2  # HEAD and GET


@pytest.mark.slow
def test_no_hub_is_a_remote_error(tmp_path: Path) -> None:
    """Slow: the Hub's client tries again for half a minute."""
    assert find(tmp_path, 9, "org/tiny")[0].startswith("RemoteError")
