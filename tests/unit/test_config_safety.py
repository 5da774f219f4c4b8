"""Settings about who gets in: each is read strictly, and what belongs together must be there together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.config import SettingsError, load_settings
from proxy.config.addresses import RequiredHeader
from proxy.config.declared_settings import effective
from proxy.config.parsing import required_header
from tests.support.callers import Certificates

if TYPE_CHECKING:
    from pathlib import Path

SANDBOX = {
    "LOCALPAYMENT_ENVIRONMENT": "sandbox",
    "LOCALPAYMENT_USERNAME": "name",
    "LOCALPAYMENT_PASSWORD": "word",
}


def objections(**environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings({**SANDBOX, **environ})
    return [str(problem) for problem in caught.value.problems]


def test_without_them_nobody_is_let_in_who_should_not_be() -> None:
    settings = load_settings(SANDBOX)
    assert (settings.tls_cert_file, settings.tls_key_file, settings.tls_client_ca_file) == (None, None, None)
    assert (settings.required_header, settings.allow_browsers, settings.redact_echoes) == (None, False, False)
    assert (settings.max_connections, settings.hardening) == (4096, "auto")


def test_they_are_read_and_shown_as_they_were_written(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    written = {
        "PROXY_TLS_CERT_FILE": str(certificates.cert_file),
        "PROXY_TLS_KEY_FILE": str(certificates.key_file),
        "PROXY_TLS_CLIENT_CA_FILE": str(certificates.ca_file),
        "PROXY_REQUIRED_HEADER": "X-Internal: yes",
        "PROXY_ALLOW_BROWSERS": "true",
        "PROXY_MAX_CONNECTIONS": "10",
        "PROXY_REDACT_ECHOES": "true",
        "PROXY_HARDENING": "off",
    }
    settings = load_settings({**SANDBOX, **written})
    assert settings.required_header == RequiredHeader("X-Internal", "yes")
    assert (settings.max_connections, settings.hardening) == (10, "off")
    assert written.items() <= effective(settings).items()


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("X-Internal: yes", "X-Internal", "yes"),
        (" Metadata-Flavor :Google ", "Metadata-Flavor", "Google"),
        ("X-A: b: c", "X-A", "b: c"),
        ("x: two words", "x", "two words"),
    ],
)
def test_a_required_header_is_a_name_and_a_value(text: str, name: str, value: str) -> None:
    assert required_header(text) == RequiredHeader(name, value)
    assert str(required_header(text)) == f"{name}: {value}"


@pytest.mark.parametrize(
    "text", ["", "X-Internal", "X-Internal:", ": yes", "X Internal: yes", "X-A: é", "X-A: a\tb", 7]
)
def test_what_is_no_header_is_refused_with_an_example(text: object) -> None:
    with pytest.raises(ValueError, match="such as X-Internal: yes"):
        required_header(text)


@pytest.mark.parametrize(
    "name", ["Host", "content-type", "AUTHORIZATION", "X-Capture", "x_capture", "Proxy-Authorization", "Sec-Fetch-Site"]
)
def test_a_field_that_says_something_of_the_call_cannot_be_required(name: str) -> None:
    with pytest.raises(ValueError, match="choose a name of your own"):
        required_header(f"{name}: yes")


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"PROXY_TLS_CERT_FILE"}, {"PROXY_TLS_KEY_FILE"}),
        ({"PROXY_TLS_KEY_FILE"}, {"PROXY_TLS_CERT_FILE"}),
        ({"PROXY_TLS_CLIENT_CA_FILE"}, {"PROXY_TLS_CERT_FILE", "PROXY_TLS_KEY_FILE"}),
        ({"PROXY_TLS_CERT_FILE", "PROXY_TLS_CLIENT_CA_FILE"}, {"PROXY_TLS_KEY_FILE"}),
    ],
)
def test_what_tls_needs_must_be_there_together(given: set[str], missing: set[str], tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    files = {
        "PROXY_TLS_CERT_FILE": str(certificates.cert_file),
        "PROXY_TLS_KEY_FILE": str(certificates.key_file),
        "PROXY_TLS_CLIENT_CA_FILE": str(certificates.ca_file),
    }
    found = objections(**{name: files[name] for name in given})
    assert {text.partition(":")[0] for text in found} == missing
    assert all("required beside" in text for text in found)


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [
        ("PROXY_MAX_CONNECTIONS", "0", "must be at least 1"),
        ("PROXY_MAX_CONNECTIONS", "many", "write a whole number"),
        ("PROXY_ALLOW_BROWSERS", "perhaps", "write true or false"),
        ("PROXY_HARDENING", "on", "write auto or off"),
        ("PROXY_REQUIRED_HEADER", "yes", "write a name and a value"),
        ("PROXY_TLS_CERT_FILE", "/none", "there is no such file"),
    ],
)
def test_a_wrong_value_is_told_with_the_right_form(variable: str, value: str, text: str) -> None:
    assert any(line.startswith(f"{variable}={value}: ") and text in line for line in objections(**{variable: value}))


def test_a_required_header_has_a_value_that_any_client_can_send() -> None:
    assert required_header("X-Internal: " + 256 * "y").value == 256 * "y"
    with pytest.raises(ValueError, match="at most 256"):
        required_header("X-Internal: " + 257 * "y")
