"""Answers calls to the data port, or makes them fail.

Read `_answer` downwards. What a call means and does is decided elsewhere; here sockets are cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web

from proxy.simulator import catalogue
from proxy.simulator.answer import Answer, RefusalError, detailed, not_allowed, page, said
from proxy.simulator.call import Call, fields_of, is_multipart
from proxy.simulator.faults import Fault, Kind
from proxy.simulator.ledger import ids
from proxy.simulator.token_endpoint import GRANTS, SLASHLESS, TOKEN_PATHS, bearer_refusal, token_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.simulator.catalogue import Operation
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
            **ids("another-payment"),
            "status": {"code": "200", "description": "COMPLETED", "detail": "The payin was completed"},
        }
    ),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request is, before its body is read."""

    operation: str
    # Leading slashes made one: some servers do so, and then `//api/token/` is the token endpoint.
    path: str
    match: catalogue.Match | None


def api_port(service: Service) -> web.Application:
    """The application of the data port, with the one route there is."""
    application = web.Application(client_max_size=BODY_LIMIT)
    application.router.add_route("*", "/{path:.*}", partial(_answer, service))
    return application


async def _answer(service: Service, request: web.Request) -> web.StreamResponse:
    """Carry one request from its head to the last byte of its answer."""
    asked = _asked(request)
    if request.method == "POST" and asked.operation in GRANTS:
        service.token_calls[GRANTS[asked.operation]] += 1
    injected = service.faults.take(asked.operation)
    note = partial(service.note, request.method, asked.operation, fault=injected.label)
    if injected.kind is Kind.DROP_BEFORE_READ:
        note(None)
        return _cut(request)
    body = await request.read()
    if injected.delay:
        await injected.pause(injected.delay)
    if injected.kind is Kind.HANG:
        await injected.pause(None)
        note(None)
        return _cut(request)
    if injected.failure and injected.kind is Kind.STATUS:
        answer = _failed(injected.failure)
    else:
        answer = MISLEADING.get(injected.kind, _executed(service, request, asked, body))
    if answer.status == web.HTTPUnauthorized.status_code and asked.operation not in GRANTS:
        service.unauthorized += 1
    note(None if injected.kind is Kind.DROP_AFTER_READ else answer.status)
    if injected.kind is Kind.DROP_AFTER_READ:
        return _cut(request)
    date = formatdate(service.now(), usegmt=True)
    head = {"Date": date, "Server": "simulator", "Content-Type": answer.content_type, **dict(answer.headers)}
    if injected.kind is not Kind.DROP_MID_ANSWER:
        return web.Response(status=answer.status, body=answer.body, headers=head)
    response = web.StreamResponse(status=answer.status, headers=head)
    response.content_length = len(answer.body)
    await response.prepare(request)
    await response.write(answer.body[: len(answer.body) // 2])
    return _cut(request, response)


def _executed(service: Service, request: web.Request, asked: Asked, body: bytes) -> Answer:
    if asked.path in SLASHLESS:
        return Answer(301, content_type="text/html; charset=utf-8", headers=(("Location", SLASHLESS[asked.path]),))
    if asked.operation in GRANTS:
        return token_answer(service, asked.operation, request, body)
    if asked.match is None:
        return page(404)
    if refusal := bearer_refusal(service, request.headers.get("Authorization")):
        return refusal
    if asked.match.operation is None:
        return not_allowed(request.method, asked.match.allowed)
    return _carried_out(service, request, asked.match.operation, asked.match.parameters, body)


def _carried_out(
    service: Service, request: web.Request, operation: Operation, parameters: Mapping[str, str], body: bytes
) -> Answer:
    content_type = request.headers.get("Content-Type", "")
    keys: set[tuple[str, str | None]] = {(operation.name, None)}
    try:
        call = Call(
            parameters=parameters,
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


def _asked(request: web.Request) -> Asked:
    """Tell what a request is from its method and raw target."""
    path = "/" + request.raw_path.partition("?")[0].lstrip("/")
    if path in TOKEN_PATHS or path in SLASHLESS:
        return Asked(TOKEN_PATHS.get(path, OTHER), path, None)
    # REST framework answers HEAD with the view of GET.
    match = catalogue.match("GET" if request.method == "HEAD" else request.method, path)
    return Asked(match.operation.name if match and match.operation else OTHER, path, match)


def _failed(fault: Fault) -> Answer:
    """The answer that a fault puts in the place of the true one."""
    answer = detailed(fault.status, "This answer was ordered from the simulator.")
    retry = () if fault.retry_after is None else (("Retry-After", f"{fault.retry_after:g}"),)
    body = answer.body if fault.body is None else fault.body.encode()
    return Answer(fault.status, body, headers=answer.headers + retry)


def _cut(request: web.Request, begun: web.StreamResponse | None = None) -> web.StreamResponse:
    """Cut the TCP connection without a goodbye; writing to it afterwards ends in aiohttp's silence."""
    if request.transport is not None:
        request.transport.abort()
    return begun or web.Response()
