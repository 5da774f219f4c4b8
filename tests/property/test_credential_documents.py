"""Whatever a source holds: it is a pair of secrets, or one line of ours that says what to do."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
from hypothesis import example, given, settings

from proxy.config.files import UnusableContentError, pair_in, pair_in_text, plain_text
from proxy.credentials.command import said, shown_errors
from proxy.secret import Secret

TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=40)  # lone surrogates too
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3))
DOCUMENTS = st.fixed_dictionaries({"username": TEXTS | JSON, "password": TEXTS | JSON}) | JSON


def told(document: object) -> str:
    """Read a document from its parsed form and its text; return what is said against it."""
    try:
        username, password = pair_in(document)
    except UnusableContentError as error:
        return str(error)
    assert username.reveal().strip()
    assert "\0" not in username.reveal() + password.reveal()
    assert (username.reveal() + password.reveal()).encode()
    assert pair_in_text(Secret(json.dumps(document))) == (username, password)
    return ""


@settings(max_examples=300)
@given(document=DOCUMENTS)
@example(document={"username": "u", "password": "\ud800"})
@example(document={"username": "u", "password": "w\0rd"})
def test_any_document_is_a_pair_or_one_line(document: Any) -> None:
    assert told(document).isprintable()


@settings(max_examples=300)
@given(content=st.binary(max_size=200) | TEXTS.map(lambda text: text.encode("utf-16", "surrogatepass")))
@example(content=b"[" * 50_000)
@example(content=b'{"a":' * 10_000)
@example(content=b"a = [" + b"{b=" * 10_000)
def test_any_bytes_are_a_pair_or_one_line(content: bytes) -> None:
    said_against = ""
    try:
        pair_in_text(plain_text(content))
    except UnusableContentError as error:
        said_against = str(error)
    assert said_against.isprintable()


@given(secret=st.text(min_size=6, max_size=20), before=TEXTS, after=TEXTS)
def test_what_a_command_said_on_stdout_is_never_shown_from_its_stderr(secret: str, before: str, after: str) -> None:
    errors = f"{before} {secret} {after}".encode("utf-8", "replace")
    shown = shown_errors(errors, said(json.dumps({"username": "u", "password": secret}).encode()))
    assert secret not in shown or secret in "[redacted]" or not secret.strip()
