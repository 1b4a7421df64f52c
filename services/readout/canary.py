"""Canary: which of two calibrations decides a request, by a draw that every process repeats."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from services.readout.bundle import Calibration

_BITS = 53
"""As many as a float holds exactly, so that no draw is rounded up to 1."""


def drawn(key: str, salt: str) -> float:
    """Where a key falls in [0, 1), uniform over keys.

    Python's own `hash` would not do: it differs from process to process. A share that grows keeps
    every key that it had, and another salt draws anew.

    Args:
        key: of the request, e.g. its user's.
        salt: of what is drawn for.
    """
    digest = hashlib.sha256(f"{len(salt)}:{salt}{key}".encode()).digest()
    return float((int.from_bytes(digest[:8]) >> (64 - _BITS)) / 2**_BITS)


class CalibrationKey(NamedTuple):
    """What tells a calibration from the others of one bundle."""

    language: str
    version: str


@dataclass(frozen=True)
class Challenger:
    """A calibration that decides for a share of its language's requests (canary)."""

    calibration: Calibration
    share: float
    """In (0, 1]."""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(
                f"the share of `{self.calibration.version}` is {self.share}; give above 0, at most "
                "1"
            )

    def takes(self, routing_key: str) -> bool:
        """Whether it decides a request of its language; for one key always the same.

        The version is the salt, so that another rollout does not meet the same users again.
        """
        return drawn(routing_key, self.calibration.version) < self.share
