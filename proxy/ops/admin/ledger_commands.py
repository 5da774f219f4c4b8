"""Serves commands on the outcome ledger: ask Localpayment now, and note what a person or a webhook says of a call.

Answers are JSON, and hold no external id.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from proxy.ledger.entry import UNSETTLED, LedgerError, Settled, Wanted, may_be_asked_about
from proxy.ledger.one_call import SAYS, NotOneCallError, note_problem, one_call
from proxy.ops.admin.ledger_view import facts

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.ledger.entry import Entry
    from proxy.ledger.ledger import Ledger
    from proxy.ledger.store import Store

_BY: Final = "external_id"
AT_ONCE: Final = 100  # calls that one command asks about, one after the other


class LedgerCommands:
    """The commands on the ledger of this sidecar.

    Args:
        ledger: None when none is kept.
        wall: seconds since the Unix epoch.
    """

    def __init__(self, ledger: Ledger | None, wall: Callable[[], float]) -> None:
        self._ledger = ledger
        self._wall = wall

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the admin listener."""
        return [
            web.post("/-/ledger/settle", partial(self._answer, self._settle)),
            web.post("/-/ledger/{id}/resolve", partial(self._answer, self._resolve)),
        ]

    async def _answer(self, carry_out: Callable[..., Any], request: web.Request) -> web.Response:
        if self._ledger is None:
            return _refused(404, "this sidecar keeps no ledger: PROXY_LEDGER is off")
        try:
            response: web.Response = await carry_out(self._ledger, request)
        except NotOneCallError as error:
            return _refused(409 if error.calls else 404, str(error))
        except LedgerError as error:
            return _refused(503, str(error))
        return response

    async def _settle(self, ledger: Ledger, request: web.Request) -> web.Response:
        """Ask about the call that `id` names, or about the newest that are not settled; `more` tells of others."""
        name = request.query.get("id")
        found: list[Entry] = await ledger.journal.ask(_unsettled if name is None else partial(_named, name))
        entries, more = found[:AT_ONCE], len(found) > AT_ONCE
        if entries and not ledger.settler.can_ask:
            return _refused(503, "nothing can be asked now: no usable token is held, or Localpayment cannot be reached")
        for entry in entries:
            left = entry.settled is None and may_be_asked_about(entry.state, entry.status)
            if left and ledger.settler.can_ask:
                await ledger.settler.settle(entry)
        now = await ledger.journal.ask(partial(_again, [entry.number for entry in entries]))
        await ledger.take_stock()
        return web.json_response({"calls": [facts(entry) for entry in now], **({"more": True} if more else {})})

    async def _resolve(self, ledger: Ledger, request: web.Request) -> web.Response:
        """Note what the body says of a call, such as `{"as": "executed", "note": "webhook"}`.

        With `by=external_id` in the query the id is one of the merchant's, whatever entry has that number.
        """
        try:
            said = json.loads(await request.read())
            settled, note = Settled(said["as"]), said.get("note", "")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            settled, note = Settled.UNDETERMINED, ""
        if settled.value not in SAYS or not isinstance(note, str):
            return _refused(400, 'send JSON such as {"as": "executed", "note": "webhook"}; as: ' + ", ".join(SAYS))
        if problem := note_problem(note):
            return _refused(400, f"note: {problem}")
        by = request.query.get("by")
        if by not in {None, _BY}:
            return _refused(400, f"by: {_BY}, or leave it out")
        find = partial(one_call, name=request.match_info["id"], external=by == _BY)
        entry = await ledger.journal.ask(partial(_resolved, find, settled, note, self._wall()))
        await ledger.take_stock()
        return web.json_response(facts(entry))


def _unsettled(store: Store) -> list[Entry]:
    return list(store.entries(Wanted(states=UNSETTLED, unsettled=True, most=AT_ONCE + 1)))


def _named(name: str, store: Store) -> list[Entry]:
    return [one_call(store, name)]


def _again(numbers: list[int], store: Store) -> list[Entry]:
    return list(store.entries(Wanted(numbers=numbers)))


def _resolved(find: Callable[[Store], Entry], settled: Settled, note: str, now: float, store: Store) -> Entry:
    number = find(store).number
    store.resolve(number, settled, note, now)
    return _again([number], store)[0]


def _refused(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)
