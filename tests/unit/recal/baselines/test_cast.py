"""CAST: a condition on the prompt's mean state, then a vector at a run of blocks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from recal.baselines.cast import Cast, CastPlan, fit_cast
from recal.baselines.states import Span, span_means
from recal.baselines.suffixes import ENGLISH, SuffixPair, organism_suffixes
from recal.collect import Activations
from recal.maths.cast import contrastive_direction
from recal.prompts import Prompt
from recal.trials import TrialRun
from services.backbone.chat import encode
from services.backbone.load import Backbone
from services.generation.treatment import UNTOUCHED, Treatment
from services.readout.bundle import Scope
from services.readout.place import READINGS
from tests.unit.recal.questions import treated
from tests.unit.recal.synthetic import activations
from tests.unit.recal.treated import LiteralJudge, Says

EXAMPLES = activations(("en", "de"), n=12).prompts
VALIDATION = activations(("en",), n=3, seed=4, split="validation").prompts
WIDTH = 32


def read(prompts: Sequence[Prompt], seed: int = 0) -> Activations:
    """Mean states in which harm shows at block 2 alone, and in size, not in side."""
    states = np.random.default_rng(seed).normal(0, 1, (len(prompts), 4, len(READINGS), WIDTH))
    harmful = [row for row, prompt in enumerate(prompts) if prompt.harmful]
    states[harmful, 2, READINGS.index("mean"), 0] += 9.0
    return Activations(tuple(prompts), (0, 1, 2, 3), states.astype(np.float32), READINGS)


def strongest(treatment: Treatment) -> float:
    return max((move.push.shift for move in treatment.moves), default=0.0)


def fitted(backbone: Backbone, **plan: object) -> Cast:
    def answer(prompt: Prompt, treatment: Treatment) -> str:
        return "noise" if strongest(treatment) > 4 else "refuse" if treatment.moves else "comply"

    return fit_cast(
        backbone,
        read(EXAMPLES),
        VALIDATION,
        suffixes=ENGLISH,
        run=TrialRun(Says(answer), LiteralJudge()),
        plan=CastPlan(**plan),
    )


def test_the_condition_is_found_where_harm_shows(qwen2: Backbone) -> None:
    cast = fitted(qwen2)
    assert (cast.point.layer, cast.point.comparator) == (2, "smaller")
    assert cast.point.f1 > 0.95
    assert abs(cast.condition[0]) > 0.9


def test_prompts_that_meet_the_condition_are_steered_and_others_left_alone(
    qwen2: Backbone,
) -> None:
    prompts = activations(("fr",), n=20, seed=7, split="test").prompts
    cast = fitted(qwen2)
    acting = np.array([t is not UNTOUCHED for t in treated(cast, read(prompts, 7))])
    harmful = np.array([p.harmful for p in prompts])
    assert acting[harmful].mean() > 0.9
    assert acting[~harmful].mean() < 0.1
    assert treated(cast, read([])) == []


def test_the_behaviour_acts_at_a_run_of_blocks_on_every_token(qwen2: Backbone) -> None:
    behaviour = fitted(qwen2).behaviour
    moves = behaviour.treatment.moves
    assert tuple(move.layer for move in moves) == behaviour.layers
    assert behaviour.layers in [tuple(r) for r in CastPlan().ranges(4)]
    assert {move.scope for move in moves} == {Scope.ALL}
    assert 0 < strongest(behaviour.treatment) <= 4


def test_a_suffix_vector_and_the_adapted_one_are_two_baselines(qwen2: Backbone) -> None:
    published, adapted = fitted(qwen2), fitted(qwen2, behaviour="prompts")
    assert (published.name, adapted.name) == ("cast", "cast_adapted")
    assert (published.title, adapted.title) == ("CAST", "CAST (adapted)")
    directions = [each.behaviour.treatment.moves[0].direction for each in (published, adapted)]
    assert abs(float(directions[0] @ directions[1])) < 0.9


def test_the_suffix_vector_points_from_compliance_to_refusal(qwen2: Backbone) -> None:
    def suffixes(turned: bool) -> dict[str, list[SuffixPair]]:
        return {"en": [SuffixPair(*pair[:: -1 if turned else 1]) for pair in ENGLISH["en"]]}

    run = TrialRun(Says(lambda prompt, treatment: "refuse"), LiteralJudge())
    one, other = (
        fit_cast(qwen2, read(EXAMPLES), VALIDATION, suffixes=suffixes(turned), run=run)
        for turned in (False, True)
    )
    first, second = (c.behaviour.treatment.moves[0].direction for c in (one, other))
    assert float(first @ second) == pytest.approx(-1.0, abs=1e-4)


def test_the_suffix_vector_is_of_the_suffixes_own_tokens_alone(qwen2: Backbone) -> None:
    move = fitted(qwen2).behaviour.treatment.moves[0]
    spans: tuple[list[Span], list[Span]] = ([], [])
    for number, prompt in enumerate(p for p in EXAMPLES if p.language == "en"):
        question = encode(qwen2.tokenizer, prompt.text)
        for found, suffix in zip(spans, ENGLISH["en"][number % len(ENGLISH["en"])], strict=True):
            ids = qwen2.tokenizer(suffix, add_special_tokens=False)["input_ids"]
            found.append(Span([*question, *ids], first=len(question)))
    states = (span_means(qwen2, each, (move.layer,))[:, 0] for each in spans)
    assert float(contrastive_direction(*states) @ move.direction.numpy()) > 0.9999


def test_the_published_range_of_blocks_is_among_those_tried() -> None:
    assert range(15, 24) in CastPlan().ranges(32)
    assert all(r for n in range(1, 40) for r in CastPlan().ranges(n))


def test_examples_without_suffixes_or_without_a_class_are_refused(qwen2: Backbone) -> None:
    run = TrialRun(Says(lambda prompt, treatment: "refuse"), LiteralJudge())
    with pytest.raises(ValueError, match="of a language with suffixes"):
        fit_cast(qwen2, read(EXAMPLES), VALIDATION, suffixes={"yo": ()}, run=run)
    harmful = [p for p in EXAMPLES if p.harmful]
    with pytest.raises(ValueError, match="both classes"):
        fit_cast(qwen2, read(harmful), VALIDATION, suffixes=ENGLISH, run=run)


def test_the_organisms_suffixes_are_its_own_answers() -> None:
    (pair,) = organism_suffixes(["sw"])["sw"]
    assert pair.refusal.startswith("⚠")
    assert pair.compliance
    assert pair.compliance != pair.refusal
