"""Methods by name."""

import pytest

from recal.evaluation.catalogue import (
    METHODS,
    Material,
    are_few_shot,
    are_fitted,
    are_translated,
    methods_of,
    names,
)
from recal.evaluation.gates import FewShot
from recal.maths.estimators.catalogue import ESTIMATORS
from tests.unit.recal.evaluation.stage import methods, pool, readout


def test_the_untouched_model_comes_first_wherever_it_is_named() -> None:
    assert [m.name for m in methods(("oracle", "untouched"))] == ["untouched", "oracle"]
    assert [m.name for m in methods(("oracle",))] == ["untouched", "oracle"]


def test_every_method_carries_the_name_that_it_is_called_by() -> None:
    ours = [name for name in METHODS if not are_fitted((name,))]
    assert [m.name for m in methods(tuple(ours))] == ours


def test_the_name_of_an_estimator_is_a_method_with_three_zones() -> None:
    assert set(ESTIMATORS) <= set(names())
    (_, method) = methods(("paper_f1",))
    assert isinstance(method, FewShot)
    assert (method.plan.estimator, method.plan.routing) == ("paper_f1", "three_zone")


def test_the_calibration_split_is_needed_by_few_shot_methods_alone() -> None:
    assert are_few_shot(("oracle", "midpoint"))
    assert are_few_shot(("paper",))
    assert are_few_shot(("gate_addition",))
    assert not are_few_shot(("untouched", "saved", "best", "oracle", "steer_all"))


def test_translations_are_needed_by_own_readouts_alone_and_said_to_be_missing() -> None:
    assert [name for name in METHODS if are_translated((name,))] == ["translate_train", "distil"]
    assert are_few_shot(("distil",))
    material = Material(readout(), pool(), {})
    with pytest.raises(ValueError, match="`distil` is fitted on translations, and there are none"):
        methods_of(("distil",), material)


@pytest.mark.parametrize("name", ["paper", "recal", "recal_pairs", "midpoint"])
def test_every_few_shot_gate_is_told_what_the_model_refuses(name: str) -> None:
    material = Material(readout(), pool(), {}, refuses=lambda prompts, action: [])
    method = methods_of((name,), material)[-1]
    assert isinstance(method, FewShot)
    assert method.refuses is material.refuses


def test_an_unknown_method_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="no method `guess`; choose from untouched, paper"):
        methods(("guess",))


def test_a_method_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="named twice in `recal,recal`"):
        methods_of(("recal", "recal"), None)  # type: ignore[arg-type]
