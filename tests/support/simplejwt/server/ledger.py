"""Counts what has reached the server: no token, no body, no header is kept."""

from __future__ import annotations

import threading
from collections import Counter

GRANTS = {"/api/token/": "logins", "/api/token/refresh/": "refreshes"}


class Ledger:
    """Shared by all threads of the server."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._counts: Counter[str] = Counter()
        self._executions: Counter[str] = Counter()
        self._held = 0
        self._releases = 0

    def begun(self, path: str) -> None:
        if path not in GRANTS:
            with self._changed:
                self._counts["calls_begun"] += 1

    def answered(self, path: str, status: int) -> None:
        grant = GRANTS.get(path)
        if grant is not None:
            name = grant if status == 200 else f"{grant}_refused"
        else:
            name = "unauthorized" if status == 401 else "calls_answered"
        with self._changed:
            self._counts[name] += 1

    def executed(self, external_id: str) -> None:
        """Note that a view ran for this id; without an id there is nothing to tell apart."""
        if external_id:
            with self._changed:
                self._executions[external_id] += 1

    def knows(self, external_id: str) -> bool:
        with self._changed:
            return external_id in self._executions

    def hold(self, seconds: float) -> bool:
        """Keep the calling thread until `release`, at most `seconds`; tell whether it was released."""
        with self._changed:
            seen = self._releases
            self._held += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(lambda: self._releases != seen, seconds)
            finally:
                self._held -= 1

    def release(self) -> None:
        """Let go all calls that are held now, not those to come."""
        with self._changed:
            self._releases += 1
            self._changed.notify_all()

    def held(self, calls: int, seconds: float) -> bool:
        """Wait at most `seconds` until that many calls are held; tell whether they are."""
        with self._changed:
            return self._changed.wait_for(lambda: self._held >= calls, seconds)

    def counts(self) -> dict[str, object]:
        with self._changed:
            return {**self._counts, "executions": dict(self._executions)}

    def clear(self) -> None:
        with self._changed:
            self._counts.clear()
            self._executions.clear()


ledger = Ledger()
