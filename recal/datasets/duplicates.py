"""Texts that are the same, or nearly: exact after normalisation, near by shared pieces."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

NEAR = 0.7
"""Share of pieces from which two texts are near-duplicates, by default."""

_PIECE = 5
_PIECE_OF_HAN = 3


def plain(text: str) -> str:
    """The text without what does not make it another one: case, width, spacing, end punctuation."""
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return without_end_punctuation(folded)


def without_end_punctuation(text: str) -> str:
    """The text without spaces around it and punctuation at its end."""
    kept = text.strip()
    while kept and unicodedata.category(kept[-1])[0] in "PZ":
        kept = kept[:-1]
    return kept


def near_pairs(
    texts: Sequence[str], *, near: float = NEAR, report: Callable[[int], None] = lambda n: None
) -> list[tuple[int, int]]:
    """Every pair of texts that share at least `near` of their pieces, exact duplicates too.

    The measure is the Jaccard index of their sets of 5-character pieces (3 for Han and kana, where
    a character says as much as a syllable or word). All pairs are found: two sets with that index
    share one of their rarest pieces, and only such pairs are compared.

    Args:
        texts: as `plain` gives them.
        near: in (0, 1].
        report: called with the number of texts done.

    Returns:
        Pairs (i, j) of indices, i < j, in order.

    Raises:
        ValueError: `near` is outside (0, 1].

    Source: prefix filtering, Chaudhuri, Ganti and Kaushik 2006, ICDE.
    """
    if not 0 < near <= 1:
        raise ValueError(f"`near` is {near}; it lies above 0 and not above 1")
    pieces = [_pieces(text) for text in texts]
    rarity = Counter(piece for found in pieces for piece in found)
    holders: dict[str, list[int]] = defaultdict(list)
    pairs = []
    for done, i in enumerate(sorted(range(len(texts)), key=lambda i: len(pieces[i])), start=1):
        ordered = sorted(pieces[i], key=lambda piece: (rarity[piece], piece))
        rarest = ordered[: len(ordered) - math.ceil(near * len(ordered) - 1e-9) + 1]
        candidates = {j for piece in rarest for j in holders[piece]}
        pairs += [
            (min(i, j), max(i, j)) for j in candidates if _jaccard(pieces[i], pieces[j]) >= near
        ]
        for piece in rarest:
            holders[piece].append(i)
        report(done)
    return sorted(pairs)


def _pieces(text: str) -> frozenset[str]:
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    size = _PIECE_OF_HAN if 2 * wide > len(text) else _PIECE
    return frozenset(text[i : i + size] for i in range(max(1, len(text) - size + 1)))


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)
