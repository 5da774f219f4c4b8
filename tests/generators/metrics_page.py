"""Writes docs/metrics.md from the registry.

`python -m tests.generators.metrics_page > docs/metrics.md`
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, cast

from prometheus_client import CollectorRegistry, ProcessCollector

from proxy.ops.metrics.gauges import declare_gauges
from proxy.ops.metrics.metrics import Metrics

if TYPE_CHECKING:
    from proxy.ops.metrics.gauges import SidecarState
    from proxy.ops.metrics.instruments import Declared

LABELS: Final = {
    "operation": "name in the catalogue of Localpayment's operations, `other` for what is not in it",
    "kind": "`read`, `quote`, `state`, `money_in`, `money_out`, `money_internal`",
    "method": "as sent, `other` for one that HTTP does not define",
    "status": "HTTP status of the caller's answer, `0` when it got none; one that HTTP does not define by its class, "
    "such as `2xx`",
    "outcome": "`answered`, `rejected`, `not_sent`, `unknown`, `aborted`, `orphaned`",
    "code": "a code of [errors.md](errors.md)",
    "reason": "`token`, `same_token`, `disconnected`, `connect`",
    "caller": "name in the policy, `anyone` without one, `unknown` for a caller not in it, "
    "empty when refused before that, `other` from the 64th on",
    "cause": "`no_certificate`, `untrusted`, `other`",
    "listener": "`data` for callers, `admin` for probes and operators",
    "verdict": "`unknown_caller`, `not_allowed`, `denied`, `over_rate`",
    "grant": "`password`, `refresh_token`",
    "result": "how it ended",
    "state": "what it is in",
    "option": "the option's name",
    "files": "`confined` by Landlock, `off`, `unavailable`, `helpers` when the source of the credentials runs or reads "
    "what only it knows",
    "dumps": "`true` when no core is dumped and no process of the same user may look in, `false`",
    "privileges": "`true` when no program can bring new ones, `false`",
    "observer": "`metrics`, `log`, `history`, `audit`, `traces`, `witness` for the recorder of secrets",
    "version": "of the sidecar",
    "environment": "`sandbox`, `production`",
    "python": "version of the interpreter",
}

_HEAD: Final = """\
# Metrics

<!-- Written by `python -m tests.generators.metrics_page > docs/metrics.md`; a test fails when it is stale. -->

`GET /metrics` on the admin listener; OpenMetrics when asked for, then with trace ids as exemplars of
`localpayment_proxy_request_duration_seconds`. Names, labels and their values are public interface.

Labels take their values from closed sets. What an alert counts exists from the start, as 0. Times are seconds,
`_timestamp_` is seconds since the Unix epoch, 0 for none.

[config/prometheus](../config/prometheus) has recording rules and alerts on these metrics, [runbooks](runbooks) what to
do about each alert.
"""


def reference() -> str:
    """Return the page, Markdown that ends with a newline."""
    metrics = Metrics("0", "sandbox")
    declare_gauges(metrics.instruments, cast("SidecarState", _Unread()))
    used = sorted({label for metric in metrics.declared for label in metric.labels})
    return "\n".join(
        [
            _HEAD,
            "| metric | type | labels | meaning |",
            "|---|---|---|---|",
            *(_row(metric) for metric in metrics.declared),
            *("", "## Labels", "", "| label | values |", "|---|---|"),
            *(f"| `{label}` | {LABELS[label]} |" for label in used),
            *("", "## Of the process", "", "| metric | type | meaning |", "|---|---|---|"),
            *_process_rows(),
            "",
        ]
    )


def _row(metric: Declared) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "none"
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.text} |"


def _process_rows() -> list[str]:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return [
        f"| `{metric.name}{'_total' if metric.type == 'counter' else ''}` | {metric.type} | {metric.documentation} |"
        for metric in registry.collect()
    ]


class _Unread:
    """Stands for what readings look at; the page needs their names only."""

    def __getattr__(self, name: str) -> _Unread:
        return self

    def __call__(self) -> _Unread:
        return self


if __name__ == "__main__":
    sys.stdout.write(reference())
