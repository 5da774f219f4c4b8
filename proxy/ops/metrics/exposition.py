"""Writes the metrics for a scrape one family at a time, so that calls run in between."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric

_END: Final = b"# EOF\n"  # of OpenMetrics


class Exposition:
    """What `/metrics` answers: a registry's metrics and those of the process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)

    async def write(self, accept: str) -> tuple[bytes, str]:
        """Return text and content type in the format that an Accept field asks for."""
        encode, content_type = choose_encoder(accept)
        pieces = []
        for family in self._registry.collect():
            pieces.append(encode(_only(family)).removesuffix(_END))
            await asyncio.sleep(0)
        process = await asyncio.to_thread(encode, self._process)  # It reads files of /proc.
        ending = _END if process.endswith(_END) else b""
        return b"".join((*pieces, process.removesuffix(_END), ending)), content_type


class _OneMetric:
    """A registry as far as an encoder looks at one, with one metric in it."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterable[Metric]:
        return (self._family,)


def _only(family: Metric) -> CollectorRegistry:
    return cast("CollectorRegistry", _OneMetric(family))
