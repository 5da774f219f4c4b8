"""Loads the settings and tries the files they name: finds without listening what `serve` would refuse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from proxy.config import Problem, SettingsError, load_settings
from proxy.config.files import UnusableSettingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proxy.config import Settings

POLICY_FILE = "PROXY_POLICY_FILE"


def usable_settings(environ: Mapping[str, str]) -> Settings:
    """Load the settings, and try the files that they name.

    Raises:
        SettingsError: something is wrong; it names every mistake there is.
    """
    settings = load_settings(environ)
    if problems := tuple(_problems(settings)):
        raise SettingsError(problems)
    return settings


def _problems(settings: Settings) -> Iterator[Problem]:
    """Yield what speaks against files and extras; each is imported only where a setting asks for it."""
    if settings.policy_file is not None:
        from proxy.policy.file import PolicyFileError, read_policy  # noqa: PLC0415 - as said above

        try:
            read_policy(settings.policy_file)
        except PolicyFileError as error:
            for finding in error.findings:
                yield Problem(POLICY_FILE, str(settings.policy_file), str(finding))
    if settings.upstream_ca_file is not None:
        from proxy.upstream.connecting.tls import tls_context  # noqa: PLC0415 - asyncio and ssl

        try:
            tls_context(settings.upstream_ca_file)
        except ValueError:
            text = "OpenSSL can read no certificate in it: name a PEM file of CA certificates"
            yield Problem("PROXY_UPSTREAM_CA_FILE", str(settings.upstream_ca_file), text)
    for attempt in (_try_certificates, _try_admin_key, _try_audit_log, _try_audit_key):
        try:
            attempt(settings)
        except UnusableSettingError as error:
            yield Problem(error.setting, str(error.path), error.text)
    if settings.otel_endpoint is not None:
        from proxy.ops.tracing.exporter import TracingError, exporter_class  # noqa: PLC0415 - as said above

        try:
            exporter_class()
        except TracingError as error:
            yield Problem("PROXY_OTEL_ENDPOINT", str(settings.otel_endpoint), str(error))


def _try_certificates(settings: Settings) -> None:
    if settings.tls_cert_file is not None:
        from proxy.listening.tls import caller_tls  # noqa: PLC0415 - as said above

        caller_tls(settings)


def _try_admin_key(settings: Settings) -> None:
    if settings.admin_key_file is not None:
        from proxy.ops.admin.key_file import admin_key  # noqa: PLC0415 - as said above

        admin_key(settings.admin_key_file)


def _try_audit_log(settings: Settings) -> None:
    if isinstance(settings.audit_log, Path):
        from proxy.ops.logs.audit import try_place  # noqa: PLC0415 - as said above

        try_place(settings.audit_log)


def _try_audit_key(settings: Settings) -> None:
    if settings.audit_key_file is not None:
        from proxy.ops.logs.audit import audit_key  # noqa: PLC0415 - as said above

        audit_key(settings.audit_key_file)
