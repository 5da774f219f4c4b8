"""A collector of traces: a real OTLP/HTTP receiver on loopback that parses what it is sent.

It keeps every span flat: its fields, its resource and the header fields that it came with.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

BOUND = 20.0  # seconds that nothing here may take; only a defect reaches it


@dataclass(frozen=True)
class Received:
    """One span; ids in hex digits, times in nanoseconds."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    started: int
    ended: int
    attributes: Mapping[str, Any]
    failed: bool
    state: str
    resource: Mapping[str, Any]
    scope: str


@dataclass
class Collector:
    """The receiver.

    Attributes:
        status: what the next posts are answered.
        open: cleared to let posts hang.
        posts: header fields of each post so far, their names in lower case.
        raw: all bytes that were posted.
    """

    status: int = 200
    url: str = ""
    spans: list[Received] = field(default_factory=list)
    posts: list[Mapping[str, str]] = field(default_factory=list)
    raw: bytes = b""
    open: asyncio.Event = field(default_factory=asyncio.Event)
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        content = await request.read()
        self.raw += content
        self.posts.append({name.lower(): value for name, value in request.headers.items()})
        await self.open.wait()
        if self.status == 200:
            self.spans += received(ExportTraceServiceRequest.FromString(content))
        self._came.set()
        body = ExportTraceServiceResponse().SerializeToString()
        return web.Response(status=self.status, body=body, content_type="application/x-protobuf")

    async def until(self, count: int) -> list[Received]:
        """Wait for that many spans; return all that came, those that began first at the beginning."""
        async with asyncio.timeout(BOUND):
            while len(self.spans) < count:
                self._came.clear()
                await self._came.wait()
        return sorted(self.spans, key=lambda span: span.started)

    async def until_posted(self, count: int) -> None:
        """Wait for that many posts, whatever they were answered."""
        async with asyncio.timeout(BOUND):
            while len(self.posts) < count:  # noqa: ASYNC110 - a post is counted before it is answered
                await asyncio.sleep(0.01)


def received(request: ExportTraceServiceRequest) -> Iterable[Received]:
    for of_resource in request.resource_spans:
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield Received(
                    name=span.name,
                    kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    started=span.start_time_unix_nano,
                    ended=span.end_time_unix_nano,
                    attributes=values(span.attributes),
                    failed=span.status.code == Status.STATUS_CODE_ERROR,
                    state=span.trace_state,
                    resource=values(of_resource.resource.attributes),
                    scope=f"{of_scope.scope.name} {of_scope.schema_url}",
                )


def values(attributes: Iterable[Any]) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@contextlib.asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """Run a receiver inside the block."""
    collector = Collector()
    collector.open.set()
    application = web.Application()
    application.router.add_post("/v1/traces", collector.take)
    application.router.add_post("/deep/er/v1/traces", collector.take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    collector.url = f"http://127.0.0.1:{site.port}"
    try:
        yield collector
    finally:
        collector.open.set()
        await runner.cleanup()
