"""A server that answers until a signal ends it."""

import errno
import socket
from ipaddress import ip_address

import uvicorn

from goemo_cli.core.errors import BusyError, SettingError
from goemo_cli.core.events import EventHandler, Info, ignore
from goemo_cli.services.predicting.predictor import Predictor
from goemo_cli.services.serving.application import create_application
from goemo_cli.services.serving.limits import Limits


def bind(host: str, port: int, *, token: str | None) -> socket.socket:
    """The socket of a server; it does not listen yet.

    Args:
        host: name or address of this machine.
        port: 0 takes a free one.
        token: that clients must send.

    Raises:
        SettingError: the host is not an address of this machine, it is not the loopback and `token` is None, or the
            port is not permitted.
        BusyError: another process uses the port.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise SettingError([f"--host {host}: {error}"]) from error
    if token is None and not ip_address(str(address[0]).partition("%")[0]).is_loopback:
        raise SettingError(
            [f"--host {host}: other machines can reach it, so set GOEMO_TOKEN, which clients must send"]
        )
    bound = socket.socket(family, kind, protocol)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise BusyError(
                f"port {port} of {host} is used by another process; --port 0 takes a free one"
            ) from error
        raise SettingError([f"--host {host} --port {port}: {error.strerror}"]) from error
    return bound


def server_of(
    predictor: Predictor,
    bound: socket.socket,
    *,
    limits: Limits | None = None,
    token: str | None = None,
    on_event: EventHandler = ignore,
) -> uvicorn.Server:
    """A server; `run([bound])` answers requests until SIGINT or SIGTERM.

    Open requests are answered first, then the signal takes its usual effect.

    Args:
        token: that clients must send.
        on_event: called with the address as soon as the server answers, and with warnings.
    """
    chosen = limits or Limits()
    config = uvicorn.Config(
        create_application(predictor, limits=chosen, token=token, on_event=on_event),
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="on",
        limit_concurrency=chosen.connections,
        # The timeout of a request comes first, so that it is answered.
        timeout_graceful_shutdown=int(chosen.timeout) + 1,
    )
    return _Server(config, address_of(bound), on_event)


def address_of(bound: socket.socket) -> str:
    """The URL of a server."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if bound.family == socket.AF_INET6 else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, address: str, on_event: EventHandler) -> None:
        super().__init__(config)
        self._address, self._on_event = address, on_event

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_event(Info(f"Answering at {self._address}; Ctrl-C ends"))
