"""What the tests of tracking share: a W&B server of their own."""

from collections.abc import Iterator

import pytest

from tests.wandb_server import WandbServer


@pytest.fixture
def wandb_server() -> Iterator[WandbServer]:
    """A fresh W&B server on the loopback; `server.environment(tmp_path)` points an SDK at it."""
    with WandbServer() as server:
        yield server
        assert server.bugs == []
