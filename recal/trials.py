"""Trying treatments on validation prompts: how many refuse, how many degenerate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from recal.judge import Judge, Judgement, exchanges_of
from recal.maths.two_class import FloatArray
from recal.prompts import Prompt
from services.domain import Action
from services.generation.treatment import Treatment
from services.readout.bundle import Steering

_TEXTS_AT_ONCE = 512

Report = Callable[[int, int], None]
"""Called with texts done and texts in all."""

Refuses = Callable[[Sequence[Prompt], Action], Sequence[bool]]
"""Whether each of some prompts is refused under an action: a generator with a judge."""


class TreatedModel(Protocol):
    """Anything that answers prompts under treatments; `recal.generate.Generator` is one."""

    def texts(
        self, prompts: Sequence[Prompt], treatments: Sequence[Treatment], *, report: Report = ...
    ) -> list[str]:
        """Texts of the prompts, each under its own treatment."""

    def first_token_logits(
        self, prompts: Sequence[Prompt], treatments: Sequence[Treatment]
    ) -> FloatArray:
        """(n, vocabulary): logits of the first new token, each under its own treatment."""


class Case(NamedTuple):
    """One treatment and the prompts that it is tried on."""

    treatment: Treatment
    prompts: Sequence[Prompt]


class Outcome(NamedTuple):
    """What a treatment did to its prompts: shares in [0, 1]."""

    refused: float
    degenerate: float


class TrialRun:
    """Runs cases on one model under one judge, many in a batch, and counts the texts."""

    def __init__(
        self,
        model: TreatedModel,
        judge: Judge,
        *,
        n_texts: int = 0,
        report: Report = lambda done, total: None,
    ) -> None:
        """Count toward `n_texts`, what all steps together will need at most."""
        self.model = model
        self._judge = judge
        self._done, self._total, self._report = 0, n_texts, report

    def outcomes(self, cases: Sequence[Case]) -> list[Outcome]:
        """What each case did, in order.

        Cases share batches: with one treatment a batch ends in a few long rows, and most of the
        time would be spent on those.
        """
        found: list[Outcome] = []
        for part in _parts(cases):
            judged = self.judged(
                [prompt for case in part for prompt in case.prompts],
                [case.treatment for case in part for _ in case.prompts],
            )
            for case in part:
                mine, judged = judged[: len(case.prompts)], judged[len(case.prompts) :]
                found.append(_outcome(mine))
        return found

    def judged(self, prompts: Sequence[Prompt], treatments: Sequence[Treatment]) -> list[Judgement]:
        """Judgements of the prompts' texts, each under its own treatment."""
        before = self._done
        texts = self.model.texts(
            prompts, treatments, report=lambda done, total: self._tell(before + done)
        )
        self._tell(before + len(prompts))
        return self._judge.judge_all(exchanges_of((p.text for p in prompts), texts))

    def expect(self, n_texts: int) -> None:
        """Say how many texts more are to come."""
        self._total = self._done + n_texts

    def finish(self) -> None:
        """Say that nothing more is to come."""
        self._total = self._done
        self._tell(self._done)

    def _tell(self, done: int) -> None:
        self._done, self._total = done, max(self._total, done)
        self._report(self._done, self._total)


def refuses_by(run: TrialRun, steering: Steering) -> Refuses:
    """Whether prompts are refused under an action of this steering, by a run's model and judge."""

    def refuses(prompts: Sequence[Prompt], action: Action) -> list[bool]:
        treatments = [Treatment(action, steering)] * len(prompts)
        return [judged.refused for judged in run.judged(prompts, treatments)]

    return refuses


def with_neighbours(values: Sequence[float]) -> list[float]:
    """The mean of each value and the ones next to it: largest in the middle of a window."""
    return [
        sum(values[max(0, i - 1) : i + 2]) / len(values[max(0, i - 1) : i + 2])
        for i in range(len(values))
    ]


def thinned(layers: Sequence[int], n: int) -> tuple[int, ...]:
    """At most n of the layers, evenly spread, both ends among them."""
    if len(layers) <= n:
        return tuple(layers)
    steps = [round(i * (len(layers) - 1) / max(1, n - 1)) for i in range(n)]
    return tuple(layers[step] for step in steps)


def _parts(cases: Sequence[Case]) -> list[list[Case]]:
    parts: list[list[Case]] = []
    n_texts = _TEXTS_AT_ONCE
    for case in cases:
        if n_texts >= _TEXTS_AT_ONCE:
            parts.append([])
            n_texts = 0
        parts[-1].append(case)
        n_texts += len(case.prompts)
    return parts


def _outcome(judged: Sequence[Judgement]) -> Outcome:
    return Outcome(
        refused=sum(j.refused for j in judged) / len(judged),
        degenerate=sum(j.degenerate for j in judged) / len(judged),
    )
