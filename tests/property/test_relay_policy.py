"""Whatever a policy says, it allows no more than it names, deny wins, and a rate is never exceeded."""

from __future__ import annotations

import json
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from proxy.api.operations import OPERATIONS, OTHER
from proxy.policy.file import Finding, PolicyFileError, parse_policy
from proxy.policy.grants import BY_DATE, GRANT_NAMES, allowed_by, denied_by
from proxy.policy.identity import Identity, Peer
from proxy.policy.lint import lint
from proxy.policy.payout_release import releases_by_date
from proxy.policy.rate_limit import Bucket, Rate
from proxy.policy.rules import DEFAULT, Caller, Mode, Policy

ALL: Final = (*OPERATIONS, OTHER)
JSON: Final = [(b"Content-Type", b"application/json")]
NAMES: Final = st.sampled_from(sorted(GRANT_NAMES))
LISTS: Final = st.lists(NAMES, max_size=5)


def file_text(allow: list[str], deny: list[str], mode: Mode = Mode.ENFORCE) -> str:
    return f'mode = "{mode}"\n[callers.a]\nuid = 1\nallow = {json.dumps(allow)}\ndeny = {json.dumps(deny)}\n'


def passing(policy: Policy, uid: int) -> set[str]:
    caller = policy.caller(Peer(uid=uid))
    return {operation.name for operation in ALL if policy.decide(caller, operation).refusal() is None}


@given(LISTS, LISTS)
def test_what_passes_is_named_and_not_denied(allow: list[str], deny: list[str]) -> None:
    passed = passing(parse_policy(file_text(allow, deny)).policy, 1)
    for name in passed:
        alone = [grant for grant in allow if name in allowed_by([grant])]
        assert alone
        assert not [grant for grant in deny if grant != BY_DATE and name in allowed_by([grant])]
    assert "other" not in passed or "other" in allow


@given(LISTS, LISTS, NAMES)
def test_one_more_name_in_deny_never_allows_more_and_one_in_allow_never_less(
    allow: list[str], deny: list[str], name: str
) -> None:
    passed = passing(parse_policy(file_text(allow, deny)).policy, 1)
    assert passing(parse_policy(file_text(allow, [*deny, name])).policy, 1) <= passed
    assert passing(parse_policy(file_text([*allow, name], deny)).policy, 1) >= passed


@given(LISTS, LISTS, st.sampled_from(Mode), st.integers(0, 2))
def test_no_policy_in_report_mode_lets_more_pass_than_none_at_all(
    allow: list[str], deny: list[str], mode: Mode, uid: int
) -> None:
    policy = parse_policy(file_text(allow, deny, mode)).policy
    assert passing(policy, uid) <= passing(DEFAULT, uid)
    caller = policy.caller(Peer(uid=uid))
    for operation in ALL:
        decision = policy.decide(caller, operation)
        if operation.name == "authorize_payouts" and not decision.by_id_only:
            assert BY_DATE in allow
            assert caller is not None


@given(LISTS, LISTS)
def test_what_the_lint_calls_superfluous_can_be_taken_out(allow: list[str], deny: list[str]) -> None:
    file = parse_policy(file_text(allow, deny))
    idle = [finding.text.split("'")[1] for finding in lint(file) if "adds nothing" in finding.text]
    left = list(allow)
    for name in idle:
        left.remove(name)
    assert allowed_by(left) == allowed_by(allow)
    assert denied_by(deny) & file.policy.callers[0].allowed == frozenset()


@given(st.lists(st.frozensets(st.integers(0, 3), max_size=2), max_size=5), st.integers(0, 4), st.integers(0, 4))
def test_the_caller_found_is_the_first_that_a_search_line_by_line_finds(
    ids: list[frozenset[int]], uid: int, anyone: int
) -> None:
    callers = [Caller(f"c{at}", Identity(uids=one, anyone=at == anyone), frozenset()) for at, one in enumerate(ids)]
    fitting = [caller for caller in callers if uid in caller.identity.uids or caller.identity.anyone]
    assert Policy(callers).caller(Peer(uid=uid)) == (fitting[0] if fitting else None)


VALUES: Final = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), NAMES, st.floats(allow_nan=False)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("abdeilnowuy_", max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS: Final = st.one_of(
    st.sampled_from(
        ["uid", "gid", "san", "key_sha256", "anyone", "allow", "deny", "own_authorization", "mode", "rate", "burst"]
    ),
    st.text(max_size=6),
)


def toml(value: Any) -> str:
    match value:
        case None:
            return '""'
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case int() | float() if not isinstance(value, bool):
            return str(value)
        case _:
            return json.dumps(value)


def findings_of(text: str) -> tuple[Finding, ...]:
    try:
        return lint(parse_policy(text))
    except PolicyFileError as error:
        return error.findings


@given(st.dictionaries(KEYS, VALUES, max_size=5), KEYS, VALUES)
def test_any_table_makes_a_policy_or_a_list_of_mistakes(caller: dict[str, Any], key: str, value: Any) -> None:
    lines = [f"{json.dumps(name)} = {toml(item)}" for name, item in caller.items()]
    text = "\n".join([f"{json.dumps(key)} = {toml(value)}", "[callers.a]", *lines])
    found = findings_of(text)
    assert all(str(finding).isprintable() and finding.line <= len(lines) + 2 for finding in found)


@given(st.binary(max_size=30) | st.text(max_size=30).map(str.encode))
def test_arbitrary_bytes_are_no_release_by_id(body: bytes) -> None:
    assert releases_by_date(JSON, b"", body) or b"i" in body.lower()


@given(st.recursive(st.text(max_size=5), lambda inner: st.dictionaries(st.text(max_size=4), inner, max_size=3)))
def test_a_date_anywhere_in_the_document_is_seen(document: Any) -> None:
    for name in ("dateFrom", "dateTo"):
        body = {"externalIds": ["p-1"], "x": [document, {"y": {name: document}}]}
        assert releases_by_date(JSON, b"", json.dumps(body).encode())


@given(st.integers(1, 50), st.integers(1, 10), st.lists(st.floats(0, 2), max_size=60))
def test_no_window_lets_more_calls_pass_than_burst_and_rate_allow(calls: int, burst: int, gaps: list[float]) -> None:
    bucket, now = Bucket(Rate(float(calls), burst), 0.0), 0.0
    passed: list[float] = []
    for gap in gaps:
        now += gap / calls
        wait = bucket.take(now)
        if wait == 0.0:
            passed.append(now)
        else:
            assert 0 < wait <= 1 / calls
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + calls * (passed[last] - passed[first]) + 1e-6
