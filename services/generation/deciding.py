"""One prefill that reads, decides and acts: every row gets its verdict while the prompt runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from services.backbone.chat import EncodedPrompt, PaddedBatch
from services.backbone.hooks import capture
from services.backbone.load import Backbone
from services.backbone.readings import reader
from services.domain import Action
from services.errors import ServiceError
from services.generation.choices import acts_before, acts_on_all_before, edits_by_code
from services.generation.row import Row
from services.generation.undecided import LawTable, Undecided

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settled:
    """What a prefill decided and chose, on the host."""

    tokens: list[int]
    """The first token of each row; of a row that must run again it is no good."""
    joining: list[int]
    """Rows that go on with what this pass has computed."""
    replayed: list[int]
    """Rows whose last prompt token must run again, moved at a block before the last one read."""
    restarted: list[int]
    """Rows whose whole prompt must."""
    failures: dict[int, ServiceError]
    """Rows whose verdict ends the call."""
    refused: list[int]
    """Rows that are answered with the fixed refusal."""


class DecidingPrefill:
    """Belongs to one pass over undecided rows of one scorer."""

    def __init__(self, backbone: Backbone, rows: Sequence[Row], padded: PaddedBatch) -> None:
        """Put everything that decides on the device before the pass begins.

        Raises:
            ValueError: the rows have several scorers, or the readout reads a block that is not
                there.
        """
        self._rows = rows
        self._undecided = [_of(row) for row in rows]
        scorers = {id(each.scorer) for each in self._undecided}
        if len(scorers) != 1:
            raise ValueError(f"{len(scorers)} bundles in one pass; give each a pass of its own")
        self._scorer = self._undecided[0].scorer
        places = self._scorer.places
        self._readings = tuple(dict.fromkeys(place.reading for place in places))
        self._deepest = max(place.layer for place in places)
        self._laws = LawTable(self._undecided, backbone.device)
        self._codes: Tensor | None = None
        self._table: Tensor | None = None
        self._blocks = backbone.blocks
        prompts = [
            EncodedPrompt(list(row.prompt_ids), each.instruction_end)
            for row, each in zip(rows, self._undecided, strict=True)
        ]
        self._read = reader(padded, prompts, self._readings)
        self._found: dict[int, Tensor] = {}
        self.edits = edits_by_code(
            [each.choices for each in self._undecided],
            self._decide,
            padded.attention_mask,
            first_layer=self._deepest,
        )
        """Of this pass; to be installed inside of `reading`, so that what is read is unedited."""

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read while the model runs."""
        layers = sorted({place.layer for place in self._scorer.places})
        with capture(self._blocks, layers, keep=self._read) as self._found:
            yield

    def settle(self, tokens: Tensor) -> Settled:
        """Bring tokens, codes and scores to the host, in one transfer, and settle each row.

        Args:
            tokens: (rows,) int64, chosen from this pass's logits.
        """
        codes, table = self._decide(), self._table
        assert table is not None, "deciding makes the table"
        # every token id and code is exact in float64, as every float32 score is
        both = torch.stack([tokens, codes], dim=1).double()
        found = torch.cat([both, table.double()], dim=1).tolist()
        settled = Settled([int(row[0]) for row in found], [], [], [], {}, [])
        for index, (_, code, *scores) in enumerate(found):
            self._settle(index, int(code), scores, settled)
        return settled

    def _decide(self) -> Tensor:
        if self._codes is None:
            places = self._scorer.places
            read = [self._found[p.layer][self._readings.index(p.reading)] for p in places]
            self._table = self._scorer.table(torch.stack(read, dim=1))
            self._codes = self._laws.codes(self._table)
        return self._codes

    def _settle(self, index: int, code: int, scores: list[float], settled: Settled) -> None:
        row, undecided = self._rows[index], self._undecided[index]
        try:
            action = undecided.settle(scores)
        except ServiceError as error:
            settled.failures[index] = error
            return
        if action.strictness != code:
            # the device has acted on other scores than the verdict: nobody may rely on either
            log.error("a verdict is `%s`, and its prefill acted by code %d", action.value, code)
            settled.failures[index] = ServiceError(
                "the verdict and what was done to the model differ, so nothing is generated; see "
                "the server log"
            )
            return
        row.settle(action, undecided.choices[code])
        if action is Action.REFUSE:
            settled.refused.append(index)
            return
        if not acts_before(row.treatment, self._deepest):
            settled.joining.append(index)
        elif acts_on_all_before(row.treatment, self._deepest):
            settled.restarted.append(index)
        else:
            settled.replayed.append(index)


def _of(row: Row) -> Undecided:
    if row.undecided is None:
        raise ValueError("a row that is decided already needs no deciding prefill")
    return row.undecided
