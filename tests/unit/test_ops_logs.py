"""A call is one line of the log, and what it holds; so are mistakes, warnings and crashes."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
import threading
import warnings
from typing import Any

import pytest

from proxy.credentials.model import Credentials
from proxy.credentials.watch import Recovered, Reloaded, ReloadFailed
from proxy.errors import Outcome
from proxy.ops.logs.events import Events
from proxy.ops.logs.log import _capture_crashes, open_log
from proxy.process.error_location import where
from proxy.relay.record import Record
from proxy.relay.request.trace_context import uuid7
from proxy.secret import Secret
from proxy.tokens.issuer import FetchResult
from proxy.tokens.keeper import TokenDisputed, TokenFetched
from proxy.tokens.lifecycle_steps import State
from proxy.tokens.model import Grant

NOW = 1_764_000_000.25
CANARY = "canary-5f2c"


class Book:
    """An open log and what stands in it."""

    def __init__(self, level: str = "debug", style: Any = "json") -> None:
        self.stream = io.StringIO()
        self.log = open_log(level, style, self.stream)
        self.events = Events(self.log)

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


def fails() -> None:
    raise ValueError(CANARY)


def fetched(**changes: Any) -> TokenFetched:
    facts: dict[str, Any] = {
        "grant": Grant.REFRESH,
        "result": FetchResult.GRANTED,
        "seconds": 0.0421,
        "generation": 7,
        "reason": "",
        "status": None,
        "headroom": 131.24,
        "skew": -0.44,
        "retry_in": 160.0,
    }
    return TokenFetched(**{**facts, **changes})


def record(**changes: Any) -> Record:
    facts: dict[str, Any] = {"request_id": "r-1", "method": "POST", "started": 0.0, "operation": "create_payout"}
    return Record(**{**facts, **changes})


def test_a_call_is_one_line_with_what_the_design_names_and_nothing_else() -> None:
    book = Book()
    book.events.observe(record(status=201, outcome=Outcome.ANSWERED, attempts=1, total_seconds=0.5), NOW)
    (line,) = book.lines
    assert " ".join(line) == (
        "time level event request_id trace_id caller method operation status outcome code request_bytes "
        "response_bytes total_ms upstream_ms own_ms attempts token_generation"
    )
    assert (line["event"], line["level"], line["total_ms"]) == ("request.relayed", "info", 500.0)
    assert line["time"].endswith("Z")


def test_what_a_caller_chose_as_its_id_is_masked_and_escaped_and_an_id_of_ours_is_neither() -> None:
    book = Book()
    ours = uuid7(1_764_000_000_000, 0)
    book.log.known.learn(Secret(ours[:8]), Secret(CANARY))
    for request_id in (ours, str(ours), f'"{CANARY}\\', "4111111111111111"):
        book.events.observe(record(request_id=request_id), NOW)
    told = [line["request_id"] for line in book.lines]
    assert told == [ours, f"[redacted]{ours[8:]}", '"[redacted]\\', "[redacted]"]


def test_a_line_shows_when_its_call_was_over_to_the_millisecond() -> None:
    book = Book()
    for at in (NOW, NOW + 0.0005, NOW + 1, NOW - 0.001, 1_764_000_000.9999998):
        book.events.observe(record(), at)
    assert [line["time"] for line in book.lines] == [
        "2025-11-24T16:00:00.250Z",
        "2025-11-24T16:00:00.250Z",
        "2025-11-24T16:00:01.250Z",
        "2025-11-24T16:00:00.249Z",
        "2025-11-24T16:00:00.999Z",
    ]


def test_a_call_unlike_the_one_before_is_told_in_its_own_words() -> None:
    book = Book()
    for _ in range(2):
        book.events.observe(record(attempts=1, status=200, outcome=Outcome.ANSWERED), NOW)
        book.events.observe(record(attempts=1, status=504, outcome=Outcome.UNKNOWN, code="upstream_timeout"), NOW)
    assert [(line["level"], line["code"]) for line in book.lines] == [
        ("info", None),
        ("warning", "upstream_timeout"),
    ] * 2


@pytest.mark.parametrize(
    ("facts", "event", "level"),
    [
        ({"attempts": 0, "status": 403, "code": "operation_forbidden"}, "request.refused", "info"),
        (
            {"attempts": 0, "status": 503, "code": "overloaded", "outcome": Outcome.NOT_SENT},
            "request.refused",
            "warning",
        ),
        (
            {"attempts": 1, "status": 504, "code": "upstream_timeout", "outcome": Outcome.UNKNOWN},
            "request.relayed",
            "warning",
        ),
        ({"attempts": 1, "status": 200, "outcome": Outcome.ABORTED}, "request.relayed", "warning"),
        ({"attempts": 1, "status": 500, "outcome": Outcome.ANSWERED}, "request.relayed", "info"),
    ],
)
def test_a_call_that_somebody_must_look_at_is_a_warning(facts: dict[str, Any], event: str, level: str) -> None:
    book = Book()
    book.events.observe(record(**facts), NOW)
    (line,) = book.lines
    assert (line["event"], line["level"]) == (event, level)


def test_a_token_fetch_says_how_it_ended_and_what_comes_next() -> None:
    book = Book()
    book.events.fetched(fetched())
    failure = {"reason": "the token endpoint failed", "status": 500, "headroom": None, "skew": None}
    book.events.fetched(fetched(result=FetchResult.SERVER_ERROR, **failure))
    book.events.fetched(fetched(result=FetchResult.REFUSED, grant=Grant.PASSWORD, **failure))
    granted, failed, refused = book.lines
    assert (granted["event"], granted["headroom_s"], granted["clock_skew_s"]) == ("token.refreshed", 131.2, -0.4)
    assert (failed["event"], failed["level"], failed["fault"]) == ("token.fetch_failed", "warning", "upstream")
    assert (refused["level"], refused["fault"], refused["grant"]) == ("error", "credentials", "password")


@pytest.mark.parametrize("result", [FetchResult.GRANTED, FetchResult.REFUSED])
def test_a_fetch_says_whether_new_credentials_were_tried_beside_those_in_use(result: FetchResult) -> None:
    book = Book()
    for offered in (False, True):
        book.events.fetched(fetched(result=result, offered=offered))
    assert [line["offered"] for line in book.lines] == [False, True]


def test_a_dispute_says_whether_the_token_is_renewed_or_tried_once_more() -> None:
    book = Book()
    book.events.disputed(TokenDisputed(3, renewing=True))
    book.events.disputed(TokenDisputed(4, renewing=False, lagging=True))
    assert [(line["renewing"], line["lagging"]) for line in book.lines] == [(True, False), (False, True)]


def test_a_state_is_told_when_it_changes() -> None:
    book = Book()
    for state in (State.VALID, State.VALID, State.EXPIRED):
        book.events.state(state)
    assert [(line["was"], line["state"]) for line in book.lines] == [(None, "valid"), ("valid", "expired")]


def test_a_refused_token_and_what_became_of_the_credentials_are_told() -> None:
    book = Book()
    book.events.disputed(TokenDisputed(3, renewing=True))
    book.events.credentials(Reloaded(Credentials(Secret(CANARY), Secret(CANARY))))
    book.events.credentials(Recovered())
    book.events.credentials(ReloadFailed("the file is empty", 2))
    assert [line["event"] for line in book.lines] == [
        "token.disputed",
        "credentials.changed",
        "credentials.readable_again",
        "credentials.reload_failed",
    ]
    assert CANARY not in book.text


def test_a_defect_is_told_by_its_place_and_type_and_never_by_its_text() -> None:
    book = Book()
    with pytest.raises(ValueError, match=CANARY) as raised:
        fails()
    book.events.failed(raised.value)
    (line,) = book.lines
    assert (line["exception"], line["where"]) == ("ValueError", where(raised.value))
    assert CANARY not in book.text
    assert where(ValueError()) is None


def test_what_libraries_log_is_told_by_its_place_and_never_by_its_text() -> None:
    book = Book()
    logging.getLogger("aiohttp.server").error("read %s", CANARY)
    logging.getLogger("asyncio").error(f"said {CANARY}")  # noqa: G004 - what libraries do
    logging.getLogger("aiohttp.access").warning(CANARY)
    try:
        fails()
    except ValueError:
        logging.getLogger("some.library").exception(CANARY)
    assert [line["logger"] for line in book.lines] == ["aiohttp.server", "asyncio", "some.library"]
    assert book.lines[2]["exception"] == "ValueError"
    assert CANARY not in book.text


def test_what_a_library_logs_at_a_level_without_a_name_has_the_next_lower_one() -> None:
    book = Book()
    for level in (35, 99):
        logging.getLogger("some.library").log(level, CANARY)
    assert [line["level"] for line in book.lines] == ["warning", "critical"]


async def test_the_event_loops_own_complaint_quotes_nothing() -> None:
    book = Book()
    asyncio.get_running_loop().call_exception_handler({"message": CANARY, "exception": ValueError(CANARY)})
    (line,) = book.lines
    assert (line["logger"], line["exception"]) == ("asyncio", "ValueError")
    assert CANARY not in book.text


def test_a_thread_or_finaliser_that_fails_prints_no_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    logging.captureWarnings(capture=False)  # it does nothing while an earlier capture counts as on
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    book = Book()
    _capture_crashes(book.log.logger)
    warnings.showwarning(CANARY, ResourceWarning, "file.py", 1)
    logging.captureWarnings(capture=False)

    class Fails:
        def __del__(self) -> None:
            fails()

    thread = threading.Thread(target=fails)
    thread.start()
    thread.join()
    Fails()
    assert [line["event"] for line in book.lines] == ["library.logged", "thread.failed", "finaliser.failed"]
    assert CANARY not in book.text + "".join(capsys.readouterr())


def test_a_secret_that_a_mistake_puts_into_a_fact_is_masked() -> None:
    book = Book()
    book.log.known.keep(Secret(CANARY))
    book.log.logger.info("mistake", detail=f"the password {CANARY} was wrong", held=Secret("never shown"))
    (line,) = book.lines
    assert line["detail"] == "the password [redacted] was wrong"
    assert line["held"] == "[redacted]"


def test_lines_below_the_level_are_not_written() -> None:
    book = Book("warning")
    book.log.logger.info("small")
    book.log.logger.warning("large")
    assert [line["event"] for line in book.lines] == ["large"]
    assert book.log.close(0)
    assert book.log.lost == 0


def test_for_people_a_call_is_a_short_line() -> None:
    book = Book(style="console")
    outcome = {"status": 201, "outcome": Outcome.ANSWERED, "attempts": 1, "total_seconds": 0.0452}
    book.events.observe(record(**outcome, upstream_seconds=0.044), NOW)
    book.events.observe(record(attempts=2, code="upstream_disconnected", outcome=Outcome.UNKNOWN, caller="shop"), NOW)
    first, second = book.text.splitlines()
    assert first[13:] == (
        "info     request.relayed  POST create_payout → 201 answered, 45.2 ms (Localpayment 44.0), r-1"
    )
    assert second.endswith(
        "→ no answer unknown, 0.0 ms (Localpayment 0.0), upstream_disconnected, 2 attempts, by shop, r-1"
    )


def test_for_people_other_facts_are_pairs_and_control_characters_are_escaped() -> None:
    book = Book(style="console")
    book.log.logger.warning("some.thing", text="two words", odd="\x1b[2J", none=None, settings={"A": "1"})
    assert book.text[13:] == "warning  some.thing  text='two words' odd='\\x1b[2J' settings={A=1}\n"
