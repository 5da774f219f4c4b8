"""What holds for every test: nothing of the proxy may block the event loop, and who needs the machine alone gets it."""

from __future__ import annotations

import contextlib
import fcntl
from typing import TYPE_CHECKING

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

# A busy machine must not fail a test: what an example takes is for benchmarks to say.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def nothing_blocks_the_loop() -> Iterator[None]:
    """Fail a test whose event loop is blocked by a call that has code of `proxy` on its stack; tests may block."""
    with blockbuster_ctx("proxy"):
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with a test that is marked `alone` last, where few processes have to wait for it."""
    files = {item.path for item in items if item.get_closest_marker("alone")}
    items.sort(key=lambda item: item.path in files)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run a test that is marked `alone` while no other process runs one."""
    if not hasattr(item.config, "workerinput"):
        return (yield)
    folder = item.config._tmp_path_factory.getbasetemp().parent  # type: ignore[attr-defined]  # noqa: SLF001 - shared by all
    alone = item.get_closest_marker("alone") is not None
    with contextlib.ExitStack() as held:
        with locked(folder / "next", exclusive=True):  # so that no others go on before one that waits
            held.enter_context(locked(folder / "running", exclusive=alone))
        return (yield)


@contextlib.contextmanager
def locked(path: Path, *, exclusive: bool) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
