"""Every way to answer requests that is compared, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from benchmarks.serving.peers.ideal import Ideal
from benchmarks.serving.peers.ours import Fused, Split, Ungated
from benchmarks.serving.peers.padded import Padded, Released
from benchmarks.serving.peers.peer import Peer, Setting
from benchmarks.serving.peers.transformers_batching import TransformersBatching

UNGATED, SPLIT, FUSED = "ungated", "split", "fused"
RELEASED, PADDED, TRANSFORMERS, IDEAL = "released", "padded", "transformers", "ideal"

OURS = frozenset({UNGATED, SPLIT, FUSED})
"""Ways to drive our own engine."""

PEERS: Mapping[str, Callable[[Setting], Peer]] = MappingProxyType(
    {
        UNGATED: Ungated,
        SPLIT: Split,
        FUSED: Fused,
        RELEASED: Released,
        PADDED: Padded,
        TRANSFORMERS: TransformersBatching,
        IDEAL: Ideal,
    }
)
