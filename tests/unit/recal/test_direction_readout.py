"""The direction readout: what it projects on, its unit, and that serving scores as it does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from recal.collect import Activations
from recal.direction_readout import DIRECTION, direction_of, fit_direction
from recal.evidence import Beside
from recal.fit import Candidate, by_language, fit
from recal.maths.direction import pooled_direction
from recal.maths.metrics import auroc, balanced_accuracy
from recal.maths.source import pooled_within_sd
from recal.recalibrate import RecalibrationPlan, recalibrate, scores_of
from recal.scored_by import OWN_READOUT
from recal.scoring import scores_at
from services.readout.artefact import (
    load_calibration,
    load_readout,
    save_calibration,
    save_readout,
)
from services.readout.bundle import Bundle, Readout
from services.readout.own import OwnReadout
from services.readout.scores import score_all
from tests.unit.recal.synthetic import IDENTITY
from tests.unit.recal.test_fit import PLAN, steering
from tests.unit.recal.test_own_readout import PLACES, SOURCES, turned

CHOSEN = [Candidate(PLACES[0], 3, 3.0), Candidate(PLACES[1], 2, 1.0)]


def known() -> Activations:
    return turned((*SOURCES, "ar"), n=100, gap=4.0)


@pytest.fixture(scope="module")
def direction() -> OwnReadout:
    return fit_direction(known(), CHOSEN, PLAN)


@pytest.fixture(scope="module")
def readout(direction: OwnReadout) -> Readout:
    made = fit(known(), IDENTITY, chosen=CHOSEN, steering=steering(), plan=PLAN, provenance={})
    return replace(made, fallback=direction, digest="d" * 64, version="readout@1")


def prompts(n: int = 60, seed: int = 7, language: str = "sw", gap: float = 4.0) -> Activations:
    return turned((language,), n=n, seed=seed, gap=gap, split="calibration")


def test_each_part_is_the_projection_on_the_pooled_difference_of_means(
    direction: OwnReadout,
) -> None:
    assert (direction.places, direction.method) == (PLACES, DIRECTION)
    for part in direction.parts:
        layer, reading = part.place
        expected = pooled_direction(by_language(known(), layer, SOURCES, reading))
        weight = part.linear.weight.double().numpy()
        assert np.allclose(weight / np.linalg.norm(weight), expected, atol=1e-6)


def test_its_unit_is_one_standard_deviation_within_a_class_and_zero_lies_midway(
    direction: OwnReadout,
) -> None:
    scores = {la: scores_of(direction, known(), la) for la in SOURCES}
    assert pooled_within_sd(scores) == pytest.approx(1.0, abs=1e-4)
    means = [np.mean([pair[i].mean() for pair in scores.values()]) for i in (0, 1)]
    assert sum(means) == pytest.approx(0.0, abs=1e-4)
    said = direction.statistics
    assert [said["mean_harmful"], said["mean_harmless"]] == pytest.approx(means, abs=1e-4)
    assert said["sd_within"] == pytest.approx(1.0)
    pooled = [np.concatenate([pair[i] for pair in scores.values()]) for i in (0, 1)]
    assert balanced_accuracy(*pooled, said["threshold"]) > 0.95


def test_its_places_have_the_frozen_readouts_shares(
    direction: OwnReadout, readout: Readout
) -> None:
    """A place's own score has unit spread, so what is left of its weight's size is its share."""
    spreads = []
    for part in direction.parts:
        rows = by_language(known(), part.place.layer, SOURCES, part.place.reading)
        weight = part.linear.weight.double().numpy()
        spreads.append(
            pooled_within_sd({la: type(r)(*(x @ weight for x in r)) for la, r in rows.items()})
        )
    assert spreads[0] / spreads[1] == pytest.approx(3.0, rel=1e-3)
    shares = [part.share for part in readout.parts]
    assert shares[0] / shares[1] == pytest.approx(3.0)


def test_languages_that_are_no_source_have_no_say(direction: OwnReadout) -> None:
    alone = fit_direction(turned(SOURCES, n=100, gap=4.0), CHOSEN, PLAN)
    for one, other in zip(direction.parts, alone.parts, strict=True):
        assert torch.allclose(one.linear.weight, other.linear.weight)


def test_classes_that_do_not_differ_have_no_direction() -> None:
    given = known()
    rows = np.zeros_like(np.asarray(given.residuals))
    with pytest.raises(ValueError, match="which has no direction"):
        fit_direction(replace(given, residuals=rows), CHOSEN, PLAN)
    with pytest.raises(ValueError, match="no place was chosen"):
        fit_direction(given, [], PLAN)


def test_a_readout_that_keeps_none_says_how_to_get_one(readout: Readout) -> None:
    older = replace(readout, fallback=None)
    with pytest.raises(ValueError, match="`readout@1` keeps no direction readout.*`recal fit`"):
        direction_of(older, "sw")


def test_a_fallback_that_reads_elsewhere_is_refused(readout: Readout) -> None:
    with pytest.raises(ValueError, match=r"the frozen one reads 1\.last; it may read some"):
        replace(readout, parts=readout.parts[:1])


def test_it_ranks_prompts_where_weights_that_learned_by_heart_do_not(readout: Readout) -> None:
    """What it is kept for: the frozen weights are broken, the projection is not."""
    wrong = torch.zeros_like(readout.parts[0].linear.weight)
    wrong[5] = 1.0
    broken = replace(
        readout,
        parts=tuple(
            replace(part, linear=replace(part.linear, weight=wrong)) for part in readout.parts
        ),
    )
    assert auroc(*scores_of(broken, prompts(), "sw")) < 0.7
    assert auroc(*scores_of(direction_of(broken, "sw").readout, prompts(), "sw")) > 0.95


def test_it_is_the_same_for_every_language_and_says_what_it_is(readout: Readout) -> None:
    sw, yo = direction_of(readout, "sw"), direction_of(readout, "yo")
    assert sw.readout is yo.readout is readout.fallback
    assert sw.scores is None
    assert sw.prompts == ()
    assert sw.said == (
        "direction: projections on the source languages' difference in means at block 1 (last) and "
        "block 2 (mean)"
    )


def test_its_threshold_comes_from_examples_by_its_own_score(readout: Readout) -> None:
    few, own = prompts(4, 31), direction_of(readout, "sw")
    made = recalibrate(readout, few, "sw", own=own).calibration
    assert made.own is readout.fallback
    assert made.provenance[OWN_READOUT] == own.said
    assert "translated" not in made.evidence
    found = scores_of(own.readout, prompts(200, 99), "sw")
    assert balanced_accuracy(*found, made.threshold) > 0.95


def test_what_is_known_in_other_languages_counts_because_one_score_is_of_them_all(
    readout: Readout,
) -> None:
    own, few = direction_of(readout, "sw"), prompts(4, 31)
    both = turned(("en", "sw"), n=40, seed=51, gap=4.0)
    known_beside = {
        "parallel": Beside(parallel=both),
        "translated": Beside(translated=prompts(60, 41)),
    }
    alone = recalibrate(readout, few, "sw", own=own).calibration
    for name, beside in known_beside.items():
        made = recalibrate(readout, few, "sw", own=own, beside=beside).calibration
        assert name in made.evidence
        assert made.posterior_sd < alone.posterior_sd


def test_its_translated_prompts_bound_as_those_of_the_frozen_score_do(readout: Readout) -> None:
    """It was not fitted on them, so they are as exchangeable as any."""
    beside = Beside(translated=prompts(150, 41))
    plan = RecalibrationPlan(bound=0.05)
    for own in (None, direction_of(readout, "sw")):
        made = recalibrate(readout, prompts(4, 31), "sw", own=own, beside=beside, plan=plan)
        assert not made.calibration.vacuous


def test_saved_and_loaded_it_serves_the_scores_that_were_measured(
    readout: Readout, tmp_path: Path
) -> None:
    kept = save_readout(readout, tmp_path / "readout")
    kept = load_readout(tmp_path / "readout")
    made = recalibrate(kept, prompts(4, 31), "sw", own=direction_of(kept, "sw")).calibration
    save_calibration(made, tmp_path / "sw")
    bundle = Bundle(kept, {"sw": load_calibration(tmp_path / "sw")})
    asked = prompts(30, 61)
    rows = np.stack([asked.at(layer, reading=reading) for layer, reading in kept.places], axis=1)
    served = [
        each.under(bundle.calibrations["sw"])
        for each in score_all(bundle, torch.from_numpy(rows).float())
    ]
    assert readout.fallback is not None
    measured = scores_at(readout.fallback, asked)
    assert served == pytest.approx(measured.tolist(), abs=1e-5)
    assert served != pytest.approx(scores_at(kept, asked).tolist(), abs=1e-2)
    (summary,) = (each.summary("readout@1") for each in bundle.calibrations.values())
    assert summary.own_readout == DIRECTION
