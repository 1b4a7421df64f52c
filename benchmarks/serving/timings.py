"""When tokens came, and what of it is reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PERCENTILES = (50, 90, 99)


@dataclass(frozen=True)
class Answered:
    """One request; times in seconds since its load began."""

    arrived: float
    first: float
    """When its first token was there."""
    last: float
    tokens: tuple[int, ...]

    @property
    def ttft(self) -> float:
        """Time to the first token, from its arrival."""
        return self.first - self.arrived

    @property
    def tpot(self) -> float | None:
        """Time per output token after the first; None: there is only one."""
        rest = len(self.tokens) - 1
        return (self.last - self.first) / rest if rest else None


@dataclass(frozen=True)
class Timings:
    """One load, answered once."""

    seconds: float
    """From the first arrival to the last token."""
    useful_tokens: int
    """Of answers, as long as was asked for."""
    answered: tuple[Answered, ...] = ()
    """In the order of the load's requests; empty where single requests have no times."""

    def figures(self) -> dict[str, float]:
        """What is reported: `tokens_per_s`, and `ttft_p50` to `tpot_p99` in seconds."""
        found = {"tokens_per_s": self.useful_tokens / self.seconds}
        if self.answered:
            found |= _percentiles("ttft", [each.ttft for each in self.answered])
            tpots = [each.tpot for each in self.answered]
            found |= _percentiles("tpot", [tpot for tpot in tpots if tpot is not None])
        return found


def timings(answered: Sequence[Answered]) -> Timings:
    """Of requests that were all answered.

    Raises:
        ValueError: there is none.
    """
    if not answered:
        raise ValueError("no request was answered; there is nothing to time")
    seconds = max(each.last for each in answered) - min(each.arrived for each in answered)
    return Timings(seconds, sum(len(each.tokens) for each in answered), tuple(answered))


def by_request(ours: Timings, theirs: Timings) -> dict[str, float]:
    """Medians over requests of our time by theirs for the same request: `ttft` and `tpot`.

    Requests differ by more than ways to answer them do: a percentile rests on the few that are near
    it, and this on all. One without such a time on either side is left out.

    Raises:
        ValueError: they did not answer the same number of requests.
    """
    found = {}
    for name in ("ttft", "tpot"):
        pairs = [
            (getattr(a, name), getattr(b, name))
            for a, b in zip(ours.answered, theirs.answered, strict=True)
        ]
        if ratios := [a / b for a, b in pairs if a is not None and b is not None]:
            found[name] = float(np.median(ratios))
    return found


def _percentiles(name: str, seconds: Sequence[float]) -> dict[str, float]:
    """Linear between the two nearest; none where there is nothing."""
    if not seconds:
        return {}
    found = np.percentile(seconds, PERCENTILES).tolist()
    return {f"{name}_p{p}": value for p, value in zip(PERCENTILES, found, strict=True)}
