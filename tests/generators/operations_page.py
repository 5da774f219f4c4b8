"""Writes docs/reference/operations.md from the catalogue.

`python -m tests.generators.operations_page > docs/reference/operations.md`
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from proxy.api.operations import OPERATIONS, Kind

if TYPE_CHECKING:
    from proxy.api.operations import Operation

_HEAD: Final = """\
# Operations

<!-- Written by `python -m tests.generators.operations_page > docs/reference/operations.md`;
a test fails when it is stale. -->

What Localpayment's public documentation lists, under the names that [policies](../policy.md), metrics and logs have for
it, by kind: `read` has no effects, all others have. Any other method and path is `other`: forwarded, with effects
assumed, and allowed only by a policy that names it. HEAD goes with GET. A slash at the end of a path is optional.

- **In brackets**: where the `externalId` sits, by which Localpayment refuses a repeat; without one nothing does.
- **check**: the GET that settles an unknown outcome. Where none stands but the id is in the body, ask for the id's
  transaction.
"""
_PLACES: Final = {None: "no id", "body": "body", "path": "path", "part": "part `request`"}
_KINDS: Final = {
    Kind.READ: "Reads",
    Kind.QUOTE: "Quotes",
    Kind.STATE: "Changes of state",
    Kind.MONEY_IN: "Money in",
    Kind.MONEY_OUT: "Money out",
    Kind.MONEY_INTERNAL: "Money within the account",
}


def reference() -> str:
    """Return the page, Markdown that ends with a newline."""
    return "\n".join([_HEAD, *(line for kind, title in _KINDS.items() for line in _section(kind, title))])


def _section(kind: Kind, title: str) -> list[str]:
    entries = [f"- `{one.name}`: {_call(one)}{_settling(one)}" for one in OPERATIONS if one.kind is kind]
    return [f"## {title}: `{kind}`", "", *entries, ""]


def _call(operation: Operation) -> str:
    paths = " or ".join(f"`{path}`" for path in operation.templates)
    return f"{' or '.join(operation.methods)} {paths}"


def _settling(operation: Operation) -> str:
    """Tell where the external id of a call with effects sits, and the check that settles its outcome."""
    if not operation.has_effects:
        return ""
    check = f", check `{operation.check}`" if operation.check else ""
    return f" ({_PLACES[operation.duplicate_key]}{check})"


if __name__ == "__main__":
    sys.stdout.write(reference())
