"""What holds for every test: nothing of the proxy may block the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from blockbuster import blockbuster_ctx

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def nothing_blocks_the_loop() -> Iterator[None]:
    """Fail a test whose event loop is blocked by a call that has code of `proxy` on its stack; tests may block."""
    with blockbuster_ctx("proxy"):
        yield
