"""Credentials from AWS Secrets Manager: botocore against moto's HTTP server, in a process of its own."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.exceptions import BotoCoreError, NoRegionError, ReadTimeoutError, SSLError

from proxy.config import AwsSource, Origin
from proxy.credentials import aws
from proxy.credentials.aws import SecretsManager, region_in
from proxy.credentials.model import Credentials
from proxy.credentials.sources import CredentialSourceError, open_source
from proxy.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = "canary-7f3a"
REGION = "eu-west-1"
PAIR = json.dumps({"username": "name", "password": f"word-{MARK}"})
GIVEN = Credentials(Secret("name"), Secret(f"word-{MARK}"))
SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Origin]:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield Origin("127.0.0.1", int(process.stdout.readline()), tls=False)
        process.communicate(timeout=30)


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account of moto's, and nothing of the tester's own."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/absent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/absent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", MARK)


@pytest.fixture
def manager(endpoint: Origin) -> Any:
    """A client that writes what the product reads."""
    return botocore.session.get_session().create_client(
        "secretsmanager", region_name=REGION, endpoint_url=str(endpoint)
    )


async def refusal(config: AwsSource) -> str:
    with pytest.raises(CredentialSourceError) as caught:
        await open_source(config).load()
    assert MARK not in str(caught.value)
    return str(caught.value)


async def test_the_current_version_of_a_secret_is_read_each_time(endpoint: Origin, manager: Any) -> None:
    manager.create_secret(Name="payments/rotated", SecretString=PAIR)
    source = open_source(AwsSource("payments/rotated", REGION, endpoint))
    assert await source.load() == GIVEN
    manager.put_secret_value(SecretId="payments/rotated", SecretString=PAIR.replace("word-", "new-"))
    assert (await source.load()).password == Secret(f"new-{MARK}")
    assert source.describe() == "AWS secret payments/rotated"
    assert (source.interval, source.confirm_after, source.warnings()) == (300.0, 0.0, ())


async def test_the_region_of_an_arn_is_used(endpoint: Origin, manager: Any) -> None:
    arn = manager.create_secret(Name="payments/by-arn", SecretString=PAIR)["ARN"]
    elsewhere = arn.replace(REGION, "eu-west-3")
    assert await SecretsManager(AwsSource(arn, None, endpoint)).load() == GIVEN
    assert "there is no such secret" in await refusal(AwsSource(elsewhere, None, endpoint))


@pytest.mark.parametrize(
    ("secret", "region"),
    [
        ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-AbCdEf", "eu-west-1"),
        ("arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:a", "cn-north-1"),
        ("arn:aws:secretsmanager", None),
        ("arn:aws:secretsmanager::1:secret:a", None),
        ("payments/sandbox", None),
        ("a:b:c:d", None),
    ],
)
def test_only_an_arn_has_a_region(secret: str, region: str | None) -> None:
    assert region_in(secret) == region


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("absent", None, "there is no such secret in this account and region: check name and region"),
        ("text", {"SecretString": MARK}, "is no TOML: write"),
        ("half", {"SecretString": f'{{"username": "{MARK}"}}'}, "has no password"),
        ("binary", {"SecretBinary": MARK.encode()}, "it is binary: store a JSON text with username and password"),
    ],
)
async def test_a_secret_that_is_none_is_told_and_not_quoted(
    endpoint: Origin, manager: Any, name: str, content: dict[str, Any] | None, told: str
) -> None:
    if content is not None:
        manager.create_secret(Name=name, **content)
    assert told in await refusal(AwsSource(name, REGION, endpoint))


async def test_a_secret_marked_for_deletion_is_told(endpoint: Origin, manager: Any) -> None:
    manager.create_secret(Name="doomed", SecretString=PAIR)
    manager.delete_secret(SecretId="doomed")
    assert "marked for deletion" in await refusal(AwsSource("doomed", REGION, endpoint))


async def test_no_region_is_told(endpoint: Origin) -> None:
    assert "set LOCALPAYMENT_AWS_REGION" in await refusal(AwsSource("name", None, endpoint))


async def test_no_aws_credentials_are_told(endpoint: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "there are no AWS credentials: give the pod" in await refusal(AwsSource("name", REGION, endpoint))


async def test_a_server_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "ATTEMPTS", 1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        origin = Origin("127.0.0.1", taken.getsockname()[1], tls=False)
    assert "AWS cannot be reached: check the network" in await refusal(AwsSource("name", REGION, origin))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (NoRegionError(), "set LOCALPAYMENT_AWS_REGION"),
        (ReadTimeoutError(endpoint_url=MARK), "AWS cannot be reached"),
        (SSLError(endpoint_url=MARK, error=MARK), "no trusted TLS connection to AWS"),
        (BotoCoreError(), "the AWS library failed (BotoCoreError)"),
    ],
)
def test_what_botocore_raises_is_told_in_our_own_words(error: BotoCoreError, told: str) -> None:
    assert told in aws._reason(error)  # noqa: SLF001 - no server here brings botocore to raise these
    assert MARK not in aws._reason(error)  # noqa: SLF001 - no server here brings botocore to raise these


async def test_botocore_logs_no_answer_even_at_debug(
    endpoint: Origin, manager: Any, caplog: pytest.LogCaptureFixture
) -> None:
    manager.create_secret(Name="logged", SecretString=PAIR)
    caplog.set_level(logging.DEBUG)
    assert await open_source(AwsSource("logged", REGION, endpoint)).load() == GIVEN
    assert MARK not in caplog.text
