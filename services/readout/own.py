"""A language's own readout: weights of that language alone, at places that the frozen one reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from services.readout.linear import LinearReadout, summed
from services.readout.place import Place


@dataclass(frozen=True, eq=False)
class OwnPart:
    """What a language's own readout makes of one place."""

    place: Place
    linear: LinearReadout


@dataclass(frozen=True, eq=False)
class OwnReadout:
    """Scores one language in place of the frozen readout, from residuals that are read anyway.

    Its score has a unit and a zero of its own: no threshold of the frozen score means anything
    beside it.
    """

    parts: tuple[OwnPart, ...]
    """At least one, in the order in which the frozen readout reads their places."""
    method: str
    """How it was fitted, e.g. `translate_train`."""
    statistics: Mapping[str, float]
    """Of what it was fitted on, by fits that had not seen it, in the score's unit: `mean_harmful`,
    `mean_harmless`, `sd_within`, `threshold`, `auc`; and `frozen_auc` of the frozen readout."""

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError("an own readout reads at least one place")
        if len(set(self.places)) < len(self.parts):
            raise ValueError(f"an own readout reads each place once, not {_named(self.places)}")

    @property
    def places(self) -> tuple[Place, ...]:
        """What it reads, in the order in which `score` expects it."""
        return tuple(part.place for part in self.parts)

    def score(self, residuals: Tensor) -> Tensor:
        """Score residuals of the language; larger is more harmful.

        Args:
            residuals: (..., len(parts), d_model), any float dtype, at `places` in their order.

        Returns:
            (...,) float32, in pooled standard deviations within a class of the language. A residual
            that is not finite at any place gives a score that is not.

        Raises:
            ValueError: it has another number of places or another width.
        """
        return summed([(part.linear, 1.0) for part in self.parts], residuals)

    def rows_among(self, places: Sequence[Place]) -> list[int]:
        """Which of `places` it reads; errors as `refuse_other_places`."""
        self.refuse_other_places(places)
        return [places.index(place) for place in self.places]

    def refuse_other_places(self, read: Sequence[Place]) -> None:
        """Check that it reads nothing that the frozen readout does not, and in its order.

        Raises:
            ValueError: it does; extraction would have to change for one language.
        """
        if self.places != tuple(place for place in read if place in self.places):
            raise ValueError(
                f"an own readout reads {_named(self.places)}, and the frozen one reads "
                f"{_named(read)}; it may read some of these, in this order"
            )


def _named(places: Sequence[Place]) -> str:
    return ", ".join(map(str, places))
