"""What does docs/settings.md say? It is written from the catalogue, by hand never.

`python -m proxy.config.reference > docs/settings.md`
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from proxy.config.catalogue import SECTIONS

if TYPE_CHECKING:
    from proxy.config.setting import Setting

_HEAD = """\
# Settings

<!-- Written by `python -m proxy.config.reference > docs/settings.md`; a test fails when it is stale. -->

Set them in the environment, or in a TOML file that `PROXY_CONFIG_FILE` names: there the names are in lower case and
texts in quotes. The environment wins. An empty value counts as not set.

A start reports every mistake at once and ends with exit code 78. An unknown name that begins with `PROXY_` or
`LOCALPAYMENT_` is a mistake; what Kubernetes adds for Services of the same namespace (`PROXY_SERVICE_HOST`,
`LOCALPAYMENT_PROXY_PORT_8080_TCP`, …) is not.

Durations carry their unit: `250ms`, `5s`, `2m`, `1.5h`. So do sizes, in powers of 1024: `512B`, `64KiB`, `32MiB`.
Every file is UTF-8, and is read at the start to see that it can be.
"""


def reference() -> str:
    """Return the page, Markdown that ends with a newline."""
    lines = [_HEAD]
    for section in SECTIONS:
        lines += [f"## {section.title}", "", "| variable | value | default | meaning |", "|---|---|---|---|"]
        lines += [_row(setting) for setting in section.settings]
        lines.append("")
    return "\n".join(lines)


def _row(setting: Setting) -> str:
    default = setting.note if setting.default is None else f"`{setting.default}`"
    return f"| `{setting.variable}` | {setting.kind} | {default} | {setting.meaning} |"


if __name__ == "__main__":
    sys.stdout.write(reference())
