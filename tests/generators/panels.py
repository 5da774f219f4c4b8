"""The dashboard as data: rows of panels, each with its queries.

A query names only metrics that the sidecar exposes or config/prometheus/rules.yml records.
"""

from __future__ import annotations

from typing import Final

from tests.generators.queries import HERE, JOB, PREFIX, Panel, Query, Row, metric, quantiles, rate

_MONEY: Final = f'{PREFIX}operation_info{{{HERE},kind=~"money_.*"}}'
_JOINED: Final = f"* on (job, instance, operation) group_left (kind) {_MONEY}"


def _of_money(name: str, by: str, window: str, function: str = "rate", *matchers: str) -> str:
    return f"sum by ({by}) ({function}({metric(name, *matchers)}[{window}]) {_JOINED})"


OVERVIEW: Final = Row(
    "Overview",
    (
        Panel(
            "Ready",
            (Query(metric("ready"), "{{instance}}"),),
            kind="stat",
            bad_below=1,
            text="1 while calls are forwarded. 0: every call gets 503, not sent; docs/runbooks/readyz-is-503.md.",
        ),
        Panel(
            "Availability, 5 min",
            (Query(f"localpayment_proxy:availability:rate5m{{{JOB}}}", "{{job}}"),),
            "percentunit",
            "stat",
            bad_below=0.999,
            text="Share of calls that got an answer of Localpayment's other than a 5xx.",
        ),
        Panel("Calls per second", (Query(rate("requests_total", "job"), "{{job}}"),), "reqps", "stat"),
        Panel("Being relayed now", (Query(f"sum({metric('in_flight_requests')})", "calls"),), kind="stat"),
        Panel(
            "Unknown outcomes, 24 h",
            (Query(f"sum(increase({metric('unsettled_calls_total', 'outcome!=`orphaned`')}[24h]))", "calls"),),
            kind="stat",
            bad_above=0.5,
            text="Calls with effects whose outcome is unknown; docs/runbooks/outcome-unknown.md.",
        ),
        Panel(
            "Token ends in",
            (Query(f"min({metric('token_expiry_timestamp_seconds')} > 0) - time()", "seconds"),),
            "s",
            "stat",
            bad_below=60,
        ),
        Panel("Calls by outcome", (Query(rate("requests_total", "outcome"), "{{outcome}}"),), "reqps"),
        Panel("Calls by status", (Query(rate("requests_total", "status"), "{{status}}"),), "reqps"),
        Panel("How long calls take", quantiles("request_duration_seconds"), "s"),
        Panel("Calls by operation", (Query(rate("requests_total", "operation") + " > 0", "{{operation}}"),), "reqps"),
    ),
)
MONEY: Final = Row(
    "Money",
    (
        Panel(
            "Calls that move money, per hour",
            (
                Query(
                    f"3600 * ({_of_money('request_duration_seconds_count', 'operation', '$__rate_interval')}) > 0",
                    "{{operation}}",
                ),
            ),
        ),
        Panel(
            "By kind, per hour",
            (Query(f"3600 * ({_of_money('request_duration_seconds_count', 'kind', '$__rate_interval')})", "{{kind}}"),),
        ),
        Panel(
            "Not settled, in the last hour",
            (
                Query(
                    _of_money("unsettled_calls_total", "operation, outcome", "1h", "increase") + " > 0",
                    "{{operation}} {{outcome}}",
                ),
            ),
            bad_above=0.5,
            text="unknown, aborted: ask before repeating. orphaned: the caller left, the log has the answer.",
        ),
        Panel(
            "What must not happen, in the last hour",
            (
                Query(f"sum(increase({metric('token_echoes_total')}[1h]))", "tokens in answers"),
                Query(f"sum(increase({metric('mesh_repeats_total')}[1h]))", "calls repeated by a mesh"),
                Query(f"sum(increase({metric('policy_reports_total')}[1h]))", "calls that a policy only reports"),
            ),
            bad_above=0.5,
        ),
        Panel("Calls by caller", (Query(rate("caller_requests_total", "caller"), "{{caller}}"),), "reqps"),
    ),
)
TOKEN: Final = Row(
    "Token",
    (
        Panel(
            "Life left of the access token",
            (Query(f"({metric('token_expiry_timestamp_seconds')} > 0) - time()", "{{instance}}"),),
            "s",
            bad_below=60,
        ),
        Panel(
            "Life left of the refresh token",
            (Query(f"({metric('refresh_token_expiry_timestamp_seconds')} > 0) - time()", "{{instance}}"),),
            "s",
        ),
        Panel(
            "Life left when replaced",
            (Query(f"localpayment_proxy:token_headroom_seconds:p10_1h{{{HERE}}}", "{{instance}}"),),
            "s",
            bad_below=60,
            text="Nine of ten tokens could have been used for longer; docs/runbooks/headroom-shrinking.md.",
        ),
        Panel(
            "Fetches per hour",
            (Query(f"3600 * {rate('token_fetches_total', 'grant, result')} > 0", "{{grant}} {{result}}"),),
        ),
        Panel("How long a fetch takes", quantiles("token_fetch_duration_seconds"), "s"),
        Panel("State", (Query(f"sum by (state) ({metric('token_state')}) > 0", "{{state}}"),)),
        Panel(
            "Refused credentials, refused tokens per hour",
            (
                Query(f"max({metric('credentials_rejected')})", "credentials refused"),
                Query(f"max({metric('token_refused')})", "token refused, no other to be had"),
                Query(f"3600 * {rate('token_disputes_total')}", "tokens refused per hour"),
            ),
            bad_above=0.5,
        ),
        Panel("Clock skew", (Query(metric("clock_skew_seconds"), "{{instance}}"),), "s"),
        Panel(
            "Age of the credentials",
            (Query(f"time() - {metric('credentials_loaded_timestamp_seconds')}", "{{instance}}"),),
            "s",
        ),
    ),
)
UPSTREAM: Final = Row(
    "Localpayment",
    (
        Panel("How long Localpayment takes", quantiles("upstream_duration_seconds"), "s"),
        Panel(
            "95 % within, by operation",
            (
                Query(
                    f"histogram_quantile(0.95, {rate('upstream_duration_seconds_bucket', 'operation, le')}) > 0",
                    "{{operation}}",
                ),
            ),
            "s",
        ),
        Panel(
            "Error ratio",
            (
                Query(f"localpayment_proxy:error_ratio:rate5m{{{JOB}}}", "5 min"),
                Query(f"localpayment_proxy:error_ratio:rate1h{{{JOB}}}", "1 h"),
            ),
            "percentunit",
            bad_above=0.001,
        ),
        Panel("Connecting", (Query(rate("upstream_connects_total", "result"), "{{result}}"),), "ops"),
        Panel("Connections", (Query(f"sum by (state) ({metric('upstream_connections')})", "{{state}}"),)),
        Panel("Answers that refuse", (Query(rate("upstream_denials_total", "status"), "{{status}}"),), "reqps"),
        Panel("Calls sent again", (Query(rate("resends_total", "reason"), "{{reason}}"),), "reqps"),
    ),
)
SIDECAR: Final = Row(
    "The sidecar itself",
    (
        Panel("What the sidecar adds", quantiles("own_duration_seconds"), "s", bad_above=0.05),
        Panel(
            "Places taken",
            (Query(f"{metric('in_flight_requests')} / {metric('in_flight_limit')}", "{{instance}}"),),
            "percentunit",
            bad_above=0.8,
        ),
        Panel("Refusals and own answers", (Query(rate("refusals_total", "code") + " > 0", "{{code}}"),), "reqps"),
        Panel(
            "Bytes of bodies",
            (
                Query(rate("request_body_bytes_total"), "from callers"),
                Query(rate("response_body_bytes_total"), "to callers"),
            ),
            "Bps",
        ),
        Panel(
            "CPU",
            (Query(f"rate(process_cpu_seconds_total{{{HERE}}}[$__rate_interval])", "{{instance}}"),),
            "percentunit",
        ),
        Panel("Memory", (Query(f"process_resident_memory_bytes{{{HERE}}}", "{{instance}}"),), "bytes"),
        Panel("Open files", (Query(f"process_open_fds{{{HERE}}}", "{{instance}}"),)),
        Panel(
            "Lines and traces lost",
            (
                Query(f"sum(increase({metric('log_lines_dropped_total')}[1h]))", "log"),
                Query(f"sum(increase({metric('audit_lines_dropped_total')}[1h]))", "audit"),
                Query(f"sum(increase({metric('traces_dropped_total')}[1h]))", "traces"),
            ),
            bad_above=0.5,
        ),
        Panel(
            "Unsafe options",
            (Query(f"max by (option) ({metric('unsafe_option_enabled')})", "{{option}}"),),
            bad_above=0.5,
        ),
        Panel(
            "What runs",
            (
                Query(
                    f"count by (environment, version, python) ({metric('build_info')})",
                    "{{environment}}: {{version}}, Python {{python}}",
                ),
            ),
        ),
    ),
)
LEDGER: Final = Row(
    "Outcome ledger",
    (
        Panel(
            "Not settled, or on their way",
            (Query(f"sum by (operation) ({metric('ledger_open')}) > 0", "{{operation}}"),),
            text="Calls of which it is not known what became; docs/runbooks/ledger-open.md.",
        ),
        Panel(
            "Age of the oldest of them",
            (Query(f"max by (instance) ({metric('ledger_oldest_open_seconds')})", "{{instance}}"),),
            "s",
            bad_above=600,
        ),
        Panel("Found out, per hour", (Query(f"3600 * {rate('ledger_settled_total', 'result')}", "{{result}}"),)),
        Panel("A commit takes", quantiles("ledger_write_seconds"), "s", bad_above=0.5),
        Panel(
            "Repeated calls, in the last hour",
            (
                Query(
                    f"sum by (body) (increase({metric('ledger_duplicates_total')}[1h]))",
                    "{{body}} body",
                ),
            ),
            bad_above=0.5,
            text="A call with the operation and external id of an earlier one; docs/runbooks/duplicates.md.",
        ),
        Panel(
            "What a ledger should not meet, in the last hour",
            (
                Query(f"sum(increase({metric('ledger_interrupted_total')}[1h]))", "calls whose process died"),
                Query(f"sum(increase({metric('ledger_failures_total')}[1h]))", "commits that failed"),
                Query(f"sum(increase({metric('ledger_bypassed_total')}[1h]))", "calls sent without an entry"),
                Query(f"sum(increase({metric('ledger_ends_lost_total')}[1h]))", "outcomes not kept"),
            ),
            bad_above=0.5,
        ),
    ),
)
ROWS: Final = (OVERVIEW, MONEY, LEDGER, TOKEN, UPSTREAM, SIDECAR)
