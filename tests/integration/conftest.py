"""Chooses the event loop of each test, and the CA that it trusts. The data plane runs on uvloop, as the product does.

Every test of the relay runs twice: its first ordinary call is carried by a task, or it is sent at once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import uvloop

from tests.support.scripted_origin import authority
from tests.support.sidecars import Way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

# These lead names elsewhere by replacing the loop's resolver, which only a loop written in Python allows.
ON_ASYNCIO = ("test_relay_fault_matrix_connect",)
# Where loops differ most: TLS towards callers, how their connections end, and large bodies that wait for their readers.
ON_BOTH = (
    "test_relay",
    "test_relay_cut_callers",
    "test_relay_drain",
    "test_relay_gone_callers",
    "test_relay_large",
    "test_relay_slow_readers",
    "test_relay_tls",
)


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    name = item.path.stem
    both = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
    if item.get_closest_marker("both_loops") or name in ON_BOTH:
        return both
    if name.startswith(("test_relay", "test_at_once")) and name not in ON_ASYNCIO:
        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    name = metafunc.module.__name__.rpartition(".")[2]
    # Without a connection nothing is sent at once.
    if name.startswith("test_relay") and name != "test_relay_fault_matrix_connect":
        metafunc.parametrize("carried", ["in_a_task", "at_once"], indirect=True)


@pytest.fixture(autouse=True)
def carried(request: pytest.FixtureRequest) -> Iterator[str]:
    """How the first ordinary call of each sidecar goes: in a task, or at once."""
    how: str = getattr(request, "param", "in_a_task")
    Way.at_once = how == "at_once"
    yield how
    Way.at_once = False


@pytest.fixture(scope="session")
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CA of the scripted origins' certificates."""
    path: Path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority().cert_pem.write_to_path(path)
    return path
