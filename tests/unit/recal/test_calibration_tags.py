"""What the registry says of a calibration."""

from __future__ import annotations

from dataclasses import replace

from recal.calibration_tags import LABEL_FREE_TAG, tags_of
from recal.direction_readout import DIRECTION
from recal.fallback import by_either
from services.readout.bundle import Readout
from services.readout.naming import DISAGREEMENT_TAG, OWN_READOUT_TAG, VACUOUS_TAG
from tests.unit.recal.test_direction_readout import direction, readout
from tests.unit.recal.test_fallback import few, unlabelled
from tests.unit.services.readout.factories import a_calibration

__all__ = ["direction", "readout"]  # the fixtures


def test_what_does_not_hold_of_a_calibration_has_no_tag() -> None:
    tags = tags_of(a_calibration("sw", digest="f" * 64))
    assert tags == {
        "kind": "calibration",
        "language": "sw",
        "digest": "f" * 64,
        "readout_digest": "d" * 64,
        "weights_digest": "a" * 64,
        "k": "4",
        "estimator": "midpoint",
    }
    assert tags_of(replace(a_calibration(), vacuous=True))[VACUOUS_TAG] == "true"


def test_how_far_two_readouts_part_is_told_whichever_of_them_scores(readout: Readout) -> None:
    found = by_either(readout, few(), "sw", beside=unlabelled())
    apart = found.apart._replace(n=64, first_only=3, second_only=2)
    found = found._replace(apart=apart)
    frozen, other = (
        tags_of(made.calibration) for made in (found.frozen_signed(), found.direction_signed())
    )
    assert frozen[DISAGREEMENT_TAG] == other[DISAGREEMENT_TAG] == "0.078"
    assert OWN_READOUT_TAG not in frozen
    assert other[OWN_READOUT_TAG] == DIRECTION


def test_what_a_threshold_was_made_of_without_labels_is_told() -> None:
    evidence = {"labels": 0.1, "labels_sd": 0.2, "parallel_sd": 0.3, "translated_sd": 0.1}
    found = tags_of(replace(a_calibration(estimator="auto"), evidence=evidence))
    assert found[LABEL_FREE_TAG] == "parallel translated"
    assert tags_of(a_calibration(estimator="unlabelled", k=0))[LABEL_FREE_TAG] == "unlabelled"
    assert tags_of(a_calibration(estimator="translate_train"))[LABEL_FREE_TAG] == "translated"
