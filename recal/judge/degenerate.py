"""Texts that are no answer at all, seen without knowing the question."""

from __future__ import annotations

from collections import Counter

_MAX_REPEATED_SHARE = 0.3
_SHINGLE = 8


def is_degenerate(text: str) -> bool:
    """True for an empty text, one with broken characters, or one that mostly repeats itself."""
    plain = " ".join(text.split())
    if not plain or "�" in plain:
        return True
    shingles = [plain[i : i + _SHINGLE] for i in range(len(plain) - _SHINGLE + 1)]
    if len(shingles) < 4 * _SHINGLE:
        return False
    counts = Counter(shingles)
    repeated = sum(count for count in counts.values() if count > 2)
    return repeated / len(shingles) > _MAX_REPEATED_SHARE
