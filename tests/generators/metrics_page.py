"""Writes docs/metrics.md from the registry.

`python -m tests.generators.metrics_page > docs/metrics.md`
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final, cast

from proxy.ops.metrics.gauges import declare_gauges
from proxy.ops.metrics.ledger_metrics import declare_ledger_readings
from proxy.ops.metrics.metrics import Metrics

if TYPE_CHECKING:
    from proxy.ops.metrics.gauges import SidecarState
    from proxy.ops.metrics.instruments import Declared

LABELS: Final = {
    "operation": "name in the [catalogue](reference/operations.md), or `other`",
    "kind": "of an operation, `read`, `quote`, `state`, `money_in`, `money_out`, `money_internal`; of bytes, `heads`, "
    "`bodies`, `answers`, `pipelined`",
    "method": "as sent, or `other`",
    "status": "of the caller's answer, `0` without one; one that HTTP does not define by its class, such as `2xx`",
    "outcome": "`answered`, `rejected`, `not_sent`, `unknown`, `aborted`, `orphaned`",
    "code": "a code of [errors.md](errors.md)",
    "body": "`same`, `other`, or `unknown` when one was not held whole",
    "reason": "`token`, `same_token`, `disconnected`, `connect`",
    "caller": "name in the policy, `anyone` without one, `unknown` if not in it, empty when refused before that, "
    "`other` from the 65th on",
    "cause": "`no_certificate`, `untrusted`, `plain_http`, `other`",
    "listener": "`data`, `admin`",
    "verdict": "`unknown_caller`, `not_allowed`, `denied`, `over_rate`",
    "grant": "`password`, `refresh_token`",
    "result": "of a fetch, `granted` or a [failure](runbooks/readyz-is-503.md#find-the-reason); of a connection, "
    "`connected`, `unreachable`, `tls`, `timeout`; of a status read, `answered`, `unanswered`, `not_sent`; of a call, "
    "[what became of it](explanation/ledger.md#after-a-crash)",
    "state": "of the token, [its state](explanation/token-lifecycle.md#the-states); of connections, `active`, `idle`",
    "option": "an [unsafe option](runbooks/unsafe-option.md)",
    "files": "`confined` by Landlock, `off`, `unavailable`, `helpers` with a credentials command or AWS",
    "dumps": "`true`: no core dumps, no inspection",
    "privileges": "`true`: no program can bring new ones",
    "observer": "`metrics`, `log`, `history`, `audit`, `traces`, `witness`",
    "version": "of the sidecar",
    "environment": "`sandbox`, `production`",
    "python": "its version",
}

_HEAD: Final = """\
# Metrics

<!-- Written by `python -m tests.generators.metrics_page > docs/metrics.md`; a test fails when it is stale. -->

`GET /metrics` on the admin listener; OpenMetrics when asked for, then with trace ids as exemplars of
`localpayment_proxy_request_duration_seconds`. [config/prometheus](../config/prometheus) has recording rules and alerts,
[runbooks](runbooks) what to do about each.

Labels, in brackets, take their values from closed sets. What ends in `_total` is a counter, the rest are gauges unless
it says histogram. What an alert counts exists from the start, as 0. Times are seconds, `_timestamp_` is seconds since
the Unix epoch, 0 for none. The process's own metrics (`process_resident_memory_bytes` and others) are there too.
"""


def reference() -> str:
    """Return the page, Markdown that ends with a newline."""
    metrics = Metrics("0", "sandbox")
    declare_gauges(metrics.instruments, cast("SidecarState", _Unread()))
    declare_ledger_readings(metrics.instruments, None, time.time)
    used = sorted({label for metric in metrics.declared for label in metric.labels})
    return "\n".join(
        [
            _HEAD,
            *(_entry(metric) for metric in metrics.declared),
            *("", "## Labels", ""),
            *(f"- `{label}`: {LABELS[label]}" for label in used),
            "",
        ]
    )


def _entry(metric: Declared) -> str:
    kind = "" if metric.kind == ("counter" if metric.name.endswith("_total") else "gauge") else metric.kind
    facts = "; ".join(filter(None, (kind, ", ".join(f"`{label}`" for label in metric.labels))))
    return f"- **`{metric.name}`**{facts and f' ({facts})'}: {metric.text}"


class _Unread:
    """Stands for what readings look at; the page needs their names only."""

    def __getattr__(self, name: str) -> _Unread:
        return self

    def __call__(self) -> _Unread:
        return self


if __name__ == "__main__":
    sys.stdout.write(reference())
