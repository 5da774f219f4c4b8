"""A module of the product that blocks the event loop fails the test in which it does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from blockbuster import BlockingError

import proxy

if TYPE_CHECKING:
    from collections.abc import Callable

INSIDE_THE_PROXY = Path(proxy.__file__).with_name("a_module_that_blocks.py")


def bytes_on_disk() -> int:
    return Path(__file__).stat().st_size


def as_code_of(file: Path) -> Callable[[], int]:
    """Return a function that calls `bytes_on_disk` from what looks like code of that file."""
    names = {"bytes_on_disk": bytes_on_disk}
    exec(compile("def blocks(): return bytes_on_disk()", str(file), "exec"), names)  # noqa: S102 - our own text
    return names["blocks"]


async def test_a_proxy_module_that_blocks_the_loop_fails_its_test() -> None:
    with pytest.raises(BlockingError, match=r"os\.stat"):
        as_code_of(INSIDE_THE_PROXY)()


async def test_a_test_may_block_the_loop(tmp_path: Path) -> None:
    assert as_code_of(tmp_path / "test_of_something.py")() > 0


def test_a_proxy_module_may_block_where_no_loop_runs() -> None:
    assert as_code_of(INSIDE_THE_PROXY)() > 0
