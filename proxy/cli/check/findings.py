"""Holds what a check found, and prints it for people or as JSON.

Findings hold no secret: their texts are ours, with names, addresses and figures only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from proxy.cli.exits import Exit, can_encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from proxy.ops.diagnosis import Diagnosis


class Result(StrEnum):
    """How a step ended."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


SIGNS: Final = {Result.OK: "✓", Result.FAILED: "✗", Result.SKIPPED: "-"}
ASCII_SIGNS: Final = {Result.OK: "ok", Result.FAILED: "FAILED", Result.SKIPPED: "-"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one step found, and what to do about it; `milliseconds` is None when nothing was measured."""

    step: str
    result: Result
    found: str
    advice: str = ""
    milliseconds: float | None = None
    exit_code: Exit = Exit.FINE


class FailedError(Exception):
    """A step that failed: why, and what to do."""

    def __init__(self, why: Diagnosis) -> None:
        super().__init__(why.cause)
        self.why = why


class NotNeededError(Exception):
    """A step that has nothing to prove with these settings; the text says why."""


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, and the effective settings with their secrets masked, or None when there are none."""

    findings: Sequence[Finding]
    settings: Mapping[str, object] | None = None

    @property
    def exit_code(self) -> Exit:
        """What the first failure says."""
        return next((item.exit_code for item in self.findings if item.result is Result.FAILED), Exit.FINE)

    def as_json(self) -> str:
        """One JSON object."""
        steps = [
            {
                "step": item.step,
                "result": item.result.value,
                "milliseconds": None if item.milliseconds is None else round(item.milliseconds, 1),
                "found": item.found,
                "advice": item.advice or None,
            }
            for item in self.findings
        ]
        code = self.exit_code
        shown = {"ok": code is Exit.FINE, "exit_code": code.value, "steps": steps, "settings": self.settings}
        return json.dumps(shown, indent=2, default=str)

    def as_lines(self, encoding: str) -> Iterator[str]:
        """Settings, then a table; signs that the encoding lacks are words."""
        if self.settings:
            widest = max(map(len, self.settings))
            yield "Effective settings:"
            yield from (f"  {name:<{widest}}  {value}" for name, value in self.settings.items())
            yield ""
        signs = SIGNS if can_encode("".join(SIGNS.values()), encoding) else ASCII_SIGNS
        margin = max(map(len, signs.values()))
        widest = max((len(item.step) for item in self.findings), default=0)
        for item in self.findings:
            took = "" if item.milliseconds is None else f"{item.milliseconds:.0f} ms"
            yield f"{signs[item.result]:<{margin}} {item.step:<{widest}} {took:>8}  {item.found}"
            if item.advice:
                yield f"{'':<{margin + widest + 10}}  To do: {item.advice}"
