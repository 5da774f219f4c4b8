"""Writes docs/reference/operations.md from the catalogue.

`python -m tests.generators.operations_page > docs/reference/operations.md`
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from proxy.api.operations import OPERATIONS, Kind
from proxy.policy.grants import BY_DATE, PRESETS

if TYPE_CHECKING:
    from proxy.api.operations import Operation

_HEAD: Final = f"""\
# Operations

<!-- Written by `python -m tests.generators.operations_page > docs/reference/operations.md`;
a test fails when it is stale. -->

What Localpayment's public documentation lists, and the names that policies, metrics and logs have for it. Every other
method and path is `other`: it is forwarded, counts as a call with effects, and a policy must name it to allow it.
HEAD goes with GET. A slash at the end of a path is optional, and is forwarded as it came.

- **kind**: `read` has no effects; all others have. [Policies](../policy.md) allow operations by kind as well.
- **presets**: those of a policy that allow it; all of them allow reads. `{BY_DATE}` is in none.
- **externalId**: where your id sits, by which Localpayment refuses a repeat. Without one nothing does.
- **after an unknown outcome**: the call that tells what became of it. The sidecar's answer names it with your id; where
  the id is in the body, unless `PROXY_CHECK_FROM_BODY` is off. Where none stands but the id is in the body, ask for the
  id's transaction.
"""
_PLACES: Final = {None: "none", "body": "body", "path": "path", "part": "part `request`"}
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
    found = [operation for operation in OPERATIONS if operation.kind is kind]
    if kind is Kind.READ:
        head = ["| operation | call |", "|---|---|"]
        rows = [f"| `{one.name}` | {_call(one)} |" for one in found]
    else:
        head = ["| operation | call | presets | externalId | after an unknown outcome |", "|---|---|---|---|---|"]
        rows = [
            f"| `{one.name}` | {_call(one)} | {_presets(one)} | {_PLACES[one.duplicate_key]} | {_check(one)} |"
            for one in found
        ]
    return [f"## {title}: `{kind}`", "", *head, *rows, ""]


def _call(operation: Operation) -> str:
    paths = "<br>".join(f"`{path}`" for path in operation.templates)
    return f"{' or '.join(operation.methods)} {paths}"


def _presets(operation: Operation) -> str:
    return ", ".join(f"`{name}`" for name, names in PRESETS.items() if operation.name in names) or "none"


def _check(operation: Operation) -> str:
    return f"GET `{operation.check}`" if operation.check else ""


if __name__ == "__main__":
    sys.stdout.write(reference())
