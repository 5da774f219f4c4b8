"""Metrics are those that were promised, and their labels come from closed sets."""

from __future__ import annotations

import platform
import random
import re
import string
from pathlib import Path
from typing import Any

from prometheus_client import generate_latest

from proxy.api.operations import match
from proxy.errors import Outcome
from proxy.ops.metrics.metrics import MOST_CALLERS, Metrics, codes
from proxy.relay.record import MOST_SHAPES, Record, Resend
from proxy.tokens.issuer import FetchResult
from proxy.tokens.keeper import TokenFetched
from proxy.tokens.model import Grant
from tests.generators.metrics_page import LABELS, reference

NOW = 1_764_000_000.0
PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
# DESIGN section 7: what others rely on.
PROMISED = """
requests_total{operation,method,status,outcome} request_duration_seconds{operation} upstream_duration_seconds{operation}
own_duration_seconds in_flight_requests request_body_bytes_total response_body_bytes_total refusals_total{code}
resends_total{reason} token_fetches_total{grant,result} token_fetch_duration_seconds{grant}
token_expiry_timestamp_seconds refresh_token_expiry_timestamp_seconds token_headroom_seconds token_state{state}
clock_skew_seconds credentials_rejected
credentials_loaded_timestamp_seconds upstream_connections{state} upstream_connects_total{result}
unsafe_option_enabled{option} log_lines_dropped_total
"""


def record(**changes: Any) -> Record:
    facts: dict[str, Any] = {"request_id": "r-1", "method": "POST", "started": 0.0, "operation": "create_payout"}
    return Record(**{**facts, "outcome": Outcome.ANSWERED, "status": 201, "attempts": 1, **changes})


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"localpayment_proxy_{name}", labels)


def series(metrics: Metrics) -> int:
    return generate_latest(metrics.registry).count(b"\n")


def test_the_page_is_what_the_registry_says() -> None:
    fix = "python -m tests.generators.metrics_page > docs/metrics.md"
    assert PAGE.read_text(encoding="utf-8") == reference(), f"docs/metrics.md is stale: {fix}"


def test_every_metric_that_was_promised_is_there_with_its_labels() -> None:
    rows = re.findall(r"^- \*\*`localpayment_proxy_(\w+)`\*\*(?: \((.+?)\))?: ", reference(), re.MULTILINE)
    there = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    for name, labels in re.findall(r"(\w+)(?:\{(.*?)\})?\s", PROMISED):
        assert there[name] == set(filter(None, labels.split(","))), name


def test_every_label_that_is_explained_is_used() -> None:
    of_readings = {"state", "files", "dumps", "privileges"}
    assert {label for metric in Metrics("1", "sandbox").declared for label in metric.labels} | of_readings == set(
        LABELS
    )


def test_50_000_random_paths_and_methods_make_no_series() -> None:
    metrics, chance = Metrics("1", "sandbox"), random.Random(5)  # noqa: S311 - repeatable test data
    metrics.observe(record(operation="other", method="GET", status=404), NOW)
    before = series(metrics)
    for _ in range(50_000):
        path = "/api/" + "".join(chance.choices(string.ascii_letters + "/%.", k=12))
        metrics.observe(record(operation=match("GET", path).operation.name, method="GET", status=404), NOW)
    assert series(metrics) == before


def test_a_status_that_http_does_not_define_is_counted_by_its_class() -> None:
    metrics = Metrics("1", "sandbox")
    for status in range(200, 600):
        metrics.observe(record(status=status), NOW)
    labels = {"operation": "create_payout", "method": "POST", "outcome": "answered"}
    assert value(metrics, "requests_total", status="201", **labels) == 1
    assert value(metrics, "requests_total", status="299", **labels) is None
    assert value(metrics, "requests_total", status="2xx", **labels) == 90
    metrics.observe(record(status=0, outcome=Outcome.NOT_SENT), NOW)
    assert value(metrics, "requests_total", status="0", **{**labels, "outcome": "not_sent"}) == 1


def test_callers_beyond_the_64th_share_a_series() -> None:
    metrics = Metrics("1", "sandbox")
    for number in range(MOST_CALLERS + 10):
        metrics.observe(record(caller=f"caller-{number}"), NOW)
    assert value(metrics, "caller_requests_total", caller="caller-0", kind="money_out") == 1
    assert value(metrics, "caller_requests_total", caller="other", kind="money_out") == 10


def test_more_sorts_of_calls_than_are_kept_are_all_counted() -> None:
    metrics = Metrics("1", "sandbox")
    for _ in range(2):
        for number in range(MOST_SHAPES + 10):
            metrics.observe(record(status=0, outcome=Outcome.NOT_SENT, attempts=number), NOW)
    labels = {"operation": "create_payout", "method": "POST", "status": "0", "outcome": "not_sent"}
    assert value(metrics, "requests_total", **labels) == 2 * (MOST_SHAPES + 10)


def test_a_call_that_the_policy_only_reports_is_counted_by_what_it_would_have_been_refused_for() -> None:
    metrics = Metrics("1", "sandbox")
    metrics.observe(record(policy="not_allowed"), NOW)
    metrics.observe(record(), NOW)
    assert value(metrics, "policy_reports_total", verdict="not_allowed") == 1


def test_what_an_alert_counts_exists_before_it_happens() -> None:
    metrics = Metrics("1", "sandbox")
    assert value(metrics, "unsettled_calls_total", operation="create_payout", outcome="unknown") == 0
    assert value(metrics, "refusals_total", code="operation_forbidden") == 0
    assert value(metrics, "upstream_denials_total", status="403") == 0
    assert value(metrics, "token_fetches_total", grant="password", result="refused") == 0
    assert value(metrics, "request_duration_seconds_count", operation="wire_out") == 0
    assert value(metrics, "unsafe_option_enabled", option="remote_data") == 0


def test_one_call_is_counted_in_everything_that_concerns_it() -> None:
    metrics = Metrics("1", "sandbox")
    sizes = {"request_bytes": 100, "response_bytes": 50, "total_seconds": 0.3, "upstream_seconds": 0.2}
    metrics.observe(
        record(**sizes, resends=[Resend.TOKEN], code="upstream_timeout", outcome=Outcome.UNKNOWN, status=504), NOW
    )
    assert value(metrics, "request_duration_seconds_sum", operation="create_payout") == 0.3
    assert value(metrics, "upstream_duration_seconds_sum", operation="create_payout") == 0.2
    assert value(metrics, "own_duration_seconds_count") == 1
    assert value(metrics, "request_body_bytes_total") == 100
    assert value(metrics, "response_body_bytes_total") == 50
    assert value(metrics, "refusals_total", code="upstream_timeout") == 1
    assert value(metrics, "resends_total", reason="token") == 1
    assert value(metrics, "unsettled_calls_total", operation="create_payout", outcome="unknown") == 1


def test_a_denial_is_counted_as_localpayments_only_when_it_was() -> None:
    metrics = Metrics("1", "sandbox")
    metrics.observe(record(status=403), NOW)
    metrics.observe(record(status=403, outcome=Outcome.REJECTED, code="operation_forbidden", attempts=0), NOW)
    assert value(metrics, "upstream_denials_total", status="403") == 1
    assert value(metrics, "own_duration_seconds_count") == 1


def test_a_read_whose_outcome_is_unknown_is_not_unsettled() -> None:
    metrics = Metrics("1", "sandbox")
    metrics.observe(record(operation="get_balance", outcome=Outcome.UNKNOWN), NOW)
    assert value(metrics, "unsettled_calls_total", operation="get_balance", outcome="unknown") is None


def test_a_fetch_is_counted_with_its_headroom_and_skew() -> None:
    metrics = Metrics("1", "sandbox")
    facts: dict[str, Any] = {"seconds": 0.1, "generation": 1, "reason": "", "status": None, "retry_in": 1.0}
    metrics.fetched(TokenFetched(Grant.REFRESH, FetchResult.GRANTED, headroom=-1.0, skew=2.5, **facts))
    metrics.fetched(TokenFetched(Grant.REFRESH, FetchResult.TIMEOUT, headroom=None, skew=None, **facts))
    assert value(metrics, "token_fetches_total", grant="refresh_token", result="granted") == 1
    assert value(metrics, "token_headroom_seconds_bucket", le="0.0") == 1
    assert value(metrics, "clock_skew_seconds") == 2.5


def test_what_runs_is_told_with_the_environment_that_it_pays_in() -> None:
    labels = {"version": "1", "python": platform.python_version(), "environment": "sandbox"}
    assert value(Metrics("1", "sandbox"), "build_info", **labels) == 1


def test_a_scrape_is_small() -> None:
    assert series(Metrics("1", "sandbox")) < 1500
    assert "operation_forbidden" in codes()
