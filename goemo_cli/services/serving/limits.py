"""What a server accepts, and how long it works on a request."""

from dataclasses import dataclass

from goemo_cli.core.errors import SettingError


@dataclass(frozen=True)
class Limits:
    """Limits of a server.

    Raises:
        SettingError: the queue is shorter than the longest request.
    """

    max_texts: int = 256
    """Of one request."""
    max_chars: int = 10_000
    """Of one text."""
    max_body: int = 1 << 20
    """Bytes of the body of one request."""
    queue: int = 1024
    """Number of texts that wait for the model; requests that do not fit are refused."""
    timeout: float = 30.0
    """Seconds for the body of a request to arrive, and again for the model to answer."""
    batch: int = 64
    """Number of texts from which on waiting requests do not join a batch."""
    connections: int = 512
    """That are open at the same time."""

    def __post_init__(self) -> None:
        if self.queue < self.max_texts:
            raise SettingError(
                [f"the queue has room for {self.queue} texts, and one request may have {self.max_texts}"]
            )
