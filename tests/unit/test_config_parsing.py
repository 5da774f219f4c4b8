"""What an address in a setting means, and how a wrong one is put right."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from proxy.config import Origin, TcpAddress, UnixAddress, parsing
from proxy.secret import Secret

CANARY = "canary-7f3a"


@pytest.mark.parametrize(
    ("text", "written", "authority"),
    [
        ("https://api.stage.localpayment.com", "https://api.stage.localpayment.com", "api.stage.localpayment.com"),
        ("HTTPS://API.Example:443/", "https://api.example", "api.example"),
        ("https://api.example:8443", "https://api.example:8443", "api.example:8443"),
        ("https://[2001:DB8:0::1]:443", "https://[2001:db8::1]", "[2001:db8::1]"),
        ("https://[2001:db8::1]:80", "https://[2001:db8::1]:80", "[2001:db8::1]:80"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000", "127.0.0.1:9000"),
        ("http://localhost", "http://localhost", "localhost"),
        ("http://[::1]:443", "http://[::1]:443", "[::1]:443"),
        ("http://api.localhost:80", "http://api.localhost", "api.localhost"),
    ],
)
def test_an_origin_is_scheme_host_and_port(text: str, written: str, authority: str) -> None:
    origin = parsing.origin(text)
    assert (str(origin), origin.authority) == (written, authority)


def test_an_origin_knows_its_parts() -> None:
    assert parsing.origin("https://api.example") == Origin("api.example", 443, tls=True)
    assert parsing.origin("http://[::1]") == Origin("::1", 80, tls=False)


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("http://api.localpayment.com", "http is accepted to loopback only.*write https://"),
        ("http://127.0.0.1.evil.example", "http is accepted to loopback only"),
        ("http://localhost.evil.example", "http is accepted to loopback only"),
        ("https://api.example/api", "remove the path"),
        ("https://api.example?token=x", "remove everything from"),
        ("https://api.example#x", "remove everything from"),
        ("https://user:secret@api.example", "no user or password"),
        ("https://@api.example", "no user or password"),
        ("ftp://api.example", "must begin with https://"),
        ("api.example", "write it like https://host:port"),
        ("https://", "a host and a port"),
        ("https://api.example:port", "a port from 1 to 65535"),
        ("https://api.example:0", "a port from 1 to 65535"),
        ("https://api.example:65536", "a port from 1 to 65535"),
        ("https://[::1", "a host and a port"),
        ("https://api.example.", "without the dot"),
        ("https://api..example", "neither a DNS name"),
        ("https://bücher.example", "xn--"),
        ("https://a b.example", "white space"),
        ("https://api.example\\@evil.example", "backslash"),
        ("https://api.\texample", "white space"),
        (f"https://{'a' * 64}.example", "neither a DNS name"),
        (f"https://{'a.' * 130}example", "neither a DNS name"),
    ],
)
def test_anything_but_an_origin_is_refused_with_the_fix(text: str, fix: str) -> None:
    with pytest.raises(ValueError, match=fix):
        parsing.origin(text)


def test_every_mistake_of_a_url_is_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"user or password.*remove the path.*query.*loopback only"):
        parsing.origin("http://u:p@api.example/path?query")


def test_a_number_is_no_origin() -> None:
    with pytest.raises(ValueError, match="put it in quotes"):
        parsing.origin(443)


def test_the_user_and_password_of_an_egress_proxy_become_basic_authentication() -> None:
    egress = parsing.egress_proxy(Secret("http://lohengrin:p%40ss%3Aw%C3%B6rd@Proxy.Internal:3128/"))
    assert (egress.host, egress.port) == ("proxy.internal", 3128)
    assert egress.authorization is not None
    scheme, _, proof = egress.authorization.reveal().partition(" ")
    assert (scheme, base64.b64decode(proof).decode()) == ("Basic", "lohengrin:p@ss:wörd")
    assert str(egress) == "http://proxy.internal:3128"
    assert "lohengrin" not in repr(egress)


def test_an_egress_proxy_needs_no_user() -> None:
    egress = parsing.egress_proxy("http://[::1]:3128")
    assert (egress.host, egress.port, egress.authorization) == ("::1", 3128, None)
    assert str(egress) == "http://[::1]:3128"


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        (f"https://u:{CANARY}@proxy.internal:3128", "only an http:// proxy"),
        (f"socks5://u:{CANARY}@proxy.internal:3128", "only an http:// proxy"),
        (f"http://u:{CANARY}@proxy.internal", "name the port"),
        (f"http://u:{CANARY}@proxy.internal:3128/path", "end after the port"),
        (f"http://u:{CANARY}@:3128", "write it like http://proxy.internal:3128"),
        (f"http://u:{CANARY}%FF@proxy.internal:3128", "must be UTF-8"),
        (f"http://u%3A:{CANARY}@proxy.internal:3128", "without a colon"),
        (f"http://u:{CANARY}%0A@proxy.internal:3128", "control characters"),
        (f"http://u:{CANARY}@proxy.internal:{CANARY}", "a port from 1 to 65535"),
    ],
)
def test_a_wrong_egress_proxy_is_refused_without_being_quoted(text: str, fix: str) -> None:
    with pytest.raises(ValueError, match=fix) as caught:
        parsing.egress_proxy(text)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", TcpAddress("127.0.0.1", 8080)),
        ("[::1]:8080", TcpAddress("::1", 8080)),
        ("LOCALHOST:0", TcpAddress("localhost", 0)),
        ("0.0.0.0:65535", TcpAddress("0.0.0.0", 65535)),  # noqa: S104 - parsed, not bound
        ("unix:/run/proxy.sock", UnixAddress(Path("/run/proxy.sock"))),
    ],
)
def test_a_listener_is_a_host_and_port_or_a_socket_and_is_written_as_it_is_read(
    text: str, address: TcpAddress | UnixAddress
) -> None:
    assert parsing.listen(text) == address
    assert parsing.listen(str(address)) == address


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("8080", "write host:port"),
        (":8080", "write host:port"),
        ("http://127.0.0.1:8080", "write host:port"),
        ("*:8080", r"0\.0\.0\.0:8080"),
        ("::1:8080", r"write \[::1\]:8080"),
        ("127.0.0.1:http", "from 1 to 65535, or 0: the kernel chooses a free port"),
        ("127.0.0.1:65536", "a number from 1 to 65535"),
        ("127.0.0.1:\N{ARABIC-INDIC DIGIT EIGHT}", "a number from 1 to 65535"),
        ("127.0.0.1:", "a number from 1 to 65535"),
        ("unix:relative.sock", "absolute path"),
        ("unix:@abstract", "absolute path"),
        ("unix:/run/", "absolute path"),
        ("unix:/" + "a" * 107, "at most 107 bytes"),
    ],
)
def test_anything_else_is_no_listener(text: str, fix: str) -> None:
    with pytest.raises(ValueError, match=fix):
        parsing.listen(text)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost", "a.localhost", "::ffff:127.0.0.1"])
def test_loopback_is_known_by_address_and_by_name(host: str) -> None:
    assert TcpAddress(host, 1).is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "proxy", "127.0.0.1.example"])  # noqa: S104 - not bound
def test_everything_else_is_reachable_from_outside(host: str) -> None:
    assert not TcpAddress(host, 1).is_loopback


def test_hosts_are_lower_case_and_without_ports() -> None:
    assert parsing.hosts(" Proxy.payments.svc , localhost,[::0001]") == {"proxy.payments.svc", "localhost", "[::1]"}
    assert parsing.hosts(["proxy", "192.0.2.1"]) == {"proxy", "192.0.2.1"}


@pytest.mark.parametrize(
    ("value", "fix"),
    [
        ("*", "DNS rebinding"),
        ("proxy:8080", "without scheme and port"),
        ("http://proxy", "without scheme and port"),
        ("a,,b", "neither a DNS name"),
        ([1], "put it in quotes"),
        (1, "put it in quotes"),
    ],
)
def test_a_wrong_host_is_refused(value: object, fix: str) -> None:
    with pytest.raises(ValueError, match=fix):
        parsing.hosts(value)


def test_an_audit_log_is_stdout_or_the_path_of_a_file() -> None:
    assert parsing.audit_log(" stdout ") == "stdout"
    assert parsing.audit_log("/var/log/audit.jsonl") == Path("/var/log/audit.jsonl")
    for text in ("stderr", "/var/log/"):
        with pytest.raises(ValueError, match="write stdout, or the path of a file"):
            parsing.audit_log(text)
