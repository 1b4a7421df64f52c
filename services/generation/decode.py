"""The decode loop's one batch: prompts join chunk by chunk, rows advance a token at a time, leave.

Rows may differ in everything: verdict, readout version, length, sampling. A row's tokens are those
that it would get alone.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from services.backbone.hooks import Edit
from services.backbone.load import Backbone
from services.crash import whereabouts
from services.errors import ServiceError
from services.generation.attention import check_packs
from services.generation.deciding import Decision, Settled
from services.generation.entering import Entering
from services.generation.monitor import TokenScores
from services.generation.packed import Chunk, PackedPass
from services.generation.row import Row
from services.generation.sampling import choose
from services.generation.slabs import LEAST_COLUMNS, Slabs

log = logging.getLogger(__name__)

Decided = int | ServiceError | None
"""The next token of a row, or why its call fails; None: it is refused, nothing is generated."""

CHUNK_TOKENS = 2048
"""By default; where nobody waits for a token, one pass may take many prompts."""


class Batch:
    """Rows with their keys and values. Lives in the one thread that runs the backbone."""

    def __init__(
        self,
        backbone: Backbone,
        *,
        chunk_tokens: int = CHUNK_TOKENS,
        whole_tokens: int = 0,
        least_columns: int = LEAST_COLUMNS,
    ) -> None:
        """Begin without rows.

        Args:
            backbone: the whole model.
            chunk_tokens: prompt tokens of one pass, at most; a longer prompt runs chunk by chunk.
            whole_tokens: of one prompt in a pass, at most, where no row waits for its next token;
                and an undecided prompt of up to so many runs in one pass in any case, which decides
                it and treats it. Of a longer one, and longer than a chunk, the blocks that are read
                run first, chunk by chunk, for its verdict alone.
            least_columns: of a slab of keys and values.

        Raises:
            ArtefactRefused: the model's attention is of a kind that is not known here.
        """
        check_packs(backbone.model)
        self._backbone = backbone
        self._chunk_tokens = chunk_tokens
        self._whole_tokens = max(chunk_tokens, whole_tokens)
        self._rows: list[Row] = []
        self._entering: dict[Row, Entering] = {}
        self._slabs = Slabs(least_columns=least_columns)
        self._decode_edits: Mapping[int, Edit] | None = None
        self._token_scores: TokenScores | None = None
        """What scores the rows that decode; None: it is to be made, or nobody is watched."""

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows that have their first token, in the order in which they got it."""
        return tuple(self._rows)

    def enter(self, rows: Iterable[Row]) -> None:
        """Let the prompts of rows run in the passes that come."""
        for row in rows:
            self._entering[row] = Entering(row, self._backbone, whole_tokens=self._whole_tokens)

    def next_to_enter(self) -> list[Row]:
        """The rows whose prompts the next `step` runs: first come, first served."""
        return [chunk.row for chunk in self._chunks(self._entering, read_first=False)]

    def next_to_look_at(self) -> list[Row]:
        """The rows whose prompts the next `look` reads."""
        return [chunk.row for chunk in self._chunks(self._entering, read_first=True)]

    @torch.inference_mode()
    def step(
        self, joining: Collection[Row] | None = None, *, advancing: bool = True
    ) -> dict[Row, Decided]:
        """One pass: prompt tokens of rows that enter, and the next token of every other row.

        If this raises, no row is lost or spoilt, and a pass over fewer of them may be tried.

        Args:
            joining: which entering rows may take part; None: all.
            advancing: whether the rows that have their first token take part.

        Returns:
            The rows that got something. One whose prompt goes on is not among them.
        """
        advancing = advancing and bool(self._rows)
        chunks = self._chunks(self._entering if joining is None else joining, read_first=False)
        return self._run(chunks, advancing=advancing) if chunks or advancing else {}

    @torch.inference_mode()
    def look(self, rows: Collection[Row] | None = None) -> dict[Row, Decided]:
        """One pass of the blocks that decide, over prompts that are too long for `step` to decide.

        Errors as `step`.

        Args:
            rows: which entering rows may take part; None: all.

        Returns:
            The rows that do not generate. The others' prompts run in the steps that come.
        """
        chunks = self._chunks(self._entering if rows is None else rows, read_first=True)
        return self._look(chunks) if chunks else {}

    def admit(self, rows: Sequence[Row]) -> list[Decided]:
        """Let rows join now, and give the first token of each.

        If this raises, the rows that were there are as they were.
        """
        self.enter(rows)
        found: dict[Row, Decided] = {}
        try:
            while waiting := [row for row in rows if row in self._entering]:
                found |= self.step(waiting, advancing=False)
                found |= self.look([row for row in waiting if row in self._entering])
        except BaseException:
            self.drop(rows)
            raise
        return [found[row] for row in rows]

    def advance(self) -> list[Decided]:
        """The next token of every row, in the order of `rows`."""
        found = self.step([])
        return [found[row] for row in self._rows]

    def keep(self, rows: Collection[Row]) -> None:
        """Let every other row leave, wherever it stands."""
        kept = set(rows)
        self.drop([row for row in (*self._rows, *self._entering) if row not in kept])

    @torch.inference_mode()
    def drop(self, rows: Iterable[Row]) -> None:
        """Let some rows leave, wherever they stand."""
        leaving = set(rows)
        for row in leaving & self._entering.keys():
            del self._entering[row]
        if not leaving.isdisjoint(self._rows):
            self._rows = [row for row in self._rows if row not in leaving]
            self._slabs.keep(self._rows)
            self._forget_places()

    def clear(self) -> None:
        """Let every row leave."""
        self._rows, self._entering = [], {}
        self._slabs.clear()
        self._forget_places()

    def _chunks(self, rows: Iterable[Row], *, read_first: bool) -> list[Chunk]:
        """What one pass takes of the prompts of some rows, in their order.

        Args:
            rows: that enter.
            read_first: of those that are read before they run, or of the others.
        """
        chunks: list[Chunk] = []
        room = self._chunk_tokens
        entering = [self._entering[row] for row in rows]
        for each in [each for each in entering if each.is_read_first == read_first]:
            # several passes cost more than one, and are there so that others get their tokens
            is_waited_for = bool(chunks or self._rows)
            chunk = each.next(room if is_waited_for else self._whole_tokens, is_first=not chunks)
            if chunk is not None:
                chunks.append(chunk)
                room -= chunk.n_tokens
        return chunks

    def _look(self, chunks: Sequence[Chunk]) -> dict[Row, Decided]:
        entering = [self._entering[chunk.row] for chunk in chunks]
        decisions = {each.decision: [each.row] for each in entering}
        PackedPass(self._backbone, None, chunks).read(decisions)
        found: dict[Row, Decided] = {}
        for each, decision, chunk in zip(entering, decisions, chunks, strict=True):
            each.ran(chunk)
            if chunk.ends:
                # it ran untouched: whatever the verdict is, and if there is none, it runs again
                each.start_again()
                settled = _settled_alone(decision)
                if not isinstance(settled, int):
                    found[chunk.row] = settled
        self.drop(found)
        return found

    def _run(self, chunks: Sequence[Chunk], *, advancing: bool) -> dict[Row, Decided]:
        if advancing and self._slabs.make_room():
            self._forget_places()
        decisions = self._decisions(chunks)
        packed = PackedPass(self._backbone, self._slabs if advancing else None, chunks)
        edits = packed.edits(decisions) if chunks else self._edits_of_decoding(packed)
        watched = self._watched(packed)
        choosing = packed.choosing
        chosen = _choose(packed.run(edits, decisions, watched), choosing)
        tokens, settled, scores = _on_host(chosen, decisions, watched)
        joining = [chunk for chunk in chunks if chunk.ends and _joins(chunk.row, settled)]
        self._slabs.add([(chunk.row, chunk.held) for chunk in joining])
        # from here on nothing can fail, and before it nothing that counts was changed
        if advancing:
            self._slabs.advance(packed.decoding)
        for row, score in zip(packed.decoding, scores, strict=False):
            if row.watch is not None:
                row.watch.read(score)
        for chunk in chunks:
            self._entering[chunk.row].ran(chunk)
        self._join([chunk.row for chunk in joining])
        found: dict[Row, Decided] = dict(zip(choosing, tokens, strict=True))
        self._turn_back(settled, found)
        return found

    def _decisions(self, chunks: Sequence[Chunk]) -> dict[Decision, list[Row]]:
        """What decides undecided rows, and which: all those of one scorer together."""
        groups: dict[int, list[Row]] = {}
        for row in (chunk.row for chunk in chunks):
            if row.is_undecided and row.undecided is not None:
                groups.setdefault(id(row.undecided.scorer), []).append(row)
        return {Decision(self._backbone, rows): rows for rows in groups.values()}

    def _edits_of_decoding(self, packed: PackedPass) -> Mapping[int, Edit]:
        """The same from one token to the next, as long as no row comes, goes or moves."""
        if self._decode_edits is None:
            self._decode_edits = packed.edits({})
        return self._decode_edits

    def _watched(self, packed: PackedPass) -> TokenScores | None:
        """What scores the rows that decode; None where none of them is watched."""
        if not any(row.watch is not None for row in packed.decoding):
            return None
        if self._token_scores is None:
            watches = [row.watch for row in packed.decoding]
            self._token_scores = TokenScores(
                [None if watch is None else watch.monitor for watch in watches], self._backbone
            )
        return self._token_scores

    def _forget_places(self) -> None:
        """What was made for the rows that decode, as they lay, fits them no more."""
        self._decode_edits, self._token_scores = None, None

    def _join(self, rows: Sequence[Row]) -> None:
        for row in rows:
            del self._entering[row]
        self._rows += rows
        if rows:
            self._forget_places()

    def _turn_back(self, settled: Mapping[Row, Settled], found: dict[Row, Decided]) -> None:
        """Rows whose verdict says that their prompt runs again, or that they do not generate."""
        for row, each in settled.items():
            if row in self._entering:
                del found[row]
                if isinstance(each, int):
                    self._entering[row].keep(each)
                else:
                    found[row] = each
                    del self._entering[row]


def failure(error: Exception, *, n_requests: int = 1) -> ServiceError:
    """What requests are told whose pass failed; the log says where."""
    log.error("generation failed for %d requests: %s", n_requests, whereabouts(error))
    return ServiceError(f"generation failed in the model ({type(error).__name__}); see its log")


def _settled_alone(decision: Decision) -> Settled:
    """The verdict of a row that was read first; it is read once, so what fails here ends it."""
    try:
        (settled,) = decision.settle(decision.found().tolist())
    except Exception as error:
        return failure(error)
    return settled


def _joins(row: Row, settled: Mapping[Row, Settled]) -> bool:
    """True when all of a prompt ran as its row is treated."""
    n_prompt = len(row.prompt_ids)
    return settled.get(row, n_prompt) == n_prompt


def _on_host(
    chosen: Tensor, decisions: Mapping[Decision, Sequence[Row]], watched: TokenScores | None
) -> tuple[list[int], dict[Row, Settled], list[float]]:
    """Tokens, verdicts and scores of watched rows, in one transfer.

    Every token id is exact in float64, as every float32 score is.
    """
    tables = [decision.found() for decision in decisions]
    scores = [] if watched is None else [watched.scores().double()]
    if not (tables or scores):
        return chosen.tolist(), {}, []
    parts = [chosen.double(), *scores, *(table.flatten() for table in tables)]
    flat = torch.cat(parts).tolist()
    tokens, rest = [int(token) for token in flat[: len(chosen)]], flat[len(chosen) :]
    n_scores = len(scores[0]) if scores else 0
    read, rest = rest[:n_scores], rest[n_scores:]
    settled: dict[Row, Settled] = {}
    for (decision, rows), table in zip(decisions.items(), tables, strict=True):
        width = table.shape[1]
        mine = [rest[i * width : (i + 1) * width] for i in range(len(rows))]
        rest = rest[len(rows) * width :]
        settled |= dict(zip(rows, decision.settle(mine), strict=True))
    return tokens, settled, read


def _choose(logits: Tensor, rows: Sequence[Row]) -> Tensor:
    return choose(
        logits,
        temperature=[row.sampling.temperature for row in rows],
        top_p=[row.sampling.top_p for row in rows],
        draws=[row.draw() for row in rows],
    )
