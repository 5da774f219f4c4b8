"""Explains to people which line of a policy decides about a caller's operation.

Pure. It explains the decision that a call would get, and must never decide on its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from proxy.policy.grants import BY_DATE, allowed_by, denied_by
from proxy.policy.identity import Peer
from proxy.policy.rules import UNKNOWN, Mode, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.api.operations import Operation
    from proxy.policy.file import PolicyFile
    from proxy.policy.rules import Caller, Decision, Policy


@dataclass(frozen=True, slots=True)
class Explanation:
    """What becomes of a call, and why.

    Attributes:
        decision: what the policy says.
        passes: whether the call passes.
        because: the line that decides, in words.
        notes: what holds besides.
    """

    decision: Decision
    passes: bool
    because: str
    notes: tuple[str, ...]


def explain(file: PolicyFile, name: str | None, operation: Operation) -> Explanation:
    """Explain an operation of a caller.

    Args:
        file: the policy.
        name: the caller's; None for who is none of them by identity.
        operation: what it calls.

    Raises:
        KeyError: there is no such caller.
    """
    policy = file.policy
    caller = policy.caller(Peer()) if name is None else {each.name: each for each in policy.callers}[name]
    decision = policy.decide(caller, operation)
    passes = decision.refusal() is None
    return Explanation(decision, passes, _because(file, decision), tuple(_notes(policy, caller, decision)))


def _because(file: PolicyFile, decision: Decision) -> str:
    name, operation = decision.caller, decision.operation
    match decision.verdict:
        case Verdict.ALLOWED:
            grant = next(grant for grant in file.written[name].allow if operation in allowed_by((grant,)))
            return _line(file, ("callers", name, "allow"), f"{grant!r} allows it", grant)
        case Verdict.DENIED:
            grant = next(grant for grant in file.written[name].deny if operation in denied_by((grant,)))
            return _line(file, ("callers", name, "deny"), f"{grant!r} denies it, and deny wins", grant)
        case Verdict.NOT_ALLOWED:
            return _line(file, ("callers", name, "allow"), "no name in it allows it")
        case Verdict.UNKNOWN_CALLER:
            return "no caller of the policy is anyone, so an unknown caller may do nothing"
        case never:
            assert_never(never)


def _line(file: PolicyFile, path: tuple[str, ...], text: str, value: str | None = None) -> str:
    return f"line {file.lines.line(*path, value=value)}: {'.'.join(path)}: {text}"


def _notes(policy: Policy, caller: Caller | None, decision: Decision) -> Iterator[str]:
    if decision.verdict is not Verdict.ALLOWED and decision.mode is Mode.REPORT:
        yield f"the mode is report: it passes, and is logged as {decision.verdict.value}"
    if decision.by_id_only and decision.refusal() is None:
        yield f"only as a release by id: a release by date range needs {BY_DATE!r} in the allow list, whatever the mode"
    if decision.own_authorization:
        yield "with an Authorization field of the caller's own, that goes in place of the sidecar's token"
    if caller is not None and caller.rate is not None:
        late = "what comes faster is logged" if caller.mode is Mode.REPORT else "what comes faster gets 503"
        yield f"{caller.rate.burst} at once and {caller.rate.per_second:g} a second in the long run; {late}"
    duplicates = policy.duplicates.get(decision.operation)
    if duplicates is not None:
        told = "gets 409" if duplicates == "refuse" else "passes, and its answer tells"
        yield f"with an outcome ledger, a repeat of an earlier call {told}"
    if decision.caller == UNKNOWN:
        yield "a key that no caller has makes its sender unknown too"
