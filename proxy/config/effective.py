"""Which settings hold, as an operator would write them? For `check` and for the log line of a start.

It must never show a secret: what is secret reads `[redacted]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from proxy.config import units
from proxy.config.catalogue import SETTINGS
from proxy.config.credential_sources import (
    AwsSource,
    CommandSource,
    CredentialsFileSource,
    CredentialSource,
    EnvironmentSource,
    FilesSource,
    VaultAppRole,
    VaultAuth,
    VaultKubernetes,
    VaultSource,
    VaultToken,
)
from proxy.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.config.settings import Settings


def effective(settings: Settings) -> dict[str, str]:
    """Return variable → text, in the order of the documentation.

    What is not set and has no default is left out. Nor is PROXY_CONFIG_FILE in it: what it says is.
    """
    shown = {variable: _text(variable, value) for variable, value in _values(settings).items() if value is not None}
    return {variable: shown[variable] for variable in SETTINGS if variable in shown}


def _values(settings: Settings) -> dict[str, object]:
    egress = settings.egress_proxy
    proof = "[redacted]@" if egress is not None and egress.authorization is not None else ""
    hosts = settings.allowed_hosts
    return {
        **_credentials(settings.credentials),
        "LOCALPAYMENT_CREDENTIALS_INTERVAL": settings.credentials_interval,
        "LOCALPAYMENT_ENVIRONMENT": settings.environment,
        "LOCALPAYMENT_BASE_URL": settings.origin,
        "PROXY_LISTEN": settings.listen,
        "PROXY_ADMIN_LISTEN": settings.admin_listen,
        "PROXY_ALLOW_REMOTE": str(settings.allow_remote).lower(),
        "PROXY_ALLOWED_HOSTS": None if hosts is None else ",".join(sorted(hosts)),
        "PROXY_POLICY_FILE": settings.policy_file,
        "PROXY_MAX_IN_FLIGHT": settings.max_in_flight,
        "PROXY_TLS_CERT_FILE": settings.tls_cert_file,
        "PROXY_TLS_KEY_FILE": settings.tls_key_file,
        "PROXY_TLS_CLIENT_CA_FILE": settings.tls_client_ca_file,
        "PROXY_REQUIRED_HEADER": settings.required_header,
        "PROXY_ALLOW_BROWSERS": str(settings.allow_browsers).lower(),
        "PROXY_MAX_CONNECTIONS": settings.max_connections,
        "PROXY_REDACT_ECHOES": str(settings.redact_echoes).lower(),
        "PROXY_SANDBOX": settings.sandbox,
        "PROXY_EVENT_LOOP": settings.event_loop,
        "PROXY_MAX_REQUEST_BODY": settings.max_request_body,
        "PROXY_REPLAY_BUFFER": settings.replay_buffer,
        "PROXY_CONNECT_TIMEOUT": settings.connect_timeout,
        "PROXY_RESPONSE_TIMEOUT": settings.response_timeout,
        "PROXY_IDLE_TIMEOUT": settings.idle_timeout,
        "PROXY_TOKEN_WAIT": settings.token_wait,
        "PROXY_TOKEN_TIMEOUT": settings.token_timeout,
        "PROXY_HEADER_TIMEOUT": settings.header_timeout,
        "PROXY_EFFECTS_IDLE": settings.effects_idle,
        "PROXY_MAX_CONNECTION_AGE": settings.max_connection_age,
        "PROXY_CHECK_FROM_BODY": str(settings.check_from_body).lower(),
        "PROXY_SERVER_TIMING": str(settings.server_timing).lower(),
        "PROXY_DRAIN_DELAY": settings.drain_delay,
        "PROXY_DRAIN_TIMEOUT": settings.drain_timeout,
        "PROXY_UPSTREAM_CA_FILE": settings.upstream_ca_file,
        "PROXY_EGRESS_PROXY": None if egress is None else str(egress).replace("://", f"://{proof}"),
        "PROXY_LOG_LEVEL": settings.log_level,
        "PROXY_LOG_FORMAT": settings.log_format,
        "PROXY_AUDIT_LOG": settings.audit_log,
        "PROXY_AUDIT_KEY_FILE": settings.audit_key_file,
        "PROXY_OTEL_ENDPOINT": settings.otel_endpoint,
        "PROXY_OTEL_HEADERS_FILE": settings.otel_headers_file,
        "PROXY_ADMIN_KEY_FILE": settings.admin_key_file,
    }


def _credentials(source: CredentialSource) -> dict[str, object]:
    match source:
        case (
            EnvironmentSource(username=username, password=password) | FilesSource(username=username, password=password)
        ):
            return dict((_either("LOCALPAYMENT_USERNAME", username), _either("LOCALPAYMENT_PASSWORD", password)))
        case CredentialsFileSource(path=path):
            return {"LOCALPAYMENT_CREDENTIALS_FILE": path}
        case CommandSource(argv=argv):
            hidden = " [redacted]" if argv[1:] else ""
            return {"LOCALPAYMENT_CREDENTIALS_COMMAND": f"{argv[0]}{hidden}"}
        case VaultSource():
            return {
                "LOCALPAYMENT_VAULT_ADDR": source.origin,
                "LOCALPAYMENT_VAULT_PATH": source.path,
                "LOCALPAYMENT_VAULT_MOUNT": source.mount,
                "LOCALPAYMENT_VAULT_NAMESPACE": source.namespace,
                "LOCALPAYMENT_VAULT_CA_FILE": source.ca_file,
                **_vault_login(source.auth),
            }
        case AwsSource(secret=secret, region=region, endpoint=endpoint):
            return {
                "LOCALPAYMENT_AWS_SECRET": secret,
                "LOCALPAYMENT_AWS_REGION": region,
                "LOCALPAYMENT_AWS_ENDPOINT": endpoint,
            }
        case never:
            assert_never(never)


def _vault_login(auth: VaultAuth) -> dict[str, object]:
    match auth:
        case VaultToken(token=token):
            return dict((_either("LOCALPAYMENT_VAULT_TOKEN", token),))
        case VaultAppRole(mount=mount, role_id=role_id, secret_id=secret_id):
            variable, value = _either("LOCALPAYMENT_VAULT_SECRET_ID", secret_id)
            return {
                "LOCALPAYMENT_VAULT_ROLE_ID": role_id, variable: value, "LOCALPAYMENT_VAULT_AUTH_MOUNT": mount,
            }  # fmt: skip
        case VaultKubernetes(mount=mount, role=role, jwt_file=jwt_file):
            return {
                "LOCALPAYMENT_VAULT_ROLE": role,
                "LOCALPAYMENT_VAULT_JWT_FILE": jwt_file,
                "LOCALPAYMENT_VAULT_AUTH_MOUNT": mount,
            }
        case never:
            assert_never(never)


def _either(variable: str, value: Secret | Path) -> tuple[str, object]:
    return (variable if isinstance(value, Secret) else f"{variable}_FILE"), value


def _text(variable: str, value: object) -> str:
    match value:
        case float():
            return units.duration_text(value)
        case int() if SETTINGS[variable].kind.startswith("size"):
            return units.size_text(value)
        case _:
            return str(value)
