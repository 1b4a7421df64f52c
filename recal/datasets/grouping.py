"""Groups of prompts that mean the same, and splits in which a group never stands twice."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import get_args

from recal.prompts import Split

SHARES: Mapping[Split, float] = {
    "train": 0.55,
    "validation": 0.1,
    "calibration": 0.15,
    "test": 0.2,
}
"""Of the groups, by default."""


def joined_groups(members: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """By parallel id, the name of its group: the first id of all that pairs connect with it.

    Args:
        members: parallel ids.
        pairs: ids that belong together, because their texts are near-duplicates.
    """
    parent = {member: member for member in members}

    def root(member: str) -> str:
        while parent[member] != member:
            parent[member] = parent[parent[member]]
            member = parent[member]
        return member

    for one, other in pairs:
        first, second = sorted((root(one), root(other)))
        parent[second] = first
    return {member: root(member) for member in parent}


def split_by_hash(group: str, shares: Mapping[Split, float], *, seed: int = 0) -> Split:
    """The split of a group by a hash of its name: the same on every machine and in every order.

    Raises:
        ValueError: the shares are not all positive, or do not add up to 1.
    """
    total = math.fsum(shares.values())
    if not shares or min(shares.values()) <= 0 or abs(total - 1) > 1e-6:
        raise ValueError(f"shares of splits add up to {total:g}; give positive ones that make 1")
    digest = hashlib.sha256(f"{seed}/{group}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    end = 0.0
    for split, share in shares.items():
        end += share
        if place < end:
            return split
    return split


def split_by_publisher(splits: Sequence[Split]) -> Split:
    """One split for a group whose members were published in several: the one least to be scored.

    So a prompt that was published for training is never scored.

    Raises:
        ValueError: there are none.
    """
    order: dict[Hashable, int] = {split: rank for rank, split in enumerate(get_args(Split))}
    return min(splits, key=lambda split: order[split])
