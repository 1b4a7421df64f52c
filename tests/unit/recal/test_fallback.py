"""The frozen readout or its fallback: what is compared, what is chosen, and what is kept of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from recal.collect import Activations
from recal.direction_readout import DIRECTION, fit_direction
from recal.evidence import Beside
from recal.fallback import (
    DISAGREEMENT,
    DISAGREEMENT_N,
    MIN_UNLABELLED,
    MOST_APART,
    Either,
    by_direction,
    by_either,
)
from recal.fit import fit
from recal.maths.metrics import balanced_accuracy
from recal.maths.prior import Prior
from recal.recalibrate import recalibrate, scores_of
from recal.scored_by import OWN_READOUT
from recal.scoring import scores_at
from services.readout.artefact import load_calibration, save_calibration
from services.readout.bundle import Readout
from tests.unit.recal.synthetic import IDENTITY
from tests.unit.recal.test_direction_readout import CHOSEN, direction, known, prompts, readout
from tests.unit.recal.test_fit import PLAN, steering
from tests.unit.recal.test_own_readout import turned

__all__ = ["direction", "readout"]  # the fixtures


@pytest.fixture(scope="module")
def broken(readout: Readout) -> Readout:
    """Fitted on prompts whose labels were given to noise, beside a sound direction."""
    given = known()
    wrong = replace(
        turned((*PLAN.source_languages, "ar"), n=100, gap=4.0, axis=5),
        prompts=given.prompts,
    )
    made = fit(wrong, IDENTITY, chosen=CHOSEN, steering=steering(), plan=PLAN, provenance={})
    fallback = fit_direction(given, CHOSEN, PLAN)
    return replace(made, fallback=fallback, digest="d" * 64, version="readout@2")


def unlabelled(n: int = 50) -> Beside:
    """Twice n prompts."""
    return Beside(unlabelled=prompts(n, 41))


def either(of: Readout, beside: Beside | None = None) -> Either:
    return by_either(of, few(), "sw", beside=beside or unlabelled())


def few() -> Activations:
    return prompts(4, 31)


def unseen() -> Activations:
    return prompts(200, 99)


def test_it_compares_what_both_calibrations_would_steer(readout: Readout) -> None:
    hard = prompts(50, 41, gap=0.7)
    found = by_either(readout, few(), "sw", beside=Beside(unlabelled=hard))
    frozen, direction = found.frozen.calibration, found.direction.calibration
    assert readout.fallback is not None
    decided = [
        scores_at(by, hard) >= made.thresholds.steer
        for by, made in ((readout, frozen), (readout.fallback, direction))
    ]
    assert found.apart.first_only == (decided[0] & ~decided[1]).sum()
    assert found.apart.second_only == (decided[1] & ~decided[0]).sum()
    assert found.apart.n == 100
    assert found.apart.n_apart > 0
    assert frozen.own is None
    assert direction.own is readout.fallback


def test_where_both_are_sound_they_agree_and_the_frozen_readout_stays(readout: Readout) -> None:
    found = either(readout)
    assert found.apart.share < 0.15
    made = found.chosen().calibration
    assert made.own is None
    assert made.thresholds == recalibrate(readout, few(), "sw", beside=unlabelled())[0].thresholds
    assert "not more than 30%, so the frozen readout scores it" in made.provenance[DISAGREEMENT]


def test_where_the_frozen_readout_is_broken_the_direction_scores_and_it_helps(
    broken: Readout,
) -> None:
    """The negative control of the rule: it must fire."""
    found = either(broken)
    assert found.apart.share > MOST_APART
    made = found.chosen().calibration
    assert made.own is broken.fallback
    assert made.provenance[OWN_READOUT].endswith("; chosen by the disagreement")
    assert "more than 30%, so the direction readout" in made.provenance[DISAGREEMENT]
    frozen = found.frozen.calibration
    by_frozen = balanced_accuracy(*scores_of(broken, unseen(), "sw"), frozen.threshold)
    by_other = balanced_accuracy(*scores_of(made.own, unseen(), "sw"), made.threshold)
    assert by_frozen < 0.7
    assert by_other > 0.95


def test_whoever_chose_without_the_comparison_is_warned_where_it_says_much(
    readout: Readout, broken: Readout
) -> None:
    found = either(broken)
    for made in (found.frozen_signed(), found.direction_signed()):
        warned = made.warnings[-1]
        assert f"decide differently on {found.apart.share:.0%} of 100 unlabelled prompts" in warned
        assert f"wrong on at least {found.apart.share / 2:.0%}; which, only labels tell" in warned
    assert "only labels tell" not in " ".join(found.chosen().warnings)
    agreed = either(readout)
    for made in (agreed.frozen_signed(), agreed.direction_signed()):
        assert "only labels tell" not in " ".join(made.warnings)


def test_it_cannot_tell_which_of_the_two_is_broken(broken: Readout, readout: Readout) -> None:
    """Why the rule is no proof: a broken fallback fires it as well, and is then chosen."""
    swapped = replace(readout, fallback=replace(readout.fallback, parts=_as_own(broken)))  # type: ignore[type-var]
    found = either(swapped)
    assert found.apart.share > MOST_APART
    made = found.chosen().calibration
    assert made.own is not None
    assert balanced_accuracy(*scores_of(made.own, unseen(), "sw"), made.threshold) < 0.7


def _as_own(of: Readout) -> tuple[object, ...]:
    fallback = of.fallback
    assert fallback is not None
    return tuple(
        replace(own, linear=replace(part.linear, weight=part.linear.weight * part.share))
        for own, part in zip(fallback.parts, of.parts, strict=True)
    )


def test_exactly_the_allowed_share_leaves_the_frozen_readout(readout: Readout) -> None:
    found = either(readout)
    at = found.apart._replace(n=100, first_only=20, second_only=10)
    assert found._replace(apart=at).chosen().calibration.own is None
    above = at._replace(second_only=11)
    assert found._replace(apart=above).chosen().calibration.own is not None


def test_few_prompts_choose_nothing_but_are_told(readout: Readout) -> None:
    found = either(readout, unlabelled(MIN_UNLABELLED // 2 - 1))
    with pytest.raises(ValueError, match=f"{MIN_UNLABELLED - 2} unlabelled prompts cannot choose"):
        found.chosen()
    assert found.frozen_signed().calibration.evidence[DISAGREEMENT_N] == MIN_UNLABELLED - 2
    assert either(readout, unlabelled(MIN_UNLABELLED // 2)).chosen() is not None


def test_without_unlabelled_prompts_nothing_is_compared(readout: Readout) -> None:
    with pytest.raises(ValueError, match="compared on unlabelled prompts, and there are none"):
        by_either(readout, few(), "sw", beside=Beside())


def test_other_languages_thresholds_count_for_the_frozen_score_alone(readout: Readout) -> None:
    beside = replace(unlabelled(), prior=Prior(-3.0, 0.1, ("am", "yo")), rho=0.5)
    found, without = either(readout, beside), either(readout)
    assert "prior" in found.frozen.calibration.evidence
    assert found.frozen.calibration.threshold < without.frozen.calibration.threshold
    assert found.direction.calibration.threshold == without.direction.calibration.threshold
    alone = by_direction(readout, few(), "sw", beside=beside).calibration
    assert alone.threshold == found.direction.calibration.threshold


def test_what_was_found_is_kept_whichever_scores(readout: Readout, tmp_path: Path) -> None:
    found = either(readout)
    for made, own in ((found.frozen_signed(), ""), (found.direction_signed(), DIRECTION)):
        save_calibration(made.calibration, tmp_path / "sw")
        loaded = load_calibration(tmp_path / "sw")
        assert loaded.evidence[DISAGREEMENT] == found.apart.share
        assert loaded.evidence[DISAGREEMENT_N] == 100
        assert loaded.provenance[DISAGREEMENT] == found.in_words
        assert loaded.summary("readout@1").own_readout == own
    assert DISAGREEMENT not in recalibrate(readout, few(), "sw").calibration.evidence


def test_the_words_name_counts_share_and_interval(readout: Readout) -> None:
    found = either(readout)
    at = found.apart._replace(n=100, first_only=9, second_only=3)
    assert found._replace(apart=at).in_words == (
        "frozen and direction readout decide differently on 12 of 100 unlabelled prompts (12.0%, "
        "95 % interval 7.0% to 19.8%): 9 only the frozen one steers, 3 only the other"
    )
