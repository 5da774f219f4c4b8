"""Writes docs/settings.md from what is declared.

`python -m tests.generators.settings_page > docs/settings.md`
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from proxy.config.declared_settings import SETTINGS

if TYPE_CHECKING:
    from proxy.config.setting import Setting

_HEAD = """\
# Settings

<!-- Written by `python -m tests.generators.settings_page > docs/settings.md`; a test fails when it is stale. -->

Set them in the environment, or in a TOML file that `PROXY_CONFIG_FILE` names, with names in lower case and texts in
quotes. The environment wins. An empty value counts as not set. Every file is UTF-8, and is read at the start. Secrets
are never shown.

A start reports every mistake at once and ends with exit code 78. An unknown name that begins with `PROXY_` or
`LOCALPAYMENT_` is a mistake, unless Kubernetes adds it for a Service (`PROXY_SERVICE_HOST`, …).

Durations have a unit: `250ms`, `5s`, `2m`, `1.5h`. So have sizes, in powers of 1024: `512B`, `64KiB`, `32MiB`.
"""


def reference() -> str:
    """Return the page, Markdown that ends with a newline."""
    lines = [_HEAD.rstrip("\n")]
    for setting in SETTINGS.values():
        if setting.section:
            lines += ["", f"## {setting.section}", ""]
        lines.append(_entry(setting))
    return "\n".join(lines) + "\n"


def _entry(setting: Setting) -> str:
    facts = [setting.kind.form]
    if setting.default:
        facts.append(f"default `{setting.default}`")
    elif setting.note:
        facts.append(setting.note if setting.note == "required" else f"else {setting.note}")
    meaning = setting.meaning + " A reload takes a new value." * setting.reloads
    meaning += f" Until the next release also `{setting.formerly}`." if setting.formerly else ""
    return f"- **`{setting.variable}`** ({'; '.join(facts)}): {meaning}"


if __name__ == "__main__":
    sys.stdout.write(reference())
