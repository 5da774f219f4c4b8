"""Whatever happens, in whatever order: what the lifecycle may never do, and that it always comes back.

The machine plays the loop, the server and the clock. `server_*` is the truth that the lifecycle does not see.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxy.credentials.model import Credentials
from proxy.secret import Secret
from proxy.tokens.backoff import RETRY_AFTER_CAP, RETRY_CAP_ALIVE, RETRY_CAP_DEAD
from proxy.tokens.credential_set import LOGIN_FLOOR, LOGIN_FLOOR_CAP
from proxy.tokens.disputes import FORCED_FETCHES, FORCED_WINDOW, Dispute
from proxy.tokens.lifecycle import Lifecycle
from proxy.tokens.lifecycle_steps import LogIn, Refresh, Wait
from proxy.tokens.model import Issued

LIFETIMES = st.sampled_from([1.0, 3.0, 6.0, 60.0, 300.0, 3600.0, 86400.0])
REFRESH_LIFETIMES = st.sampled_from([1.0, 60.0, 300.0, 86400.0, 2592000.0])
CHANCES = st.floats(0, 1, exclude_max=True)
SECONDS = st.sampled_from([0.0, 0.01, 0.4, 1.0, 2.0, 7.0, 59.0, 60.0, 150.0, 300.0, 4000.0, 90000.0])
CODES = st.sampled_from([None, "token_not_valid", "password_changed"])
EPSILON = 1e-6


class LifecycleMachine(RuleBasedStateMachine):
    """One account's life."""

    @initialize()
    def begin(self) -> None:
        self.now = 1000.0
        self.numbers = itertools.count(1)
        self.life = Lifecycle(self.credentials(), fetch_timeout=5.0)
        self.in_flight: LogIn | Refresh | None = None
        self.dies_at: dict[bytes, float] = {}
        self.setbacks: dict[str, tuple[float, bool]] = {}
        self.forced: list[float] = []
        self.header, self.generation = b"", 0

    def credentials(self) -> Credentials:
        return Credentials(Secret("user"), Secret(f"password-{next(self.numbers)}"))

    def issued(self, lifetime: float, refresh_lifetime: float | None, delay: float) -> Issued:
        number = next(self.numbers)
        sent_at = self.now - delay
        self.dies_at[f"Bearer access-{number}".encode()] = sent_at + lifetime
        return Issued(
            access=Secret(f"access-{number}"),
            access_lifetime=lifetime,
            refresh=None if refresh_lifetime is None else Secret(f"refresh-{number}"),
            refresh_lifetime=refresh_lifetime or 0.0,
            sent_at=sent_at,
            uncertainty=1.0,
            skew=None,
        )

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    @precondition(lambda self: self.in_flight is None)
    def the_loop_sleeps_until_something_is_due(self) -> None:
        step = self.life.next_step(self.now)
        if isinstance(step, Wait) and math.isfinite(step.until):
            self.now = max(self.now, step.until)

    @rule()
    @precondition(lambda self: self.in_flight is None)
    def the_loop_begins_what_is_due(self) -> None:
        step = self.life.next_step(self.now)
        if isinstance(step, Wait):
            return
        assert not self.life.locked
        assert 0 < step.timeout <= 5.0
        if isinstance(step, LogIn):
            self.check_the_floor(step)
        self.in_flight = step

    def check_the_floor(self, step: LogIn) -> None:
        """No login within a minute of one that failed, unless nothing else could bring a token."""
        failed_at, was_refused = self.setbacks.get(step.credentials.password.reveal(), (-math.inf, False))
        if self.now - failed_at < LOGIN_FLOOR - EPSILON:
            assert not was_refused, "a refused login is repeated within the floor"
            expires_at = self.life.refresh_expires_at
            assert expires_at is None or self.now >= expires_at, "a refresh token could serve"

    def taken(self) -> LogIn | Refresh:
        step, self.in_flight = self.in_flight, None
        assert step is not None
        return step

    @rule(life=LIFETIMES, refresh=st.none() | REFRESH_LIFETIMES, delay=st.sampled_from([0.0, 0.3, 4.9]), chance=CHANCES)
    @precondition(lambda self: self.in_flight is not None)
    def the_server_grants(self, life: float, refresh: float | None, delay: float, chance: float) -> None:
        step, held = self.taken(), self.life.usable(self.now)
        if isinstance(step, LogIn):
            self.setbacks.pop(step.credentials.password.reveal(), None)
        self.life.granted(step, self.issued(life, refresh, delay), self.now, chance)
        assert held is None or self.life.usable(self.now) is not None, "a grant left less than there was"

    @rule(chance=CHANCES)
    @precondition(lambda self: self.in_flight is not None and self.life.access is not None)
    def the_server_repeats_itself(self, chance: float) -> None:
        step, access = self.taken(), self.life.access
        assert access is not None
        again = Issued(Secret(access.header.removeprefix(b"Bearer ").decode()), 300.0, None, 0.0, self.now, 1.0, None)
        self.note_setback(step, refused=False)
        assert not self.life.granted(step, again, self.now, chance)
        assert self.life.access is access

    @rule(chance=CHANCES, retry_after=st.sampled_from([0.0, 0.0, 3.0, 120.0, 1e9]))
    @precondition(lambda self: self.in_flight is not None)
    def the_server_fails(self, chance: float, retry_after: float) -> None:
        step, access = self.taken(), self.life.access
        self.note_setback(step, refused=False)
        self.life.failed(step, self.now, chance, retry_after)
        assert self.life.access is access, "a failed fetch dropped a token"

    @rule()
    @precondition(lambda self: self.in_flight is not None)
    def the_server_refuses(self) -> None:
        step, access = self.taken(), self.life.access
        self.note_setback(step, refused=True)
        self.life.refused(step, self.now)
        assert self.life.access is access, "a refused fetch dropped a token"

    @rule(refusals=st.integers(3, 8))
    @precondition(lambda self: self.in_flight is None and not self.life.locked)
    def the_server_refuses_everything_for_long(self, refusals: int) -> None:
        for _ in range(refusals):
            self.the_loop_sleeps_until_something_is_due()
            self.every_wait_is_ahead_and_bounded()
            self.the_loop_begins_what_is_due()
            if self.in_flight is not None:
                self.the_server_refuses()

    @rule(calls=st.integers(2, 8), chance=CHANCES)
    @precondition(lambda self: self.in_flight is None and not self.life.locked)
    def the_api_refuses_every_token_at_once(self, calls: int, chance: float) -> None:
        for _ in range(calls):
            self.the_api_refuses_a_token(0, "token_not_valid")
            self.the_loop_begins_what_is_due()
            if self.in_flight is not None:
                self.the_server_grants(300.0, 86400.0, 0.0, chance)

    def note_setback(self, step: LogIn | Refresh, *, refused: bool) -> None:
        if isinstance(step, LogIn) and self.life.concerns(step):
            name = step.credentials.password.reveal()
            self.setbacks[name] = (self.now, refused or self.setbacks.get(name, (0.0, False))[1])

    @rule(back=st.integers(0, 3), code=CODES)
    def the_api_refuses_a_token(self, back: int, code: str | None) -> None:
        access = self.life.access
        generation = 0 if access is None else access.generation - back
        before = self.life.next_step(self.now)
        verdict = self.life.disputed(generation, self.now, code)
        if self.life.locked:
            assert verdict is Dispute.GIVEN_UP
        elif access is not None and back:
            assert verdict is Dispute.STALE
        if verdict in {Dispute.STALE, Dispute.LAGGING, Dispute.GIVEN_UP}:
            assert self.life.access is access
            assert same(self.life.next_step(self.now), before), "late or useless news changed something"
        elif access is not None and access.join_at > -math.inf:
            self.forced.append(self.now)
        recent = [at for at in self.forced if self.now < at + FORCED_WINDOW]  # a difference is rounded otherwise
        assert len(recent) <= FORCED_FETCHES

    @rule()
    def other_credentials_are_offered(self) -> None:
        access = self.life.access
        self.life.credentials.offer(self.credentials())
        assert self.life.access is access

    @rule()
    def the_operator_locks(self) -> None:
        self.life.lock()
        assert self.life.usable(self.now) is None

    @rule()
    @precondition(lambda self: self.life.locked)
    def the_operator_unlocks(self) -> None:
        self.life.unlock()

    @rule(chance=CHANCES)
    @precondition(lambda self: self.in_flight is None)
    def the_server_heals(self, chance: float) -> None:
        """From here on every fetch is granted: a usable token must come within the longest wait that there is."""
        self.life.unlock()
        # A pause that the server asked for is lengthened by ours, so that a crowd does not come back as one.
        asked = RETRY_AFTER_CAP + max(RETRY_CAP_ALIVE, RETRY_CAP_DEAD)
        worst = LOGIN_FLOOR_CAP if self.life.credentials.rejected else asked
        end = self.now + worst + EPSILON
        for _ in range(20):
            if self.life.usable(self.now) is not None:
                return
            step = self.life.next_step(self.now)
            if isinstance(step, Wait):
                self.now = max(self.now, step.until)
                assert self.now <= end, "no token within the bound"
            else:
                self.setbacks.clear()
                self.life.granted(step, self.issued(300.0, 86400.0, 0.0), self.now, chance)
        message = "twenty steps brought no token"
        raise AssertionError(message)

    @invariant()
    def no_dead_token_is_handed_out(self) -> None:
        token = self.life.usable(self.now)
        if token is not None:
            assert self.now < self.dies_at[token.header]

    @invariant()
    def every_new_token_has_a_new_generation(self) -> None:
        access = self.life.access
        if access is not None and access.header != self.header:
            assert access.generation > self.generation
            self.header, self.generation = access.header, access.generation

    @invariant()
    def every_wait_is_ahead_and_bounded(self) -> None:
        step = self.life.next_step(self.now)
        if isinstance(step, Wait) and not self.life.locked:
            assert step.until > self.now
            assert step.until - self.now <= max(86400.0, LOGIN_FLOOR_CAP, RETRY_AFTER_CAP)

    @invariant()
    def looking_changes_nothing(self) -> None:
        assert same(self.life.next_step(self.now), self.life.next_step(self.now))


def same(one: object, other: object) -> bool:
    """Whether two steps are equal, but for their secrets' identity."""
    if isinstance(one, Refresh) and isinstance(other, Refresh):
        return replace(one, timeout=0.0) == replace(other, timeout=0.0)
    return one == other


TestLifecycle = LifecycleMachine.TestCase
TestLifecycle.settings = settings(max_examples=500, stateful_step_count=50)
