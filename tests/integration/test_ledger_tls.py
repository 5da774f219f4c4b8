"""A ledger in PostgreSQL over TLS, by a certificate authority of one's own, from a confined sidecar."""

from __future__ import annotations

import os
import shutil
import socket
from typing import TYPE_CHECKING

import aiohttp
import pytest
import trustme

from proxy.ledger.entry import LedgerError
from proxy.secret import Secret
from proxy.simulator.server import Simulator, SimulatorOptions
from tests.support.hardened import NAME, WORD, needs_landlock, started, told
from tests.support.ledgers import PAYIN, postgres_store
from tests.support.postgres import USER, PostgresServer, needs_postgres, postgres_server
from tests.support.processes import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = needs_postgres


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with postgres_server() as made:
        made.create("payments")
        made.stop()
        yield made


def start_with_tls(server: PostgresServer, ca: trustme.CA, port: int) -> None:
    """Start it on a port of this machine, with a certificate for localhost."""
    certificate, key = server.folder / "server.pem", server.folder / "server.key"
    issued = ca.issue_cert("localhost")
    certificate.write_bytes(issued.cert_chain_pems[0].bytes())
    key.write_bytes(issued.private_key_pem.bytes())
    for file in (certificate, key):
        file.chmod(0o600)
        if os.geteuid() == 0:
            shutil.chown(file, USER, USER)
    tls = f"-c ssl=on -c ssl_cert_file={certificate} -c ssl_key_file={key}"
    server.start(f"-c listen_addresses=127.0.0.1 -p {port} {tls}")


def address(port: int, ca: trustme.CA, folder: Path) -> str:
    trusted = folder / "ca.pem"
    ca.cert_pem.write_to_path(trusted)
    return f"postgresql://{USER}:never-shown@localhost:{port}/payments?sslmode=verify-full&sslrootcert={trusted}"


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_database_whose_certificate_is_not_trusted_gets_nothing(
    server: PostgresServer, port: int, tmp_path: Path
) -> None:
    ca = trustme.CA()
    start_with_tls(server, ca, port)
    with pytest.raises(LedgerError, match="OperationalError"):
        postgres_store(address(port, trustme.CA(), tmp_path))
    store = postgres_store(address(port, ca, tmp_path))
    assert store.encrypted
    store.close()


@needs_landlock
async def test_a_confined_sidecar_finds_a_database_again_that_was_restarted(
    server: PostgresServer, port: int, tmp_path: Path
) -> None:
    ca = trustme.CA()
    start_with_tls(server, ca, port)
    options = SimulatorOptions(username=Secret(NAME), password=Secret(WORD))
    async with Simulator(options) as simulator:
        settings = told(simulator, LOCALPAYMENT_PASSWORD=WORD, PROXY_LEDGER=address(port, ca, tmp_path))
        async with running("serve", settings=settings) as sidecar, aiohttp.ClientSession() as client:
            url = (await started(sidecar))["data"]

            async def paid(external_id: str) -> int:
                async with client.post(
                    f"{url}/api/payin", json={**PAYIN, "externalId": external_id, "amount": 5}
                ) as answer:
                    return answer.status

            assert await paid("order-1") == 201
            server.stop()
            assert await paid("order-2") == 503
            start_with_tls(server, ca, port)
            assert await paid("order-3") == 201
            await sidecar.stopped()


def test_the_server_is_told_to_look_whether_a_sidecar_s_machine_is_gone(server: PostgresServer, port: int) -> None:
    server.start(f"-c listen_addresses=127.0.0.1 -p {port}")
    store = postgres_store(f"postgresql://{USER}:never-shown@127.0.0.1:{port}/payments?sslmode=disable")
    names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout")
    with store.transaction():
        told = [store.execute(f"SHOW {name}")[0][0] for name in names]
    store.close()
    assert told == ["3", "1", "5", "8000"]
