"""The server of the tests: starts, stops, keeps what arrived, and says what was asked of it."""

import contextlib
import json
import socket
import sys
import threading
import traceback
from collections.abc import Iterable, Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.wandb_server.faults import Faults
from tests.wandb_server.handler import Handler, Request
from tests.wandb_server.mutations import Mutations
from tests.wandb_server.queries import Queries
from tests.wandb_server.store import HISTORY, Collection, Run, Store, Version, manifest_of

KEY = "0123456789abcdef0123456789abcdef01234567"
QUICK = {"WANDB_X_FILE_STREAM_TRANSMIT_INTERVAL": "1"}
"""Rows leave the SDK every second instead of every 15; less than a second is not heeded."""


class WandbServer:
    """A W&B server on the loopback: `with WandbServer() as server`.

    Args:
        port: 0 takes a free one, which `stop` and `start` keep.
        entity: the one user, who owns what names no entity.
        teams: other entities that exist.
        key: the one good API key.
        organization: that all entities belong to; its registries are projects of this name.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        entity: str = "tester",
        teams: Iterable[str] = ("team",),
        key: str = KEY,
        organization: str | None = None,
    ) -> None:
        self.port, self.entity, self.key, self.organization = port, entity, key, organization
        self.entities = (entity, *teams)
        self.store = Store()
        self.faults = Faults()
        self.requests: list[Request] = []
        self.keeps_bodies = False
        """Whether everything that is sent is kept in `sent`: request line, headers and body, decompressed."""
        self.sent: list[bytes] = []
        self.unanswered: list[str] = []
        """Operations, fields and paths that were asked for and that this server does not know."""
        self.bugs: list[str] = []
        """Tracebacks of this server itself; there must be none."""
        self._http: _Http | None = None
        self._reserved: socket.socket | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._release()

    @property
    def url(self) -> str:
        """What WANDB_BASE_URL must be."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def runs(self) -> dict[str, Run]:
        """The runs by entity/project/id."""
        return self.store.runs

    @property
    def artifacts(self) -> dict[str, Collection]:
        """The W&B artifacts by entity/project/name, with their committed versions and aliases."""
        return {path: one for path, one in self.store.collections.items() if one.versions}

    def start(self) -> None:
        """Answer from now on, on the same port as before and with the same store."""
        assert self._http is None, "the server runs already"
        self._release()
        self._http = _Http(("127.0.0.1", self.port), Handler)
        self._http.wandb = self
        self.port = self._http.server_address[1]
        self.queries = Queries(
            self.store, self.url, entity=self.entity, entities=self.entities, organization=self.organization
        )
        self.mutations = Mutations(self.queries)
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections and end the open ones; what had arrived stays, and the port stays ours."""
        if self._http:
            http, self._http = self._http, None
            http.end()
            self._reserved = socket.socket()
            self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._reserved.bind(("127.0.0.1", self.port))

    def _release(self) -> None:
        if self._reserved:
            self._reserved.close()
            self._reserved = None

    def environment(self, folder: Path) -> dict[str, str]:
        """The variables that point an SDK in any process here, with caches and settings of its own in `folder`."""
        variables = {
            "WANDB_BASE_URL": self.url,
            "WANDB_API_KEY": self.key,
            "WANDB_MODE": "online",
            "WANDB_ERROR_REPORTING": "false",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        for name in ("CACHE", "DATA", "CONFIG"):
            place = folder / f"wandb-{name.lower()}"
            place.mkdir(parents=True, exist_ok=True)
            variables[f"WANDB_{name}_DIR"] = str(place)
        return variables

    def add_run(
        self,
        path: str,
        *,
        files: Mapping[str, bytes] | None = None,
        config: Mapping[str, Any] | None = None,
        summary: Mapping[str, Any] | None = None,
        history: Iterable[Mapping[str, Any]] = (),
        state: str = "finished",
        **attributes: Any,
    ) -> Run:
        """A run that somebody logged earlier, at entity/project/id; its file names may be hostile."""
        with self.store.lock:
            entity, project, id = path.split("/")
            run = self.store.run(entity, project, id)
            run.files.update(files or {})
            run.raw_config = {name: {"value": value, "desc": None} for name, value in (config or {}).items()}
            run.summary, run.state = dict(summary or {}), state
            run.lines[HISTORY] = [json.dumps({"_step": step, **row}) for step, row in enumerate(history)]
            for name, value in attributes.items():
                setattr(run, name, value)
        return run

    def add_artifact(
        self,
        path: str,
        files: Mapping[str, bytes],
        *,
        type: str = "model",
        aliases: Iterable[str] = (),
        metadata: Mapping[str, Any] | None = None,
        logged_by: Run | None = None,
        algorithm: str = "MD5",
    ) -> Version:
        """A version that was logged earlier, at entity/project/name; its file names may be hostile.

        `algorithm` of the digests of its files: MD5, or XXH128 as of `wandb.Artifact(digest_algorithm=)`.
        """
        with self.store.lock:
            entity, project, name = path.split("/")
            collection = self.store.collection(entity, project, name, type, "ArtifactSequence")
            manifest = manifest_of(files, algorithm)
            self.store.blobs.update({manifest["contents"][name]["digest"]: files[name] for name in files})
            version = self.store.version(
                collection,
                digest="",
                digest_algorithm=f"MANIFEST_{algorithm}",
                manifest=manifest,
                metadata=dict(metadata or {}),
                logged_by=logged_by,
                wanted_aliases=list(aliases),
            )
            version.digest = version.computed_digest
            self.store.commit(version)
        return version

    def asked(self, method: str | None = None, path: str = "") -> list[Request]:
        """The requests of this method whose path starts so, in the order they were answered."""
        return [one for one in self.requests if method in (None, one.method) and one.path.startswith(path)]

    @property
    def fetched(self) -> list[str]:
        """The paths of all file contents that were asked for."""
        return [one.path for one in self.requests if one.method == "GET" and one.path.count("/") > 1]


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = True
    request_queue_size = 128
    wandb: WandbServer

    def __init__(self, address: tuple[str, int], handler: type[Handler]) -> None:
        self.ending = threading.Event()
        self._connections: set[socket.socket] = set()
        self._handlers: list[threading.Thread] = []
        self._lock = threading.Lock()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
            thread = threading.Thread(
                target=self.process_request_thread, args=(request, client_address), daemon=True
            )
            self._handlers = [*(one for one in self._handlers if one.is_alive()), thread]
        thread.start()

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away in the middle are nothing to speak of; all else is a bug of this server."""
        if not isinstance(sys.exception(), ConnectionError):
            self.wandb.bugs.append(traceback.format_exc())

    def end(self) -> None:
        self.ending.set()
        self.shutdown()
        self.server_close()
        with self._lock:
            connections, handlers = list(self._connections), list(self._handlers)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for handler in handlers:
            handler.join(5)
