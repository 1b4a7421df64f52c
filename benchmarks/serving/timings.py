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

    def decoded_by(self, when: float) -> float:
        """Tokens after the first that were there by a time, as if they had come evenly."""
        rest = len(self.tokens) - 1
        if when >= self.last:
            return rest
        return rest * max(0.0, when - self.first) / (self.last - self.first)


@dataclass(frozen=True)
class Timings:
    """One load, answered once."""

    seconds: float
    """From the first arrival to the last token."""
    useful_tokens: int
    """Of answers, as long as was asked for."""
    answered: tuple[Answered, ...] = ()
    """In the order of the load's requests; empty where single requests have no times."""
    prompts_s: float | None = None
    """Of `seconds`, those for prompts; None where prompts and answers share passes."""

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


def share_of_ideal(ours: Timings, ideal: Timings) -> float:
    """How near an engine is to the ideal while all its rows are taken: until its last prompt ran.

    After that rows run empty, in every engine, however long the load was before.

    Args:
        ours: of requests that all came at once, with times of each.
        ideal: of the same load, prompts apart.

    Returns:
        The ideal's seconds for what was done until then, by ours.

    Raises:
        ValueError: one of them does not tell so much.
    """
    if not ours.answered or ideal.prompts_s is None:
        raise ValueError("single requests of one, and prompts of the other, have no times")
    full = max(each.first for each in ours.answered)
    done = sum(each.decoded_by(full) for each in ours.answered)
    whole = sum(len(each.tokens) - 1 for each in ours.answered)
    ideal_s = ideal.prompts_s + (ideal.seconds - ideal.prompts_s) * done / whole
    return ideal_s / (full - min(each.arrived for each in ours.answered))


def _percentiles(name: str, seconds: Sequence[float]) -> dict[str, float]:
    """Linear between the two nearest; none where there is nothing."""
    if not seconds:
        return {}
    found = np.percentile(seconds, PERCENTILES).tolist()
    return {f"{name}_p{p}": value for p, value in zip(PERCENTILES, found, strict=True)}
