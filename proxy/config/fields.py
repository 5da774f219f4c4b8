"""How is each setting read on its own? One pydantic field each, named as in the TOML file; None is not set.

What pydantic says of a mistake holds its input, so nothing of a ValidationError but its kind leaves `proxy.config`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field, PlainValidator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from proxy.config import files, managers, pair, parsing, units
from proxy.config.addresses import Collector, EgressProxy, Listen, Origin
from proxy.config.collector import collector, read_headers
from proxy.config.required_header import RequiredHeader, required_header
from proxy.config.secret_text import secret_text
from proxy.config.settings import Environment
from proxy.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _secret(value: object) -> Secret:
    if not isinstance(value, Secret):
        message = "must be a text: put it in quotes"
        raise ValueError(message)  # noqa: TRY004 - pydantic collects ValueErrors only
    return secret_text(value.reveal())


Seconds = Annotated[float, PlainValidator(units.positive_duration)]
SecondsOrNone = Annotated[float, PlainValidator(units.duration)]
Bytes = Annotated[int, PlainValidator(units.positive_size)]
BytesOrNone = Annotated[int, PlainValidator(units.size)]
SecretText = Annotated[Secret, PlainValidator(_secret)]
PairPath = Annotated[Path, PlainValidator(files.checked(pair.read_pair))]
Name = Annotated[str, PlainValidator(managers.name)]
VaultPath = Annotated[str, PlainValidator(managers.vault_path)]
SecretPath = Annotated[Path, PlainValidator(files.checked(files.read_secret))]
TextPath = Annotated[Path, PlainValidator(files.checked(files.read_file))]
CertificatesPath = Annotated[Path, PlainValidator(files.checked(files.read_certificates))]
Address = Annotated[Listen, PlainValidator(parsing.listen)]


class Fields(BaseSettings):
    """The settings as far as each can be judged alone; those with a default in the catalogue are never None."""

    model_config = SettingsConfigDict(
        arbitrary_types_allowed=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    localpayment_environment: Annotated[Environment, BeforeValidator(_lower)] | None = None
    localpayment_base_url: Annotated[Origin, PlainValidator(parsing.origin)] | None = None
    localpayment_username: SecretText | None = None
    localpayment_username_file: SecretPath | None = None
    localpayment_password: SecretText | None = None
    localpayment_password_file: SecretPath | None = None
    localpayment_credentials_file: PairPath | None = None
    localpayment_credentials_command: Annotated[tuple[str, ...], PlainValidator(managers.argv)] | None = None
    localpayment_vault_addr: Annotated[Origin, PlainValidator(parsing.origin)] | None = None
    localpayment_vault_path: VaultPath | None = None
    localpayment_vault_mount: VaultPath
    localpayment_vault_namespace: VaultPath | None = None
    localpayment_vault_ca_file: CertificatesPath | None = None
    localpayment_vault_token: SecretText | None = None
    localpayment_vault_token_file: SecretPath | None = None
    localpayment_vault_role_id: Name | None = None
    localpayment_vault_secret_id: SecretText | None = None
    localpayment_vault_secret_id_file: SecretPath | None = None
    localpayment_vault_role: Name | None = None
    localpayment_vault_jwt_file: SecretPath | None = None
    localpayment_vault_auth_mount: VaultPath | None = None
    localpayment_aws_secret: Annotated[str, PlainValidator(managers.aws_secret)] | None = None
    localpayment_aws_region: Name | None = None
    localpayment_aws_endpoint: Annotated[Origin, PlainValidator(parsing.origin)] | None = None
    localpayment_credentials_interval: Seconds | None = None
    proxy_listen: Address
    proxy_admin_listen: Address
    proxy_allow_remote: bool
    proxy_allowed_hosts: Annotated[frozenset[str], PlainValidator(parsing.hosts)] | None = None
    proxy_policy_file: TextPath | None = None
    proxy_max_in_flight: Annotated[int, Field(ge=1, le=100_000)]
    proxy_tls_cert_file: CertificatesPath | None = None
    proxy_tls_key_file: SecretPath | None = None
    proxy_tls_client_ca_file: CertificatesPath | None = None
    proxy_required_header: Annotated[RequiredHeader, PlainValidator(required_header)] | None = None
    proxy_allow_browsers: bool
    proxy_max_connections: Annotated[int, Field(ge=1, le=100_000)]
    proxy_redact_echoes: bool
    proxy_sandbox: Annotated[Literal["auto", "off"], BeforeValidator(_lower)]
    proxy_event_loop: Annotated[Literal["uvloop", "asyncio"], BeforeValidator(_lower)]
    proxy_max_request_body: Bytes
    proxy_replay_buffer: BytesOrNone
    proxy_connect_timeout: Seconds
    proxy_response_timeout: Seconds
    proxy_idle_timeout: Seconds
    proxy_token_wait: Seconds
    proxy_token_timeout: Seconds
    proxy_header_timeout: Seconds
    proxy_effects_idle: SecondsOrNone
    proxy_check_from_body: bool
    proxy_server_timing: bool
    proxy_drain_delay: SecondsOrNone
    proxy_drain_timeout: SecondsOrNone
    proxy_upstream_ca_file: CertificatesPath | None = None
    proxy_egress_proxy: Annotated[EgressProxy, PlainValidator(parsing.egress_proxy)] | None = None
    proxy_log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)]
    proxy_log_format: Annotated[Literal["json", "console"], BeforeValidator(_lower)] | None = None
    proxy_audit_log: Annotated[Path | Literal["stdout"], PlainValidator(parsing.audit_log)] | None = None
    proxy_audit_key_file: SecretPath | None = None
    proxy_otel_endpoint: Annotated[Collector, PlainValidator(collector)] | None = None
    proxy_otel_headers_file: Annotated[Path, PlainValidator(files.checked(read_headers))] | None = None
    proxy_admin_key_file: SecretPath | None = None


class Layer(PydanticBaseSettingsSource):
    """One place that settings come from: key → value. pydantic-settings merges layers, the first one wins."""

    def __init__(self, values: Mapping[str, object]) -> None:
        super().__init__(Fields)
        self._values = dict(values)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[object, str, bool]:
        """Return a value, its key, and that it is no JSON."""
        del field
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, object]:
        """Return every value there is."""
        return self._values
