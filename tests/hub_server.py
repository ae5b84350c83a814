"""A server that answers as the Hugging Face Hub does, and the environment in which the real client asks it."""

import hashlib
import http.server
import json
import os
import threading
from pathlib import Path

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


def hub_environment(home: Path, port: int) -> dict[str, str]:
    """The environment of a process that asks this server, with an empty cache."""
    environment = {
        key: value for key, value in os.environ.items() if key not in ("HF_HUB_OFFLINE", "GOEMO_OFFLINE")
    }
    return environment | {
        "HF_HOME": str(home),
        "HF_ENDPOINT": f"http://127.0.0.1:{port}",
        "HF_HUB_DISABLE_XET": "1",
    }
