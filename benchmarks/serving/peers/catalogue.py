"""Every way to answer requests that is compared, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from benchmarks.serving.peers.ideal import Ideal
from benchmarks.serving.peers.ours import Split, Ungated
from benchmarks.serving.peers.padded import Padded, Released
from benchmarks.serving.peers.peer import Peer, Setting
from benchmarks.serving.peers.transformers_batching import TransformersBatching

UNGATED, SPLIT, FUSED = "ungated", "split", "fused"
RELEASED, PADDED, TRANSFORMERS, IDEAL = "released", "padded", "transformers", "ideal"

OURS = frozenset({UNGATED, SPLIT, FUSED})
"""Ways to drive our own engine."""

# EXTENSION POINT: an engine that gates in its own prefill is one more class in `ours.py`, which
# treats each row as the engine itself decides, and the line `FUSED: Fused` here. Its bars stand in
# `benchmarks/serving/claims.py` already, and are reported as soon as it is in this list.
PEERS: Mapping[str, Callable[[Setting], Peer]] = MappingProxyType(
    {
        UNGATED: Ungated,
        SPLIT: Split,
        RELEASED: Released,
        PADDED: Padded,
        TRANSFORMERS: TransformersBatching,
        IDEAL: Ideal,
    }
)
