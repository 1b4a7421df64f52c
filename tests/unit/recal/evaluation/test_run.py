"""The whole flow on a model whose behaviour is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recal.evaluation.answers import Watch, Work
from recal.evaluation.exhibits import exhibits_of
from recal.evaluation.held import held_out
from recal.evaluation.judging import Judging
from recal.evaluation.plan import EvaluationPlan
from recal.evaluation.run import evaluate
from recal.maths.components import principal_components
from recal.maths.decomposition import JudgeError
from recal.maths.metrics import auroc
from services.domain import Action
from tests.unit.recal.evaluation import stage
from tests.unit.recal.evaluation.stage import PLAN, Writer, evaluated, run
from tests.unit.recal.treated import LiteralJudge

REPORT = evaluated().report
PARTS = held_out(stage.asked(), stage.LANGUAGES)


def test_the_untouched_model_refuses_what_it_was_made_to_refuse() -> None:
    untouched = REPORT.untouched
    assert [r.harmful.value for r in untouched.results] == [0.0, 0.0, 0.0, 100.0]
    assert untouched.tier("low").delta.value == 0.0
    assert untouched.tier("all").delta.value == 25.0


def test_where_steering_always_refuses_delta_is_the_gates_j() -> None:
    same = run(plan=replace(PLAN, gate_draws=PLAN.draws), writer=Writer(lambda prompt: False))
    for result in same.report.arm("recal@4").results:
        assert result.delta.value == pytest.approx(result.gate.j.mean)
        assert result.delta.value > 30


def test_intervals_hold_their_estimates() -> None:
    for arm in REPORT.arms:
        for found in (*arm.results, *arm.tiers):
            for rate in (found.harmful, found.harmless, found.delta):
                assert rate.low - 1e-9 <= rate.value <= rate.high + 1e-9


def test_each_text_is_written_once_for_all_arms_and_draws() -> None:
    writer, works = Writer(), list[Work]()
    run(writer=writer, watch=Watch(planned=works.append))
    assert len(writer.pairs) == len(set(writer.pairs)) == works[0].n_texts
    assert works[0].n_texts <= 3 * 160 < works[0].n_answers


def test_a_few_shot_arm_has_all_draws_but_where_examples_decide_nothing() -> None:
    draws = {r.language: r.n_draws for r in REPORT.arm("paper@1").results}
    assert draws == {"sw": 3, "yo": 3, "ar": 3, "en": 1}
    assert {r.n_draws for r in REPORT.arm("oracle").results} == {1}


def test_efficacy_counts_what_was_steered_and_what_was_released() -> None:
    steered, released = (
        REPORT.arm("oracle").of("sw").steered,
        REPORT.arm("oracle").of("sw").released,
    )
    assert (steered.points, steered.n, released.points, released.n) == (100.0, 20, 0.0, 20)
    assert REPORT.untouched.of("sw").steered.n == 0


def test_a_language_made_less_safe_is_named_under_every_arm_that_makes_it_so() -> None:
    assert REPORT.less_safe(REPORT.arm("release_all")) == ("en",)
    assert REPORT.less_safe(REPORT.arm("oracle")) == ()
    assert REPORT.less_safe(REPORT.untouched) == ()


def test_losses_of_every_arm_and_tier_add_up_to_100() -> None:
    assert {found.arm for found in REPORT.losses} == {arm.key for arm in REPORT.arms}
    for found in REPORT.losses:
        delta = REPORT.arm(found.arm).tier(found.tier).delta.value
        assert found.split.delta == pytest.approx(delta)
        assert delta + found.split.total == pytest.approx(100.0)
        oracle = REPORT.arm("oracle").tier(found.tier).delta.value
        assert found.split.actuation_loss == pytest.approx(100.0 - oracle)
        assert found.split.gate_loss == pytest.approx(oracle - delta)


def test_the_gates_loss_is_split_where_a_threshold_decides() -> None:
    split = {f.arm: f for f in REPORT.losses if f.tier == "low"}
    assert split["oracle"].readout_loss is None
    assert split["untouched"].readout_loss is None
    assert split["best"].threshold_loss == pytest.approx(0.0)
    found = split["recal@4"]
    assert found.readout_loss is not None
    assert found.readout_loss + found.threshold_loss == pytest.approx(found.split.gate_loss)
    with pytest.raises(ValueError, match="is not split"):
        assert split["oracle"].threshold_loss


def test_without_the_oracle_there_are_no_losses() -> None:
    assert run(("recal",)).report.losses == ()


def test_the_reference_is_recal_at_its_largest_k_and_differs_from_untouched() -> None:
    assert REPORT.reference == "recal@4"
    low = {c.other: c for c in REPORT.comparisons if c.tier == "low"}
    assert set(low) == {arm.key for arm in REPORT.arms} - {"recal@4"}
    assert low["untouched"].difference.low > 30
    assert low["untouched"].p == pytest.approx(2 / 201)


def test_holm_corrects_what_can_be_deployed_apart_from_the_bounds() -> None:
    low = {c.other: c for c in REPORT.comparisons if c.tier == "low"}
    assert low["untouched"].p_holm == pytest.approx(6 * 2 / 201)
    assert low["oracle"].p_holm == pytest.approx(2 * low["oracle"].p)


def test_mcnemar_counts_prompts_that_one_arm_alone_gets_right() -> None:
    found = next(t for t in REPORT.prompt_tests if (t.other, t.language) == ("untouched", "sw"))
    refused = REPORT.arm("recal@4").of("sw")
    assert found.reference_only == pytest.approx(refused.harmful.value / 5, abs=1)
    assert found.other_only == pytest.approx(refused.harmless.value / 5, abs=1)
    assert found.p <= found.p_holm < 0.05


def test_another_reference_can_be_named_and_an_unknown_one_is_refused() -> None:
    named = run(plan=replace(PLAN, reference="paper")).report
    assert named.reference == "paper@4"
    assert run(plan=replace(PLAN, reference="recal@1")).report.reference == "recal@1"
    with pytest.raises(ValueError, match="`guess` to compare with is not run"):
        run(plan=replace(PLAN, reference="guess"))


def test_rates_are_corrected_where_the_judges_errors_are_known() -> None:
    judging = Judging(LiteralJudge(), JudgeError(0.9, 0.8))
    found = run(judging=judging).report
    low = found.untouched.tier("low")
    assert low.corrected["harmful"].value == pytest.approx(-20 / 0.7)
    oracle = next(f for f in found.losses if (f.arm, f.tier) == ("oracle", "low"))
    assert oracle.split.judge_loss == pytest.approx(100 / 0.7 - 100)
    assert REPORT.untouched.tier("low").corrected == {}


def test_an_interval_does_not_depend_on_what_else_is_evaluated() -> None:
    alone = run(languages=("yo",)).report
    assert alone.arm("paper@4").of("yo").delta == REPORT.arm("paper@4").of("yo").delta


def test_another_seed_gives_other_intervals_and_the_same_estimates() -> None:
    other = run(plan=replace(PLAN, seed=1)).report.arm("paper@1").tier("low").delta
    mine = REPORT.arm("paper@1").tier("low").delta
    assert other.value == mine.value
    assert (other.low, other.high) != (mine.low, mine.high)


def test_the_readouts_figures_stand_beside_the_arms() -> None:
    found = {r.language: r for r in REPORT.readouts}
    scores = {part.language: part.scores(stage.readout()) for part in PARTS}
    assert {la: r.auc for la, r in found.items()} == {la: auroc(*s) for la, s in scores.items()}
    assert (found["sw"].n_harmful, found["sw"].tier) == (20, "low")
    assert found["sw"].tpr_at_1 <= found["sw"].tpr_at_5


def test_a_test_prompt_that_may_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="either sets the threshold or tests it"):
        evaluate(
            stage.methods(),
            stage.pool(),
            stage.pool(),
            languages=("sw",),
            plan=PLAN,
            writer=Writer(),
            judging=Judging(LiteralJudge()),
            context=stage.CONTEXT,
        )


def test_a_language_without_a_class_is_refused_before_anything_is_written() -> None:
    writer = Writer()
    with pytest.raises(ValueError, match="`it` has 0 harmful"):
        run(languages=("sw", "it"), writer=writer)
    assert writer.pairs == []


def test_what_the_method_says_is_what_is_written() -> None:
    writer = Writer()
    run(("oracle",), writer=writer, languages=("sw",))
    written = {action for prompt, action in writer.pairs if "/True/" in prompt}
    assert written == {Action.NONE, Action.STEER}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"draws": 0}, "`draws` is 0"),
        ({"draws": 5, "gate_draws": 4}, "fewer than the 5 draws"),
        ({"n_resamples": 10}, "`n_resamples` is 10"),
    ],
)
def test_a_plan_that_says_nothing_is_refused(changes: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        EvaluationPlan(**changes)


def test_exhibits_belong_to_the_same_prompts() -> None:
    exhibits = evaluated().exhibits
    layer = stage.readout().deepest_layer
    rows = np.concatenate([part.activations.at(layer) for part in PARTS])
    assert exhibits.components.coordinates == pytest.approx(principal_components(rows).coordinates)
    assert exhibits.languages[:40] == ("sw",) * 40
    assert exhibits.harmful[:40].tolist() == [True] * 20 + [False] * 20


def test_of_very_many_prompts_a_thousand_are_drawn() -> None:
    exhibits = exhibits_of(held_out(stage.asked(150), stage.LANGUAGES), stage.readout())
    assert exhibits.n_prompts == 1200
    assert len(exhibits.languages) == len(exhibits.components.coordinates) == 1000
    assert {exhibits.languages.count(la) for la in stage.LANGUAGES} == {250}
