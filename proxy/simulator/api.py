"""Answers calls to the data port, or makes them fail.

Read `ApiPort.answer` downwards. What a call means and does is decided elsewhere; here sockets are cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING

from aiohttp import web

from proxy.simulator import catalogue
from proxy.simulator.answer import Answer, RefusalError, detailed, not_allowed, page, said
from proxy.simulator.call import Call, fields_of, is_multipart
from proxy.simulator.faults import Fault, InjectedFault, Kind
from proxy.simulator.ledger import internal_id
from proxy.simulator.service import GRANTS
from proxy.simulator.token_endpoint import SLASHLESS, TOKEN_PATHS, TokenCall, bearer_refusal, token_answer

if TYPE_CHECKING:
    from proxy.simulator.service import Service

# A batch of 5000 virtual accounts takes megabytes; the sidecar's own limit is 32 MiB.
BODY_LIMIT = 64 * 1024 * 1024
# How the log and the faults name what no path of the catalogue means.
OTHER = "other"
# What is answered in the place of the truth, once the call was executed.
MISLEADING: dict[Kind | None, Answer] = {
    Kind.GARBAGE: Answer(200, b'{"externalId": "'),
    Kind.ANOTHER_PAYMENT: said(
        {
            "externalId": "another-payment",
            "internalId": internal_id("another-payment"),
            "status": {"code": "200", "description": "COMPLETED", "detail": "The payin was completed"},
        }
    ),
}


@dataclass(frozen=True, slots=True)
class ParsedRequest:
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
        parsed, service = parse_request(request), self._service
        if request.method == "POST" and parsed.operation in GRANTS:
            service.token_calls[GRANTS[parsed.operation]] += 1
        injected = service.faults.take(parsed.operation)
        if injected.kind is Kind.DROP_BEFORE_READ:
            return self._cut(request, parsed, injected)
        body = await request.read()
        if injected.delay:
            await injected.pause(injected.delay)
        if injected.kind is Kind.HANG:
            await injected.pause(None)
            return self._cut(request, parsed, injected)
        if injected.failure and injected.kind is Kind.STATUS:
            answer = failed(injected.failure)
        else:
            answer = MISLEADING.get(injected.kind, self._executed(request, parsed, body))
        if answer.status == web.HTTPUnauthorized.status_code and parsed.operation not in GRANTS:
            service.unauthorized += 1
        if injected.kind is Kind.DROP_AFTER_READ:
            return self._cut(request, parsed, injected)
        if injected.kind is Kind.DROP_MID_ANSWER:
            return await self._cut_midway(request, parsed, answer)
        service.note(request.method, parsed.operation, answer.status, injected.label)
        return web.Response(status=answer.status, body=answer.body, headers=self._head(answer))

    def _executed(self, request: web.Request, parsed: ParsedRequest, body: bytes) -> Answer:
        content_type = request.headers.get("Content-Type", "")
        if parsed.path in SLASHLESS:
            return Answer(301, content_type="text/html; charset=utf-8", headers=(("Location", SLASHLESS[parsed.path]),))
        if parsed.operation in GRANTS:
            accept = request.headers.get("Accept", "")
            call = TokenCall(parsed.operation, request.method, accept, content_type, body)
            return token_answer(self._service, call)
        if parsed.match is None:
            return page(404)
        refusal = bearer_refusal(self._service, request.headers.get("Authorization"))
        if refusal:
            return refusal
        if parsed.match.operation is None:
            return not_allowed(request.method, parsed.match.allowed)
        return self._carried_out(request, parsed.match.operation, parsed.match, body)

    def _carried_out(
        self, request: web.Request, operation: catalogue.Operation, match: catalogue.Match, body: bytes
    ) -> Answer:
        content_type, service = request.headers.get("Content-Type", ""), self._service
        keys: set[tuple[str, str | None]] = {(operation.name, None)}
        try:
            call = Call(
                parameters=match.parameters,
                query=request.query,
                fields=fields_of(body, content_type),
                multipart=is_multipart(content_type),
                hold=request.headers.get("X-Capture", "").lower() == "true",
                now=service.now(),
            )
            keys.add((operation.name, call.external_id))
            answer = operation.view(service.ledger, call)
        except RefusalError as refusal:
            return refusal.answer
        else:
            service.executed.update(keys)
            return answer
        finally:
            service.attempted.update(keys)

    def _head(self, answer: Answer) -> dict[str, str]:
        date = formatdate(self._service.now(), usegmt=True)
        return {"Date": date, "Server": "simulator", "Content-Type": answer.content_type, **dict(answer.headers)}

    def _cut(self, request: web.Request, parsed: ParsedRequest, injected: InjectedFault) -> web.StreamResponse:
        self._service.note(request.method, parsed.operation, None, injected.label)
        abort(request)
        return web.Response()

    async def _cut_midway(self, request: web.Request, parsed: ParsedRequest, answer: Answer) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=self._head(answer))
        response.content_length = len(answer.body)
        await response.prepare(request)
        await response.write(answer.body[: len(answer.body) // 2])
        self._service.note(request.method, parsed.operation, answer.status, Kind.DROP_MID_ANSWER)
        abort(request)
        return response


def parse_request(request: web.Request) -> ParsedRequest:
    """Tell what a request is from its method and raw target."""
    path = "/" + request.raw_path.partition("?")[0].lstrip("/")
    if name := TOKEN_PATHS.get(SLASHLESS.get(path, path)):
        return ParsedRequest(name if path in TOKEN_PATHS else OTHER, path, None)
    # REST framework answers HEAD with the view of GET.
    match = catalogue.match("GET" if request.method == "HEAD" else request.method, path)
    return ParsedRequest(match.operation.name if match and match.operation else OTHER, path, match)


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
