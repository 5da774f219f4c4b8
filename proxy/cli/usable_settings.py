"""Loads the settings and tries the files they name: finds without listening what `serve` would refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.config import Problem, SettingsError, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proxy.config import Settings

POLICY_FILE = "PROXY_POLICY_FILE"
CA_FILE = "PROXY_UPSTREAM_CA_FILE"
OTEL_ENDPOINT = "PROXY_OTEL_ENDPOINT"


def usable_settings(environ: Mapping[str, str]) -> Settings:
    """Load the settings, and try the files that they name.

    Raises:
        SettingsError: something is wrong; it names every mistake there is.
    """
    settings = load_settings(environ)
    judges = (_policy_problems, _ca_problems, _certificate_problems, _tracing_problems)
    if problems := tuple(problem for judge in judges for problem in judge(settings)):
        raise SettingsError(problems)
    return settings


def _policy_problems(settings: Settings) -> Iterator[Problem]:
    """Yield every mistake in the policy file."""
    if settings.policy_file is None:
        return
    from proxy.policy.file import PolicyFileError, read_policy  # noqa: PLC0415 - needed by this branch alone

    try:
        read_policy(settings.policy_file)
    except PolicyFileError as error:
        for finding in error.findings:
            yield Problem(POLICY_FILE, str(settings.policy_file), str(finding))


def _ca_problems(settings: Settings) -> Iterator[Problem]:
    """Yield what OpenSSL says against the CA file."""
    if settings.upstream_ca_file is None:
        return
    from proxy.upstream.tls import tls_context  # noqa: PLC0415 - asyncio and ssl, needed by this branch alone

    try:
        tls_context(settings.upstream_ca_file)
    except ValueError:
        text = "OpenSSL can read no certificate in it: name a PEM file of CA certificates"
        yield Problem(CA_FILE, str(settings.upstream_ca_file), text)


def _certificate_problems(settings: Settings) -> Iterator[Problem]:
    """Yield what speaks against the certificates for callers."""
    if settings.tls_cert_file is None:
        return
    from proxy.relay.server.tls import CertificateError, caller_tls  # noqa: PLC0415 - as above

    try:
        caller_tls(settings)
    except CertificateError as error:
        yield Problem(error.setting, str(error.path), error.text)


def _tracing_problems(settings: Settings) -> Iterator[Problem]:
    """Yield what keeps traces from being exported."""
    if settings.otel_endpoint is None:
        return
    from proxy.ops.tracing.exporter import TracingError, exporter_class  # noqa: PLC0415 - as above

    try:
        exporter_class()
    except TracingError as error:
        yield Problem(OTEL_ENDPOINT, str(settings.otel_endpoint), str(error))
