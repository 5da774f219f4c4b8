"""Bounds a caller's body: its bytes, and the time in which they must come.

Pure. What counts is the time spent on waiting for the caller alone, so that a slow Localpayment cuts no upload.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.errors import BodyTooLargeError, SlowRequestError

if TYPE_CHECKING:
    from proxy.config import Settings


@dataclass(frozen=True, slots=True)
class BodyBounds:
    """What holds for every body.

    Attributes:
        most: bytes that it may have.
        held: bytes up to which it is held.
        stall: seconds without a byte after which the caller is cut.
        whole: seconds of waiting in which all of it must have come.
        rate: bytes a second that must come on average, 0 for none.
        grace: seconds of waiting before that is asked.
    """

    most: int
    held: int
    stall: float
    whole: float
    rate: int
    grace: float

    @classmethod
    def of(cls, settings: Settings) -> BodyBounds:
        """Return what the settings say."""
        return cls(
            most=settings.max_request_body,
            held=settings.replay_buffer,
            stall=settings.idle_timeout,
            whole=settings.upload_timeout,
            rate=settings.upload_min_rate,
            grace=settings.header_timeout,
        )

    def patience(self, received: int, waited: float) -> tuple[float, str]:
        """Return the seconds within which more must come, and the setting that says so.

        Args:
            received: bytes that have come.
            waited: seconds spent on waiting for them.
        """
        seconds, setting = self.stall, "PROXY_IDLE_TIMEOUT"
        if self.whole - waited < seconds:
            seconds, setting = self.whole - waited, "PROXY_UPLOAD_TIMEOUT"
        if self.rate and (left := self.grace + received / self.rate - waited) < seconds:
            seconds, setting = left, "PROXY_UPLOAD_MIN_RATE"
        return max(0.0, seconds), setting

    def too_slow(self, setting: str) -> SlowRequestError:
        """Return what the caller gets when no more has come in time."""
        match setting:
            case "PROXY_UPLOAD_TIMEOUT":
                detail = f"The request body did not arrive within {self.whole:g} s"
            case "PROXY_UPLOAD_MIN_RATE":
                detail = f"The request body came at less than {self.rate} bytes a second"
            case _:
                detail = f"No byte of the request body came for {self.stall:g} s"
        return SlowRequestError(f"{detail} ({setting}).")

    @property
    def too_large(self) -> BodyTooLargeError:
        """What the caller gets when more is declared, or comes, than may."""
        return BodyTooLargeError(f"The request body is larger than {self.most} bytes (PROXY_MAX_REQUEST_BODY).")
