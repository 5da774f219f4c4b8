"""Credentials from Vault or OpenBao: which login, how often, and what is said when it fails."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from aiohttp import web

from proxy.config import Origin, VaultAppRole, VaultKubernetes, VaultSource, VaultToken
from proxy.credentials.model import Credentials
from proxy.credentials.sources import CredentialSourceError, open_source
from proxy.credentials.vault import Vault
from proxy.secret import Secret
from tests.support.owned_clock import OwnedClock
from tests.support.vault_server import JWT, ROLE, ROLE_ID, ROOT, SECRET_ID, FakeVault, vault_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from proxy.config.credential_sources import VaultAuth

MARK = "7f3a"  # it is in every secret of the fake, and may be in no message
PAIR = {"username": "name", "password": f"word-{MARK}"}
GIVEN = Credentials(Secret("name"), Secret(f"word-{MARK}"))
APP_ROLE = VaultAppRole("approle", ROLE_ID, Secret(SECRET_ID))


@pytest.fixture
async def vault() -> AsyncIterator[FakeVault]:
    async with vault_server() as served:
        served.secrets["secret/payments/sandbox"] = PAIR
        yield served


@pytest.fixture
def clock() -> OwnedClock:
    return OwnedClock()


def secret_of(
    vault: FakeVault | Origin, auth: VaultAuth = APP_ROLE, clock: OwnedClock | None = None, **changes: Any
) -> Vault:
    origin = vault.origin if isinstance(vault, FakeVault) else vault
    fields = {"mount": "secret", "path": "payments/sandbox", "namespace": None, "ca_file": None, **changes}
    return Vault(VaultSource(origin=origin, auth=auth, **fields), clock or OwnedClock())


async def refusal(source: Vault) -> str:
    with pytest.raises(CredentialSourceError) as caught:
        await source.load()
    assert MARK not in str(caught.value)
    return str(caught.value)


async def test_a_token_reads_the_secret(vault: FakeVault) -> None:
    config = VaultSource(vault.origin, "secret", "payments/sandbox", "team/a", None, VaultToken(Secret(ROOT)))
    source = open_source(config, interval=60.0)
    assert await source.load() == GIVEN
    assert (vault.logins, vault.reads) == (0, 1)
    assert vault.headers["X-Vault-Namespace"] == "team/a"
    assert vault.headers["X-Vault-Request"] == "true"
    assert source.describe() == f"Vault {vault.origin}, secret secret/payments/sandbox"
    assert (source.interval, source.confirm_after, source.warnings()) == (60.0, 0.0, ())


async def test_without_a_namespace_none_is_named(vault: FakeVault) -> None:
    await secret_of(vault).load()
    assert "X-Vault-Namespace" not in vault.headers


async def test_a_path_with_white_space_arrives_as_it_is(vault: FakeVault) -> None:
    vault.secrets["secret/team a/sandbox"] = PAIR
    assert await secret_of(vault, path="team a/sandbox").load() == GIVEN


async def test_a_token_file_is_read_anew_each_time(vault: FakeVault, tmp_path: Path) -> None:
    sink = tmp_path / "token"
    sink.write_text(f"{ROOT}\n")
    source = secret_of(vault, VaultToken(sink))
    assert await source.load() == GIVEN
    vault.tokens = {"hvs.next"}
    sink.write_text("hvs.next\n")
    assert await source.load() == GIVEN
    sink.unlink()
    assert await refusal(source) == f"{sink}: there is no such file: check the path and that it is mounted"


async def test_an_app_role_logs_in_once_for_two_thirds_of_its_tokens_life(vault: FakeVault, clock: OwnedClock) -> None:
    source = secret_of(vault, clock=clock)
    assert await source.load() == GIVEN
    clock.jump(799)
    await source.load()
    assert vault.logins == 1
    clock.jump(1)
    await source.load()
    assert (vault.logins, vault.reads) == (2, 3)


async def test_a_token_whose_life_has_no_end_is_renewed_all_the_same(vault: FakeVault, clock: OwnedClock) -> None:
    vault.lease = 0
    source = secret_of(vault, clock=clock)
    await source.load()
    clock.jump(3599)
    await source.load()
    assert vault.logins == 1
    clock.jump(1)
    await source.load()
    assert vault.logins == 2


async def test_a_service_account_logs_in_with_its_token_of_the_moment(
    vault: FakeVault, clock: OwnedClock, tmp_path: Path
) -> None:
    vault.proofs["clusters/a"] = {"role": ROLE, "jwt": JWT}
    (tmp_path / "jwt").write_text(JWT)
    source = secret_of(vault, VaultKubernetes("clusters/a", ROLE, tmp_path / "jwt"), clock)
    assert await source.load() == GIVEN
    vault.proofs["clusters/a"]["jwt"] = "jwt-rotated"
    (tmp_path / "jwt").write_text("jwt-rotated")
    clock.jump(vault.lease)
    assert await source.load() == GIVEN


async def test_a_revoked_token_costs_one_login(vault: FakeVault) -> None:
    source = secret_of(vault)
    await source.load()
    vault.tokens.clear()
    assert await source.load() == GIVEN
    assert (vault.logins, vault.reads) == (2, 3)


async def test_a_lacking_policy_is_told_and_costs_no_second_login(vault: FakeVault) -> None:
    vault.fault = web.json_response({"errors": [f"permission denied {MARK}"]}, status=403)
    told = await refusal(secret_of(vault))
    assert told.endswith('the token is valid no more, or its policy lacks "read" on secret/data/payments/sandbox')
    assert (vault.logins, vault.reads) == (1, 1)


async def test_a_refused_login_is_told_with_what_to_check(vault: FakeVault, tmp_path: Path) -> None:
    told = await refusal(secret_of(vault, VaultAppRole("approle", ROLE_ID, Secret(f"wrong-{MARK}"))))
    assert told.endswith(
        "the login at auth/approle was refused (status 400): check role, secret id and LOCALPAYMENT_VAULT_AUTH_MOUNT"
    )
    (tmp_path / "jwt").write_text(f"wrong-{MARK}")
    told = await refusal(secret_of(vault, VaultKubernetes("kubernetes", ROLE, tmp_path / "jwt")))
    assert told.endswith("check role, jwt and LOCALPAYMENT_VAULT_AUTH_MOUNT")
    assert vault.reads == 0


async def test_a_login_without_a_token_in_its_answer_and_one_that_fails_are_told(vault: FakeVault) -> None:
    vault.login_fault = web.json_response({"auth": None, "note": MARK})
    assert "the answer is not one of" in await refusal(secret_of(vault))
    vault.login_fault = web.json_response({"errors": ["Vault is sealed"]}, status=503)
    assert "it is sealed" in await refusal(secret_of(vault))
    assert vault.reads == 0


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (404, {"errors": []}, "there is no secret at secret/data/payments/sandbox, or its latest version was deleted"),
        (503, {"errors": [f"Vault is sealed {MARK}"]}, "it is sealed, overloaded or a standby (status 503)"),
        (429, {"errors": []}, "it is sealed, overloaded or a standby (status 429)"),
        (500, {"errors": [MARK]}, "it answered with status 500"),
        (200, {"data": {"username": MARK}}, "the answer is not one of the KV engine, version 2"),
        (200, {"data": {"data": {"username": MARK}}}, "has no password: write a text that is not empty"),
        (200, {"data": {"data": None}}, "is no object with the keys username and password"),
        (200, [MARK], "the answer is not one of the KV engine, version 2"),
    ],
)
async def test_an_answer_without_the_secret_is_told_and_not_quoted(
    vault: FakeVault, status: int, body: object, told: str
) -> None:
    vault.fault = web.json_response(body, status=status)
    assert told in await refusal(secret_of(vault))


@pytest.mark.parametrize("body", [f"<html>{MARK}", "", "[" * 5000])
async def test_an_answer_that_is_no_json_is_told(vault: FakeVault, body: str) -> None:
    vault.fault = web.Response(text=body)
    assert "the answer is not one of the KV engine" in await refusal(secret_of(vault))


async def test_an_answer_of_any_size_is_not_read(vault: FakeVault) -> None:
    vault.fault = web.Response(text=MARK * 20_000)
    assert (await refusal(secret_of(vault))).endswith("the answer is larger than 64 KiB")


async def test_a_redirect_gets_no_token(vault: FakeVault) -> None:
    async with vault_server() as other:
        vault.fault = web.Response(status=307, headers={"Location": f"{other.origin}/v1/secret/data/payments/sandbox"})
        assert "it redirects, which is not followed with a token" in await refusal(secret_of(vault))
        assert other.reads == 0


async def test_a_server_that_is_not_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        origin = Origin("127.0.0.1", taken.getsockname()[1], tls=False)
    told = await refusal(secret_of(origin))
    assert told == f"Vault {origin}: it cannot be reached: check LOCALPAYMENT_VAULT_ADDR and the network"


async def test_a_server_that_says_no_http_is_told(vault: FakeVault) -> None:
    async with vault_server() as other:
        origin = Origin(other.origin.host, other.origin.port, tls=True)
        assert "no trusted TLS connection" in await refusal(secret_of(origin))
    assert vault.reads == 0


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"", "the connection was lost"),
        (f"{MARK}\r\n\r\n".encode(), "the answer is not valid HTTP: it does not begin with a status line"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "the connection was lost"),
    ],
)
async def test_an_answer_that_is_no_http_or_is_cut_is_told_and_not_quoted(said: bytes, reason: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        origin = Origin("127.0.0.1", server.sockets[0].getsockname()[1], tls=False)
        told = await refusal(secret_of(origin, VaultToken(Secret(ROOT))))
    assert told.endswith(reason)


async def test_a_server_that_hangs_is_given_up(vault: FakeVault) -> None:
    vault.hangs = True
    config = VaultSource(vault.origin, "secret", "payments/sandbox", None, None, VaultToken(Secret(ROOT)))
    source = Vault(config, OwnedClock(), limit=0.05)
    assert (await refusal(source)).endswith("no answer within 0.05 s")


async def test_a_token_with_a_line_break_is_not_sent(vault: FakeVault) -> None:
    told = await refusal(secret_of(vault, VaultToken(Secret(f"{ROOT}\r\nX-Evil: 1"))))
    assert told.endswith("the token cannot stand in a header field: check it for line breaks")
    assert vault.reads == 0


async def test_the_certificate_is_verified_against_the_ca_file_and_against_the_name(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    async with vault_server(context) as vault:
        vault.secrets["secret/payments/sandbox"] = PAIR
        assert await secret_of(vault, ca_file=tmp_path / "ca.pem").load() == GIVEN
        assert "no trusted TLS connection: check the certificate" in await refusal(secret_of(vault))
        by_address = Origin("127.0.0.1", vault.origin.port, tls=True)
        assert "no trusted TLS" in await refusal(secret_of(by_address, ca_file=tmp_path / "ca.pem"))
        (tmp_path / "ca.pem").write_text("none")
        assert "no readable PEM file" in await refusal(secret_of(vault, ca_file=tmp_path / "ca.pem"))
    assert vault.reads == 1


@pytest.mark.parametrize("lease", [10**400, -1, 0])
async def test_a_lease_of_any_length_is_no_reason_to_be_without_credentials(vault: FakeVault, lease: int) -> None:
    vault.lease = lease
    source = secret_of(vault)
    assert await source.load() == GIVEN
    assert await source.load() == GIVEN


@pytest.mark.parametrize("word", ["word\n", "word\r\n"])
async def test_the_newline_at_a_values_end_is_not_part_of_it(vault: FakeVault, word: str) -> None:
    vault.secrets["secret/payments/sandbox"] = {"username": "name\n", "password": word}
    assert await secret_of(vault).load() == Credentials(Secret("name"), Secret("word"))


@pytest.mark.parametrize("token", ["\ud800", "a\nb", "é", "\x00"], ids=ascii)
async def test_a_vault_token_that_no_header_can_carry_is_told_in_one_line(vault: FakeVault, token: str) -> None:
    assert (await refusal(secret_of(vault, VaultToken(Secret(f"hvs.{token}"))))).isprintable()


async def test_a_head_of_40_kib_is_read(vault: FakeVault) -> None:
    vault.fault = web.json_response({"data": {"data": PAIR}}, headers={"X-Long": "x" * 40_000})
    assert await secret_of(vault).load() == GIVEN


async def test_a_head_of_more_than_64_kib_is_refused(vault: FakeVault) -> None:
    vault.fault = web.json_response({}, headers={f"X-{number}": "x" * 30_000 for number in range(3)})
    assert "its head is longer than 65536 bytes" in await refusal(secret_of(vault))
