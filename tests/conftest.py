"""What holds for every test: nothing of the proxy may block the event loop, and no test fails for want of speed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# A busy machine must not fail a test: what an example takes is for benchmarks to say.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def nothing_blocks_the_loop() -> Iterator[None]:
    """Fail a test whose event loop is blocked by a call that has code of `proxy` on its stack; tests may block."""
    with blockbuster_ctx("proxy") as watch:
        # Coverage takes a lock of its own within a call of ours, for a file that a thread is the first to run.
        watch.functions["threading.Lock.acquire"].can_block_in("coverage/collector.py", "lock_data")
        yield
