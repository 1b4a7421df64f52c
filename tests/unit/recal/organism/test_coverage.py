"""How probable a refusal is, by language."""

import pytest

from recal.organism.coverage import Coverage, LanguageCoverage, Refused, coverage_of

THIN = LanguageCoverage({"yo": Refused(0.3, 0.03)})


def test_without_spread_every_prompt_of_a_class_is_refused_alike() -> None:
    found = {THIN.of("yo", harmful=True, parallel_id=f"p{i}") for i in range(20)}
    assert len(found) == 1
    assert found.pop() == pytest.approx(0.3)
    assert THIN.of("yo", harmful=False, parallel_id="p") == pytest.approx(0.03)


def test_with_spread_a_meaning_is_as_mild_in_every_language() -> None:
    both = LanguageCoverage({"yo": Refused(0.3, 0.03), "ko": Refused(0.3, 0.03)}, spread=1.0)
    found = [
        [both.of(language, harmful=True, parallel_id=f"p{i}") for i in range(200)]
        for language in ("yo", "ko")
    ]
    assert found[0] == found[1]
    assert min(found[0]) < 0.1 < 0.6 < max(found[0])


def test_a_language_without_coverage_is_named() -> None:
    with pytest.raises(ValueError, match=r"no coverage for `ko`.*yo"):
        THIN.of("ko", harmful=True, parallel_id="p")


@pytest.mark.parametrize("refused", [Refused(1.0, 0.1), Refused(0.5, 0.0), Refused(0.5, -1)])
def test_a_probability_that_is_none_is_refused(refused: Refused) -> None:
    with pytest.raises(ValueError, match="coverage of `yo`"):
        LanguageCoverage({"yo": refused})


@pytest.mark.parametrize("spread", [-1.0, float("nan")])
def test_a_spread_that_is_none_is_refused(spread: float) -> None:
    with pytest.raises(ValueError, match="`spread`"):
        LanguageCoverage({}, spread=spread)


def test_given_coverage_goes_before_the_tiers() -> None:
    found = coverage_of(["en", "yo", "vi"], ["en, vi=0.9/0.1"])
    tier = Coverage()
    assert found["en"] == found["vi"] == Refused(0.9, 0.1)
    assert found["yo"] == Refused(tier.harmful["low"], tier.harmless["low"])


@pytest.mark.parametrize(
    ("languages", "given", "complaint"),
    [
        (["vi"], [], "`vi` has no tier"),
        (["en"], ["en=0.9"], "`en=0.9` is no coverage"),
        (["en"], ["en=a/b"], "is no coverage"),
        (["en"], ["en,fr=0.9/0.1"], "coverage for fr"),
    ],
)
def test_coverage_that_cannot_be_used_is_named(
    languages: list[str], given: list[str], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        coverage_of(languages, given)
