"""A caller does what its policy names, deny wins, and nothing short of its name releases payouts by date."""

from __future__ import annotations

import hashlib

import pytest

from proxy.api.operations import NAMES, OPERATIONS, OTHER, Operation
from proxy.errors import OperationForbiddenError, Outcome
from proxy.policy.grants import BY_DATE, EVERYTHING, GRANT_NAMES, KINDS, PRESETS, allowed_by, denied_by
from proxy.policy.identity import Identity, Peer
from proxy.policy.rules import ANYONE, DEFAULT, UNKNOWN, Caller, Mode, Policy, Verdict, rate_refusal

OPERATION = {operation.name: operation for operation in (*OPERATIONS, OTHER)}
READS = {
    "validate_document", "validate_bank_account", "lookup_bin", "list_payment_methods", "list_holidays", "list_banks",
    "get_subscription", "list_plans", "get_plan", "get_virtual_account_batch", "get_virtual_account", "get_transaction",
    "get_transaction_status", "list_transactions", "get_balance", "get_activity", "get_ticket_image",
}  # fmt: skip
QUOTES = {"quote_exchange", "quote_installments"}
COLLECTS = {
    "create_payin", "capture_payin", "create_subscription", "update_subscription", "create_billing_order",
    "cancel_transaction", "tokenize_card", "cancel_subscription", "create_plan", "update_plan",
    "submit_chargeback_documents", "create_virtual_account", "create_virtual_account_batch",
    "set_virtual_account_activation", "delete_virtual_account", "create_alias", "confirm_alias",
}  # fmt: skip
PAYS_OUT = {"create_payout", "authorize_payouts", "cancel_payout"}
KEY = b"an-invented-key-of-43-characters-for-tests-"


def caller(*allow: str, deny: tuple[str, ...] = (), mode: Mode = Mode.ENFORCE, own: tuple[str, ...] = ()) -> Caller:
    denied = denied_by(deny)
    return Caller("job", Identity(uids=frozenset({7})), allowed_by(allow) - denied, denied, frozenset(own), mode)


def passing(*allow: str, deny: tuple[str, ...] = ()) -> set[str]:
    job = caller(*allow, deny=deny)
    policy = Policy([job])
    return {name for name, operation in OPERATION.items() if policy.decide(job, operation).refusal() is None}


@pytest.mark.parametrize(
    ("name", "operations"),
    [
        ("read_only", READS),
        ("collect", READS | QUOTES | COLLECTS),
        ("payout", READS | QUOTES | PAYS_OUT),
        ("read", READS),
        ("quote", QUOTES),
        ("state", {name for name in NAMES if OPERATION[name].kind == "state"}),
        (
            "money_in",
            {"create_payin", "capture_payin", "create_subscription", "update_subscription", "create_billing_order"},
        ),
        ("money_out", {"refund_payin", "create_payout", "authorize_payouts", "wire_out"}),
        ("money_internal", {"transfer_internally", "exchange_currency"}),
        ("get_balance", {"get_balance"}),
        ("other", {"other"}),
        ("authorize_payouts", {"authorize_payouts"}),
        (BY_DATE, {"authorize_payouts"}),
    ],
)
def test_a_name_allows_exactly_what_it_stands_for(name: str, operations: set[str]) -> None:
    assert passing(name) == operations


def test_no_name_stands_for_two_things() -> None:
    assert len(GRANT_NAMES) == len(EVERYTHING) + len(KINDS) + len(PRESETS) + 1


def test_names_add_up_and_deny_wins() -> None:
    assert passing("read_only", "create_payout") == READS | {"create_payout"}
    assert passing("payout", deny=("money_out",)) == READS | QUOTES | {"cancel_payout"}
    assert passing("payout", "create_payout", deny=("create_payout", "read_only")) == QUOTES | PAYS_OUT - {
        "create_payout"
    }
    assert passing("state", "other", deny=("state",)) == set()
    assert passing() == set()


@pytest.mark.parametrize(
    ("allow", "deny", "by_id_only"),
    [
        (["payout"], [], True),
        (["money_out"], [], True),
        (["authorize_payouts"], [], True),
        ([BY_DATE], [], False),
        (["payout", BY_DATE], [], False),
        (["payout", BY_DATE], [BY_DATE], True),
        ([BY_DATE], ["authorize_payouts"], True),
        ([BY_DATE], ["money_out"], True),
        (["read_only"], [], True),
    ],
)
@pytest.mark.parametrize("mode", Mode)
def test_a_release_by_date_must_be_named_whatever_the_mode(
    *, allow: list[str], deny: list[str], by_id_only: bool, mode: Mode
) -> None:
    job = caller(*allow, deny=tuple(deny), mode=mode)
    assert Policy([job]).decide(job, OPERATION["authorize_payouts"]).by_id_only is by_id_only


def test_denying_the_release_by_date_leaves_the_release_by_id() -> None:
    assert passing(BY_DATE, deny=(BY_DATE,)) == {"authorize_payouts"}


def test_no_other_operation_is_by_id_only() -> None:
    job = caller("payout")
    policy = Policy([job])
    names = {name for name, operation in OPERATION.items() if policy.decide(job, operation).by_id_only}
    assert names == {"authorize_payouts"}


@pytest.mark.parametrize(
    ("allow", "deny", "operation", "verdict", "word"),
    [
        (["read"], [], "get_balance", Verdict.ALLOWED, ""),
        (["read"], [], "create_payout", Verdict.NOT_ALLOWED, "does not allow 'create_payout' to 'job'"),
        (["payout"], ["create_payout"], "create_payout", Verdict.DENIED, "denies 'create_payout' to 'job'"),
    ],
)
def test_a_refusal_says_what_is_missing_and_a_report_lets_it_pass(
    allow: list[str], deny: list[str], operation: str, verdict: Verdict, word: str
) -> None:
    for mode in Mode:
        job = caller(*allow, deny=tuple(deny), mode=mode)
        decision = Policy([job]).decide(job, OPERATION[operation])
        assert (decision.caller, decision.operation, decision.verdict, decision.mode) == (
            "job",
            operation,
            verdict,
            mode,
        )
        refusal = decision.refusal()
        if verdict is Verdict.ALLOWED or mode is Mode.REPORT:
            assert refusal is None
        else:
            assert isinstance(refusal, OperationForbiddenError)
            assert word in refusal.detail


def test_nobody_is_refused_or_reported_by_the_files_own_mode() -> None:
    enforced = Policy([caller("read")]).decide(None, OPERATION["get_balance"])
    assert (enforced.caller, enforced.verdict) == (UNKNOWN, Verdict.UNKNOWN_CALLER)
    refusal = enforced.refusal()
    assert refusal is not None
    assert "knows no such caller" in refusal.detail
    reported = Policy([caller("read")], Mode.REPORT)
    assert all(reported.decide(None, operation).refusal() is None for operation in OPERATION.values())
    assert reported.decide(None, OPERATION["authorize_payouts"]).by_id_only


def test_a_refused_release_names_the_permission_it_needs() -> None:
    job = caller("payout")
    refusal = Policy([job]).decide(job, OPERATION["authorize_payouts"]).by_date_refusal()
    assert BY_DATE in refusal.detail
    assert refusal.outcome is Outcome.REJECTED


def test_without_a_policy_everything_passes_but_a_release_by_date() -> None:
    anyone = DEFAULT.caller(Peer(), [b"some-key", b"another"])
    assert anyone is not None
    assert anyone.name == ANYONE
    for operation in OPERATION.values():
        decision = DEFAULT.decide(anyone, operation)
        assert decision.refusal() is None
        assert decision.by_id_only is (operation.name == "authorize_payouts")
        assert not decision.own_authorization


def test_own_authorization_passes_only_for_what_is_listed_and_allowed() -> None:
    job = caller("collect", own=("tokenize_card", "create_payout"))
    policy = Policy([job])
    names = {name for name, operation in OPERATION.items() if policy.decide(job, operation).own_authorization}
    assert names == {"tokenize_card"}


def test_a_used_up_rate_is_not_sent_and_says_when_to_come_back() -> None:
    refusal = rate_refusal(caller("read"), 2.5)
    assert refusal is not None
    assert (refusal.status, refusal.outcome, refusal.retry_after) == (503, Outcome.NOT_SENT, 2.5)
    short = rate_refusal(caller("read"), 0.01)
    assert short is not None
    assert short.retry_after == 1.0
    assert rate_refusal(caller("read", mode=Mode.REPORT), 2.5) is None


def named(name: str, identity: Identity) -> Caller:
    return Caller(name, identity, frozenset())


POLICY = Policy(
    [
        named("by-uid", Identity(uids=frozenset({1, 2}))),
        named("by-gid", Identity(gids=frozenset({1}), uids=frozenset({2}))),
        named("by-san", Identity(sans=frozenset({"DNS:a", "URI:b"}))),
        named("anyone", Identity(anyone=True)),
        named("late", Identity(uids=frozenset({9}), keys=(hashlib.sha256(KEY).digest(),))),
    ]
)


@pytest.mark.parametrize(
    ("peer", "keys", "name"),
    [
        (Peer(uid=1, gid=5), [], "by-uid"),
        (Peer(uid=2, gid=1), [], "by-uid"),
        (Peer(uid=3, gid=1), [], "by-gid"),
        (Peer(sans=frozenset({"DNS:x", "DNS:a"})), [], "by-san"),
        (Peer(sans=frozenset({"URI:b"}), uid=1), [], "by-uid"),
        (Peer(), [], "anyone"),
        (Peer(uid=9), [], "anyone"),
        (Peer(uid=1), [KEY], "late"),
        (Peer(), [KEY], "late"),
        (Peer(uid=1), [KEY[:-1]], None),
        (Peer(uid=1), [b""], None),
        (Peer(uid=1), [KEY, KEY], None),
        (Peer(), [hashlib.sha256(KEY).hexdigest().encode()], None),
    ],
)
def test_the_first_caller_that_fits_is_the_one_and_a_key_decides_alone(
    peer: Peer, keys: list[bytes], name: str | None
) -> None:
    found = POLICY.caller(peer, keys)
    assert (found.name if found else None) == name


def test_who_fits_nobody_is_nobody() -> None:
    policy = Policy([named("a", Identity(uids=frozenset({1})))])
    assert policy.caller(Peer()) is None
    assert policy.caller(Peer(uid=0, gid=0)) is None
    assert policy.caller(Peer(uid=1), [b"a key where none means anything"]) is not None


def test_the_first_of_two_callers_with_one_key_is_its_holder() -> None:
    keys = (hashlib.sha256(KEY).digest(),)
    policy = Policy([named("a", Identity(keys=keys)), named("b", Identity(keys=keys))])
    found = policy.caller(Peer(), [KEY])
    assert found is not None
    assert found.name == "a"


def test_no_repr_shows_a_hash() -> None:
    digest = hashlib.sha256(KEY).digest()
    assert repr(digest) not in repr(POLICY.callers)


def test_every_operation_has_a_decision() -> None:
    unheard_of: Operation = OTHER
    assert POLICY.decide(None, unheard_of).operation == "other"
    assert set(OPERATION) == EVERYTHING
