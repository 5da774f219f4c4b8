"""On which event loop does a test run? The data plane's on uvloop, which is what the product runs on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import uvloop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pytest

# These lead names elsewhere by replacing the loop's resolver, which only a loop written in Python allows.
ON_ASYNCIO = ("test_relay_fault_matrix_connect",)


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    name = item.path.stem
    if name.startswith("test_relay") and name not in ON_ASYNCIO:
        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}
