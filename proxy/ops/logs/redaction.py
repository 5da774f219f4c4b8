"""Masks secrets, tokens and card numbers in a line right before it is written.

Types keep secrets out of lines (`Secret`, records without wire data); this catches mistakes. It must never be the only
protection.
"""

from __future__ import annotations

import json
import re
from collections import deque
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from proxy.secret import is_card_number

if TYPE_CHECKING:
    from proxy.secret import Secret

MASK: Final = "[redacted]"
# Characters. A shorter secret stands in ordinary words, and masking it would garble every line and so reveal it.
SHORTEST: Final = 6
# Tokens of some renewals ago are dead at Localpayment, but a late line may still hold one.
_REMEMBERED: Final = 16

# RFC 7519 section 3.1: a JWT begins with the base64url of `{"`.
_JWT: Final = re.compile(r"eyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)?", re.ASCII)
_BEARER: Final = re.compile(r"(?i:bearer)[ :=]+[\w.~+/=-]{6,}", re.ASCII)
# ISO/IEC 7812: 13 to 19 digits as people write them; part of no longer word, so that no id or time is meant.
_CARD: Final = re.compile(r"(?<![\w.:-])\d(?:[ -]?\d){12,18}(?![\w.:-])", re.ASCII)
_SHORTEST_CARD: Final = re.compile(r"[\d -]{13}", re.ASCII)


class KnownSecrets:
    """The secrets that the process holds or held lately, in every form in which a line could hold them."""

    def __init__(self) -> None:
        self._lasting: tuple[str, ...] = ()
        self._passing: deque[str] = deque(maxlen=_REMEMBERED)
        self._forms: tuple[str, ...] = ()

    def keep(self, *secrets: Secret | None) -> None:
        """Know secrets for the process's life."""
        values = (secret.reveal() for secret in secrets if secret is not None)
        self._lasting = tuple(dict.fromkeys((*self._lasting, *values)))
        self._arrange()

    def learn(self, *secrets: Secret | None) -> None:
        """Know secrets that others will take the place of; those learnt last are known longest."""
        for secret in secrets:
            if secret is None:
                continue
            if secret.reveal() in self._passing:
                self._passing.remove(secret.reveal())
            self._passing.append(secret.reveal())
        self._arrange()

    def redacted(self, text: str) -> str:
        """Return the text with every secret, token and card number in it masked."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        if "eyJ" in text:
            text = _JWT.sub(MASK, text)
        if "earer" in text or "EARER" in text:
            text = _BEARER.sub(f"Bearer {MASK}", text)
        if _SHORTEST_CARD.search(text) is not None:
            text = _CARD.sub(_card_masked, text)
        return text

    def _arrange(self) -> None:
        values = (value for value in (*self._lasting, *self._passing) if not _JWT.fullmatch(value))  # Masked anyway.
        forms = {form for value in values for form in _forms(value) if len(form) >= SHORTEST}
        self._forms = tuple(sorted(forms, key=len, reverse=True))


def _forms(value: str) -> set[str]:
    """Give a text as it is, as in a URL, and within one text of JSON or Python in another one."""
    forms = {value, value.strip(), quote(value, safe="", errors="surrogatepass")}
    for _ in range(2):
        forms |= {written(form)[1:-1] for form in forms for written in (json.dumps, _json, repr)}
    return forms


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _card_masked(found: re.Match[str]) -> str:
    return MASK if is_card_number(found[0]) else found[0]
