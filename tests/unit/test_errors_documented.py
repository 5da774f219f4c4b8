"""docs/errors.md and the tree of proxy.errors say the same, and the tree keeps its own promises."""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proxy import errors
from proxy.errors import Outcome, RelayError
from proxy.upstream.model import Obstacle

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
SECTION = re.compile(
    r"^### `(?P<code>\w+)`\n(?P<status>\d{3}) · `(?P<outcome>\w+)` · `(?P<type>\w+)`\n\n(?P<text>.*?)(?=^##|\Z)",
    re.MULTILINE | re.DOTALL,
)

# RFC 9209 section 2.3
PROXY_ERROR_TYPES = (
    "dns_timeout dns_error destination_not_found destination_unavailable destination_ip_prohibited "
    "destination_ip_unroutable connection_refused connection_terminated connection_timeout connection_read_timeout "
    "connection_write_timeout connection_limit_reached tls_protocol_error tls_certificate_error tls_alert_received "
    "http_request_error http_request_denied http_response_incomplete http_response_header_section_size "
    "http_response_header_size http_response_body_size http_response_trailer_section_size "
    "http_response_trailer_size http_response_transfer_coding http_response_content_coding http_response_timeout "
    "http_upgrade_failed http_protocol_error proxy_internal_response proxy_internal_error proxy_configuration_error "
    "proxy_loop_detected"
)


def descendants(kind: type[RelayError]) -> Iterator[type[RelayError]]:
    for child in kind.__subclasses__():
        if child.__module__.startswith(errors.__name__):
            yield child
            yield from descendants(child)


CONCRETE = [kind for kind in descendants(RelayError) if hasattr(kind, "code")]
every_error = pytest.mark.parametrize("kind", CONCRETE, ids=lambda kind: kind.__name__)


@every_error
def test_an_error_states_everything_about_itself(kind: type[RelayError]) -> None:
    assert kind.status in {status.value for status in HTTPStatus if status.value >= 400}
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code)
    assert kind.title[0].isupper()
    assert not kind.title.endswith(".")
    assert kind.outcome in Outcome
    assert isinstance(kind.retryable, bool)
    assert kind.proxy_status in PROXY_ERROR_TYPES.split()
    assert kind.__doc__


def test_what_kept_a_connection_from_coming_about_has_a_type_of_its_own() -> None:
    kinds = {obstacle.proxy_status for obstacle in Obstacle}
    assert kinds <= set(PROXY_ERROR_TYPES.split())
    assert {kind for kind in kinds if f"`{kind}`" not in PAGE.read_text()} == set()


def test_codes_and_titles_are_unique() -> None:
    assert len({kind.code for kind in CONCRETE}) == len(CONCRETE)
    assert len({kind.title for kind in CONCRETE}) == len(CONCRETE)


@every_error
def test_503_and_nothing_else_says_that_nothing_was_sent(kind: type[RelayError]) -> None:
    assert (kind.status == HTTPStatus.SERVICE_UNAVAILABLE) == (kind.outcome is Outcome.NOT_SENT)


@every_error
def test_502_504_and_a_defect_of_ours_say_that_the_outcome_is_unknown(kind: type[RelayError]) -> None:
    unsettled = (HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT, HTTPStatus.INTERNAL_SERVER_ERROR)
    assert (kind.status in unsettled) == (kind.outcome is Outcome.UNKNOWN)


@every_error
def test_a_refusal_is_a_4xx_and_a_4xx_a_refusal(kind: type[RelayError]) -> None:
    assert (400 <= kind.status < 500) == (kind.outcome is Outcome.REJECTED)


@every_error
def test_only_what_was_provably_not_sent_may_be_sent_again(kind: type[RelayError]) -> None:
    assert kind.retryable == (kind.outcome is Outcome.NOT_SENT)


def test_the_page_has_every_code_with_its_status_outcome_and_type_of_proxy_status() -> None:
    told = {
        found["code"]: (int(found["status"]), found["outcome"], found["type"])
        for found in SECTION.finditer(PAGE.read_text())
    }
    tree = {kind.code: (kind.status, kind.outcome.value, kind.proxy_status) for kind in CONCRETE}
    assert told == tree, "docs/errors.md and proxy/errors differ; mend the page"


def test_every_section_says_what_happened_and_what_to_do() -> None:
    sections = {match["code"]: match["text"] for match in SECTION.finditer(PAGE.read_text())}
    assert [code for code, text in sections.items() if "**Cause.**" not in text or "**Do.**" not in text] == []
