"""A language's own readout: what it reads, and that its score is taken for no other."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan

import pytest
import torch

from services.readout.bundle import Bundle
from services.readout.canary import CalibrationKey
from services.readout.place import Place
from services.readout.scores import Scores, score_all
from tests.unit.services.readout.factories import (
    D_MODEL,
    a_calibration,
    a_readout,
    an_own_readout,
)

LAST, MEAN = a_readout().places
DIGEST = "d" * 64
SW, YO = CalibrationKey("sw", ""), CalibrationKey("yo", "")


def read(n: int = 3) -> torch.Tensor:
    """Residuals at both places of `a_readout`."""
    return torch.randn(n, 2, D_MODEL, generator=torch.Generator().manual_seed(5))


def bundle(*owners: str, languages: tuple[str, ...] = ("sw", "yo")) -> Bundle:
    calibrations = {}
    for number, language in enumerate(languages):
        own = an_own_readout(number) if language in owners else None
        calibrations[language] = replace(a_calibration(language, readout_digest=DIGEST), own=own)
    return Bundle(a_readout(digest=DIGEST), calibrations)


def test_an_own_score_is_that_of_its_own_weights_at_its_own_place():
    rows, own = read(), an_own_readout()
    (part,) = own.parts
    wanted = rows[:, 1] @ part.linear.weight + part.linear.bias
    scored = score_all(bundle("sw"), rows)
    assert [each.own[SW] for each in scored] == pytest.approx(wanted.tolist())


def test_own_weights_at_two_places_add_up():
    rows, own = read(), an_own_readout(places=(LAST, MEAN))
    alone = [part.linear.score(rows[:, i]) for i, part in enumerate(own.parts)]
    torch.testing.assert_close(own.score(rows), alone[0] + alone[1])


def test_every_language_has_its_own_score_and_all_share_the_frozen_one():
    held = bundle("sw", "yo", languages=("sw", "yo", "en"))
    first, second, _ = score_all(held, read())
    assert first.own.keys() == {SW, YO}
    assert first.frozen == pytest.approx(float(held.readout.score(read()[0])))
    under = [first.under(held.calibrations[language]) for language in ("sw", "yo", "en")]
    assert under == [first.own[SW], first.own[YO], first.frozen]
    assert len(set(under)) == 3
    assert first.own[SW] != second.own[SW]


def test_own_readouts_leave_the_frozen_score_as_it_is_to_the_last_bit():
    with_own, without = score_all(bundle("sw", "yo"), read()), score_all(bundle(), read())
    assert [each.frozen for each in with_own] == [each.frozen for each in without]


def test_a_calibration_without_own_weights_is_never_given_an_own_score():
    plain = bundle().calibrations["sw"]
    assert Scores(0.25, {SW: 9.0}).under(plain) == 0.25


def test_a_calibration_with_own_weights_is_never_given_the_frozen_score():
    with pytest.raises(ValueError, match="has not scored this prompt"):
        Scores(0.25, {YO: 9.0}).under(bundle("sw").calibrations["sw"])


@pytest.mark.parametrize("bad", [inf, -inf, nan])
def test_a_residual_that_is_not_finite_never_looks_like_an_own_score(bad: float):
    rows = read()
    rows[1, 1, 3] = bad
    finite = [
        torch.tensor(each.own[SW]).isfinite().item() for each in score_all(bundle("sw"), rows)
    ]
    assert finite == [True, False, True]


@pytest.mark.parametrize(
    "places",
    [(Place(0, "last"),), (Place(1, "last"),), (MEAN, LAST)],
    ids=["another block", "another reading", "another order"],
)
def test_own_weights_where_the_readout_does_not_read_belong_to_no_bundle(
    places: tuple[Place, ...],
):
    own = an_own_readout(places=places)
    strange = replace(a_calibration(readout_digest=DIGEST), own=own)
    with pytest.raises(ValueError, match=r"the frozen one reads 2\.last, 1\.mean; it may"):
        Bundle(a_readout(digest=DIGEST), {"sw": strange})


def test_an_own_readout_reads_at_least_one_place_and_none_twice():
    own = an_own_readout()
    with pytest.raises(ValueError, match="at least one place"):
        replace(own, parts=())
    with pytest.raises(ValueError, match=r"each place once, not 1\.mean, 1\.mean"):
        replace(own, parts=own.parts * 2)


@pytest.mark.parametrize("shape", [(5, 2, 8), (8,)])
def test_residuals_of_another_number_of_places_are_refused(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match="a readout of 1 places"):
        an_own_readout().score(torch.zeros(shape))
