"""Groups that are never split."""

from collections import Counter

import pytest

from recal.datasets.grouping import SHARES, joined_groups, split_by_hash, split_by_publisher


def test_pairs_join_groups_however_long_the_chain() -> None:
    groups = joined_groups("abcdef", [("e", "d"), ("c", "d"), ("a", "c")])
    assert groups == {"a": "a", "c": "a", "d": "a", "e": "a", "b": "b", "f": "f"}


def test_the_order_of_pairs_does_not_change_a_groups_name() -> None:
    pairs = [("e", "d"), ("c", "d"), ("a", "c")]
    assert joined_groups("edcab", pairs[::-1]) == joined_groups("abcde", pairs)


def test_the_shares_of_splits_come_out() -> None:
    counts = Counter(split_by_hash(f"group {i}", SHARES) for i in range(4000))
    for split, share in SHARES.items():
        assert counts[split] / 4000 == pytest.approx(share, abs=0.03)


def test_another_seed_splits_otherwise() -> None:
    groups = [f"group {i}" for i in range(50)]
    splits = [[split_by_hash(g, SHARES, seed=seed) for g in groups] for seed in (0, 0, 1)]
    assert splits[0] == splits[1] != splits[2]


@pytest.mark.parametrize("shares", [{}, {"train": 0.5}, {"train": 1.5, "test": -0.5}])
def test_shares_that_are_none_are_refused(shares: dict) -> None:
    with pytest.raises(ValueError, match="shares"):
        split_by_hash("group", shares)


def test_what_was_published_for_training_is_never_scored() -> None:
    assert split_by_publisher(["test", "train", "validation"]) == "train"
    assert split_by_publisher(["test", "test"]) == "test"
