"""Where a residual is read: at which decoder block, and of which of the prompt's tokens."""

from __future__ import annotations

from typing import Literal, NamedTuple

Reading = Literal["last", "instruction", "mean"]
"""Which of a prompt's tokens are read.

`last`: the last token of the rendered prompt, t_post_inst. `instruction`: the last token of the
user's own text, t_inst. `mean`: the mean over every token of the rendered prompt.
"""

READINGS: tuple[Reading, ...] = ("last", "instruction", "mean")
"""All of them, the default first."""


class Place(NamedTuple):
    """A decoder block and a reading of its output."""

    layer: int
    """0-based decoder block."""
    reading: Reading

    def __str__(self) -> str:
        """As tensors and tags are named, e.g. `4.last`."""
        return f"{self.layer}.{self.reading}"
