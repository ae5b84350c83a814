"""What every request passes before and after its operation: token, host, size, time, security headers, counters."""

import asyncio
import hmac
import json
import time
import traceback
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from goemo_cli.core.events import EventHandler, Warning
from goemo_cli.services.serving.counters import Counters
from goemo_cli.services.serving.limits import Limits

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
INTERNAL_ERROR = "unexpected failure of the server"


class RefusedError(Exception):
    """A request that is refused before its operation begins."""

    def __init__(self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.detail, self.headers = status, detail, headers or {}
        super().__init__(detail)


@dataclass(frozen=True)
class Guard:
    """An ASGI application around another one.

    Args:
        app: receives requests that were read completely.
        limits: of size and time.
        token: that clients must send; None: the server is on the loopback, and answers only requests for such a host,
            so that no page of another site can read from it through a name that it points to the loopback.
        open_paths: that need no token.
        paths: of all operations, for the counters.
        on_event: called with a warning for each failure of `app`.
    """

    app: ASGIApp
    limits: Limits
    token: str | None
    open_paths: Collection[str]
    paths: Collection[str]
    counters: Counters
    on_event: EventHandler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, path = time.perf_counter(), str(scope["path"])
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
            await send(message)

        try:
            await self._answer(scope, receive, sending)
        except RefusedError as error:
            await _send_refusal(sending, error)
        except Exception as error:
            # Without the message of the error, which could contain a text.
            place = "".join(traceback.format_tb(error.__traceback__)[-1:]).strip()
            self.on_event(Warning(f"{INTERNAL_ERROR}: {type(error).__name__}: {place}"))
            if not status:
                await _send_refusal(sending, RefusedError(HTTPStatus.INTERNAL_SERVER_ERROR, INTERNAL_ERROR))
        finally:
            known = path if path in self.paths else "other"
            self.counters.answered(known, status, time.perf_counter() - begun)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        if self.token is None:
            _require_loopback(headers.get(b"host", b"").decode("latin-1"))
        elif scope["path"] not in self.open_paths:
            _require_token(headers.get(b"authorization", b""), self.token)
        body = await self._body(headers, receive)
        is_read = False

        async def replay() -> Message:
            nonlocal is_read
            if is_read:
                return await receive()
            is_read = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, replay, send)

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        announced = headers.get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self.limits.max_body:
            raise self._too_large()
        body = bytearray()
        try:
            async with asyncio.timeout(self.limits.timeout):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise RefusedError(HTTPStatus.BAD_REQUEST, "the client has disconnected")
                    body += message.get("body", b"")
                    if len(body) > self.limits.max_body:
                        raise self._too_large()
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError as error:
            raise RefusedError(
                HTTPStatus.REQUEST_TIMEOUT, "the body did not arrive in time", {"connection": "close"}
            ) from error

    def _too_large(self) -> RefusedError:
        return RefusedError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body has more than {self.limits.max_body:,} bytes",
            {"connection": "close"},
        )


def is_loopback(host: str) -> bool:
    """Whether a name or address of a URL, without port, is this machine."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _require_loopback(host: str) -> None:
    name = host if host.endswith("]") else host.rpartition(":")[0] if ":" in host else host
    if not is_loopback(name):
        raise RefusedError(
            HTTPStatus.MISDIRECTED_REQUEST,
            "this server answers only as localhost or 127.0.0.1; with GOEMO_TOKEN it answers as any host",
        )


def _require_token(authorization: bytes, token: str) -> None:
    kind, _, given = authorization.partition(b" ")
    is_right = hmac.compare_digest(given.strip(), token.encode("ascii"))
    if kind.lower() != b"bearer" or not is_right:
        raise RefusedError(
            HTTPStatus.UNAUTHORIZED,
            "this server needs the token: Authorization: Bearer TOKEN",
            {"www-authenticate": "Bearer"},
        )


async def _send_refusal(send: Send, error: RefusedError) -> None:
    body = json.dumps({"detail": error.detail}).encode("utf-8")
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        **error.headers,
    }
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": int(error.status), "headers": raw})
    await send({"type": "http.response.body", "body": body})
