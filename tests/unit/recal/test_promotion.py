from __future__ import annotations

import pytest

from recal.promotion import Chain, PromotionRules


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


def test_rules_name_every_objection() -> None:
    tags = {"k": "1", "harmful_refusal": "10.0", "untouched_harmful_refusal": "50.0"}
    assert len(PromotionRules().objections(tags)) == 2
    assert PromotionRules(min_k=1, tolerated_drop=40.0).objections(tags) == ()


def test_a_bound_that_is_vacuous_is_an_objection() -> None:
    tags = {"k": "4", "estimator": "auto"}
    assert PromotionRules().objections(tags) == ()
    (objection,) = PromotionRules().objections({**tags, "vacuous": "true"})
    assert "vacuous" in objection
