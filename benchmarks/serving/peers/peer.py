"""What every way to answer requests is given, and what it must do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.serving.load import Load
from benchmarks.serving.timings import Timings
from services.backbone.load import Backbone
from services.readout.bundle import Bundle


@dataclass(frozen=True, eq=False)
class Setting:
    """What all peers share."""

    backbone: Backbone
    """The whole model; one peer at a time runs it."""
    load_gate: Callable[[int], Backbone] = field(repr=False)
    """The model's first blocks, so many, on the same device and in the same dtype."""
    bundle: Bundle
    max_rows: int = 16
    """Requests answered together."""


class Peer(Protocol):
    """Answers requests greedily, each with just as many tokens as it asks for."""

    def run(self, load: Load) -> Timings:
        """Answer all requests of a load, each from when it comes."""

    def close(self) -> None:
        """Free what it holds."""
