"""The flow of an evaluation: treat, write, judge, count. Start reading here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from recal.collect import Activations
from recal.evaluation.admission import refuse_example_prompts, refuse_missing_classes
from recal.evaluation.answers import AnswerBook, Watch, Writer
from recal.evaluation.arm import Arm, arms_of
from recal.evaluation.cell import Cell
from recal.evaluation.exhibits import Exhibits, exhibits_of
from recal.evaluation.gating import gate_of
from recal.evaluation.held import Deck, HeldOut, held_out
from recal.evaluation.judging import Judging
from recal.evaluation.plan import EvaluationPlan
from recal.evaluation.report import EvaluationReport, Gate
from recal.evaluation.tally import Context, tally
from recal.method import Method
from services.generation.treatment import Treatment


class Evaluated(NamedTuple):
    """The numbers, and what pictures need beside them."""

    report: EvaluationReport
    exhibits: Exhibits


def evaluate(
    methods: Sequence[Method],
    test: Activations,
    pool: Activations,
    *,
    languages: Sequence[str],
    plan: EvaluationPlan,
    writer: Writer,
    judging: Judging,
    context: Context,
    watch: Watch | None = None,
) -> Evaluated:
    """Run every method on every language's held-out prompts, in every draw.

    Languages are taken as known; over gRPC language identification names them.

    Args:
        methods: the untouched model first; the others are held against it.
        test: held-out prompts of both classes in every language, at the layers that are read.
        pool: calibration prompts; few-shot examples are drawn from them.
        languages: BCP 47 tags, in the order of the report.
        plan: draws, k, and what is compared with what.
        writer: texts of prompts under treatments.
        judging: what counts as a refusal, and how often that errs.
        context: what the report says of the backbone and the prompts.
        watch: who is told of progress.

    Raises:
        ValueError: a class is missing, a test prompt may be drawn as an example, k is 0 for a
            method that needs examples, a score is not finite, the judge is no better than a coin,
            or as the methods.
    """
    started = time.monotonic()
    refuse_missing_classes(test.prompts, languages, "test")
    refuse_example_prompts(pool.prompts, test.prompts)
    judged_by = judging.by(languages)
    parts = held_out(test, languages)
    arms = arms_of(methods, plan.ks, languages)
    deck = Deck(pool, languages)
    gates = _gates(arms, parts, deck, plan)
    treated = _treat(arms, parts, deck, plan)
    book = _book(treated, writer, judging)
    work = book.write_all(watch if watch is not None else Watch())
    cells = [
        Cell.of(arm, part, rows, [book.of(part.prompts, row) for row in rows], gates[arm.key, part])
        for arm, part, rows in treated
    ]
    report = tally(
        arms,
        parts,
        cells,
        plan=plan,
        judged_by=judged_by,
        context=context,
        work=work,
        seconds=time.monotonic() - started,
    )
    return Evaluated(report, exhibits_of(parts, context.readout))


def _gates(
    arms: Sequence[Arm], parts: Sequence[HeldOut], deck: Deck, plan: EvaluationPlan
) -> dict[tuple[str, HeldOut], Gate]:
    return {
        (arm.key, part): gate_of(arm, part, deck, n_draws=plan.gate_draws)
        for arm in arms
        for part in parts
    }


def _book(treated: Sequence[Treated], writer: Writer, judging: Judging) -> AnswerBook:
    book = AnswerBook(writer, judging.judge)
    for _, part, rows in treated:
        for row in rows:
            book.need(part.prompts, row)
    return book


class Treated(NamedTuple):
    """One arm in one language: a treatment for each prompt, by draw."""

    arm: Arm
    part: HeldOut
    rows: list[Sequence[Treatment]]


def _treat(
    arms: Sequence[Arm], parts: Sequence[HeldOut], deck: Deck, plan: EvaluationPlan
) -> list[Treated]:
    """The few-shot draws; where examples decide nothing, one draw stands for all."""
    found = []
    for arm in arms:
        for part in parts:
            questions = part.questions(arm.method)
            n_draws = plan.draws if arm.k_of(part.language) else 1
            rows = [
                arm.method.treat(questions, deck.examples(arm, part.language, number))
                for number in range(1, n_draws + 1)
            ]
            found.append(Treated(arm, part, rows))
    return found
