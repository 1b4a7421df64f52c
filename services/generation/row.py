"""One request on its way through the engine: its tokens, its text, its end."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from transformers import PreTrainedTokenizerBase

from services.domain import Action, FinishReason, MonitorStop, Sampling, TextChunk
from services.generation.monitor import MONITORED, Monitor, Watch
from services.generation.stop import StopScan
from services.generation.text_stream import TextStream
from services.generation.treatment import Treatment
from services.generation.undecided import Undecided


class Row:
    """What belongs to one request while it is generated."""

    def __init__(
        self,
        prompt_ids: Sequence[int],
        treatment: Treatment | Undecided,
        sampling: Sampling,
        *,
        tokenizer: PreTrainedTokenizerBase,
        ends: frozenset[int],
        deadline: float = math.inf,
        monitor: Monitor | None = None,
    ) -> None:
        """Begin with the prompt.

        Args:
            prompt_ids: the rendered prompt, at least one token.
            treatment: what is done to the model for it, or what decides that in its prefill.
            sampling: how tokens are chosen.
            tokenizer: decodes its tokens.
            ends: tokens that end a text.
            deadline: when it is too late, by the engine's clock.
            monitor: what looks at its answer, if it turns out to be of a kind that is monitored.
        """
        self.prompt_ids = tuple(prompt_ids)
        self.undecided = treatment if isinstance(treatment, Undecided) else None
        """What decides it; kept afterwards."""
        self.settled: Action | None = None
        """What an undecided row's prefill decided."""
        self._treatment = None if isinstance(treatment, Undecided) else treatment
        self.sampling = sampling
        self.deadline = deadline
        self.finish: FinishReason | None = None
        """Set when the text has ended."""
        self.last_token = self.prompt_ids[-1]
        self.n_generated = 0
        self.watch: Watch | None = None
        """What the monitor knows of its answer; None where nobody looks at it."""
        self._monitor = monitor
        self._held = ""
        """Text that nobody has looked at yet."""
        self._withdrawn_by: MonitorStop | None = None
        self._ends = ends
        self._text = TextStream(tokenizer)
        self._stop = StopScan(sampling.stop)
        self._n_told = 0
        self._draw: float | None = None
        self._random = torch.Generator()
        if sampling.seed is None:
            self._random.seed()
        else:
            self._random.manual_seed(sampling.seed)
        if self._treatment is not None:
            self._begin_watch(self._treatment.action)

    @property
    def treatment(self) -> Treatment:
        """What is done to the model for it.

        Raises:
            RuntimeError: it is not decided, or refused. Whoever asked for it would leave the model
                alone.
        """
        if self.settled is Action.REFUSE:
            raise RuntimeError("a row that is refused generates nothing")
        if self._treatment is None:
            raise RuntimeError(
                "a row is to be treated before its verdict; a `Decision` has to find it"
            )
        return self._treatment

    @property
    def is_undecided(self) -> bool:
        """True until its prompt was read for a verdict."""
        return self._treatment is None

    def settle(self, action: Action, treatment: Treatment) -> None:
        """Take the verdict that its prefill has found, and what it does."""
        self.settled, self._treatment = action, treatment
        self._begin_watch(action)

    @property
    def most_tokens(self) -> int:
        """Tokens of prompt and answer together, at most."""
        return len(self.prompt_ids) + self.sampling.max_tokens

    def draw(self) -> float:
        """This row's own random number for its next token, uniform in [0, 1).

        The same until a token is accepted: a pass may have to be run again.
        """
        if self.sampling.temperature == 0.0:
            return 0.0
        if self._draw is None:
            self._draw = float(torch.rand((), generator=self._random, dtype=torch.float64))
        return self._draw

    def accept(self, token: int) -> TextChunk | None:
        """Take the next token; give the text that it completes, and the end if it is one.

        Text of a watched answer comes when the monitor has looked at it, not before.
        """
        piece = self._piece(token)
        if self.watch is not None:
            piece = self._looked_at(piece, self.watch)
        return self._chunk(piece) if piece or self.finish is not None else None

    def _piece(self, token: int) -> str:
        self.last_token = token
        self.n_generated += 1
        self._draw = None
        if token in self._ends:
            return self._end(FinishReason.END_OF_TEXT, self._stop.push(self._text.flush()))
        piece = self._stop.push(self._text.push(token))
        if self._stop.met:
            return self._end(FinishReason.STOP_STRING, piece)
        if self.n_generated >= self.sampling.max_tokens:
            # a character that the limit cuts apart is left out, not shown as broken
            return self._end(FinishReason.MAX_TOKENS, piece)
        return piece

    def _looked_at(self, piece: str, watch: Watch) -> str:
        """What may be shown of what is held and of a new piece, whose token was not read yet."""
        has_ended = self.finish is not None
        if not (has_ended or watch.is_due):
            self._held += piece
            return ""
        self._withdrawn_by = watch.look()
        if self._withdrawn_by is not None:
            self.finish, self._held = FinishReason.MONITOR, ""
            return ""
        shown, self._held = (self._held + piece, "") if has_ended else (self._held, piece)
        return shown

    def _begin_watch(self, action: Action) -> None:
        if self._monitor is not None and action in MONITORED:
            self.watch = Watch(self._monitor)

    def _end(self, reason: FinishReason, piece: str) -> str:
        self.finish = FinishReason.STOP_STRING if self._stop.met else reason
        return piece + self._stop.flush()

    def _chunk(self, text: str) -> TextChunk:
        n_new = self.n_generated - self._n_told
        self._n_told = self.n_generated
        n_prompt = 0 if self.finish is None else len(self.prompt_ids)
        return TextChunk(text, n_new, self.finish, n_prompt, withdrawn_by=self._withdrawn_by)
