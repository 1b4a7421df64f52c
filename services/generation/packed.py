"""One packed pass: new tokens of rows that decode beside prompt tokens of rows that join.

Tokens of all rows lie side by side in one sequence, so that no row is padded, and a pass over the
weights serves prompts and answers at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import NamedTuple

import torch
from torch import Tensor

from services.backbone.hooks import Edit, edit, ending_after
from services.backbone.load import Backbone
from services.generation.attention import Decoding, PackedAttention, Prompting
from services.generation.deciding import Decision, Stretch
from services.generation.forward import packed_logits
from services.generation.intervention import Phase, Span
from services.generation.monitor import TokenScores
from services.generation.moving import one_after_another, packed_edits
from services.generation.row import Row
from services.generation.slabs import Held, Slabs
from services.generation.treatment import UNTOUCHED


class Chunk(NamedTuple):
    """Consecutive prompt tokens of one row, as one pass runs them."""

    row: Row
    held: Held
    start: int
    n_tokens: int

    @property
    def ends(self) -> bool:
        """Its last token is the prompt's."""
        return self.start + self.n_tokens == len(self.row.prompt_ids)


class PackedPass:
    """The tokens of one pass, decoding rows first. Belongs to that pass."""

    def __init__(self, backbone: Backbone, slabs: Slabs | None, chunks: Sequence[Chunk]) -> None:
        """Put the tokens on the device.

        Args:
            backbone: the whole model.
            slabs: rows that get one new token each; None: no row does.
            chunks: prompt tokens beside them.
        """
        self._backbone = backbone
        self.decoding = [] if slabs is None else slabs.rows
        self._chunks = chunks
        lengths = [] if slabs is None else slabs.lengths(self.decoding)
        tokens = [row.last_token for row in self.decoding]
        positions = list(lengths)
        self._stretches: list[Stretch] = []
        for chunk in chunks:
            self._stretches.append(Stretch(len(tokens), chunk.start, chunk.n_tokens))
            stop = chunk.start + chunk.n_tokens
            tokens += chunk.row.prompt_ids[chunk.start : stop]
            positions += range(chunk.start, stop)
        self._inputs = torch.tensor([tokens, positions], device=backbone.device)
        groups = []
        for slab in slabs or ():
            groups.append(Decoding(slab, tuple(lengths[: len(slab.rows)])))
            lengths = lengths[len(slab.rows) :]
        self._attention = PackedAttention(
            groups,
            [Prompting(chunk.held, chunk.start, chunk.n_tokens) for chunk in chunks],
            backbone.device,
        )

    @property
    def choosing(self) -> list[Row]:
        """Rows whose next token this pass finds, in the order of its logits."""
        return [*self.decoding, *(chunk.row for chunk in self._chunks if chunk.ends)]

    def edits(self, decisions: Mapping[Decision, Sequence[Row]]) -> dict[int, Edit]:
        """What this pass does to its rows; those of the decisions are treated as these find."""
        undecided = {row for rows in decisions.values() for row in rows}
        treatments = [row.treatment for row in self.decoding]
        treatments += [UNTOUCHED if c.row in undecided else c.row.treatment for c in self._chunks]
        spans = [Span(1, Phase.DECODE) for _ in self.decoding]
        spans += [Span(c.n_tokens, Phase.PREFILL, c.ends) for c in self._chunks]
        every = [packed_edits(treatments, spans, self._backbone.device)]
        every += [decision.edits(self._where(rows)) for decision, rows in decisions.items()]
        layers = sorted({layer for edits in every for layer in edits})
        return {
            layer: one_after_another([edits[layer] for edits in every if layer in edits])
            for layer in layers
        }

    def run(
        self,
        edits: Mapping[int, Edit],
        decisions: Mapping[Decision, Sequence[Row]],
        watched: TokenScores | None = None,
    ) -> Tensor:
        """The logits of `choosing`, (rows, vocabulary).

        Args:
            edits: what is done to the pass.
            decisions: what reads prompts in it.
            watched: what reads the new tokens of rows that decode.
        """
        with ExitStack() as stack:
            if watched is not None:
                stack.enter_context(watched.reading())
            for decision, rows in decisions.items():
                stack.enter_context(decision.reading(self._where(rows)))
            stack.enter_context(edit(self._backbone.blocks, edits))
            return self._logits()

    def read(self, decisions: Mapping[Decision, Sequence[Row]]) -> None:
        """Run only the blocks that these decisions read, and let them read."""
        deepest = max(decision.deepest for decision in decisions)
        with ExitStack() as stack:
            for decision, rows in decisions.items():
                stack.enter_context(decision.reading(self._where(rows)))
            with ending_after(self._backbone.blocks, deepest):
                self._logits()

    def _where(self, rows: Sequence[Row]) -> list[Stretch]:
        places = {chunk.row: index for index, chunk in enumerate(self._chunks)}
        return [self._stretches[places[row]] for row in rows]

    def _logits(self) -> Tensor:
        last = list(range(len(self.decoding)))
        last += [
            stretch.first + stretch.n_tokens - 1
            for stretch, chunk in zip(self._stretches, self._chunks, strict=True)
            if chunk.ends
        ]
        wanted = torch.tensor(last, dtype=torch.int64, device=self._backbone.device)
        return packed_logits(self._backbone, self._inputs, wanted, self._attention)
