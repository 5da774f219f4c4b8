"""Which source of credentials do settings without a problem name?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from proxy.config.account_settings import SERVICE_ACCOUNT_TOKEN
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
    from proxy.config.fields import Fields

Value = TypeVar("Value")


def chosen_source(fields: Fields) -> CredentialSource:
    """Return the one source that `source_rules` has let through."""
    if fields.localpayment_credentials_file is not None:
        return CredentialsFileSource(fields.localpayment_credentials_file)
    if fields.localpayment_credentials_command is not None:
        return CommandSource(fields.localpayment_credentials_command)
    if fields.localpayment_vault_addr is not None:
        return VaultSource(
            origin=fields.localpayment_vault_addr,
            mount=fields.localpayment_vault_mount,
            path=_there(fields.localpayment_vault_path),
            namespace=fields.localpayment_vault_namespace,
            ca_file=fields.localpayment_vault_ca_file,
            auth=_vault_auth(fields),
        )
    if fields.localpayment_aws_secret is not None:
        region, endpoint = fields.localpayment_aws_region, fields.localpayment_aws_endpoint
        return AwsSource(fields.localpayment_aws_secret, region, endpoint)
    username = _either(fields.localpayment_username, fields.localpayment_username_file)
    password = _either(fields.localpayment_password, fields.localpayment_password_file)
    if isinstance(username, Secret) and isinstance(password, Secret):
        return EnvironmentSource(username, password)
    return FilesSource(username, password)


def _vault_auth(fields: Fields) -> VaultAuth:
    mount = fields.localpayment_vault_auth_mount
    if fields.localpayment_vault_role is not None:
        jwt_file = fields.localpayment_vault_jwt_file or Path(SERVICE_ACCOUNT_TOKEN)
        return VaultKubernetes(mount or "kubernetes", fields.localpayment_vault_role, jwt_file)
    if fields.localpayment_vault_role_id is not None:
        secret_id = _either(fields.localpayment_vault_secret_id, fields.localpayment_vault_secret_id_file)
        return VaultAppRole(mount or "approle", fields.localpayment_vault_role_id, secret_id)
    return VaultToken(_either(fields.localpayment_vault_token, fields.localpayment_vault_token_file))


def _either(value: Secret | None, file: Path | None) -> Secret | Path:
    return _there(file) if value is None else value


def _there(value: Value | None) -> Value:
    """Return a value that the rules have made sure of."""
    if value is None:
        message = "source_rules has let through half a source"
        raise RuntimeError(message)
    return value
