"""What every command that asks W&B asks first: whether it may use the network."""

from goemo_cli.core.errors import RemoteError
from goemo_cli.core.settings import environment


def require_network(subject: str) -> None:
    """Fail where the user said not to use the network.

    Raises:
        RemoteError: with GOEMO_OFFLINE.
    """
    if (environment("GOEMO_OFFLINE") or "0").lower() not in ("0", "false", "no"):
        raise RemoteError(
            f"the network is switched off (GOEMO_OFFLINE), so W&B cannot be asked for {subject}"
        )
