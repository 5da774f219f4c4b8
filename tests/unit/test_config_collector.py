"""Where traces go is read in one way, and what would send them, or their credential, astray is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.config.files import UnusableContentError, read_headers
from proxy.config.parsing import collector
from tests.support.settings_problems import told

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "canary-77aa"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        (" http://127.0.0.1:4318/ ", "http://127.0.0.1:4318/v1/traces"),
        ("http://otel-collector.monitoring:4318", "http://otel-collector.monitoring:4318/v1/traces"),
        ("https://otlp.example", "https://otlp.example/v1/traces"),
        ("https://otlp.example/otlp/", "https://otlp.example/otlp/v1/traces"),
        ("http://[::1]:4318", "http://[::1]:4318/v1/traces"),
    ],
)
def test_a_collector_is_asked_where_otlp_says(text: str, url: str) -> None:
    assert collector(text).url == url


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("grpc://otlp.example:4317", "must begin with https:// or http://"),
        (f"https://u:{CANARY}@otlp.example", "must hold no user or password: write them into PROXY_OTEL_HEADERS_FILE"),
        ("http://127.0.0.1:4318/v1/traces", "must end before /v1/traces, which is added to it"),
        ("http://127.0.0.1:4318/a%2Fb", "has a path that cannot be used"),
        ("http://127.0.0.1:4318//a", "has a path that cannot be used"),
        (f"https://otlp.example?key={CANARY}", "must hold neither query nor fragment"),
        ("127.0.0.1:4318", "is no URL"),
        (4318, "must be a text"),
    ],
)
def test_anything_else_is_refused_with_the_fix(text: object, fix: str) -> None:
    with pytest.raises(ValueError, match=fix.replace("?", r"\?")) as caught:
        collector(text)
    assert CANARY not in str(caught.value)


def test_fields_are_read_line_by_line_and_their_values_are_secrets(tmp_path: Path) -> None:
    (tmp_path / "fields").write_text(f"Authorization: Bearer {CANARY}\n\n X-Tenant:seven \r\n")
    fields = read_headers(tmp_path / "fields")
    assert [(name, value.reveal()) for name, value in fields] == [
        ("Authorization", f"Bearer {CANARY}"),
        ("X-Tenant", "seven"),
    ]
    assert CANARY not in repr(fields)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"A: b\n{CANARY}", "line 2 is no header field"),
        (f"A {CANARY}: b", "line 1 is no header field"),
        (f"A: {CANARY}\x07", "line 1 is no header field"),
        ("A:", "line 1 is no header field"),
        (f"A: ä{CANARY}", "line 1 is no header field"),
        (f"Content-Type: {CANARY}", "line 1 names a field that the exporter writes itself"),
        ("  ", "the file is empty"),
    ],
)
def test_a_line_that_is_no_field_is_named_and_not_quoted(tmp_path: Path, text: str, line: str) -> None:
    (tmp_path / "fields").write_text(text)
    with pytest.raises(UnusableContentError, match=line) as caught:
        read_headers(tmp_path / "fields")
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:4318", "https://otlp.example", "http://localhost:4318"])
def test_fields_go_over_tls_or_stay_on_this_machine(tmp_path: Path, url: str) -> None:
    (tmp_path / "fields").write_text("A: b")
    assert told(PROXY_OTEL_ENDPOINT=url, PROXY_OTEL_HEADERS_FILE=str(tmp_path / "fields")) == []


def test_fields_in_clear_or_for_nobody_are_refused(tmp_path: Path) -> None:
    (tmp_path / "fields").write_text("A: b")
    file = str(tmp_path / "fields")
    assert told(PROXY_OTEL_HEADERS_FILE=file) == [
        f"PROXY_OTEL_HEADERS_FILE={file}: has no effect without PROXY_OTEL_ENDPOINT: set that, or remove this one"
    ]
    (line,) = told(PROXY_OTEL_ENDPOINT="http://otlp.example:4318", PROXY_OTEL_HEADERS_FILE=file)
    assert line.startswith(f"PROXY_OTEL_HEADERS_FILE={file}: would cross the network in clear to http://otlp.example")
    (line,) = told(PROXY_OTEL_ENDPOINT="otlp", PROXY_OTEL_HEADERS_FILE=file)
    assert line.startswith("PROXY_OTEL_ENDPOINT=otlp: ")
