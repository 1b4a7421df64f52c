from __future__ import annotations

import numpy as np
import pytest

from recal.maths.metrics import auroc
from recal.maths.stacking import stack
from recal.maths.transfer import summed
from recal.maths.two_class import TwoClass
from tests.unit.recal.maths.samples import scores

Part = dict[str, TwoClass]
LANGUAGES = ("a", "b", "c")


def part(gap: float, *, k: int = 300, seed: int = 0) -> Part:
    """Scores of three languages, each somewhere else."""
    return {
        language: scores(k=k, gap=gap, seed=10 * seed + i, shift=5.0 * i)
        for i, language in enumerate(LANGUAGES)
    }


def test_independent_parts_get_shares_in_proportion_to_what_separates_them() -> None:
    found = stack([part(3.0, k=4000, seed=1), part(1.5, k=4000, seed=2)], c=10.0)
    assert found.kept == (0, 1)
    assert found.shares[0] / found.shares[1] == pytest.approx(2.0, rel=0.15)
    assert found.shares.sum() == pytest.approx(1.0)


def test_learned_shares_separate_better_than_equal_ones() -> None:
    known = [part(3.0, seed=1), part(0.5, seed=2), part(0.5, seed=3)]
    unseen = [part(3.0, k=4000, seed=4), part(0.5, k=4000, seed=5), part(0.5, k=4000, seed=6)]
    found = stack(known)
    learned = summed([unseen[i] for i in found.kept], found.shares.tolist())
    assert auroc(*learned["a"]) > auroc(*summed(unseen)["a"]) + 0.005


def test_a_part_that_knows_nothing_is_left_out() -> None:
    assert stack([part(3.0, seed=1), part(0.0, seed=2)], c=10.0).kept == (0,)


def test_no_part_is_read_backwards() -> None:
    backwards = {la: TwoClass(-pair.harmful, -pair.harmless) for la, pair in part(3.0).items()}
    assert stack([part(1.0, seed=1), backwards]).kept == (0,)
    assert stack([backwards]).kept == ()


def test_a_part_that_only_takes_anothers_noise_away_does_not_lift_it() -> None:
    """Read backwards, the noise would clean the first part and put it before the second."""
    rng = np.random.default_rng(3)
    parts: list[Part] = [{}, {}, {}]
    for language in LANGUAGES:
        noise, small, own = rng.normal(size=(3, 2, 2000))
        pairs = (noise + 0.1 * small, own, noise)
        for found, pair, gap in zip(parts, pairs, (1.0, 1.5, 0.0), strict=True):
            found[language] = TwoClass(pair[0] + gap, pair[1])
    assert stack(parts, most=1, c=10.0).kept == (1,)


def test_where_a_language_lies_does_not_matter() -> None:
    near = [part(2.0, seed=1), part(1.0, seed=2)]
    far = [
        {
            la: TwoClass(p.harmful + 99 * i, p.harmless + 99 * i)
            for i, (la, p) in enumerate(x.items())
        }
        for x in near
    ]
    np.testing.assert_allclose(stack(near).shares, stack(far).shares, atol=1e-4)


def test_every_language_and_class_weighs_the_same_however_many_prompts_it_has() -> None:
    one, other = part(2.0, seed=1), part(1.0, seed=2)
    repeated = [
        x | {"a": TwoClass(np.repeat(x["a"].harmful, 9), x["a"].harmless)} for x in (one, other)
    ]
    equal, more = stack([one, other], c=1e6), stack(repeated, c=1e6)
    np.testing.assert_allclose(equal.shares, more.shares, atol=1e-3)


def test_parts_that_say_the_same_share_what_one_would_have_got() -> None:
    first, other = part(3.0, seed=1), part(2.0, seed=2)
    alone, twice = stack([first, other], c=10.0), stack([first, first, other], c=10.0)
    by_index = dict(zip(twice.kept, twice.shares, strict=True))
    assert by_index[0] == pytest.approx(by_index[1], rel=0.01)
    assert by_index[0] + by_index[1] == pytest.approx(alone.shares[0], abs=0.01)


def test_no_more_parts_are_kept_than_asked_for_and_the_largest_stay() -> None:
    parts = [part(gap, seed=i) for i, gap in enumerate((0.8, 3.0, 1.0, 2.0, 0.9))]
    found = stack(parts, most=2)
    assert found.kept == (1, 3)
    assert list(found.shares) == sorted(found.shares, reverse=True)


def test_the_largest_share_comes_first_also_when_its_double_was_left_out() -> None:
    first, other = part(3.0, seed=1), part(2.5, seed=2)
    found = stack([first, first, other], most=2, c=10.0)
    assert found.kept == (0, 2)
    assert found.shares[0] > found.shares[1]


def test_under_a_strong_penalty_shares_follow_each_parts_own_gap_and_not_what_parts_share() -> None:
    rng = np.random.default_rng(4)
    first, second = {}, {}
    for language in LANGUAGES:
        noise, own = rng.normal(size=(2, 2, 2000))
        first[language] = TwoClass(noise[0] + 2.0, noise[1])
        second[language] = TwoClass(noise[0] + 0.3 * own[0] + 1.0, noise[1] + 0.3 * own[1])
    assert stack([first, second], c=10.0).kept == (0,)
    strong = stack([first, second], c=1e-6)
    assert strong.shares[0] / strong.shares[1] == pytest.approx(2.0, rel=0.1)


def test_parts_must_score_the_same_prompts() -> None:
    with pytest.raises(ValueError, match="the same languages"):
        stack([part(1.0), {"a": scores(k=3)}])
    with pytest.raises(ValueError, match="different prompts of `a`"):
        stack([part(1.0), part(1.0, k=299)])
    with pytest.raises(ValueError, match="0 parts"):
        stack([])


@pytest.mark.parametrize("wrong", [{"most": 0}, {"c": 0.0}, {"c": np.nan}], ids=str)
def test_a_stack_without_parts_or_penalty_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="`most` is|`c` is"):
        stack([part(1.0)], **wrong)  # type: ignore[arg-type]
