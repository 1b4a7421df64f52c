"""Whether those that are compared answer alike: how fast somebody answers wrongly says nothing.

Greedy tokens of two right engines are the same in float32. In bfloat16 the likeliest two may be so
close that rounding decides, and from there on answers differ: so what is asked for is that most of
them begin alike, and what is reported is how many are the same to their ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from benchmarks.serving.peers.catalogue import (
    FUSED,
    PADDED,
    RELEASED,
    SPLIT,
    TRANSFORMERS,
    UNGATED,
)
from benchmarks.serving.timings import Timings

REFERENCES: Mapping[str, str] = MappingProxyType(
    {FUSED: SPLIT, RELEASED: SPLIT, PADDED: UNGATED, TRANSFORMERS: UNGATED}
)
"""Whose answers each peer's must be. Released decides two ways: what `split` leaves alone it
releases, so that of those answers, a third of a load, some may differ."""
_N_BEGINNING = 2
"""Tokens: the second is the first that needs the keys and values of the ones before."""
_LEAST = 0.5
"""Share of the answers that must begin alike."""
_ENOUGH = 4
"""Answers: of fewer, rounding may well have made others of half."""

Tokens = tuple[int, ...]


def same_answers(timed: Mapping[str, Sequence[Timings]]) -> dict[str, float]:
    """The share of answers that are, token by token, those of a peer's reference.

    Args:
        timed: every repeat of a load, by peer.

    Returns:
        Of each peer that has a reference among them, the least over repeats.

    Raises:
        RuntimeError: a peer's answers are others; of fewer than four nobody can tell.
    """
    compared = {
        peer: timed[reference]
        for peer, reference in REFERENCES.items()
        if peer in timed and reference in timed
    }
    for peer, references in compared.items():
        begun = _share(timed[peer], references, _N_BEGINNING)
        if begun < _LEAST and len(references[0].answered) >= _ENOUGH:
            raise RuntimeError(
                f"{begun:.0%} of the answers of `{peer}` begin as those of `{REFERENCES[peer]}`, "
                "of the same requests; how fast others come says nothing"
            )
    return {peer: _share(timed[peer], references) for peer, references in compared.items()}


def _share(
    ours: Sequence[Timings], theirs: Sequence[Timings], n_tokens: int | None = None
) -> float:
    """Of answers whose first tokens, or all, are the same; the least over repeats."""
    return min(
        _share_of(
            [each.tokens for each in a.answered], [each.tokens for each in b.answered], n_tokens
        )
        for a, b in zip(ours, theirs, strict=True)
    )


def _share_of(ours: Sequence[Tokens], theirs: Sequence[Tokens], n_tokens: int | None) -> float:
    pairs = list(zip(ours, theirs, strict=True))
    return sum(a[:n_tokens] == b[:n_tokens] for a, b in pairs) / len(pairs)
