"""Builds the status page in sections, so that a browser is sent only those that changed.

It loads nothing from other hosts. Its script swaps sections and counts down.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from proxy.ops.admin.ledger_view import ledger_section
from proxy.ops.admin.markup import Markup, clock, countdown, element, joined, notes, pairs, sparkline, table, titled

if TYPE_CHECKING:
    from collections.abc import Mapping

    View = Mapping[str, Any]

_ASSETS: Final = Path(__file__).with_name("assets")
STYLE: Final = (_ASSETS / "status.css").read_text(encoding="utf-8")
SCRIPT: Final = (_ASSETS / "status.js").read_text(encoding="utf-8")
POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_MEANS: Final = {"sandbox": "Sandbox: play money", "production": "Production: real money"}
_CALL: Final = ("UTC", "Operation", "Status", "Outcome", "ms")
_COLOURS: Final = {"sandbox": "#0b6e4f", "production": "#b3122b"}


def page(view: View) -> str:
    """Return the whole page."""
    shown = sections(view)
    environment = view["environment"]
    body = (
        element("header", shown["top"], id="top", role="status"),
        element("main", *(element("section", shown[name], id=name) for name in shown if name != "top")),
        element("p", "Live.", id="link", role="status"),
        element("noscript", element("p", "Without scripts this page shows one moment; load it again for the next.")),
    )
    script = Markup('<script src="/status/script.js" defer></script>')
    return _document(f"{environment} · localpayment-proxy", *body, head=script, class_=environment)


def _document(title: str, *body: object, head: object = "", class_: str | None = None) -> str:
    heads = (
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        element("title", title),
        Markup('<link rel="icon" href="/status/icon.svg" type="image/svg+xml">'),
        Markup('<link rel="stylesheet" href="/status/style.css">'),
        head,
    )
    whole = element("html", element("head", *heads), element("body", *body, class_=class_), lang="en")
    return f"<!doctype html>\n{whole}\n"


# What the admin listener answers: path, and what it is for; commands are given by POST.
INDEX: Final = (
    ("/status", "the state of this sidecar, as a page; JSON for programs"),
    ("/metrics", "metrics for Prometheus"),
    ("/readyz", "whether calls are forwarded, and if not, why and what to do"),
    ("/startupz", "whether a token was held once"),
    ("/livez", "whether the process runs"),
)
_COMMANDS: Final = (
    "POST gives a command, as a shell does: /-/reload, /-/lock, /-/unlock, /-/drain, /-/quit, /-/ledger/settle."
)


def index_text() -> str:
    """Return the list of what the listener answers, as text."""
    return "".join(f"GET {path:<10}  {what}\n" for path, what in INDEX) + _COMMANDS + "\n"


def index_page() -> str:
    """Return the same as a page."""
    links = (element("div", element("dt", element("a", path, href=path)), element("dd", what)) for path, what in INDEX)
    section = element("section", element("dl", *links), element("p", _COMMANDS), class_="told")
    body = element("header", element("h1", "Admin listener")), element("main", section)
    return _document("admin listener · localpayment-proxy", *body)


def icon(environment: str) -> str:
    """Return a coloured disc, so that tabs of sandbox and production differ."""
    shape = f'<circle cx="8" cy="8" r="7" fill="{_COLOURS[environment]}"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">{shape}</svg>'


def sections(view: View) -> dict[str, Markup]:
    """Return the sections by id; nothing in them changes merely because time passes."""
    return {
        "top": _top(view),
        "token": _token(view),
        "unsettled": _unsettled(view["unsettled"]) if view["ledger"] is None else ledger_section(view["ledger"]),
        "minutes": _minutes(view["last_15_minutes"], view),
        "calls": titled("Calls", table("The last ones", _CALL, [*map(_call, view["last_calls"])], "No call yet.")),
        "policy": _policy(view["policy"]),
        "about": _about(view),
        "settings": titled("Settings in force", pairs(list(view["settings"].items()))),
    }


def _top(view: View) -> Markup:
    ready = "ready" if view["ready"] else f"not ready: {view['reason']}"
    return joined(
        element("h1", _MEANS[view["environment"]]),
        element("p", view["origin"], class_="origin"),
        element("p", ready, class_="good" if view["ready"] else "bad"),
        _why("Why", view["why"]),
    )


def _why(term: str, why: View | None) -> Markup:
    """Say a cause and what to do next, in full; nothing without one."""
    if why is None:
        return Markup()
    return element("div", pairs([(term, why["cause"]), ("To do", why["advice"])]), class_="told")


def _token(view: View) -> Markup:
    token = view["token"]
    rows: list[tuple[str, object]] = [
        ("State", token["state"]),
        ("Access token", countdown(token["expires"])),
        ("Refresh token", countdown(token["refresh_expires"])),
    ]
    if token["refused"]:
        rows.append(("In use", element("strong", "Localpayment refuses it, and gives no other", class_="bad")))
    if token["credentials_rejected"]:
        rows.append(("Credentials", element("strong", "Localpayment refuses them", class_="bad")))
    failing = _why("Failing", token["failing"] if view["ready"] else None)
    fetches = [(_fetch(each), each["reason"]) for each in token["fetches"]]
    return titled("Token", pairs(rows), failing, notes("Token fetches", fetches, "No token was fetched yet."))


def _fetch(each: View) -> Markup:
    result = each["result"] if each["result"] == "granted" else element("strong", each["result"], class_="bad")
    times = (f"{each['times']} times since", clock(each["since"])) if each["times"] > 1 else ()
    told = joined(clock(each["at"]), each["grant"], result, *times, between=" ")
    return joined(told, f", {each['milliseconds']:.1f} ms")


def _unsettled(unsettled: View) -> Markup:
    total = unsettled["total"]
    if not total:
        return titled("Unknown outcomes", element("p", "None since the start.", class_="good"))
    text = f"{total} since the start. Settle each: find its request id in the log, then ask Localpayment."
    items = [
        (joined(*_call(call)[:-1], between=" "), joined("Request id ", element("code", call["request_id"])))
        for call in unsettled["last"]
    ]
    return titled("Unknown outcomes", element("p", text, class_="bad"), notes("Last of them", items))


def _call(call: View) -> tuple[object, ...]:
    """Return a call's cells; a status that says that something is wrong is marked."""
    status = element("strong", call["status"], class_="bad") if call["wrong"] else call["status"] or "none"
    outcome = element("span", call["outcome"], class_=f"outcome {call['outcome']}")
    told = joined(outcome, call["code"], between=" ") if call["code"] else outcome
    return clock(call["at"]), call["operation"], status, told, f"{call['milliseconds']:.1f}"


def _minutes(minutes: View, view: View) -> Markup:
    flight, connections = view["in_flight"], view["connections"]
    charts = element(
        "div",
        sparkline("Calls per 15 s", minutes["calls"], kind="calls", unit=""),
        sparkline("Errors per 15 s", minutes["errors"], kind="errors", unit=""),
        sparkline("Half of the calls within", minutes["p50_ms"], kind="time", unit=" ms"),
        sparkline("95 % of the calls within", minutes["p95_ms"], kind="time", unit=" ms"),
        class_="charts",
    )
    rows = [
        ("In flight", f"{flight['now']} of {flight['limit']}"),
        ("Connections", f"{connections['active']} active, {connections['idle']} idle"),
    ]
    return titled("Last 15 minutes", charts, pairs(rows))


def _policy(policy: View) -> Markup:
    rows = [
        (caller["name"], caller["mode"], caller["operations"], ", ".join(caller["pays_out"]) or "nothing")
        for caller in policy["callers"]
    ]
    file = policy["file"] or "No file: every caller may do everything but release payouts by date."
    headings = ("Caller", "Mode", "Operations", "Pays out by")
    return titled("Policy", element("p", file), table("In force", headings, rows, "No caller at all."))


def _about(view: View) -> Markup:
    facts = [
        ("Version", view["version"]),
        ("Running since", clock(view["started"])),
        ("Credentials from", view["credentials"]),
        ("Log lines dropped", view["log_lines_dropped"]),
    ]
    warnings = [element("li", text) for text in view["warnings"]]
    told = element("ul", *warnings) if warnings else element("p", "None.", class_="empty")
    return titled("About this sidecar", pairs(facts), element("h3", "Warnings"), told)
