import pytest

from recal.evaluation import wording
from recal.evaluation.report import Estimate, Share


@pytest.mark.parametrize(
    ("value", "text"), [(1.25, "1.2"), (-3.0, "−3.0"), (-0.01, "0.0"), (100.0, "100.0")]
)
def test_points_have_one_place_a_true_minus_and_no_negative_zero(value: float, text: str) -> None:
    assert wording.points(value) == text


@pytest.mark.parametrize(("value", "text"), [(5.0, "+5.0"), (-5.0, "−5.0"), (0.01, "0.0")])
def test_a_difference_shows_its_sign(value: float, text: str) -> None:
    assert wording.signed(value) == text


def test_an_interval_stands_behind_its_number() -> None:
    assert wording.interval(Estimate(1.0, -2.0, 3.0)) == "1.0 (−2.0 to 3.0)"


def test_nothing_to_count_is_not_a_rate_of_zero() -> None:
    assert wording.share(Share(0, 0)) == "–"
    assert wording.share(Share(0, 4)) == "0.0 (n = 4)"
    with pytest.raises(ValueError, match="look at `n` first"):
        assert Share(0, 0).points == 0


def test_shares_of_several_languages_are_pooled() -> None:
    assert Share(1, 2) + Share(2, 6) == Share(3, 8)


@pytest.mark.parametrize(("seconds", "text"), [(59, "59 s"), (600, "10 min"), (9000, "2.5 h")])
def test_a_time_is_said_roughly(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(
    ("words", "text"),
    [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")],
)
def test_words_are_listed_as_in_a_sentence(words: list[str], text: str) -> None:
    assert wording.listed(words) == text


def test_a_tiny_p_is_not_zero() -> None:
    assert wording.probability(0.0001) == "< 0.001"
    assert wording.probability(0.049) == "0.049"
