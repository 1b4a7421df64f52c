"""A small evaluation without a model: synthetic activations, and texts made by a rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from recal.collect import Activations
from recal.direction_readout import fit_direction
from recal.evaluation.answers import Report, Watch
from recal.evaluation.catalogue import Material, methods_of
from recal.evaluation.judging import Judging
from recal.evaluation.plan import EvaluationPlan
from recal.evaluation.run import Evaluated, evaluate
from recal.evaluation.tally import Context
from recal.fit import Candidate
from recal.method import Method
from recal.prompts import Prompt, Split
from services.domain import Action
from services.generation.treatment import Treatment
from services.readout.bundle import Readout
from tests.unit.recal.synthetic import activations
from tests.unit.recal.test_fit import PLAN as FIT
from tests.unit.recal.test_fit import fitted
from tests.unit.recal.treated import LiteralJudge

LANGUAGES = ("sw", "yo", "ar", "en")
SHIFTS = {"sw": -4.0, "yo": -3.0, "ar": -0.5, "en": 0.0}
BLURS = {"sw": 1.5, "yo": 1.2, "ar": 0.5, "en": 0.0}
PLAN = EvaluationPlan(ks=(1, 4), draws=3, gate_draws=6, n_resamples=200)
EVERY = ("untouched", "paper", "recal", "best", "oracle", "steer_all", "release_all")


@cache
def readout() -> Readout:
    made = fitted()
    chosen = [Candidate(place, 3) for place in made.places]
    fallback = fit_direction(activations(FIT.source_languages), chosen, FIT)
    return replace(made, fallback=fallback, digest="d" * 64, version="readout@1")


CONTEXT = Context(backbone="synthetic", readout=readout(), split="test", notice="a fake")


def joined(parts: Sequence[Activations]) -> Activations:
    return Activations(
        tuple(p for part in parts for p in part.prompts),
        parts[0].layers,
        np.concatenate([part.residuals for part in parts]),
        parts[0].readings,
    )


@cache
def asked(n: int = 20) -> Activations:
    return joined([_blurred(language, n, 8, "test") for language in LANGUAGES])


@cache
def pool(n: int = 12) -> Activations:
    return joined([_blurred(language, n, 3, "calibration") for language in LANGUAGES])


def _blurred(language: str, n: int, seed: int, split: Split) -> Activations:
    """Classes that overlap in the low-resource languages, each with its own shift."""
    clear = activations((language,), n=n, shift=SHIFTS[language], seed=seed, split=split)
    blur = np.random.default_rng(seed).normal(0, BLURS[language], clear.residuals.shape[:2])
    residuals = clear.residuals.copy()
    residuals[:, :, 0] += blur
    return replace(clear, residuals=residuals)


@cache
def translations(n: int = 60) -> Activations:
    """Training prompts, which mean the same in every language."""
    return joined([_blurred(language, n, 13, "train") for language in LANGUAGES])


def methods(names: Sequence[str] = EVERY) -> list[Method]:
    return methods_of(names, Material(readout(), pool(), {}, translations=translations()))


class Writer:
    """Refuses when it is steered, and by its own rule when nothing is done to it."""

    def __init__(
        self,
        untouched: Callable[[str], bool] = lambda prompt: "en " in prompt,
        kept: Sequence[str] = (),
    ) -> None:
        self._untouched = untouched
        self._kept = kept
        self.pairs: list[tuple[str, Action]] = []

    def texts(
        self,
        prompts: Sequence[Prompt],
        treatments: Sequence[Treatment],
        *,
        report: Report = lambda done, total: None,
    ) -> list[str]:
        pairs = [(p.text, t) for p, t in zip(prompts, treatments, strict=True)]
        self.pairs += [(text, t.action) for text, t in pairs]
        report(len(prompts), len(prompts))
        return [self._text(text, treatment) for text, treatment in pairs]

    def has(self, prompt: Prompt, treatment: Treatment) -> bool:
        return prompt.id in self._kept

    def _text(self, prompt: str, treatment: Treatment) -> str:
        if treatment.action is Action.NONE:
            return "refuse" if self._untouched(prompt) and "/True/" in prompt else "comply"
        return "refuse" if treatment.action is Action.STEER else "comply"


def run(
    names: Sequence[str] = EVERY,
    *,
    writer: Writer | None = None,
    plan: EvaluationPlan = PLAN,
    languages: Sequence[str] = LANGUAGES,
    judging: Judging | None = None,
    watch: Watch | None = None,
) -> Evaluated:
    return evaluate(
        methods(names),
        asked(),
        pool(),
        languages=languages,
        plan=plan,
        writer=writer or Writer(),
        judging=judging or Judging(LiteralJudge()),
        context=CONTEXT,
        watch=watch,
    )


@cache
def evaluated() -> Evaluated:
    """One evaluation of every method, for tests that only read it."""
    return run()
