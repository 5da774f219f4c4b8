"""Writes docs/reference/cli.md: what `--help` says of every command.

`python -m tests.generators.cli_page > docs/reference/cli.md`
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Final

import click

from proxy.cli.commands import NAME, commands

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD: Final = """\
# Commands

<!-- Written by `python -m tests.generators.cli_page > docs/reference/cli.md`; a test fails when it is stale. -->

What `--help` (`-h`) says of each command, without what the headings here say.

A shell completes commands and options with

```text
eval "$(_LOCALPAYMENT_PROXY_COMPLETE=bash_source localpayment-proxy)"    # in ~/.bashrc
eval "$(_LOCALPAYMENT_PROXY_COMPLETE=zsh_source localpayment-proxy)"     # in ~/.zshrc
_LOCALPAYMENT_PROXY_COMPLETE=fish_source localpayment-proxy | source     # in ~/.config/fish/config.fish
```
"""
_WIDTH: Final = 100  # columns, whatever terminal writes the page


def reference() -> str:
    """Return the page, Markdown that ends with a newline."""
    return "\n".join([_HEAD, *_sections(NAME, commands, None)])


def _sections(name: str, command: click.Command, parent: click.Context | None) -> Iterator[str]:
    context = command.make_context(name, [], parent, resilient_parsing=True, terminal_width=_WIDTH)
    yield from (f"## {context.command_path}", "", "```text", _help(command, context), "```", "")
    if isinstance(command, click.Group):
        for child in sorted(command.commands):
            yield from _sections(child, command.commands[child], context)


def _help(command: click.Command, context: click.Context) -> str:
    """Return a command's help without its list of commands, its option for help, and a usage that only names it."""
    lines = command.get_help(context).splitlines()
    kept = "\n".join(line for line in lines if not line.strip().startswith("-h, --help"))
    kept = re.sub(r"\nCommands:\n(  .*\n)+", "", f"{kept}\n").rstrip("\n").removesuffix("\n\nOptions:")
    return kept.removeprefix(f"Usage: {context.command_path} [OPTIONS]\n\n")


if __name__ == "__main__":
    sys.stdout.write(reference())
