"""Every setting is documented, read, and shown."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from proxy.config import Settings, load_settings
from proxy.config.declared_settings import SETTINGS, effective, is_service_link, near_miss
from proxy.config.setting import settings_of
from proxy.reload import RELOADABLE
from tests.generators.settings_page import reference

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_is_what_is_declared() -> None:
    fix = "python -m tests.generators.settings_page > docs/settings.md"
    assert PAGE.read_text(encoding="utf-8") == reference(), f"docs/settings.md is stale: {fix}"


def test_every_field_of_settings_is_one_setting_but_for_what_several_make_up() -> None:
    declared = {field.name: settings_of(field) for field in fields(Settings)}
    assert {name for name, settings in declared.items() if len(settings) != 1} == {"credentials", "warnings"}
    assert all(setting.variable in SETTINGS for settings in declared.values() for setting in settings)


def test_a_setting_is_explained_and_its_default_can_be_read() -> None:
    for setting in SETTINGS.values():
        assert setting.meaning.endswith("."), setting.variable
        if setting.default:
            value = setting.kind.read(setting.default)
            assert setting.kind.read(setting.kind.text(value)) == value, setting.variable


def test_what_a_reload_takes_says_so() -> None:
    rows = [line for line in reference().splitlines() if line.endswith("A reload takes a new value.")]
    taken = {"PROXY_POLICY_FILE", "PROXY_UPSTREAM_CA_FILE", "PROXY_LOG_LEVEL"}
    assert {row.split("`")[1] for row in rows} == taken
    assert {f"PROXY_{name}".upper() for name in RELOADABLE} == taken


def test_printing_the_reference_is_what_the_page_says_it_is() -> None:
    printed = subprocess.run([sys.executable, "-m", "tests.generators.settings_page"], capture_output=True, check=True)
    assert printed.stdout.decode() == reference()


def test_reading_settings_takes_the_standard_library_alone_and_no_library_of_a_source() -> None:
    code = (
        "import sys, tests.generators.settings_page, proxy.credentials.sources\n"
        "source = {'LOCALPAYMENT_CREDENTIALS_COMMAND': 'true'}\n"
        "proxy.config.load_settings({'LOCALPAYMENT_ENVIRONMENT': 'sandbox', **source})\n"
        "heavy = {'pydantic', 'pydantic_core', 'aiohttp', 'botocore', 'structlog'} & sys.modules.keys()\n"
        "sys.exit(' '.join(heavy) or 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_effective_settings_are_texts_that_mean_the_same_settings() -> None:
    written = {
        "LOCALPAYMENT_ENVIRONMENT": "production",
        "LOCALPAYMENT_BASE_URL": "https://api.example:8443",
        "LOCALPAYMENT_USERNAME": "name",
        "LOCALPAYMENT_PASSWORD": "word",
        "PROXY_LISTEN": "unix:/run/proxy.sock",
        "PROXY_ALLOWED_HOSTS": "b,a",
        "PROXY_REPLAY_BUFFER": "0B",
        "PROXY_TOKEN_WAIT": "750ms",
        "PROXY_LOG_FORMAT": "json",
        "PROXY_EGRESS_PROXY": "http://proxy.internal:3128",
    }
    settings = load_settings(written)
    shown = effective(settings)
    assert [name for name in shown if name in written] == [name for name in SETTINGS if name in written]
    assert shown["PROXY_ALLOWED_HOSTS"] == "a,b"
    assert shown["PROXY_MAX_REQUEST_BODY"] == "32MiB"
    assert shown["LOCALPAYMENT_PASSWORD"] == "[redacted]"
    assert load_settings(shown | {key: written[key] for key in written if shown[key] == "[redacted]"}) == settings


def test_effective_settings_hold_no_secret_of_the_egress_proxy(tmp_path: Path) -> None:
    (tmp_path / "word").write_text("canary")
    settings = load_settings(
        {
            "LOCALPAYMENT_ENVIRONMENT": "sandbox",
            "LOCALPAYMENT_USERNAME": "canary",
            "LOCALPAYMENT_PASSWORD_FILE": str(tmp_path / "word"),
            "PROXY_EGRESS_PROXY": "http://canary:canary@proxy.internal:3128",
        }
    )
    shown = effective(settings)
    assert "canary" not in repr(shown) + repr(settings)
    assert shown["PROXY_EGRESS_PROXY"] == "http://[redacted]@proxy.internal:3128"
    assert shown["LOCALPAYMENT_USERNAME"] == "[redacted]"
    assert shown["LOCALPAYMENT_PASSWORD_FILE"] == str(tmp_path / "word")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LOCALPAYMENT_PASSWROD", "LOCALPAYMENT_PASSWORD"),
        ("PROXY_USERNAME", "LOCALPAYMENT_USERNAME"),
        ("LOCALPAYMENT_LISTEN", "PROXY_LISTEN"),
        ("proxy_listen", "PROXY_LISTEN"),
        ("listen", "PROXY_LISTEN"),
        ("PROXY_CONNECTION_TIMEOUT", "PROXY_CONNECT_TIMEOUT"),
        ("PROXY_COLOUR", None),
    ],
)
def test_a_wrong_name_is_answered_with_the_one_that_was_meant(name: str, meant: str | None) -> None:
    assert near_miss(name) == meant


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PROXY_SERVICE_HOST", "10.0.0.1"),
        ("PROXY_SERVICE_PORT", "8080"),
        ("PROXY_SERVICE_PORT_HTTP", "8080"),
        ("PROXY_PORT", "tcp://10.0.0.1:8080"),
        ("LOCALPAYMENT_PROXY_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("LOCALPAYMENT_PROXY_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("LOCALPAYMENT_PROXY_PORT_53_UDP_PROTO", "udp"),
    ],
)
def test_what_kubernetes_adds_for_services_is_no_setting(variable: str, value: str) -> None:
    assert is_service_link(variable, value)


@pytest.mark.parametrize(("variable", "value"), [("PROXY_PORT", "8080"), ("PROXY_HOST", "tcp://10.0.0.1:8080")])
def test_what_a_person_may_have_meant_as_a_setting_stays_one(variable: str, value: str) -> None:
    assert not is_service_link(variable, value)


def test_every_setting_is_one_line_with_its_form_and_meaning() -> None:
    entry = re.compile(r"- \*\*`(\w+)`\*\* \(.+?\): [A-Z`].+\.")
    lines = [line for line in reference().splitlines() if line.startswith("- ")]
    assert [found[1] if (found := entry.fullmatch(line)) else line for line in lines] == list(SETTINGS)
