"""Harmful beside harmless: the pair of arrays that all the maths takes, and its checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


class TwoClass(NamedTuple):
    """Rows or scores of the two classes."""

    harmful: FloatArray
    """(n, d) residuals or projections, or (n,) scores."""
    harmless: FloatArray
    """(m, d) or (m,)."""


def checked_scores(name: str, scores: ArrayLike) -> FloatArray:
    """Scores as a float64 vector.

    Raises:
        ValueError: not a vector, empty, or not finite.
    """
    return _checked(name, scores, ndim=1)


def checked_rows(name: str, rows: ArrayLike) -> FloatArray:
    """Rows as a float64 matrix.

    Raises:
        ValueError: not a matrix, empty, or not finite.
    """
    return _checked(name, rows, ndim=2)


def checked_flags(name: str, flags: ArrayLike) -> BoolArray:
    """Yes-or-no answers as a bool vector.

    Raises:
        ValueError: not a vector of booleans (a rate or a count is none), or empty.
    """
    array = np.asarray(flags)
    if array.ndim != 1 or array.size == 0 or array.dtype != np.bool_:
        raise ValueError(
            f"`{name}` is {array.dtype} of shape {array.shape}; give a vector of at least one bool"
        )
    return array


def stacked(by_language: Mapping[str, TwoClass]) -> TwoClass:
    """All languages' rows in one pair of matrices, in the mapping's order.

    Raises:
        ValueError: no language; or rows that are empty, not finite, or of another width.
    """
    if not by_language:
        raise ValueError("no languages were given; at least one is needed")
    harmful, harmless = [], []
    for language, rows in by_language.items():
        harmful.append(checked_rows(f"harmful of `{language}`", rows.harmful))
        harmless.append(checked_rows(f"harmless of `{language}`", rows.harmless))
    widths = {part.shape[1] for part in (*harmful, *harmless)}
    if len(widths) > 1:
        raise ValueError(f"rows have the widths {sorted(widths)}; all need the same one")
    return TwoClass(np.concatenate(harmful), np.concatenate(harmless))


def pooled_scores(by_language: Mapping[str, TwoClass]) -> TwoClass:
    """All languages' scores in one pair of vectors, in the mapping's order.

    Raises:
        ValueError: no language; or scores that are empty or not finite.
    """
    if not by_language:
        raise ValueError("no languages were given; at least one is needed")
    return TwoClass(
        np.concatenate([checked_scores(f"harmful of `{k}`", v[0]) for k, v in by_language.items()]),
        np.concatenate(
            [checked_scores(f"harmless of `{k}`", v[1]) for k, v in by_language.items()]
        ),
    )


def _checked(name: str, values: ArrayLike, *, ndim: int) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != ndim:
        raise ValueError(f"`{name}` has shape {array.shape}; it needs {ndim} dimension(s)")
    if array.size == 0:
        raise ValueError(f"`{name}` is empty (shape {array.shape}); at least one is needed")
    finite = np.isfinite(array)
    if not finite.all():
        first = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"`{name}` holds {array[first]} at {first}, one of {int((~finite).sum())} non-finite "
            f"value(s) of {array.size}; look for an overflow where it was computed"
        )
    return array
