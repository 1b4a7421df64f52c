"""What must hold between two ways to answer the same requests, and whether it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.serving.peers.catalogue import (
    FUSED,
    IDEAL,
    PADDED,
    RELEASED,
    TRANSFORMERS,
    UNGATED,
)
from benchmarks.serving.spread import Spread, ratio_of, spread_of
from recal.demo.results import Bar

ONE, MANY, AT_ONCE, ARRIVING = "1 client", "16 clients", "all at once", "Poisson arrivals"
"""Names of loads."""

Repeats = Mapping[str, Sequence[Mapping[str, float]]]
"""Figures of each repeat, by peer."""


@dataclass(frozen=True)
class Claim:
    """A bar on the ratio of one figure; the median over repeats must keep it."""

    ours: str
    theirs: str
    load: str
    figure: str
    at_least: float | None = None
    at_most: float | None = None

    def ratio(self, repeats: Repeats) -> Spread:
        """Of ours by theirs."""
        return ratio_between(repeats, self.ours, self.theirs, self.figure)

    def bar(self, model: str, repeats: Repeats) -> Bar:
        """The claim beside what was measured."""
        ratio = self.ratio(repeats)
        met = (self.at_least is None or ratio.median >= self.at_least) and (
            self.at_most is None or ratio.median <= self.at_most
        )
        wanted = f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"
        claim = f"{model}, {self.load}: {self.figure} of {self.ours} by {self.theirs} {wanted}"
        return Bar(claim, str(ratio), met)


def ratio_between(repeats: Repeats, ours: str, theirs: str, figure: str) -> Spread:
    """Of one figure, repeat by repeat."""
    return ratio_of(*([each[figure] for each in repeats[name]] for name in (ours, theirs)))


def beside_ungated(repeats: Repeats) -> dict[str, Any]:
    """`beside` the ungated engine."""
    return beside(UNGATED, repeats)


def beside(base: str, repeats: Repeats) -> dict[str, Any]:
    """Every figure, and what it is beside that of one peer in the same repeat."""
    return {
        peer: {
            figure: {
                **asdict(spread_of([each[figure] for each in figures])),
                f"by_{base}": asdict(ratio_between(repeats, peer, base, figure)),
            }
            for figure in figures[0]
        }
        for peer, figures in repeats.items()
    }


def costs_nothing(load: str) -> tuple[Claim, ...]:
    """That the fused way is the ungated one but for three parts in a hundred."""
    return (
        Claim(FUSED, UNGATED, load, "tokens_per_s", at_least=0.97),
        Claim(FUSED, UNGATED, load, "ttft_p50", at_most=1.03),
        Claim(FUSED, UNGATED, load, "tpot_p50", at_most=1.03),
    )


def claims_for(device: str) -> tuple[Claim, ...]:
    """All of them, on a CPU or a GPU."""
    released = 2.3 if device == "cpu" else 5.0
    return (
        *costs_nothing(ONE),
        *costs_nothing(MANY),
        Claim(FUSED, RELEASED, AT_ONCE, "tokens_per_s", at_least=released),
        Claim(FUSED, IDEAL, AT_ONCE, "tokens_per_s", at_least=0.9),
        Claim(UNGATED, TRANSFORMERS, AT_ONCE, "tokens_per_s", at_least=1.0),
        Claim(UNGATED, PADDED, AT_ONCE, "tokens_per_s", at_least=2.0),
    )


def bars(model: str, load: str, repeats: Repeats, *, claims: Sequence[Claim]) -> list[Bar]:
    """Every claim on a load of which both sides were measured."""
    return [
        claim.bar(model, repeats)
        for claim in claims
        if claim.load == load and {claim.ours, claim.theirs} <= repeats.keys()
    ]
