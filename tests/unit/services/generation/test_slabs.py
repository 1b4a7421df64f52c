import math

import pytest
import torch

from services.domain import Sampling
from services.generation.row import Row
from services.generation.slabs import (
    LEAST_COLUMNS,
    Held,
    KeyValues,
    Slab,
    Slabs,
    capacity_for,
)
from services.generation.treatment import UNTOUCHED

HEADS, WIDTH = 2, 3
LEAST = 64


def row(n_tokens: int) -> Row:
    return Row([1] * n_tokens, UNTOUCHED, Sampling(), tokenizer=None, ends=frozenset())


def held(row: Row, value: float, *, n_blocks: int = 2) -> Held:
    """Of a whole prompt, each of its columns marked with its number over a value of its own."""
    found, n = Held(len(row.prompt_ids)), len(row.prompt_ids)
    for block in range(n_blocks):
        keys = torch.full((1, HEADS, n, WIDTH), value + block) + torch.arange(n)[:, None] / 1000
        found.write(block, 0, KeyValues(keys, -keys))
    return found


def filled(*lengths: int) -> tuple[Slabs, list[Row]]:
    slabs, rows = Slabs(least_columns=LEAST), [row(n) for n in lengths]
    slabs.add([(each, held(each, 10.0 * i)) for i, each in enumerate(rows)])
    return slabs, rows


def keys_of(slabs: Slabs, row: Row, block: int = 0) -> torch.Tensor:
    slab = next(slab for slab in slabs if row in slab.rows)
    (n_tokens,) = slabs.lengths([row])
    return slab.of(row)[block].keys[0, :, :n_tokens]


def assert_kept(slabs: Slabs, row: Row, value: float) -> None:
    for block, found in enumerate(held(row, value).blocks.values()):
        assert torch.equal(keys_of(slabs, row, block), found.keys[0])


def test_rows_of_like_length_lie_together_and_others_apart():
    slabs, (short, long, other) = filled(5, 100, 60)
    assert [slab.rows for slab in slabs] == [[short, other], [long]]
    assert [slab.columns for slab in slabs] == [64, 128]
    assert slabs.rows == [short, other, long]


@pytest.mark.parametrize("n_tokens", [1, 63, 64, 65, 128, 500, 1025])
def test_no_slab_is_more_than_twice_as_wide_as_its_rows_are_long_but_for_short_ones(n_tokens: int):
    for least in (LEAST, LEAST_COLUMNS):
        columns = capacity_for(n_tokens, least=least)
        assert n_tokens <= columns <= max(least, 2 * n_tokens)
        assert columns >= least


def test_short_rows_lie_together_unless_other_is_asked_for():
    slabs, rows = Slabs(), [row(n) for n in (5, 100, 254, 255, 256)]
    slabs.add([(each, held(each, 1.0)) for each in rows])
    assert [slab.rows for slab in slabs] == [rows[:4], rows[4:]]


def test_a_row_that_leaves_takes_nothing_of_the_others_with_it():
    slabs, rows = filled(5, 6, 7, 8, 9, 10, 11)
    slabs.keep([rows[0], rows[2], rows[6]])
    assert sorted(slabs.rows, key=rows.index) == [rows[0], rows[2], rows[6]]
    for index in (0, 2, 6):
        assert_kept(slabs, rows[index], 10.0 * index)


def test_a_row_that_fills_its_slab_moves_to_the_next_with_all_it_holds():
    slabs, (short, long) = filled(5, 62)
    assert not slabs.make_room()
    for _ in range(2):
        slabs.advance([short, long])
    expected = keys_of(slabs, long).clone()
    assert slabs.make_room()
    assert [(slab.columns, slab.rows) for slab in slabs] == [(64, [short]), (128, [long])]
    assert torch.equal(keys_of(slabs, long), expected)
    assert not slabs.make_room()


def test_what_lies_behind_a_rows_last_token_is_finite_whoever_was_there_before():
    slabs, (first, last) = filled(5, 6)
    spoilt = row(60)
    slabs.add([(spoilt, held(spoilt, math.nan))])
    slabs.keep([first, last])
    after = row(7)
    slabs.add([(after, held(after, 3.0))])
    (slab,) = slabs
    assert all(part[:3].isfinite().all() for block in slab.blocks.values() for part in block)


def test_rows_that_do_not_all_find_room_are_not_taken_up_at_all():
    slabs, (first,) = filled(5)
    sound, wider = row(6), row(7)
    bad = Held(7)
    bad.write(0, 0, KeyValues(*torch.ones(2, 1, HEADS, 7, WIDTH + 1)))
    with pytest.raises(RuntimeError):
        slabs.add([(sound, held(sound, 1.0)), (wider, bad)])
    assert slabs.rows == [first]
    assert_kept(slabs, first, 0.0)


def test_a_slab_that_could_not_grow_grows_the_next_time():
    slab, rows = Slab(64), [row(5) for _ in range(9)]
    for each in rows[:4]:
        slab.add(each, held(each, 1.0).blocks, 5)
    half = held(rows[4], 1.0).blocks
    slab._make_room(5, {0: half[0]})  # as far as an allocation that fails in the second block gets
    for each in rows[4:]:
        slab.add(each, held(each, 1.0).blocks, 5)
    assert slab.rows == rows


def test_a_slab_lets_go_of_room_that_most_of_its_rows_have_left():
    slabs, rows = filled(*[5] * 20)
    (slab,) = slabs
    most = len(slab.blocks[0].keys)
    for n_kept in (15, 8, 3, 1):
        slabs.keep(rows[:n_kept])
        assert all(len(part) <= 3 * n_kept for held in slab.blocks.values() for part in held)
    assert most >= 20
    assert_kept(slabs, rows[0], 0.0)


def test_a_prompt_in_chunks_is_held_as_one_that_ran_at_once():
    whole, chunked = Held(7), Held(7)
    parts = KeyValues(*torch.randn(2, 1, HEADS, 7, WIDTH))
    whole.write(0, 0, parts)
    for start, stop in ((0, 3), (3, 5), (5, 7)):
        seen = chunked.write(0, start, KeyValues(*(part[:, :, start:stop] for part in parts)))
        assert torch.equal(seen.keys, parts.keys[:, :, :stop])
        assert torch.equal(seen.values, parts.values[:, :, :stop])
    for mine, theirs in zip(chunked.blocks[0], whole.blocks[0], strict=True):
        assert torch.equal(mine, theirs)


def test_cleared_slabs_hold_nobody_and_are_as_narrow_as_before():
    slabs, _ = filled(5, 100)
    slabs.clear()
    assert (list(slabs), slabs.rows) == ([], [])
    again = row(5)
    slabs.add([(again, held(again, 1.0))])
    assert [(slab.columns, slab.rows) for slab in slabs] == [(LEAST, [again])]
