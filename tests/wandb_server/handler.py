"""One HTTP connection: who asks, what for, and what goes wrong on the way."""

import base64
import gzip
import json
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

from tests.wandb_server import files, filestream
from tests.wandb_server.faults import HTML, Fault
from tests.wandb_server.graphql import Answering, GraphQLError, parse

if TYPE_CHECKING:
    from tests.wandb_server.server import WandbServer, _Http

_PIECE = 1 << 16


@dataclass(frozen=True)
class Request:
    """One request, as it came."""

    method: str
    path: str
    """Percent-encoded, without query."""
    operation: str
    """The GraphQL operation; empty for other requests."""
    status: int
    """Of the answer; 0 where none was given."""


@dataclass(frozen=True)
class Answer:
    """What is sent back; status 0 for nothing."""

    status: int
    body: bytes
    kind: str = "application/json"


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection, one after the other."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    @property
    def wandb(self) -> "WandbServer":
        """The server this connection belongs to."""
        return cast("_Http", self.server).wandb

    def do_GET(self) -> None:
        """Any method: the method is part of the question."""
        path = urlsplit(self.path).path
        size = int(self.headers.get("Content-Length") or 0)
        body = self._read(size, self.wandb.faults.slowness(self.command, path))
        if len(body) < size:  # the client went away in the middle: half a file is no file
            self.close_connection = True
            return
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.wandb.keeps_bodies:
            head = f"{self.requestline}\n{self.headers}".encode()
            self.wandb.sent.append(head + body)
        asked: dict[str, Any] = json.loads(body) if path == "/graphql" and body else {}
        operation = _operation(asked)
        fault = self.wandb.faults.next(self.command, path, operation)
        answer = Answer(0, b"")
        if fault is None or fault.answers or fault.late:
            answer = self._answered(path, asked, operation, body)
        if fault is not None:
            answer = _spoilt(answer, fault)
        self.wandb.requests.append(Request(self.command, path, operation, answer.status))
        if answer.status:
            self._send(answer, fault)
        else:
            self._say_nothing(fault)

    do_POST = do_PUT = do_HEAD = do_DELETE = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the terminal; `server.requests` has them all."""

    def _read(self, size: int, pause: float) -> bytes:
        body = b""
        while pause and size - len(body) > _PIECE and (piece := self.rfile.read(_PIECE)):
            body += piece
            cast("_Http", self.server).ending.wait(pause)
        return body + self.rfile.read(size - len(body))

    def _answered(self, path: str, asked: dict[str, Any], operation: str, body: bytes) -> Answer:
        """As `_done`; a bug of this server is kept for the test to see, and refused at once."""
        try:
            with self.wandb.store.lock:
                return self._done(path, asked, operation, body)
        except Exception as error:
            variables = json.dumps(asked.get("variables"))
            self.wandb.bugs.append(f"{operation or path} {variables}: {traceback.format_exc()}")
            return _errors(400, f"bug in tests/wandb_server: {error!r}")

    def _done(self, path: str, asked: dict[str, Any], operation: str, body: bytes) -> Answer:
        """Do what is asked."""
        store = self.wandb.store
        if not self._allowed(path):
            return _errors(403, "no signature") if path.startswith("/storage/") else NOT_LOGGED_IN
        if path == "/graphql":
            return self._graphql(asked, operation)
        try:
            if self.command == "POST" and path.startswith("/files/") and path.endswith("/file_stream"):
                return self._file_stream(path, json.loads(body))
            if self.command == "PUT" and path.startswith("/storage/"):
                files.put(store, path, body, content_md5=self.headers.get("Content-MD5"))
                return Answer(200, b"")
            if self.command == "GET" and path.startswith(("/files/", "/storage/", "/artifactsV2/")):
                return Answer(200, files.fetch(store, path), "application/octet-stream")
        except files.RefusedError as error:
            return _errors(error.status, str(error))
        self.wandb.unanswered.append(f"{self.command} {path}")
        return _errors(404, f"no such page: {path}")

    def _allowed(self, path: str) -> bool:
        if path.startswith("/storage/"):
            return parse_qs(urlsplit(self.path).query).get("signature") == [files.SIGNATURE.partition("=")[2]]
        good = base64.b64encode(f"api:{self.wandb.key}".encode()).decode()
        return self.headers.get("Authorization") == f"Basic {good}"

    def _graphql(self, asked: Mapping[str, Any], operation: str) -> Answer:
        server = self.wandb
        try:
            document = parse(asked["query"])
            root = server.mutations.root() if document.kind == "mutation" else server.queries.root()
            answering = Answering(
                document,
                asked.get("variables") or {},
                lambda name: server.unanswered.append(f"{operation}: {name}"),
            )
            return _json(200, {"data": answering.answer(root)})
        except GraphQLError as error:
            return _errors(error.status, str(error))

    def _file_stream(self, path: str, sent: dict[str, Any]) -> Answer:
        run = self.wandb.runs.get("/".join(map(unquote, path.split("/")[2:5])))
        if run is None:
            return _errors(404, f"no such run: {path}")
        return _json(200, filestream.take(run, sent))

    def _send(self, answer: Answer, fault: Fault | None) -> None:
        sent = answer.body
        if fault is not None and fault.truncate is not None:
            sent = sent[: int(len(sent) * fault.truncate)]
            self.close_connection = True
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        if fault is not None and fault.retry_after is not None:
            self.send_header("Retry-After", f"{fault.retry_after:g}")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(sent)
        self.wfile.flush()

    def _say_nothing(self, fault: Fault | None) -> None:
        """End the connection, at once or after a silence."""
        ending = cast("_Http", self.server).ending
        while fault is not None and fault.silence and not fault.over.wait(0.05):
            if ending.is_set():
                break
        self.close_connection = True


def _operation(asked: Mapping[str, Any]) -> str:
    """The name of the operation of a GraphQL request, also of one that cannot be parsed."""
    if asked.get("operationName"):
        return str(asked["operationName"])
    try:
        return parse(asked.get("query") or "{ none }").name
    except GraphQLError:
        return ""


def _spoilt(answer: Answer, fault: Fault) -> Answer:
    """The answer that a fault makes of a good one."""
    if not fault.answers:
        return _errors(fault.status or 0, fault.message)
    if fault.html:
        return Answer(200, HTML, "text/html; charset=utf-8")
    return Answer(answer.status, fault.body(answer.body), answer.kind)


def _json(status: int, value: Any) -> Answer:
    return Answer(status, json.dumps(value).encode())


def _errors(status: int, message: str) -> Answer:
    return _json(status, {"errors": [{"message": message}], "data": None})


NOT_LOGGED_IN = _errors(401, "user is not logged in")
