"""The audit log: which calls are lines of it, and how an id is found again with the key."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from proxy.api.external_id import LARGEST, external_id
from proxy.api.operations import match
from proxy.errors import Outcome
from proxy.ops.admin.key_file import KeyFileError
from proxy.ops.logs.audit import Audit, AuditError, open_audit
from proxy.ops.logs.log import open_log
from proxy.relay.record import Record
from proxy.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

KEY = "k" * 32


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(KEY + "\n")
    return path


def opened(place: Path | str, key_file: Path | None = None) -> tuple[Audit, io.StringIO]:
    stream = io.StringIO()
    log = open_log("error", "json", stream)
    log.known.keep(Secret("known-secret"))
    return open_audit(place, key_file, log), stream


def record(**changes: Any) -> Record:
    facts: dict[str, Any] = {
        "request_id": "r-1",
        "method": "POST",
        "started": 0.0,
        "operation": "create_payout",
        "status": 201,
        "outcome": Outcome.ANSWERED,
        "caller": "shop",
        "attempts": 1,
    }
    return Record(**{**facts, **changes})


def test_a_payout_is_a_line_of_the_file_and_a_read_is_not(tmp_path: Path, key_file: Path) -> None:
    audit, _ = opened(tmp_path / "audit.jsonl", key_file)
    audit.observe(record(subject="abc"))
    audit.observe(record(operation="get_balance", method="GET"))
    audit.observe(record(operation="other", status=403, outcome=Outcome.REJECTED, code="operation_forbidden"))
    assert audit.close(10)
    first, second = (json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines())
    del first["time"]
    assert first == {
        "level": "info",
        "event": "call.audited",
        "request_id": "r-1",
        "trace_id": None,
        "caller": "shop",
        "operation": "create_payout",
        "kind": "money_out",
        "method": "POST",
        "status": 201,
        "outcome": "answered",
        "code": None,
        "attempts": 1,
        "external_id_hmac": "abc",
    }
    assert (second["operation"], second["outcome"], second["code"]) == ("other", "rejected", "operation_forbidden")
    assert audit.lost == 0


def test_on_stdout_the_lines_stand_in_the_log_whatever_its_level() -> None:
    audit, stream = opened("stdout")
    audit.observe(record())
    assert json.loads(stream.getvalue())["event"] == "call.audited"
    assert audit.close(0)
    assert audit.lost == 0


def test_a_known_secret_in_a_line_is_masked_there_too(tmp_path: Path) -> None:
    audit, _ = opened(tmp_path / "audit.jsonl")
    audit.observe(record(request_id="known-secret"))
    assert audit.close(10)
    assert "known-secret" not in (tmp_path / "audit.jsonl").read_text()


def test_an_id_is_found_again_with_the_key_by_any_tool_that_makes_an_hmac(key_file: Path) -> None:
    audit, _ = opened("stdout", key_file)
    assert audit.fingerprint is not None
    assert audit.fingerprint("order-1") == hmac.new(KEY.encode(), b"order-1", hashlib.sha256).hexdigest()


def test_without_a_key_no_id_is_asked_for() -> None:
    audit, _ = opened("stdout")
    assert audit.fingerprint is None


def test_a_file_that_cannot_be_written_is_told_with_its_fix(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"PROXY_AUDIT_LOG=.*No such file or directory; name a file"):
        opened(tmp_path / "no" / "such" / "folder")


@pytest.mark.parametrize(("text", "fix"), [("short", "openssl rand -hex 32"), (" \n", "the file is empty")])
def test_a_key_that_protects_nothing_is_refused(tmp_path: Path, text: str, fix: str) -> None:
    path = tmp_path / "short"
    path.write_text(text)
    with pytest.raises(KeyFileError, match=fix) as raised:
        opened("stdout", path)
    assert "short:" in str(raised.value)


def test_a_lost_line_is_counted(tmp_path: Path) -> None:
    place = tmp_path / "folder" / "audit.jsonl"
    place.parent.mkdir()
    audit, _ = opened(place)
    place.parent.rename(tmp_path / "moved")
    audit.observe(record())
    assert audit.close(10)
    assert audit.lost == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "found"),
    [
        ("PATCH", "/api/payin/order%2F1/refund", None, "order/1"),
        ("POST", "/api/payout", b'{"externalId": "order-1", "amount": 1}', "order-1"),
        ("POST", "/api/payout", b'{"externalId": 5}', None),
        ("POST", "/api/payout", rb'{"externalId": "x\ud800"}', None),
        ("POST", "/api/payout", rb'{"externalId": "\ud83d\ude00"}', "\U0001f600"),
        ("POST", "/api/payout", b'["externalId"]', None),
        ("POST", "/api/payout", b"externalId=order-1", None),
        ("POST", "/api/payout", b"[" * 5000, None),
        ("POST", "/api/payout", None, None),
        ("POST", "/api/payout", b'{"externalId": "order-1"' + b" " * LARGEST + b"}", None),
        ("POST", "/api/payout/authorize", b'{"externalId": "order-1"}', None),
    ],
)
def test_the_merchants_id_is_found_where_the_catalogue_says(
    method: str, path: str, body: bytes | None, found: str | None
) -> None:
    assert external_id(match(method, path), body) == found


def test_callers_that_were_never_recognised_cannot_flood_the_stream(tmp_path: Path) -> None:
    audit, _ = opened(tmp_path / "audit.jsonl")
    stranger = {"caller": "unknown", "operation": "other", "status": 403, "outcome": Outcome.REJECTED, "attempts": 0}
    for number in range(5000):
        audit.observe(record(request_id=f"s-{number}", started=number / 100, **stranger))
    audit.observe(record(request_id="known", started=50.0))
    audit.observe(record(request_id="sent", started=50.0, caller="unknown"))
    audit.observe(record(request_id="a minute later", started=61.0, **stranger))
    audit.observe(record(request_id="one more", started=61.0, **stranger | {"caller": ""}))
    assert audit.close(10)
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    told = [line["request_id"] for line in lines if line["event"] == "call.audited"]
    assert told == [*(f"s-{number}" for number in range(20)), "known", "sent", "a minute later", "one more"]
    assert [line["calls"] for line in lines if line["event"] == "audit.strangers_refused"] == [4980]


def test_what_strangers_had_no_line_is_told_at_the_end(tmp_path: Path) -> None:
    audit, _ = opened(tmp_path / "audit.jsonl")
    for number in range(25):
        audit.observe(record(started=float(number), caller="unknown", outcome=Outcome.REJECTED, attempts=0))
    assert audit.close(10)
    last = json.loads((tmp_path / "audit.jsonl").read_text().splitlines()[-1])
    assert (last["event"], last["calls"]) == ("audit.strangers_refused", 5)
