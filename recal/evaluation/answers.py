"""Judged answers, each written once: known by prompt and treatment."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Protocol

from recal.judge import Judge, Judgement, exchanges_of
from recal.prompts import Prompt
from services.generation.treatment import Treatment

_FIRST_CHUNK = 64
_CHUNK = 512

Report = Callable[[int, int], None]
"""Called with texts done and texts in all."""


class Writer(Protocol):
    """Texts of prompts, each under its own treatment; `recal.generate.Generator` is one."""

    def texts(
        self, prompts: Sequence[Prompt], treatments: Sequence[Treatment], *, report: Report
    ) -> list[str]:
        """Write one text for each prompt, in order."""

    def has(self, prompt: Prompt, treatment: Treatment) -> bool:
        """Whether the text is there already, from a run before."""


class Work(NamedTuple):
    """What an evaluation has to write before it can count."""

    n_answers: int
    """Prompts of all arms and draws."""
    n_texts: int
    """Different pairs of prompt and treatment among them."""
    n_kept: int = 0
    """Texts of these that an earlier run has written."""


@dataclass(frozen=True)
class Watch:
    """Who is told while texts are written."""

    planned: Callable[[Work], None] = lambda work: None
    """Once, before the first text."""
    expected: Callable[[float], None] = lambda seconds: None
    """Once, after the first chunk: seconds for the rest."""
    written: Report = lambda done, total: None


class AnswerBook:
    """Which texts are needed, and what the judge said of those that are written."""

    def __init__(self, writer: Writer, judge: Judge) -> None:
        """Begin empty."""
        self._writer = writer
        self._judge = judge
        self._n_answers = 0
        # the treatments are kept: a key holds the identity of their steering
        self._needed: dict[Hashable, tuple[Prompt, Treatment]] = {}
        self._judged: dict[Hashable, Judgement] = {}

    def need(self, prompts: Sequence[Prompt], treatments: Sequence[Treatment]) -> None:
        """Note that these prompts are to be answered under these treatments.

        Raises:
            ValueError: there is not one treatment for each prompt.
        """
        if len(prompts) != len(treatments):
            raise ValueError(
                f"{len(treatments)} treatments for {len(prompts)} prompts; a method gives one each"
            )
        self._n_answers += len(prompts)
        for prompt, treatment in zip(prompts, treatments, strict=True):
            self._needed.setdefault(_key(prompt, treatment), (prompt, treatment))

    def write_all(self, watch: Watch) -> Work:
        """Write and judge every text that is needed and not there yet; how much that was."""
        unjudged = [key for key in self._needed if key not in self._judged]
        kept = [key for key in unjudged if self._writer.has(*self._needed[key])]
        work = Work(self._n_answers, len(unjudged), len(kept))
        watch.planned(work)
        # first, so that the time of the rest is told by texts that are really written
        for start in range(0, len(kept), _CHUNK):
            self._write_some(kept[start : start + _CHUNK], lambda done, total: None)
        known = set(kept)
        self._write_missing([key for key in unjudged if key not in known], len(kept), watch)
        return work

    def _write_missing(self, missing: Sequence[Hashable], n_kept: int, watch: Watch) -> None:
        started, total = time.monotonic(), n_kept + len(missing)
        if n_kept:
            watch.written(n_kept, total)
        for start, end in _chunks(len(missing)):
            self._write_some(
                missing[start:end],
                lambda done, _, start=start: watch.written(n_kept + start + done, total),  # type: ignore[misc]
            )
            if start == 0:
                seconds = time.monotonic() - started
                watch.expected(seconds * (len(missing) - end) / end)

    def of(self, prompts: Sequence[Prompt], treatments: Sequence[Treatment]) -> list[Judgement]:
        """What became of these prompts under these treatments, once written."""
        return [
            self._judged[_key(prompt, treatment)]
            for prompt, treatment in zip(prompts, treatments, strict=True)
        ]

    def _write_some(self, keys: Sequence[Hashable], report: Report) -> None:
        pairs = [self._needed[key] for key in keys]
        texts = self._writer.texts(
            [prompt for prompt, _ in pairs],
            [treatment for _, treatment in pairs],
            report=report,
        )
        prompts = (prompt.text for prompt, _ in pairs)
        judged = self._judge.judge_all(exchanges_of(prompts, texts))
        self._judged.update(zip(keys, judged, strict=True))


def _chunks(n: int) -> list[tuple[int, int]]:
    """A small chunk first, so that an estimate of the time comes soon."""
    edges = [0, min(_FIRST_CHUNK, n), *range(_FIRST_CHUNK + _CHUNK, n, _CHUNK), n]
    return [(a, b) for a, b in pairwise(edges) if b > a]


def _key(prompt: Prompt, treatment: Treatment) -> Hashable:
    return prompt.language, prompt.text, sameness(treatment)


def sameness(treatment: Treatment) -> Hashable:
    """Equal for two treatments that write the same text, whoever made them.

    Moves are compared by value, their directions by identity. All that do nothing are one.
    """
    return tuple(
        (move.layer, id(move.direction), move.push, move.scope) for move in treatment.moves
    )
