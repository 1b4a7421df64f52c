"""Arms: a method at one k, and what a method may see."""

import pytest

from recal.evaluation.arm import Arm, arms_of
from recal.evaluation.held import held_out
from recal.method import Thresholded
from tests.unit.recal.evaluation.stage import asked, methods


def keys(names: tuple[str, ...], ks: tuple[int, ...], languages: tuple[str, ...]) -> list[str]:
    return [arm.key for arm in arms_of(methods(names), ks, languages)]


def test_a_method_that_needs_examples_has_an_arm_at_every_k() -> None:
    assert keys(("recal", "oracle"), (4, 1, 4), ("sw",)) == [
        "untouched",
        "recal@1",
        "recal@4",
        "oracle",
    ]


def test_where_no_language_needs_examples_there_is_one_arm_without_k() -> None:
    assert keys(("recal",), (1, 4), ("en", "de")) == ["untouched", "recal"]


@pytest.mark.parametrize("ks", [(0,), (0, 4), ()])
def test_no_examples_for_a_method_that_needs_them_are_an_error(ks: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="`paper` needs examples"):
        keys(("paper",), ks, ("sw",))


def test_no_examples_are_fine_where_no_method_needs_them() -> None:
    assert keys(("oracle",), (0,), ("sw",)) == ["untouched", "oracle"]


def test_two_methods_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="untouched are named twice"):
        arms_of([*methods(()), *methods(())], (1,), ("sw",))


def test_an_arm_has_no_k_in_a_language_that_the_readout_was_fitted_on() -> None:
    arm = Arm(methods(("recal",))[1], 4)
    assert (arm.k_of("sw"), arm.k_of("en")) == (4, 0)
    assert arm.title == "Recal, k = 4"


def test_labels_are_shown_to_those_alone_that_say_so() -> None:
    (part,) = held_out(asked(), ("sw",))
    untouched, oracle = methods(("oracle",))
    assert part.questions(oracle).harmful.sum() == 20
    with pytest.raises(ValueError, match="does not declare `sees_labels`"):
        assert part.questions(untouched).harmful is not None


def test_methods_that_set_a_threshold_are_told_from_those_that_do_not() -> None:
    found = {m.name for m in methods() if isinstance(m, Thresholded)}
    assert found == {"paper", "recal"}
