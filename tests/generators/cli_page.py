"""Writes docs/reference/cli.md: every command in short, with its options.

`python -m tests.generators.cli_page > docs/reference/cli.md`
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from typing import TYPE_CHECKING, Final

import click

from proxy.cli.commands import NAME, commands

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD: Final = """\
# Commands

<!-- Written by `python -m tests.generators.cli_page > docs/reference/cli.md`; a test fails when it is stale. -->

Each command with its options and exit codes; `--help` (`-h`) says more. A shell completes them with

```text
eval "$(_LOCALPAYMENT_PROXY_COMPLETE=bash_source localpayment-proxy)"    # in ~/.bashrc
eval "$(_LOCALPAYMENT_PROXY_COMPLETE=zsh_source localpayment-proxy)"     # in ~/.zshrc
_LOCALPAYMENT_PROXY_COMPLETE=fish_source localpayment-proxy | source     # in ~/.config/fish/config.fish
```
"""
_WIDTH: Final = 118  # of a line of the page


def reference() -> str:
    """Return the page, Markdown that ends with a newline."""
    return "\n".join([_HEAD, *_sections(NAME, commands, None)])


def _sections(name: str, command: click.Command, parent: click.Context | None) -> Iterator[str]:
    context = command.make_context(name, [], parent, resilient_parsing=True)
    yield from (f"## {context.command_path}", "")
    arguments = [param for param in command.params if isinstance(param, click.Argument)]
    usage = " ".join(argument.make_metavar(context) for argument in arguments)
    summary, *more = inspect.cleandoc(command.help or "").split("\n\n")
    more = [paragraph for paragraph in (*more, command.epilog or "") if "xit code" in paragraph]
    for paragraph in (*([f"`{usage}`"] if usage else []), summary, *more):
        yield from (textwrap.fill(paragraph, _WIDTH, break_on_hyphens=False), "")
    options = [option.get_help_record(context) for option in command.params if option not in arguments]
    if options:
        yield from (*(_option(*record) for record in options if record), "")
    if isinstance(command, click.Group):
        for child in sorted(command.commands):
            yield from _sections(child, command.commands[child], context)


def _option(names: str, meaning: str) -> str:
    told = " ".join(meaning.split())
    return textwrap.fill(f"- `{names}`: {told}", _WIDTH, subsequent_indent="  ", break_on_hyphens=False)


if __name__ == "__main__":
    sys.stdout.write(reference())
