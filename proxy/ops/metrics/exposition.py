"""Writes the metrics for a scrape one family at a time, so that calls run in between, and only so often a second."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, cast

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client import Metric

MOST: Final = 5  # scrapes a second that read the metrics; more get what was read last
_END: Final = b"# EOF\n"  # of OpenMetrics


class Exposition:
    """What `/metrics` answers: a registry's metrics and those of the process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        self._written: dict[str, bytes] = {}
        self._times: deque[float] = deque(maxlen=MOST)
        self._writing = asyncio.Lock()

    async def write(self, accept: str) -> tuple[bytes, str]:
        """Return text and content type in the format that an Accept field asks for."""
        encode, content_type = choose_encoder(accept)
        async with self._writing:
            now = asyncio.get_running_loop().time()
            often = len(self._times) == MOST and now - self._times[0] < 1.0
            if not often or content_type not in self._written:
                self._times.append(now)
                self._written[content_type] = await self._write(encode)
            return self._written[content_type], content_type

    async def _write(self, encode: Callable[[CollectorRegistry], bytes]) -> bytes:
        pieces = []
        for family in self._registry.collect():
            pieces.append(encode(_only(family)).removesuffix(_END))
            await asyncio.sleep(0)
        process = await asyncio.to_thread(encode, self._process)  # It reads files of /proc.
        ending = _END if process.endswith(_END) else b""
        return b"".join((*pieces, process.removesuffix(_END), ending))


class _OneMetric:
    """A registry as far as an encoder looks at one, with one metric in it."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterable[Metric]:
        return (self._family,)


def _only(family: Metric) -> CollectorRegistry:
    return cast("CollectorRegistry", _OneMetric(family))
