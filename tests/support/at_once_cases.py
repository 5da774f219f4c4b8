"""Lists calls that are carried twice, to be compared: once as they come, and once made to wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.origins import carried
from tests.support.sent_at_once import CUT, HELLO, ORDER, PAY, READ, REQUEST_ID, Case, ask

if TYPE_CHECKING:
    from collections.abc import Callable

_ID = f"X-Request-Id: {REQUEST_ID}"
_TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CHALLENGE = b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm="api"\r\nContent-Length: 0\r\n\r\n'


def answer(status: str, *lines: str, body: bytes = b"{}") -> bytes:
    fields = "".join(f"{line}\r\n" for line in lines)
    return f"HTTP/1.1 {status}\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body


def one(*lines: str, method: str = "GET", target: str = READ, body: bytes | None = None, went: bool = True) -> Case:
    """A request that is answered with HELLO."""
    return Case((ask(method, target, _ID, *lines, body=body),), ((HELLO,),), at_once=int(went))


def answered(*pieces: bytes | Callable[[bytes], bytes] | None, over: bool = False, pay: bool = False) -> Case:
    """An ordinary request with this answer; `over` says that its answer must be waited for, or looked into."""
    sent = ask("POST", PAY, _ID, body=ORDER) if pay else ask("GET", READ, _ID)
    return Case((sent,), (pieces,), handed_over=int(over))


def echo_in_header(head: bytes) -> bytes:
    return answer("200 OK", f"X-Seen: {carried(head).decode()}")


def echo_in_body(head: bytes) -> bytes:
    return answer("200 OK", body=b"you sent " + carried(head))


def masked(case: Case) -> Case:
    return Case(case.sent, case.answers, handed_over=1, changes={"redact_echoes": True})


VIEW = answer("401 Unauthorized", "Content-Type: application/json", body=b'{"detail": "not for you"}')


AT_ONCE = {
    "a read": one(),
    "a read without an id": Case((ask("GET", READ),), ((HELLO,),)),
    "a query and escapes": one(target="/api/resources/banks?country=AR&q=%2F%20"),
    "a payout": one(method="POST", target=PAY, body=ORDER),
    "a payout without a body": one(method="POST", target=PAY, body=b""),
    "a refund without a body and a length": one(method="PATCH", target="/api/payin/order-1/refund"),
    "a change": one(method="PUT", target="/api/anything", body=b"{}"),
    "a deletion": one(method="DELETE", target="/api/virtual-account/va-1"),
    "a read with a body": one(target=READ, body=b"{}"),
    "fields that cross": one("X-Capture: true", "Content-Type: application/json", "X_Odd: 1".replace("_", "-")),
    "fields in another case and without a space": one("x-version:2", "ACCEPT: */*", "Idempotency-Key: one-time"),
    "fields that do not cross": one("Cookie: a=b", "Authorization: Basic x", "X-Forwarded-For: 1", "Proxy-Thing: 1"),
    "a field twice": one("Accept: a", "Accept: b"),
    "an empty field and bytes above ASCII": one("X-Empty:", "X-Name: \xe9"),
    "a trace": one(f"traceparent: {_TRACE}", "tracestate: vendor=opaque"),
    "keep-alive": one("Connection: keep-alive"),
    "201": answered(answer("201 Created", "Content-Type: application/json"), pay=True),
    "202 with a body of none": answered(answer("202 Accepted", body=b""), pay=True),
    "404": answered(answer("404 Not Found")),
    "503 of theirs": answered(answer("503 Service Unavailable", "Retry-After: 3"), pay=True),
    "a redirect": answered(answer("302 Found", "Location: /elsewhere", body=b"")),
    "304": answered(b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 500\r\n\r\n'),
    "an answer that ends its connection": answered(answer("200 OK", "Connection: close"), None),
    "a reason of their own, and none": answered(answer("200 Fine by us")),
    "Set-Cookie": answered(answer("200 OK", "Set-Cookie: session=1", "Server: nginx", "Keep-Alive: timeout=5")),
    "an id of theirs": answered(answer("200 OK", "X-Request-Id: theirs")),
    "a head in two segments": answered(HELLO[:20], HELLO[20:]),
    "a second answer behind it": answered(HELLO + HELLO, None, pay=True),
    "remembered": Case(
        (ask("GET", READ, _ID, "Accept: */*"), None, ask("GET", READ, _ID, "Accept: */*")),
        ((answer("200 OK", "Server: nginx"),), (answer("200 OK", "Server: nginx"),)),
        at_once=2,
        calls=2,
    ),
    "another answer after the first": Case(
        (ask("GET", READ, _ID), None, ask("POST", PAY, _ID, body=ORDER)),
        ((answer("404 Not Found"),), (answer("201 Created", "X-Request-Id: theirs"),)),
        at_once=2,
        calls=2,
    ),
}

HANDED_OVER = {
    "204": answered(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "204 with a length": answered(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
    "chunks": answered(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", over=True),
    "until the end": answered(b"HTTP/1.1 200 OK\r\n\r\nhello", None, over=True),
    "HTTP/1.0": answered(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", None),
    "a head, and its body later": answered(HELLO[:-5], HELLO[-5:], over=True),
    "a body in two pieces": answered(HELLO[:-2], HELLO[-2:], over=True),
    "interim answers before": answered(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + HELLO),
    "an interim answer by itself": answered(b"HTTP/1.1 100 Continue\r\n\r\n", HELLO),
    "401 of the authentication layer": Case((ask("GET", READ, _ID),), ((CHALLENGE,), (HELLO,)), handed_over=1),
    "401 of it, for a payout": Case((ask("POST", PAY, _ID, body=ORDER),), ((CHALLENGE,), (HELLO,)), handed_over=1),
    "401 of a view": answered(VIEW, over=True),
    "a token in a header": answered(echo_in_header, over=True),
    "a token in a body": answered(echo_in_body, over=True),
    "a token in a header, masked": masked(answered(echo_in_header)),
    "a token in a body, masked": masked(answered(echo_in_body)),
    "Proxy-Status": answered(answer("200 OK", "Proxy-Status: cache; hit, localpayment-proxy; error=x")),
    "Connection that names a field": answered(answer("200 OK", "Connection: X-Hop", "X-Hop: 1")),
    "a field with an underscore": answered(answer("200 OK", "X_Odd: 1")),
    "a long answer": answered(answer("200 OK", body=b"x " * 35_000), over=True),
    "a lost connection, for a payout": answered(None, over=True, pay=True),
    "a cut answer": answered(CUT, None, over=True, pay=True),
    "no HTTP": answered(b"no HTTP\r\n\r\n", None, over=True, pay=True),
}

JUDGED = {
    "HEAD": Case((ask("HEAD", READ, _ID),), ((HELLO[:-5],),)),
    "OPTIONS": one(method="OPTIONS"),
    "another host": Case((ask("GET", READ, _ID, host="evil.example"),), (), at_once=0),
    "a token endpoint": Case((ask("POST", "/api/token/", _ID, body=b"{}"),), (), at_once=0),
    "a target with dots": Case((ask("GET", "/api/a/../token/", _ID),), (), at_once=0),
    "a release by date": Case(
        (ask("POST", "/api/payout/authorize", _ID, body=b'{"dateFrom": "2026-01-01"}'),), (), at_once=0
    ),
    "a method in a body": Case((ask("POST", PAY, _ID, body=b'{"_method": "DELETE"}'),), (), at_once=0),
    "a method in a query": Case((ask("POST", f"{PAY}?_method=DELETE", _ID, body=ORDER),), (), at_once=0),
    "a method in a field": Case((ask("POST", PAY, _ID, "X-HTTP-Verb: DELETE", body=ORDER),), (), at_once=0),
    "a path in a field": Case((ask("POST", PAY, _ID, "X_Original_URI: /api/token/", body=ORDER),), (), at_once=0),
    "a spelling": Case((ask("POST", "/api/Payout", _ID, body=ORDER),), (), at_once=0),
    "a page's origin": one("Sec-Fetch-Site: cross-site", went=False),
    "Expect": one("Expect: 100-continue", method="POST", target=PAY, body=ORDER, went=False),
    "a coding": Case(
        (ask("POST", PAY, _ID, "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n",),
        ((HELLO,),),
        at_once=0,
    ),
    "a mesh's attempt": one("X-Envoy-Attempt-Count: 2", method="POST", target=PAY, body=ORDER),
    "an id that is none": Case((ask("GET", READ, "X-Request-Id: a b"),), ((HELLO,),)),
    "a body that is not replayed": Case(
        (ask("POST", PAY, _ID, body=b"x" * 65),), ((HELLO,),), at_once=0, changes={"replay_buffer": 64}
    ),
    "a body in two segments": Case((ask("POST", PAY, _ID, body=ORDER)[:-5], ORDER[-5:]), ((HELLO,),)),
    "a head in two segments of a caller": Case((ask("GET", READ, _ID)[:-2], b"\r\n"), ((HELLO,),), at_once=0),
    "line ends before": Case((b"\r\n" + ask("GET", READ, _ID),), ((HELLO,),), at_once=0),
    "two in one segment": Case((ask("GET", READ, _ID) * 2,), ((HELLO,), (HELLO,)), at_once=0, calls=2),
}

BEHIND = {
    "two in two segments": Case((ask("GET", READ, _ID),) * 2, ((HELLO,), (HELLO,)), at_once=2, calls=2),
    "one and a part": Case(
        (ask("GET", READ, _ID), ask("GET", READ, _ID)[:30], ask("GET", READ, _ID)[30:]),
        ((HELLO,), (HELLO,)),
        calls=2,
    ),
}
