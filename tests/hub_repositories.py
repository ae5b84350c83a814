"""A server of model repositories that can be written, as the Hugging Face Hub answers its client."""

import base64
import hashlib
import http.server
import json
import secrets
import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

TOKEN = "hf_right"
LARGE = (".safetensors", ".bin")
"""Files that are uploaded separately, with a SHA-256."""


@dataclass
class Repository:
    """A repository: its visibility, and the files of each commit, the newest last."""

    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    @property
    def head(self) -> str | None:
        """The newest commit."""
        return next(reversed(self.commits), None)

    @property
    def files(self) -> dict[str, bytes]:
        """Those of the newest commit."""
        return self.commits[self.head] if self.head else {}

    def commit(self, files: dict[str, bytes]) -> str:
        """Add a commit."""
        name = secrets.token_hex(20)  # the cache of the client is keyed by it
        self.commits[name] = files
        return name


class WritableHub(http.server.ThreadingHTTPServer):
    """Repositories by name; clients with the token may write, and see private ones."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.uploads: dict[str, bytes] = {}
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class RefusedError(Exception):
    """A request that gets an error."""


class Answer(http.server.BaseHTTPRequestHandler):
    server: WritableHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def log_message(self, format: str, *arguments: object) -> None:
        """Silent."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._chunks()
        path = unquote(self.path.partition("?")[0])
        self.server.asked.append(f"{self.command} {path}")
        try:
            found, headers = self._found(path.strip("/").split("/"), body)
        except RefusedError as error:
            status, code = error.args
            self._send(status, json.dumps({"error": code}).encode(), {"X-Error-Code": code})
            return
        sent = found if isinstance(found, bytes) else json.dumps(found).encode()
        self._send(200, sent, headers)

    def _found(self, parts: list[str], body: bytes) -> tuple[Any, dict[str, str]]:
        is_writing = self.command in ("POST", "PUT")
        has_token = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        match parts:
            case ["storage", oid]:
                assert hashlib.sha256(body).hexdigest() == oid
                self.server.uploads[oid] = body
                return {}, {}
            case ["api", "validate-yaml"]:
                return {"errors": [], "warnings": []}, {}
        if is_writing and not has_token:
            raise RefusedError(401, "Unauthorized")
        match parts:
            case ["api", "repos", "create"]:
                wanted = json.loads(body)
                name = f"{wanted['organization']}/{wanted['name']}"
                is_private = wanted.get("visibility", "public") == "private"
                self.server.repositories[name] = Repository(is_private)
                return {"url": f"{self.server.address}/{name}"}, {}
            case ["api", "models", owner, name, *rest]:
                return self._operation(self._repository(f"{owner}/{name}", has_token), rest, body), {}
            case [owner, name, "resolve", revision, *inside]:
                repository = self._repository(f"{owner}/{name}", has_token)
                commit = self._commit(repository, revision)
                content = repository.commits[commit].get("/".join(inside))
                if content is None:
                    raise RefusedError(404, "EntryNotFound")
                return content, {"X-Repo-Commit": commit, "ETag": f'"{_oid(content)}"'}
            case [_, _, "info", "lfs", "objects", "batch"]:
                return {"objects": [self._upload(one) for one in json.loads(body)["objects"]]}, {}
        raise RefusedError(404, "NotFound")

    def _repository(self, name: str, has_token: bool) -> Repository:
        repository = self.server.repositories.get(name)
        if repository is None or (repository.private and not has_token):
            raise RefusedError(404, "RepoNotFound")
        return repository

    def _commit(self, repository: Repository, revision: str) -> str:
        commit = repository.head if revision == "main" else revision
        if commit not in repository.commits:
            raise RefusedError(404, "RevisionNotFound")
        return commit

    def _operation(self, repository: Repository, rest: list[str], body: bytes) -> Any:
        match rest:
            case [] | ["revision", _]:
                commit = self._commit(repository, rest[1]) if rest else repository.head
                files = repository.commits[commit] if commit else {}
                return {
                    "id": self._name(),
                    "private": repository.private,
                    "sha": commit,
                    "siblings": [_listed(name, content) for name, content in files.items()],
                }
            case ["settings"]:
                repository.private = json.loads(body)["visibility"] == "private"
                return {}
            case ["preupload", _]:
                return {
                    "files": [
                        {
                            "path": file["path"],
                            "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                            "shouldIgnore": False,
                        }
                        for file in json.loads(body)["files"]
                    ]
                }
            case ["commit", _]:
                files = dict(repository.files)
                for line in body.decode().splitlines():
                    self._apply(json.loads(line), files)
                commit = repository.commit(files)
                url = f"{self.server.address}/{self._name()}/commit/{commit}"
                return {"success": True, "commitOid": commit, "commitUrl": url}
        raise RefusedError(404, "NotFound")

    def _name(self) -> str:
        return "/".join(self.path.partition("?")[0].split("/")[3:5])

    def _apply(self, operation: Any, files: dict[str, bytes]) -> None:
        value = operation["value"]
        match operation["key"]:
            case "file":
                files[value["path"]] = base64.b64decode(value["content"])
            case "lfsFile":
                files[value["path"]] = self.server.uploads[value["oid"]]
            case "deletedFile":
                del files[value["path"]]

    def _upload(self, wanted: Any) -> Any:
        if wanted["oid"] in self.server.uploads:
            return wanted
        return {**wanted, "actions": {"upload": {"href": f"{self.server.address}/storage/{wanted['oid']}"}}}

    def _chunks(self) -> bytes:
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        if "ETag" not in headers:
            self.send_header("Content-Type", "application/json")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _listed(name: str, content: bytes) -> dict[str, Any]:
    listed: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": _oid(content)}
    if name.endswith(LARGE):
        listed["lfs"] = {
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "pointerSize": 130,
        }
    return listed
