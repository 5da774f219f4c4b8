"""Reads the credentials from AWS Secrets Manager, with botocore in a thread; the extra `aws` installs it.

botocore is imported when a secret of AWS is configured, and only then. It logs answers, secrets included, at debug:
that is switched off here.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, NoReturn

from proxy.config.files import UnusableContentError, pair_in_text
from proxy.credentials.model import MANAGER_INTERVAL, Credentials, CredentialSourceError, Source
from proxy.process.child_reaper import own_children
from proxy.secret import Secret

if TYPE_CHECKING:
    from proxy.config import AwsSource

CONNECT_TIMEOUT: Final = 5  # seconds
READ_TIMEOUT: Final = 10  # seconds
ATTEMPTS: Final = 3

_FIXES: Final = {
    "ResourceNotFoundException": "there is no such secret in this account and region: check name and region",
    "AccessDeniedException": "permission denied: allow secretsmanager:GetSecretValue on it, and kms:Decrypt on its key",
    "DecryptionFailure": "its KMS key cannot be used: allow kms:Decrypt",
    "InvalidRequestException": "it cannot be read, or is marked for deletion: look at it in Secrets Manager",
    "UnrecognizedClientException": "AWS does not know these AWS credentials: check them and the region",
    "InvalidSignatureException": "AWS refused the signature: check the AWS credentials and this machine's clock",
    "ExpiredTokenException": "the AWS credentials have expired: renew them",
}


class SecretsManager(Source):
    """One secret, whose text is JSON with username and password; its current version is read."""

    def __init__(self, config: AwsSource, interval: float | None = None) -> None:
        self.interval = MANAGER_INTERVAL if interval is None else interval
        self._config = config
        self._client: Any = None

    async def load(self) -> Credentials:
        """Read the secret, off the event loop."""
        return await asyncio.to_thread(self._read)

    def describe(self) -> str:
        """Name the secret."""
        return f"AWS secret {self._config.secret}"

    def _read(self) -> Credentials:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - an extra, of 34 MiB in memory

        try:
            with own_children():  # a profile may name a program that gives the AWS credentials
                answer = self._open().get_secret_value(SecretId=self._config.secret)
        except ClientError as error:
            # The message may name accounts and roles; the code is from a closed set.
            code = str(error.response.get("Error", {}).get("Code", "unknown"))
            self._fail(_FIXES.get(code, f"AWS answered with the error {code}"))
        except Exception as error:  # noqa: BLE001 - botocore's parsers raise what no base class of its own covers
            self._fail(_reason(error))
        return self._credentials(answer)

    def _open(self) -> Any:  # noqa: ANN401 - botocore makes its clients at run time and types none of them
        if self._client is None:
            import botocore.session  # noqa: PLC0415 - the same
            from botocore.config import Config  # noqa: PLC0415 - the same

            logging.getLogger("botocore").setLevel(logging.WARNING)
            endpoint = self._config.endpoint
            self._client = botocore.session.get_session().create_client(
                "secretsmanager",
                region_name=self._config.region or region_in(self._config.secret),
                endpoint_url=None if endpoint is None else str(endpoint),
                config=Config(
                    connect_timeout=CONNECT_TIMEOUT,
                    read_timeout=READ_TIMEOUT,
                    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
                ),
            )
        return self._client

    def _credentials(self, answer: dict[str, Any]) -> Credentials:
        text = answer.get("SecretString")
        if not isinstance(text, str):
            self._fail("it is binary: store a JSON text with username and password")
        try:
            pair = pair_in_text(Secret(text))
        except UnusableContentError as error:
            self._fail(str(error))
        return Credentials(*pair)

    def _fail(self, reason: str) -> NoReturn:
        message = f"{self.describe()}: {reason}"
        raise CredentialSourceError(message) from None


def region_in(secret: str) -> str | None:
    """Return the region of an ARN (arn:partition:service:region:account:…), or None for a name."""
    parts = secret.split(":")
    return parts[3] or None if parts[0] == "arn" and len(parts) > len(("arn", "partition", "service")) else None


def _reason(error: Exception) -> str:
    """Translate what botocore raises before there is an answer; its texts may quote configuration."""
    match type(error).__name__:
        case "NoCredentialsError" | "PartialCredentialsError" | "CredentialRetrievalError" | "ProfileNotFound":
            return (
                "there are no AWS credentials: give the pod or machine a role, or set AWS_ACCESS_KEY_ID and its secret"
            )
        case "NoRegionError" | "InvalidRegionError":
            return "no region is known: set LOCALPAYMENT_AWS_REGION"
        case "EndpointConnectionError" | "ConnectTimeoutError" | "ReadTimeoutError" | "ConnectionClosedError":
            return "AWS cannot be reached: check the network and LOCALPAYMENT_AWS_ENDPOINT"
        case "SSLError":
            return "no trusted TLS connection to AWS: check the certificates"
        case name:
            return f"the AWS library failed ({name})"
