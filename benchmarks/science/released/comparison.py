"""One comparison with released code: what is held against what, and how far apart it may lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Values = TypeVar("Values")


@dataclass(frozen=True)
class Comparison(Generic[Values]):
    """A number that says how near ours comes, and its bound."""

    key: str
    """Of the released values."""
    what: str
    seen: Callable[[Values], float]
    bound: float
    at_least: bool = False
    """False: at most."""

    @property
    def tolerance(self) -> str:
        """In words."""
        return f"{'at least' if self.at_least else 'at most'} {self.bound:g}"

    def allows(self, seen: float) -> bool:
        """Whether this is near enough; NaN never is."""
        return seen >= self.bound if self.at_least else seen <= self.bound
