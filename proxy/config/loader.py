"""Environment + TOML file → Settings, or every mistake at once. With `fields`, the only module that loads pydantic.

No exception that leaves here holds, or is chained to one that holds, what an operator wrote as a secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from proxy.config import cross_checks
from proxy.config.account_settings import SANDBOX_URL
from proxy.config.catalogue import SETTINGS
from proxy.config.chosen_source import chosen_source
from proxy.config.fields import Fields, Layer
from proxy.config.parsing import origin
from proxy.config.settings import Problem, Settings, SettingsError
from proxy.config.source_rules import source_problems
from proxy.config.written import Written, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic_core import ErrorDetails

_DEFAULTS: Final = {setting.key: setting.default for setting in SETTINGS.values() if setting.default is not None}
_IN_WORDS = {
    "bool_parsing": "write true or false",
    "bool_type": "write true or false",
    "int_parsing": "write a whole number, such as 512",
    "int_type": "write a whole number, such as 512",
    "int_from_float": "write a whole number, such as 512",
}


def load(environ: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: there is a mistake; it names all of them.
    """
    written = read(environ)
    fields = _judged_alone(written)
    _judge_together(fields, written)
    if written.problems:
        raise SettingsError(_in_order(written.problems))
    return _settings(fields)


def _in_order(problems: list[Problem]) -> tuple[Problem, ...]:
    """Sort as the documentation does, unknown names last."""
    order = {variable: place for place, variable in enumerate(SETTINGS)}
    return tuple(sorted(problems, key=lambda problem: order.get(problem.variable, len(order))))


def _judged_alone(written: Written) -> Fields:
    """Read every field; one that cannot be read is reported, and then stands as if it were not set."""
    layers: list[dict[str, object]] = [
        {variable.lower(): value for variable, value in layer.items()} for layer in (written.environment, written.file)
    ]
    details: list[ErrorDetails] = []
    while True:
        sources = (*(Layer(layer) for layer in layers), Layer(_DEFAULTS))
        try:
            fields = Fields(_build_sources=(sources, {}))
        except ValidationError as error:
            details = error.errors(include_url=False)
        else:
            return fields
        wrong = {str(detail["loc"][0]): _in_words(detail) for detail in details}
        for key, text in wrong.items():
            written.report(key.upper(), text)
        layers = [{key: value for key, value in layer.items() if key not in wrong} for layer in layers]


def _in_words(detail: ErrorDetails) -> str:
    """Say what is wrong in words of ours; pydantic's own are kept only where they cannot quote the input."""
    context = detail.get("ctx", {})
    match detail["type"]:
        case "value_error":
            return str(context["error"])
        case "enum" | "literal_error":
            return f"write {context['expected'].replace(chr(39), '')}"
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case kind:
            return _IN_WORDS.get(kind, "cannot be read: docs/settings.md says how to write it")


def _judge_together(fields: Fields, written: Written) -> None:
    for involved, found in _rules(fields, written.variables):
        if not written.reported.intersection(involved):
            # What is missing may stand in a settings file that could not be read.
            known = written.variables
            written.problems += [problem for problem in found if written.complete or problem.variable in known]


def _rules(fields: Fields, written: frozenset[str]) -> Iterator[tuple[tuple[str, ...], Iterator[Problem]]]:
    """Return each rule with the settings that have to be right before it can be applied."""
    if fields.localpayment_environment is None:
        text = "required: write sandbox or production"
        yield ("LOCALPAYMENT_ENVIRONMENT",), iter([Problem("LOCALPAYMENT_ENVIRONMENT", None, text)])
    else:
        found = cross_checks.origin_problems(fields.localpayment_environment, fields.localpayment_base_url)
        yield ("LOCALPAYMENT_ENVIRONMENT", "LOCALPAYMENT_BASE_URL"), found
    yield (), source_problems(written)
    for variable, address in (("PROXY_LISTEN", fields.proxy_listen), ("PROXY_ADMIN_LISTEN", fields.proxy_admin_listen)):
        found = cross_checks.remote_problem(variable, address, allow_remote=fields.proxy_allow_remote)
        yield (variable, "PROXY_ALLOW_REMOTE"), found
    found = cross_checks.shared_address_problem(fields.proxy_listen, fields.proxy_admin_listen)
    yield ("PROXY_LISTEN", "PROXY_ADMIN_LISTEN"), found
    files = (fields.proxy_tls_cert_file, fields.proxy_tls_key_file, fields.proxy_tls_client_ca_file)
    yield cross_checks.TLS_FILES, cross_checks.tls_problems(*files)
    found = cross_checks.audit_problems(fields.proxy_audit_log, fields.proxy_audit_key_file)
    yield ("PROXY_AUDIT_LOG", "PROXY_AUDIT_KEY_FILE"), found
    found = cross_checks.tracing_problems(fields.proxy_otel_endpoint, fields.proxy_otel_headers_file)
    yield ("PROXY_OTEL_ENDPOINT", "PROXY_OTEL_HEADERS_FILE"), found


def _settings(fields: Fields) -> Settings:
    if fields.localpayment_environment is None:
        message = "settings without an environment have been let through"
        raise RuntimeError(message)
    return Settings(
        environment=fields.localpayment_environment,
        origin=fields.localpayment_base_url or origin(SANDBOX_URL),
        credentials=chosen_source(fields),
        credentials_interval=fields.localpayment_credentials_interval,
        listen=fields.proxy_listen,
        admin_listen=fields.proxy_admin_listen,
        allow_remote=fields.proxy_allow_remote,
        allowed_hosts=fields.proxy_allowed_hosts,
        policy_file=fields.proxy_policy_file,
        max_request_body=fields.proxy_max_request_body,
        replay_buffer=fields.proxy_replay_buffer,
        connect_timeout=fields.proxy_connect_timeout,
        response_timeout=fields.proxy_response_timeout,
        idle_timeout=fields.proxy_idle_timeout,
        token_wait=fields.proxy_token_wait,
        token_timeout=fields.proxy_token_timeout,
        header_timeout=fields.proxy_header_timeout,
        max_in_flight=fields.proxy_max_in_flight,
        tls_cert_file=fields.proxy_tls_cert_file,
        tls_key_file=fields.proxy_tls_key_file,
        tls_client_ca_file=fields.proxy_tls_client_ca_file,
        required_header=fields.proxy_required_header,
        allow_browsers=fields.proxy_allow_browsers,
        max_connections=fields.proxy_max_connections,
        redact_echoes=fields.proxy_redact_echoes,
        sandbox=fields.proxy_sandbox,
        event_loop=fields.proxy_event_loop,
        drain_delay=fields.proxy_drain_delay,
        drain_timeout=fields.proxy_drain_timeout,
        upstream_ca_file=fields.proxy_upstream_ca_file,
        egress_proxy=fields.proxy_egress_proxy,
        log_level=fields.proxy_log_level,
        log_format=fields.proxy_log_format,
        effects_idle=fields.proxy_effects_idle,
        max_connection_age=fields.proxy_max_connection_age,
        check_from_body=fields.proxy_check_from_body,
        server_timing=fields.proxy_server_timing,
        audit_log=fields.proxy_audit_log,
        audit_key_file=fields.proxy_audit_key_file,
        otel_endpoint=fields.proxy_otel_endpoint,
        otel_headers_file=fields.proxy_otel_headers_file,
        admin_key_file=fields.proxy_admin_key_file,
    )
