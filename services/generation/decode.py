"""The decode loop's one batch: rows join by a prefill, advance a token at a time, and leave.

Rows may differ in everything: verdict, readout version, length, sampling. A row's tokens are those
that it would get alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor
from transformers import DynamicCache

from services.backbone.chat import left_pad
from services.backbone.hooks import Edit, edit
from services.backbone.load import Backbone
from services.generation.cache import append_rows, cache_argument, keep_rows, widened
from services.generation.intervention import Phase
from services.generation.row import Row
from services.generation.sampling import choose
from services.generation.treatment import edits_of


class Batch:
    """Rows with their keys and values. Lives in the one thread that runs the backbone."""

    def __init__(self, backbone: Backbone) -> None:
        """Begin without rows."""
        self._backbone = backbone
        self._cache_argument = cache_argument(backbone.model)
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
        padded = left_pad([row.prompt_ids for row in rows], self._backbone.pad_id)
        padded = padded.to(self._backbone.device)
        mask, cache = padded.attention_mask, DynamicCache()
        edits = edits_of([row.treatment for row in rows], Phase.PREFILL, mask)
        logits = self._forward(padded.input_ids, mask, padded.position_ids, cache, edits)
        self._join(rows, mask, cache)
        return _choose(logits, rows)

    @torch.inference_mode()
    def advance(self) -> list[int]:
        """The next token of every row. If this raises, the batch must be cleared."""
        last = [[row.last_token] for row in self._rows]
        input_ids = torch.tensor(last, device=self._backbone.device)
        mask = torch.cat([self._mask, torch.ones_like(input_ids)], dim=1)
        position_ids = mask.sum(dim=1, keepdim=True) - 1
        logits = self._forward(input_ids, mask, position_ids, self._cache, self._edits)
        self._mask = mask
        return _choose(logits, self._rows)

    @torch.inference_mode()
    def keep(self, rows: Collection[Row]) -> None:
        """Let every other row leave, and with it the columns that only it needed."""
        kept = [index for index, row in enumerate(self._rows) if row in rows]
        if len(kept) == len(self._rows):
            return
        if not kept:
            self.clear()
            return
        index = torch.tensor(kept, device=self._backbone.device)
        mask = self._mask.index_select(0, index)
        first_column = int(mask.any(dim=0).int().argmax())
        keep_rows(self._cache, index, first_column=first_column)
        self._mask = mask[:, first_column:]
        self._rows = [self._rows[row] for row in kept]
        self._edits = self._decode_edits()

    def clear(self) -> None:
        """Let every row leave."""
        self._rows = []
        self._cache = DynamicCache()
        self._mask = torch.empty(0, 0, dtype=torch.int64)
        self._edits = {}

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
            output = self._backbone.model(
                input_ids=input_ids,
                attention_mask=mask,
                position_ids=position_ids,
                use_cache=True,
                logits_to_keep=1,
                **{self._cache_argument: cache},
            )
        logits: Tensor = output.logits[:, -1]
        return logits


def _choose(logits: Tensor, rows: Sequence[Row]) -> list[int]:
    return choose(
        logits,
        temperature=[row.sampling.temperature for row in rows],
        top_p=[row.sampling.top_p for row in rows],
        draws=[row.draw() for row in rows],
    )
