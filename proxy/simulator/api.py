"""How is one call to the data port answered, or made to fail?

Read `ApiPort.answer` downwards. What a call means and what it does is decided elsewhere; here is where sockets are cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING

from aiohttp import web

from proxy.simulator import catalogue
from proxy.simulator.answer import Answer, RefusalError, detailed, page
from proxy.simulator.call import Call, fields_of, is_multipart
from proxy.simulator.faults import Fault, Kind, Mishap
from proxy.simulator.service import GRANTS
from proxy.simulator.token_endpoint import SLASHLESS, TOKEN_PATHS, TokenCall, bearer_refusal, token_answer

if TYPE_CHECKING:
    from proxy.simulator.service import Service

# A batch of 5000 virtual accounts takes megabytes; the sidecar's own limit is 32 MiB.
BODY_LIMIT = 64 * 1024 * 1024
# How the log and the faults name what no path of the catalogue means.
OTHER = "other"


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a request is, before its body is read."""

    operation: str
    # Leading slashes made one: some servers do so, and then `//api/token/` is the token endpoint.
    path: str
    match: catalogue.Match | None


class ApiPort:
    """Answers what comes to the data port."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def application(self) -> web.Application:
        """An application with the one route there is."""
        application = web.Application(client_max_size=BODY_LIMIT)
        application.router.add_route("*", "/{path:.*}", self.answer)
        return application

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Carry one request from its head to the last byte of its answer."""
        arrival = arrived(request)
        if request.method == "POST" and arrival.operation in GRANTS:
            self._service.token_calls[GRANTS[arrival.operation]] += 1
        mishap = self._service.faults.take(arrival.operation)
        if mishap.kind is Kind.DROP_BEFORE_READ:
            return self._cut(request, arrival, mishap)
        body = await request.read()
        if mishap.delay:
            await mishap.pause(mishap.delay)
        if mishap.kind is Kind.HANG:
            await mishap.pause(None)
            return self._cut(request, arrival, mishap)
        if mishap.failure and mishap.kind is Kind.STATUS:
            answer = failed(mishap.failure)
        else:
            answer = self._executed(request, arrival, body)
        if answer.status == web.HTTPUnauthorized.status_code and arrival.operation not in GRANTS:
            self._service.unauthorized += 1
        if mishap.kind is Kind.DROP_AFTER_READ:
            return self._cut(request, arrival, mishap)
        if mishap.kind is Kind.DROP_MID_ANSWER:
            return await self._cut_midway(request, arrival, answer)
        self._service.note(request.method, arrival.operation, answer.status, mishap.label)
        return web.Response(status=answer.status, body=answer.body, headers=self._head(answer))

    def _executed(self, request: web.Request, arrival: Arrival, body: bytes) -> Answer:
        content_type = request.headers.get("Content-Type", "")
        if arrival.path in SLASHLESS:
            return Answer(
                301, content_type="text/html; charset=utf-8", headers=(("Location", SLASHLESS[arrival.path]),)
            )
        if arrival.operation in GRANTS:
            accept = request.headers.get("Accept", "")
            call = TokenCall(arrival.operation, request.method, accept, content_type, body)
            return token_answer(self._service, call)
        if arrival.match is None:
            return page(404)
        refusal = bearer_refusal(self._service, request.headers.get("Authorization"))
        if refusal:
            return refusal
        if arrival.match.operation is None:
            text = f'Method "{request.method}" not allowed.'
            return Answer(405, detailed(405, text).body, headers=(("Allow", ", ".join(arrival.match.allowed)),))
        return self._carried_out(request, arrival.match.operation, arrival.match, body)

    def _carried_out(
        self, request: web.Request, operation: catalogue.Operation, match: catalogue.Match, body: bytes
    ) -> Answer:
        content_type = request.headers.get("Content-Type", "")
        service = self._service
        try:
            call = Call(
                parameters=match.parameters,
                query=request.query,
                fields=fields_of(body, content_type),
                multipart=is_multipart(content_type),
                hold=request.headers.get("X-Capture", "").lower() == "true",
                now=service.now(),
            )
        except RefusalError as refusal:
            service.attempted[operation.name, None] += 1
            return refusal.answer
        keys = {(operation.name, None), (operation.name, call.external_id)}
        service.attempted.update(keys)
        try:
            answer = operation.view(service.ledger, call)
        except RefusalError as refusal:
            return refusal.answer
        service.executed.update(keys)
        return answer

    def _head(self, answer: Answer) -> dict[str, str]:
        date = formatdate(self._service.now(), usegmt=True)
        return {"Date": date, "Server": "simulator", "Content-Type": answer.content_type, **dict(answer.headers)}

    def _cut(self, request: web.Request, arrival: Arrival, mishap: Mishap) -> web.StreamResponse:
        self._service.note(request.method, arrival.operation, None, mishap.label)
        abort(request)
        return web.Response()

    async def _cut_midway(self, request: web.Request, arrival: Arrival, answer: Answer) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=self._head(answer))
        response.content_length = len(answer.body)
        await response.prepare(request)
        await response.write(answer.body[: len(answer.body) // 2])
        self._service.note(request.method, arrival.operation, answer.status, Kind.DROP_MID_ANSWER)
        abort(request)
        return response


def arrived(request: web.Request) -> Arrival:
    """Tell what a request is from its method and raw target."""
    path = "/" + request.raw_path.partition("?")[0].lstrip("/")
    if name := TOKEN_PATHS.get(SLASHLESS.get(path, path)):
        return Arrival(name if path in TOKEN_PATHS else OTHER, path, None)
    # REST framework answers HEAD with the view of GET.
    match = catalogue.match("GET" if request.method == "HEAD" else request.method, path)
    return Arrival(match.operation.name if match and match.operation else OTHER, path, match)


def failed(fault: Fault) -> Answer:
    """The answer that a fault puts in the place of the true one."""
    answer = detailed(fault.status, "This answer was ordered from the simulator.")
    retry = () if fault.retry_after is None else (("Retry-After", f"{fault.retry_after:g}"),)
    body = answer.body if fault.body is None else fault.body.encode()
    return Answer(fault.status, body, headers=answer.headers + retry)


def abort(request: web.Request) -> None:
    """Cut the TCP connection without a goodbye; writing to it afterwards ends in aiohttp's silence."""
    if request.transport is not None:
        request.transport.abort()
