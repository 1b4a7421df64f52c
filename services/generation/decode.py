"""The decode loop's one batch: rows join by a prefill, advance a token at a time, and leave.

Rows may differ in everything: verdict, readout version, length, sampling. A row's tokens are those
that it would get alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor
from transformers import DynamicCache

from services.backbone.chat import PaddedBatch, left_pad
from services.backbone.hooks import Edit, edit
from services.backbone.load import Backbone
from services.errors import ServiceError
from services.generation.cache import append_rows, keep_rows, rows_of, widened
from services.generation.deciding import DecidingPrefill
from services.generation.forward import last_logits
from services.generation.intervention import Phase
from services.generation.row import Row
from services.generation.sampling import choose
from services.generation.treatment import edits_of

T = TypeVar("T")

Decided = int | ServiceError | None
"""The first token of a row, or why its call fails; None: it is refused, nothing is generated."""


class Batch:
    """Rows with their keys and values. Lives in the one thread that runs the backbone."""

    def __init__(self, backbone: Backbone) -> None:
        """Begin without rows."""
        self._backbone = backbone
        self._rows: list[Row] = []
        self._cache = DynamicCache()
        self._mask = torch.empty(0, 0, dtype=torch.int64)
        self._edits: Mapping[int, Edit] = {}

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows, in the order in which tokens come."""
        return tuple(self._rows)

    @torch.inference_mode()
    def admit(self, rows: Sequence[Row]) -> list[int]:
        """Run the prompts of new rows, let them join, and give the first token of each.

        If this raises, the rows that were there are as they were; see `keep`.
        """
        padded = self._padded(rows)
        mask, cache = padded.attention_mask, DynamicCache()
        edits = edits_of([row.treatment for row in rows], Phase.PREFILL, mask)
        logits = self._forward(padded.input_ids, mask, padded.position_ids, cache, edits)
        self._join(rows, mask, cache)
        return _tokens(_choose(logits, rows))

    @torch.inference_mode()
    def decide(self, rows: Sequence[Row]) -> list[Decided]:
        """Run the prompts of undecided rows, decide each, and let those join that generate.

        Rows are decided and treated in one pass, but for those that are moved at a block before
        the last one that is read: their last prompt token runs again, or all of the prompt where
        all of it is moved. Errors as `admit`.
        """
        padded = self._padded(rows)
        deciding = DecidingPrefill(self._backbone, rows, padded)
        mask, cache = padded.attention_mask, DynamicCache()
        with deciding.reading():
            logits = self._forward(
                padded.input_ids, mask, padded.position_ids, cache, deciding.edits
            )
        settled = deciding.settle(_choose(logits, rows))
        tokens: list[Decided] = [settled.failures.get(i, t) for i, t in enumerate(settled.tokens)]
        for index in settled.refused:
            tokens[index] = None
        # those that take a part of the cache come before those that keep it
        if replayed := settled.replayed:
            own = rows_of(cache, _index(replayed, mask), without_last=1)
            again = self._replay(_at(rows, replayed), mask[replayed], own)
            _fill(tokens, replayed, again)
        if restarted := settled.restarted:
            _fill(tokens, restarted, self.admit(_at(rows, restarted)))
        if settled.joining:
            mask = _kept(mask, cache, settled.joining)
            self._join(_at(rows, settled.joining), mask, cache)
        return tokens

    @torch.inference_mode()
    def advance(self) -> list[int]:
        """The next token of every row. If this raises, the batch must be cleared."""
        last = [[row.last_token] for row in self._rows]
        input_ids = torch.tensor(last, device=self._backbone.device)
        mask = torch.cat([self._mask, torch.ones_like(input_ids)], dim=1)
        position_ids = mask.sum(dim=1, keepdim=True) - 1
        logits = self._forward(input_ids, mask, position_ids, self._cache, self._edits)
        self._mask = mask
        return _tokens(_choose(logits, self._rows))

    @torch.inference_mode()
    def keep(self, rows: Collection[Row]) -> None:
        """Let every other row leave, and with it the columns that only it needed."""
        kept = [index for index, row in enumerate(self._rows) if row in rows]
        if len(kept) == len(self._rows):
            return
        if not kept:
            self.clear()
            return
        self._mask = _kept(self._mask, self._cache, kept)
        self._rows = [self._rows[row] for row in kept]
        self._edits = self._decode_edits()

    def clear(self) -> None:
        """Let every row leave."""
        self._rows = []
        self._cache = DynamicCache()
        self._mask = torch.empty(0, 0, dtype=torch.int64)
        self._edits = {}

    def _padded(self, rows: Sequence[Row]) -> PaddedBatch:
        padded = left_pad([row.prompt_ids for row in rows], self._backbone.pad_id)
        return padded.to(self._backbone.device)

    def _replay(
        self,
        rows: Sequence[Row],
        mask: Tensor,
        cache: DynamicCache,
    ) -> list[int]:
        """Run the last prompt token of some rows again, now that their treatment is known.

        Exact, because it is the only prompt token that they move before the last block read.

        Args:
            rows: that are to join.
            mask: (rows, seq) of their whole prompts.
            cache: of all their prompt tokens but the last.
        """
        last = torch.tensor([[row.prompt_ids[-1]] for row in rows], device=mask.device)
        one_token = torch.ones_like(last)
        edits = edits_of([row.treatment for row in rows], Phase.PREFILL, one_token)
        position_ids = mask.sum(dim=1, keepdim=True) - 1
        logits = self._forward(last, mask, position_ids, cache, edits)
        self._join(rows, mask, cache)
        return _tokens(_choose(logits, rows))

    def _join(self, rows: Sequence[Row], mask: Tensor, cache: DynamicCache) -> None:
        if self._rows:
            columns = max(mask.shape[1], self._mask.shape[1])
            mask = torch.cat([widened(m, columns, dim=1) for m in (self._mask, mask)])
            append_rows(self._cache, cache)
        else:
            self._cache = cache
        self._mask = mask
        self._rows.extend(rows)
        self._edits = self._decode_edits()

    def _decode_edits(self) -> dict[int, Edit]:
        one_token = torch.ones(len(self._rows), 1, device=self._backbone.device)
        return edits_of([row.treatment for row in self._rows], Phase.DECODE, one_token)

    def _forward(
        self,
        input_ids: Tensor,
        mask: Tensor,
        position_ids: Tensor,
        cache: DynamicCache,
        edits: Mapping[int, Edit],
    ) -> Tensor:
        with edit(self._backbone.blocks, edits):
            return last_logits(self._backbone, input_ids, mask, position_ids, cache)


def _kept(mask: Tensor, cache: DynamicCache, rows: Sequence[int]) -> Tensor:
    """Keep some rows, and drop the columns that only the others needed; gives the new mask."""
    if len(rows) == len(mask):
        return mask
    index = _index(rows, mask)
    mask = mask.index_select(0, index)
    first_column = int(mask.any(dim=0).int().argmax())
    keep_rows(cache, index, first_column=first_column)
    return mask[:, first_column:]


def _index(rows: Sequence[int], like: Tensor) -> Tensor:
    return torch.tensor(rows, device=like.device)


def _at(items: Sequence[T], indices: Sequence[int]) -> list[T]:
    return [items[index] for index in indices]


def _fill(tokens: list[Decided], indices: Sequence[int], found: Sequence[int]) -> None:
    for index, token in zip(indices, found, strict=True):
        tokens[index] = token


def _choose(logits: Tensor, rows: Sequence[Row]) -> Tensor:
    return choose(
        logits,
        temperature=[row.sampling.temperature for row in rows],
        top_p=[row.sampling.top_p for row in rows],
        draws=[row.draw() for row in rows],
    )


def _tokens(chosen: Tensor) -> list[int]:
    tokens: list[int] = chosen.tolist()
    return tokens
