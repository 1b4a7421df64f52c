"""Keys and values of a batch: each row's beside others of like length, never copied for a token.

A slab holds rows of one capacity, one below another without a gap, so that attention takes all of
them at once and pads none to more than about twice its length; short ones, for which a call of
their own costs more than padding, lie together. A row that outgrows its slab moves to the next one,
which is twice as wide; a row that leaves is replaced by its slab's last.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from services.generation.row import Row

LEAST_COLUMNS = 256
"""Of a slab by default. Attention is a call for each slab at every block, so that few slabs are
worth some padding: with 64, 16 mixed rows took 3 (30M) to 6 % (organism) longer for a token."""


def capacity_for(n_tokens: int, *, least: int = LEAST_COLUMNS) -> int:
    """Columns of the slab in which a row of so many tokens lies: a power of two."""
    return max(least, 1 << (n_tokens - 1).bit_length())


class KeyValues(NamedTuple):
    """Of one block."""

    keys: Tensor
    """(rows, heads, columns, d_key)."""
    values: Tensor
    """(rows, heads, columns, d_value)."""


class Held:
    """Keys and values of one row while its prompt runs; nothing about other rows."""

    def __init__(self, n_tokens: int) -> None:
        """Of a prompt of so many tokens."""
        self._n_tokens = n_tokens
        self._blocks: dict[int, KeyValues] = {}

    @property
    def blocks(self) -> dict[int, KeyValues]:
        """By block; one row of as many columns as the prompt has tokens."""
        return self._blocks

    def continued(self, n_tokens: int) -> Held:
        """A copy with room for so many tokens in all, of which those of this prompt are there."""
        longer = Held(n_tokens)
        for block, held in self._blocks.items():
            longer._blocks[block] = KeyValues(*(_room(part, n_tokens) for part in held))
            for mine, part in zip(longer._blocks[block], held, strict=True):
                mine[:, :, : self._n_tokens] = part
        return longer

    def write(self, block: int, start: int, new: KeyValues) -> KeyValues:
        """Take up the keys and values of some tokens, which begin at column `start`.

        Args:
            block: whose they are.
            start: columns from here on are written, also where others had been.
            new: one row; kept as they are where they are the whole prompt's.

        Returns:
            What the tokens see: all columns up to the last new one.
        """
        stop = start + new.keys.shape[2]
        if start == 0 and stop == self._n_tokens:
            self._blocks[block] = new
            return new
        if block not in self._blocks:
            self._blocks[block] = KeyValues(*(_room(part, self._n_tokens) for part in new))
        held = self._blocks[block]
        for part, added in zip(held, new, strict=True):
            part[:, :, start:stop] = added
        return KeyValues(*(part[:, :, :stop] for part in held))


class Slab:
    """Rows of one capacity."""

    def __init__(self, columns: int) -> None:
        """Begin without rows."""
        self.columns = columns
        self.rows: list[Row] = []
        """In the order in which they lie."""
        self.blocks: dict[int, KeyValues] = {}
        """(slots, heads, columns, d), slots at least as many as rows. Columns behind a row's last
        token are finite: they are masked, and what is not finite would spoil the row all the
        same."""

    def add(self, row: Row, blocks: Mapping[int, KeyValues], n_tokens: int) -> None:
        """Copy a row in, of which the first tokens count."""
        slot = len(self.rows)
        self._make_room(slot + 1, blocks)
        for index, held in blocks.items():
            for mine, part in zip(self.blocks[index], held, strict=True):
                mine[slot, :, :n_tokens] = part[0, :, :n_tokens]
                mine[slot, :, n_tokens:] = 0.0
        self.rows.append(row)

    def remove(self, row: Row) -> None:
        """Put the last row in a row's place."""
        slot, last = self.rows.index(row), len(self.rows) - 1
        if slot != last:
            for held in self.blocks.values():
                for part in held:
                    part[slot] = part[last]
            self.rows[slot] = self.rows[last]
        self.rows.pop()
        self._give_back()

    def of(self, row: Row) -> dict[int, KeyValues]:
        """One row's keys and values, as views."""
        slot = self.rows.index(row)
        return {
            index: KeyValues(*(part[slot : slot + 1] for part in held))
            for index, held in self.blocks.items()
        }

    def _make_room(self, n_rows: int, like: Mapping[int, KeyValues]) -> None:
        # of all blocks: an allocation may have failed between two of them
        if n_rows <= min(len(self.blocks[i].keys) if i in self.blocks else 0 for i in like):
            return
        for index, held in like.items():
            parts = self.blocks.get(index, (None, None))
            self.blocks[index] = KeyValues(
                *(
                    _with_slots(old, _slots_for(n_rows), new, self.columns)
                    for old, new in zip(parts, held, strict=True)
                )
            )

    def _give_back(self) -> None:
        """Let go of slots when more than twice as many are there as would be made now."""
        slots = _slots_for(len(self.rows))
        for index, held in self.blocks.items():
            if len(held.keys) > 2 * slots:
                self.blocks[index] = KeyValues(*(part[:slots].clone() for part in held))


class Slabs:
    """All rows that decode, each in the slab of its length."""

    def __init__(self, *, least_columns: int = LEAST_COLUMNS) -> None:
        """Begin without rows, and with no slab narrower than that."""
        self._least_columns = least_columns
        self._slabs: dict[int, Slab] = {}
        self._lengths: dict[Row, int] = {}

    def __iter__(self) -> Iterator[Slab]:
        """Slabs that hold rows, narrow ones first."""
        return iter([self._slabs[c] for c in sorted(self._slabs) if self._slabs[c].rows])

    @property
    def rows(self) -> list[Row]:
        """Slab by slab, as they lie."""
        return [row for slab in self for row in slab.rows]

    def lengths(self, rows: Sequence[Row]) -> list[int]:
        """Tokens whose keys and values are held, for each row."""
        return [self._lengths[row] for row in rows]

    def add(self, rows: Sequence[tuple[Row, Held]]) -> None:
        """Take up rows whose whole prompts have run; all of them, or, if this raises, none."""
        before = list(self._lengths)
        try:
            for row, held in rows:
                self._put(row, held.blocks, len(row.prompt_ids))
        except BaseException:
            self.keep(before)
            raise

    def keep(self, rows: Collection[Row]) -> None:
        """Let every other row leave, in the order in which they came.

        A row's place decides by which code its numbers are rounded, so places must not be chance.
        """
        kept = set(rows)
        for row in [row for row in self._lengths if row not in kept]:
            self._leave(self._slab_of(row), row)
            del self._lengths[row]

    def clear(self) -> None:
        """Let every row leave."""
        self._slabs, self._lengths = {}, {}

    def make_room(self) -> bool:
        """Move rows that fill their slab to the next one; true when there was one."""
        full = [row for slab in self for row in slab.rows if self._lengths[row] == slab.columns]
        for row in full:
            slab = self._slab_of(row)
            self._put(row, slab.of(row), slab.columns)
            self._leave(slab, row)
        return bool(full)

    def advance(self, rows: Iterable[Row]) -> None:
        """One more token is held of each of these."""
        for row in rows:
            self._lengths[row] += 1

    def _put(self, row: Row, blocks: Mapping[int, KeyValues], n_tokens: int) -> None:
        # with room for the next token
        columns = capacity_for(n_tokens + 1, least=self._least_columns)
        self._slabs.setdefault(columns, Slab(columns)).add(row, blocks, n_tokens)
        self._lengths[row] = n_tokens

    def _slab_of(self, row: Row) -> Slab:
        return next(slab for slab in self if row in slab.rows)

    def _leave(self, slab: Slab, row: Row) -> None:
        slab.remove(row)
        if not slab.rows:
            del self._slabs[slab.columns]


def _slots_for(n_rows: int) -> int:
    """With a spare one for every two rows, so that not every row that comes moves all others."""
    return n_rows + n_rows // 2


def _room(like: Tensor, columns: int) -> Tensor:
    return like.new_empty(like.shape[0], like.shape[1], columns, like.shape[3])


def _with_slots(old: Tensor | None, slots: int, like: Tensor, columns: int) -> Tensor:
    made = like.new_zeros(slots, like.shape[1], columns, like.shape[3])
    if old is not None:
        made[: len(old)] = old
    return made
