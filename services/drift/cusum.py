"""Has a share moved? A two-sided Bernoulli CUSUM against a reference that was itself only counted.

Each request adds the logarithm of how much likelier its outcome is after a shift than before it;
the sum never falls below 0, and an alarm is raised at a threshold (Page 1954; for proportions
Reynolds and Stoumbos 1999). Of all tests with as few false alarms none finds that shift sooner in
the worst case (Moustakides 1986). Deviations from the textbook: requests come in batches, whose
inner order is not known; and the threshold pays for a reference that is known from `n` requests
alone.

Arrays in, arrays out: a column is one share that is watched, whatever it is of.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(25)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
_LOWEST, _HIGHEST = 0.5, 60.0
"""Between these a threshold is looked for; e⁶⁰ requests nobody sees."""
_TINY = 1e-6
_NEWTON_STEPS = 40
_FLAT = 1e-12
_FLAT_EXPONENT = 1e-3
_CLOSE = 1e-3
_EDGE = 0.01


class Weights(NamedTuple):
    """What one request adds to the evidence, in nats."""

    hit: FloatArray
    miss: FloatArray


def shifted(rates: ArrayLike, shift: float) -> tuple[FloatArray, FloatArray]:
    """The shares that are told from `rates`: `shift` below and above.

    But at most half the way to 0 and to 1, so that a share below `shift` that falls to 0 is found
    too. A share under 1 % is not watched for a fall, nor one over 99 % for a rise: there the share
    itself comes back, which no evidence speaks for.

    Args:
        rates: (m,) references, strictly between 0 and 1.
        shift: as a share, e.g. 0.05.
    """
    p = np.asarray(rates, dtype=np.float64)
    low = np.where(p < _EDGE, p, np.maximum(p - shift, p / 2))
    high = np.where(p > 1 - _EDGE, p, np.minimum(p + shift, (1 + p) / 2))
    return low, high


def weights(rates: ArrayLike, after: ArrayLike) -> Weights:
    """Log likelihood ratios of a hit and of a miss, `after` against `rates`."""
    p, q = np.asarray(rates, dtype=np.float64), np.asarray(after, dtype=np.float64)
    return Weights(np.log(q / p), np.log1p(-q) - np.log1p(-p))


def advance(evidence: ArrayLike, n: ArrayLike, hits: ArrayLike, by: Weights) -> FloatArray:
    """The evidence after `n` more requests with so many hits; never below 0."""
    k = np.asarray(hits, dtype=np.float64)
    return np.maximum(0.0, np.asarray(evidence) + k * by.hit + (np.asarray(n) - k) * by.miss)


class Walk(NamedTuple):
    """What decides how soon a sum of such steps gets somewhere; arrays of one shape."""

    mean: FloatArray
    variance: FloatArray
    exponent: FloatArray
    """The r other than 0 with E exp(r·step) = 1: 1 where the share is the reference (Wald 1947)."""


def walk(share: ArrayLike, by: Weights) -> Walk:
    """The evidence's steps where the true share is `share`, strictly between 0 and 1.

    The exponent by Newton's method on a convex function, from beyond the root: where the step that
    goes against the mean makes up the whole of the expectation.
    """
    p, a, b = np.broadcast_arrays(np.asarray(share, dtype=np.float64), by.hit, by.miss)
    mean = p * a + (1 - p) * b
    hit_goes_against = (a > 0) == (mean < 0)
    r = -np.where(hit_goes_against, np.log(p) / a, np.log1p(-p) / b)
    for _ in range(_NEWTON_STEPS):
        hit, miss = p * np.exp(r * a), (1 - p) * np.exp(r * b)
        slope = a * hit + b * miss
        r = r - np.where(np.abs(slope) > _FLAT, (hit + miss - 1) / slope, 0.0)
    return Walk(mean, p * (1 - p) * (a - b) ** 2, r)


def run_length(threshold: ArrayLike, steps: Walk) -> FloatArray:
    """Expected requests until the evidence reaches `threshold`.

    Siegmund's (1985, chapter 2) for a Brownian motion, with Wald's exponent of the real steps in
    place of the motion's; the steps pass the threshold a little later than at it, so that true run
    lengths are longer.
    """
    h = np.asarray(threshold, dtype=np.float64)
    x = steps.exponent * h
    flat = np.abs(x) < _FLAT_EXPONENT
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        general = (np.expm1(x) - x) / (-steps.exponent * steps.mean)
    result: FloatArray = np.where(flat, h * h / steps.variance, general)
    return result


def threshold(rate: float, n: float, shift: float, wanted: float) -> float:
    """The threshold with `wanted` false alarms a request, both sides together.

    Expected over what the true share may be. Infinite where the reference is too uncertain for any.

    Args:
        rate: the reference, as counted.
        n: requests that it was counted over; infinite where it is known.
        shift: as in `shifted`.
        wanted: e.g. 1e-6.
    """
    spread = 0.0 if np.isinf(n) else np.sqrt(rate * (1 - rate) / n)
    true = np.clip(rate + spread * _NODES, _TINY, 1 - _TINY)
    sides = [walk(true, weights(rate, after)) for after in shifted(rate, shift) if after != rate]

    def is_too_low(height: float) -> bool:
        rates = [np.sum(_WEIGHTS / run_length(height, side)) for side in sides]
        return bool(sum(rates) > wanted)

    low, high = _LOWEST, _HIGHEST
    if is_too_low(high):
        return float("inf")
    while high - low > _CLOSE:
        middle = (low + high) / 2
        low, high = (middle, high) if is_too_low(middle) else (low, middle)
    return high


def delay(height: float, rate: float, after: float, shift: float) -> float:
    """Mean requests from a shift of the share to `after` until its alarm, from 0 evidence.

    Args:
        height: the threshold, in nats.
        rate: the reference.
        after: what the share becomes.
        shift: as in `shifted`: what the evidence is made for.
    """
    low, high = shifted(rate, shift)
    by = weights(rate, high if after > rate else low)
    return float(run_length(height, walk(after, by)))
