"""Holds the simulated Localpayment's state, and the switches that change how it behaves.

The control interface offers exactly the switches of this class. Nothing here is a real credential or real money.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from proxy.simulator.catalogue import EFFECTFUL
from proxy.simulator.faults import Faults
from proxy.simulator.ledger import Ledger
from proxy.simulator.tokens import Account, Settings, Tokens

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from proxy.secret import Secret

# Enough to look back on a test or a demonstration; a benchmark's calls fall out at the other end.
LOG_LENGTH = 1000
# Further off, dates leave the range that HTTP and JWT libraries read.
CLOCK_OFFSET_LIMIT = 10 * 366 * 86400.0


@dataclass(frozen=True, slots=True)
class SimulatorOptions(Settings):
    """How a simulator starts, and how it issues tokens. Ports: 0 is any free one."""

    host: str = "127.0.0.1"
    port: int = 0
    control_port: int = 0
    # Both None: any non-empty pair logs in.
    username: Secret | None = None
    password: Secret | None = None
    # Seconds since the epoch; tests own it.
    clock: Callable[[], float] = time.time
    # Called with each call when it is over.
    on_call: Callable[[LoggedCall], None] = lambda _call: None
    ssl_context: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """One call in the log: no body, no token, no id. Status None: the connection was cut or never answered."""

    method: str
    operation: str
    status: int | None
    fault: str | None = None

    def as_json(self) -> dict[str, object]:
        """The call, with its fault only if it met one."""
        shown: dict[str, object] = {"method": self.method, "operation": self.operation, "status": self.status}
        return {**shown, "fault": self.fault} if self.fault else shown


class Service:
    """Localpayment's state and its switches.

    Attributes:
        token_calls: calls of the token endpoints by grant, `password` or `refresh`, whatever came of them.
        unauthorized: 401s answered to API calls.
        executed: operations that took effect, by (name, None) and by (name, external id).
        attempted: operations that were called with a living token, refused ones included, by the same keys.
        account: the one user; its `user` and password may be changed.
        add_fault, clear_faults, revoke, expire: those of `Faults` and `Tokens`.
    """

    def __init__(self, options: SimulatorOptions) -> None:
        self.options = options
        self.faults = Faults()
        self.add_fault, self.clear_faults = self.faults.add, self.faults.clear
        self.tokens = Tokens(options)
        self.revoke, self.expire = self.tokens.revoke, self.tokens.expire
        self.reset()

    def reset(self) -> None:
        """Begin again as at the start; tokens issued before stay as they are, so a running client is not disturbed."""
        self.faults.clear()
        self.ledger = Ledger()
        self.account = Account(self.options.username, self.options.password)
        self.tokens.settings = self.options
        self.clock_offset = 0.0
        self.token_calls: Counter[str] = Counter()
        self.unauthorized = 0
        self.executed: Counter[tuple[str, str | None]] = Counter()
        self.attempted: Counter[tuple[str, str | None]] = Counter()
        self.log: deque[LoggedCall] = deque(maxlen=LOG_LENGTH)

    def now(self) -> float:
        """Localpayment's wall clock, in seconds since the epoch."""
        return self.options.clock() + self.clock_offset

    def executions(self, operation: str, external_id: str | None = None) -> int:
        """How often an operation took effect, altogether or for one external id."""
        return self.executed[operation, external_id]

    def attempts(self, operation: str, external_id: str | None = None) -> int:
        """How often an operation was called, refusals such as a duplicate's included."""
        return self.attempted[operation, external_id]

    def executed_by_id(self, external_id: str | None = None) -> dict[str, dict[str, int]]:
        """How often each operation with effects took effect, by external id: of all ids, or of this one."""
        found: dict[str, dict[str, int]] = {} if external_id is None else {external_id: {}}
        for (name, identifier), count in self.executed.items():
            if identifier is not None and name in EFFECTFUL and external_id in {None, identifier}:
                found.setdefault(identifier, {})[name] = count
        return found

    def set_clock(self, offset: float) -> None:
        """Set how many seconds Localpayment's clock is ahead of the true one."""
        if not abs(offset) <= CLOCK_OFFSET_LIMIT:
            message = f"offset must be between -{CLOCK_OFFSET_LIMIT:.0f} and {CLOCK_OFFSET_LIMIT:.0f} seconds"
            raise ValueError(message)
        self.clock_offset = offset

    def change_settings(self, **changes: Any) -> Settings:  # noqa: ANN401 - of the type that `Settings` says
        """Change how tokens are issued from now on: fields of `Settings`."""
        self.tokens.settings = replace(self.tokens.settings, **changes)
        return self.tokens.settings

    def stats(self) -> dict[str, object]:
        """Figures; names of operations only."""
        return {
            "token_calls": dict(self.token_calls),
            "unauthorized": self.unauthorized,
            "executed": _by_name(self.executed),
            "attempted": _by_name(self.attempted),
            "transactions": len(self.ledger.transactions),
            "faults": len(self.faults.rules),
        }

    def note(self, method: str, operation: str, status: int | None, fault: str | None) -> None:
        """Log a call."""
        call = LoggedCall(method, operation, status, fault)
        self.log.append(call)
        self.options.on_call(call)


def _by_name(counter: Counter[tuple[str, str | None]]) -> dict[str, int]:
    return {name: count for (name, external_id), count in counter.items() if external_id is None}
