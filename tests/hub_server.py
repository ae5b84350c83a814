"""A server that answers as the Hugging Face Hub does, and asking it with the real client."""

import hashlib
import http.server
import json
import threading
from pathlib import Path

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


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
        if "/org/secret" in path:  # what the Hub answers for a repository that may be private
            self._send(401, b"{}", {}, with_body)
        elif "/org/tiny" not in path:
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


def ask_this_hub(monkeypatch: pytest.MonkeyPatch, port: int, cache: Path) -> None:
    """Let the client in this process ask a server on a port of the loopback, with a cache of its own."""
    address = f"http://127.0.0.1:{port}"
    constants = {
        "ENDPOINT": address,
        "HUGGINGFACE_CO_URL_TEMPLATE": address + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(cache),
        "HF_HUB_DISABLE_XET": True,  # the server has no Xet storage
        "HF_HUB_OFFLINE": False,
    }
    for name, value in constants.items():
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
    monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", address)
    for name in ("HF_HUB_OFFLINE", "GOEMO_OFFLINE"):
        monkeypatch.delenv(name)
