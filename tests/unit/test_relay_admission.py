"""No page in a browser, no foreign Host and no tunnel gets as far as a decision about operations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.errors import BadRequestError, BrowserForbiddenError, HostForbiddenError, MethodForbiddenError
from proxy.relay.request.admission import (
    LOOPBACK_HOSTS,
    Entrance,
    check_browser,
    check_host,
    check_method,
    default_hosts,
    origin_form,
)
from proxy.relay.request.request_fields import read_fields
from tests.support.sidecars import DEFAULTS

LOCAL = (b"Host", b"127.0.0.1:8080")


def admit(
    method: str,
    headers: list[tuple[bytes, bytes]],
    hosts: frozenset[str] | None = None,
    *,
    target: bytes = b"/",
    http_1_1: bool = True,
) -> None:
    entrance = Entrance(replace(DEFAULTS, allowed_hosts=hosts))
    entrance.admit(method, target, read_fields(headers).told, http_1_1)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "X-1"])
def test_methods_pass(method: str) -> None:
    check_method(method)
    admit(method, [LOCAL])


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "TRACK", "trace", "Connect", "post", "Post"])
def test_tunnels_echoes_and_methods_that_others_would_fold_are_refused(method: str) -> None:
    with pytest.raises(MethodForbiddenError):
        admit(method, [LOCAL])


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        (b"localhost", None),
        (b"LocalHost:8080", None),
        (b"localhost.:8080", None),
        (b"127.0.0.1", None),
        (b"[::1]:8080", None),
        (b"sidecar", {"sidecar"}),
        (b"sidecar:1", {"sidecar"}),
        (b"Sidecar:8080", {"sidecar:8080"}),
        (b"10.0.0.1:8080", {"10.0.0.1"}),
        (b"[fe80::1]", {"[fe80::1]"}),
        (b"a_b.svc.cluster.local", {"a_b.svc.cluster.local"}),
    ],
)
def test_an_accepted_host_is_taken_with_any_port_unless_one_is_set(value: bytes, allowed: set[str] | None) -> None:
    accepted = None if allowed is None else frozenset(allowed)
    check_host([value], accepted or LOOPBACK_HOSTS)
    admit("GET", [(b"hOST", value)], accepted)


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        (b"evil.example", None),
        (b"localhost.evil.example", None),
        (b"127.0.0.1.evil.example", None),
        (b"127.0.0.2", None),
        (b"localhost", {"sidecar"}),
        (b"sidecar", {"sidecar:8080"}),
        (b"sidecar:8081", {"sidecar:8080"}),
        (b"sidecar", set[str]()),
    ],
)
def test_any_other_host_is_forbidden(value: bytes, allowed: set[str] | None) -> None:
    with pytest.raises(HostForbiddenError, match="PROXY_ALLOWED_HOSTS"):
        admit("GET", [(b"Host", value)], None if allowed is None else frozenset(allowed))


@pytest.mark.parametrize(
    "values",
    [
        [],
        [b"localhost", b"localhost"],
        [b""],
        [b"a b"],
        [b"localhost,localhost"],
        [b"user@localhost"],
        [b"localhost:"],
        [b"localhost:x"],
        [b"localhost:123456"],
        [b"localhost/"],
        [b"::1"],
        [b"[::1"],
        [b"l\xf6calhost"],
        ["\u212aelvin".encode()],
    ],
)
def test_a_request_has_exactly_one_readable_host(values: list[bytes]) -> None:
    with pytest.raises(BadRequestError):
        admit("GET", [(b"Host", value) for value in values], frozenset(("localhost", "kelvin")))


def test_http_1_0_may_come_without_a_host_but_not_with_a_foreign_one() -> None:
    admit("GET", [], http_1_1=False)
    with pytest.raises(HostForbiddenError):
        admit("GET", [(b"Host", b"evil.example")], http_1_1=False)


@pytest.mark.parametrize(
    ("host", "value"),
    [("10.1.2.3", b"10.1.2.3:80"), ("FE80::1", b"[fe80::1]"), ("Sidecar", b"sidecar"), ("x", b"localhost")],
)
def test_the_address_listened_on_is_accepted_by_default(host: str, value: bytes) -> None:
    check_host([value], default_hosts(host))


@pytest.mark.parametrize(
    "field",
    [
        (b"Origin", b"https://evil.example"),
        (b"origin", b"null"),
        (b"ORIGIN", b""),
        (b"Sec-Fetch-Site", b"cross-site"),
        (b"Sec-Fetch-Site", b"same-origin"),
        (b"Sec-Fetch-Site", b"same-site"),
        (b"Sec-Fetch-Site", b""),
        (b"sec-fetch-mode", b"cors"),
        (b"Sec-Fetch-Mode", b"No-CORS"),
    ],
)
def test_a_page_in_a_browser_is_refused(field: tuple[bytes, bytes]) -> None:
    none = (b"Sec-Fetch-Site", b"none")
    with pytest.raises(BrowserForbiddenError):
        admit("GET", [LOCAL, none, field])
    with pytest.raises(BrowserForbiddenError):
        check_browser([none, field, none])


def test_a_person_who_typed_the_address_is_not_a_page() -> None:
    fields = [(b"Sec-Fetch-Site", b"none"), (b"Sec-Fetch-Mode", b"navigate"), (b"Sec-Fetch-Dest", b"document")]
    admit("GET", [LOCAL, *fields])


@pytest.mark.parametrize("mode", [b"cors", b"no-cors", b"navigate", b"same-origin"])
def test_a_mode_without_a_site_is_no_browsers(mode: bytes) -> None:
    """Node's fetch sends the mode, and browsers never send it alone."""
    admit("POST", [LOCAL, (b"Sec-Fetch-Mode", mode)])


@pytest.mark.parametrize("field", [(b"Origin", b"http://localhost"), (b"Sec-Fetch-Site", b"same-site")])
def test_a_mode_excuses_nothing_else(field: tuple[bytes, bytes]) -> None:
    for fields in ([(b"Sec-Fetch-Mode", b"cors"), field], [field, (b"Sec-Fetch-Mode", b"cors")]):
        with pytest.raises(BrowserForbiddenError):
            admit("GET", [LOCAL, *fields])


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", b"http://localhost/api/x", (b"localhost", b"/api/x")),
        ("GET", b"HTTP://a:1//b/../%2f?c=http://d/", (b"a:1", b"//b/../%2f?c=http://d/")),
        ("GET", b"http://a", (b"a", b"/")),
        ("GET", b"http://a?b", (b"a", b"/?b")),
        ("OPTIONS", b"http://a", (b"a", b"*")),
        ("OPTIONS", b"http://a/", (b"a", b"/")),
        ("OPTIONS", b"http://a?b", (b"a", b"/?b")),
        ("GET", b"https://a/", None),
        ("GET", b"http:/a", None),
        ("GET", b"ahttp://a/", None),
        ("GET", b"*", None),
    ],
)
def test_a_target_in_absolute_form_is_a_host_and_what_a_plain_one_says(
    method: str, target: bytes, expected: tuple[bytes, bytes] | None
) -> None:
    assert origin_form(method, target, b"http") == expected


def test_the_targets_authority_takes_the_place_of_what_host_says() -> None:
    evil = (b"Host", b"evil.example")
    admit("GET", [evil], target=b"http://localhost:8080/")
    with pytest.raises(HostForbiddenError):
        admit("GET", [LOCAL], target=b"http://evil.example/")
    for hosts in ([], [LOCAL, LOCAL], [(b"Host", b"a b")]):
        with pytest.raises(BadRequestError):
            admit("GET", hosts, target=b"http://localhost/")


def test_a_refusal_does_not_repeat_the_host() -> None:
    with pytest.raises(HostForbiddenError) as refused:
        check_host([b"secret.example"], LOOPBACK_HOSTS)
    assert "secret" not in str(refused.value)
