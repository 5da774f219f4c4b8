"""A key is found on the line where its statement begins, however TOML lets it be written."""

from __future__ import annotations

import pytest

from proxy.policy.toml_lines import TomlLines

TEXT = '''# a comment

mode = "x" # [not.a.table]
[callers.a]   # a table
uid = [
    1, # "one"
    2,
]
names = ["x",
  'y', "z", "z"
]
rate.burst = 5

[callers."b c".d]
text = """
[not]
key = 1
"""
inline = { e = { f = 1 } }
[[list]]
g = 1
[[list]]
g = 2
h = 3
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (["mode"], 3),
        (["callers"], 4),
        (["callers", "a"], 4),
        (["callers", "a", "uid"], 5),
        (["callers", "a", "names"], 9),
        (["callers", "a", "rate", "burst"], 12),
        (["callers", "b c"], 14),
        (["callers", "b c", "d", "text"], 15),
        (["callers", "b c", "d", "inline"], 19),
        (["callers", "b c", "d", "inline", "e", "f"], 19),
        (["list"], 20),
        (["list", "g"], 21),
        (["list", "h"], 24),
        (["callers", "a", "missing"], 4),
        (["missing", "too"], 1),
        ([], 1),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_key_stands_where_its_statement_begins(path: list[str], line: int, end: str) -> None:
    assert TomlLines.of(TEXT.replace("\n", end)).line(*path) == line


@pytest.mark.parametrize(("value", "line"), [("x", 9), ("y", 10), ("z", 10), ("w", 9), ("", 9)])
def test_a_value_of_a_list_is_found_on_its_own_line(value: str, line: int) -> None:
    assert TomlLines.of(TEXT).line("callers", "a", "names", value=value) == line


def test_a_value_on_two_lines_is_told_by_its_key() -> None:
    assert TomlLines.of('a = [\n"x",\n"x"]').line("a", value="x") == 1


def test_what_other_languages_take_for_the_end_of_a_line_is_none_here() -> None:
    assert TomlLines.of('a = "\u2028"\nb = "\x85"\nc = 1').line("c") == 3


def test_an_empty_text_has_one_line() -> None:
    assert TomlLines.of("").line("a") == 1
