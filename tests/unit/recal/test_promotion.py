from __future__ import annotations

import pytest

from recal.promotion import EVALUATION_TAGS, Chain, PromotionRules
from services.settings import PromotionSettings


def test_a_chain_reads_what_it_writes() -> None:
    assert str(Chain.parse("1,2,5")) == "1,2,5"
    assert Chain.parse("").versions == ()


def test_a_champion_that_was_set_elsewhere_enters_the_chain() -> None:
    assert Chain([1]).promoted(7, after=4).versions == (1, 4, 7)
    assert Chain([1]).promoted(7, after=1).versions == (1, 7)
    assert Chain([]).promoted(7, after=None).versions == (7,)


@pytest.mark.parametrize(
    ("chain", "champion", "before"),
    [
        ((1, 2, 3), 3, (1, 2)),
        ((1, 2, 3), 2, (1,)),
        ((1, 2, 1), 1, (1, 2)),
        ((1, 2), 9, (1, 2)),
        ((1,), 1, ()),
        ((), 1, ()),
    ],
)
def test_what_came_before_a_champion(
    chain: tuple[int, ...], champion: int, before: tuple[int, ...]
) -> None:
    assert Chain(chain).before(champion).versions == before


def test_a_long_chain_forgets_its_beginning() -> None:
    assert len(Chain(range(500)).versions) == 100


def tags(**changed: object) -> dict[str, str]:
    """A calibration that may be promoted, but for what is changed; None takes a tag away."""
    good: dict[str, object] = {
        "k": 4,
        "estimator": "auto",
        "harmful_refusal": 90.0,
        "untouched_harmful_refusal": 40.0,
        "harmful_change_low": 30.0,
        "delta_low": 70.0,
        "n_harmful": 40.0,
        "n_harmless": 40.0,
    }
    return {name: str(value) for name, value in (good | changed).items() if value is not None}


@pytest.mark.parametrize("tag", EVALUATION_TAGS)
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "none", ""])
def test_a_number_of_an_evaluation_that_is_none_speaks_for_nothing(tag: str, value: str) -> None:
    (found,) = PromotionRules().objections(tags(**{tag: value}))
    assert found.criterion == "evaluation"
    assert f"`{tag}` of it is `{value}`, which is no number" in found.says


@pytest.mark.parametrize("value", ["nan", "none", ""])
def test_a_champion_without_a_number_holds_nobody_up(value: str) -> None:
    assert PromotionRules().objections(tags(), tags(delta_low=value)) == ()
    assert PromotionRules().objections(tags(), tags(delta_low=99.0))


def criteria(rules: PromotionRules | None = None, **changed: object) -> list[str]:
    found = (rules or PromotionRules()).objections(tags(**changed))
    return [objection.criterion for objection in found]


def test_what_meets_every_criterion_has_no_objection() -> None:
    assert criteria() == []


def test_rules_name_every_criterion_that_fails() -> None:
    changed = {"k": 1, "vacuous": "true", "harmful_refusal": 10.0}
    assert criteria(**changed) == ["examples", "bound", "safety"]
    assert criteria(PromotionRules(min_k=1, tolerated_drop=40.0), k=1, harmful_refusal=10.0) == []


@pytest.mark.parametrize("tag", EVALUATION_TAGS)
def test_an_evaluation_that_lacks_a_number_is_none(tag: str) -> None:
    found = PromotionRules().objections(tags(**{tag: None}))
    assert [each.criterion for each in found] == ["evaluation"]
    assert "run `recal evaluate`" in str(found[0])


@pytest.mark.parametrize(("k", "fails"), [(3, ["examples"]), (4, []), (0, ["examples"])])
def test_four_examples_per_class_are_enough(k: int, fails: list[str]) -> None:
    assert criteria(k=k) == fails


def test_a_source_language_needs_no_examples_but_an_evaluation() -> None:
    assert criteria(k=0, estimator="source") == []
    assert criteria(k=0, estimator="source", delta_low=None) == ["evaluation"]


@pytest.mark.parametrize(
    ("n_harmful", "n_harmless", "fails"),
    [(20, 20, []), (19, 40, ["examples"]), (40, 19, ["examples"])],
)
def test_what_was_made_without_labels_needs_enough_held_out_prompts_instead(
    n_harmful: int, n_harmless: int, fails: list[str]
) -> None:
    numbers = {"n_harmful": float(n_harmful), "n_harmless": float(n_harmless)}
    assert criteria(k=0, label_free="unlabelled", **numbers) == fails
    assert criteria(k=0, **numbers) == ["examples"]


@pytest.mark.parametrize(("gated", "fails"), [(38.0, []), (37.9, ["safety"])])
def test_no_language_becomes_less_safe(gated: float, fails: list[str]) -> None:
    assert criteria(harmful_refusal=gated, harmful_change_low=-9.0) == fails


@pytest.mark.parametrize(("low", "fails"), [(-10.0, []), (-10.1, ["safety"])])
def test_an_evaluation_that_cannot_tell_is_not_enough(low: float, fails: list[str]) -> None:
    assert criteria(harmful_refusal=40.0, harmful_change_low=low) == fails


@pytest.mark.parametrize(("low", "fails"), [(65.0, []), (64.9, ["selectivity"])])
def test_selectivity_may_lie_below_the_champions_by_a_margin(low: float, fails: list[str]) -> None:
    found = PromotionRules().objections(tags(delta_low=low), tags(delta_low=70.0))
    assert [objection.criterion for objection in found] == fails


def test_nothing_is_held_against_a_champion_that_nobody_evaluated() -> None:
    assert PromotionRules().objections(tags(delta_low=-50.0), tags(delta_low=None)) == ()


def test_the_settings_are_the_rules() -> None:
    assert PromotionRules(**PromotionSettings().model_dump()) == PromotionRules()


def test_a_bound_that_is_vacuous_is_an_objection() -> None:
    assert criteria(vacuous="true") == ["bound"]
