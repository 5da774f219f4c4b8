"""Builds the status page in sections, so that a browser is sent only those that changed.

It loads nothing from other hosts. Its script swaps sections and counts down.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from proxy.ops.admin.markup import Markup, clock, countdown, element, joined, pairs, sparkline, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    View = Mapping[str, Any]

_ASSETS: Final = Path(__file__).with_name("assets")
STYLE: Final = (_ASSETS / "status.css").read_text(encoding="utf-8")
SCRIPT: Final = (_ASSETS / "status.js").read_text(encoding="utf-8")
POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_MEANS: Final = {"sandbox": "Sandbox: play money", "production": "Production: real money"}
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
    head = (
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        element("title", f"{environment} · localpayment-proxy"),
        Markup('<link rel="icon" href="/status/icon.svg" type="image/svg+xml">'),
        Markup('<link rel="stylesheet" href="/status/style.css"><script src="/status/script.js" defer></script>'),
    )
    whole = element("html", element("head", *head), element("body", *body, class_=environment), lang="en")
    return f"<!doctype html>\n{whole}\n"


def icon(environment: str) -> str:
    """Return a coloured disc, so that tabs of sandbox and production differ."""
    shape = f'<circle cx="8" cy="8" r="7" fill="{_COLOURS[environment]}"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">{shape}</svg>'


def sections(view: View) -> dict[str, Markup]:
    """Return the sections by id; nothing in them changes merely because time passes."""
    return {
        "top": _top(view),
        "token": _token(view["token"]),
        "unsettled": _unsettled(view["unsettled"]),
        "minutes": _minutes(view["last_15_minutes"], view),
        "calls": joined((element("h2", "Calls"), _calls("The last ones", view["last_calls"], "No call yet."))),
        "policy": _policy(view["policy"]),
        "about": _about(view),
        "settings": joined((element("h2", "Settings in force"), pairs(list(view["settings"].items())))),
    }


def _top(view: View) -> Markup:
    ready = "ready" if view["ready"] else f"not ready: {view['reason']}"
    return joined(
        (
            element("h1", _MEANS[view["environment"]]),
            element("p", view["origin"], class_="origin"),
            element("p", ready, class_="good" if view["ready"] else "bad"),
        )
    )


def _token(token: View) -> Markup:
    rows: list[tuple[str, object]] = [
        ("State", token["state"]),
        ("Access token", countdown(token["expires"])),
        ("Refresh token", countdown(token["refresh_expires"])),
    ]
    if token["refused"]:
        rows.append(("In use", element("strong", "Localpayment refuses it, and gives no other", class_="bad")))
    if token["credentials_rejected"]:
        rows.append(("Credentials", element("strong", "Localpayment refuses them", class_="bad")))
    return joined((element("h2", "Token"), pairs(rows), _fetches(token["fetches"])))


def _unsettled(unsettled: View) -> Markup:
    total = unsettled["total"]
    if not total:
        return joined((element("h2", "Unknown outcomes"), element("p", "None since the start.", class_="good")))
    text = f"{total} since the start. Settle each: find its request_id in the log, then ask Localpayment."
    return joined(
        (
            element("h2", "Unknown outcomes"),
            element("p", text, class_="bad"),
            _calls("Last of them", unsettled["last"], ""),
        )
    )


def _minutes(minutes: View, view: View) -> Markup:
    flight, connections = view["in_flight"], view["connections"]
    return joined(
        (
            element("h2", "Last 15 minutes"),
            element(
                "div",
                sparkline("Calls per 15 s", minutes["calls"], kind="calls", unit=""),
                sparkline("Errors per 15 s", minutes["errors"], kind="errors", unit=""),
                sparkline("Half of the calls within", minutes["p50_ms"], kind="time", unit=" ms"),
                sparkline("95 % of the calls within", minutes["p95_ms"], kind="time", unit=" ms"),
                class_="charts",
            ),
            pairs(
                [
                    ("In flight", f"{flight['now']} of {flight['limit']}"),
                    ("Connections", f"{connections['active']} active, {connections['idle']} idle"),
                ]
            ),
        )
    )


def _calls(caption: str, calls: Sequence[View], empty: str) -> Markup:
    rows = [
        (
            clock(call["at"]),
            call["operation"],
            call["status"] or "none",
            element("span", call["outcome"], class_=f"outcome {call['outcome']}"),
            call["code"],
            f"{call['milliseconds']:.1f}",
        )
        for call in calls
    ]
    return table(caption, ("Time (UTC)", "Operation", "Status", "Outcome", "Code", "ms"), rows, empty)


def _fetches(fetches: Sequence[View]) -> Markup:
    rows = [
        (clock(each["at"]), each["grant"], each["result"], f"{each['milliseconds']:.1f}", each["reason"])
        for each in fetches
    ]
    headings = ("Time (UTC)", "Grant", "Result", "ms", "Why not")
    return table("Token fetches", headings, rows, "No token was fetched yet.")


def _policy(policy: View) -> Markup:
    rows = [
        (caller["name"], caller["mode"], caller["operations"], ", ".join(caller["pays_out"]) or "nothing")
        for caller in policy["callers"]
    ]
    file = policy["file"] or "No file: every caller may do everything but release payouts by date."
    headings = ("Caller", "Mode", "Operations", "Pays out by")
    return joined((element("h2", "Policy"), element("p", file), table("In force", headings, rows, "No caller at all.")))


def _about(view: View) -> Markup:
    facts = [
        ("Version", view["version"]),
        ("Running since", clock(view["started"])),
        ("Credentials from", view["credentials"]),
        ("Log lines dropped", view["log_lines_dropped"]),
    ]
    warnings = [element("li", text) for text in view["warnings"]]
    return joined(
        (
            element("h2", "About this sidecar"),
            pairs(facts),
            element("h3", "Warnings"),
            element("ul", *warnings) if warnings else element("p", "None.", class_="empty"),
        )
    )
