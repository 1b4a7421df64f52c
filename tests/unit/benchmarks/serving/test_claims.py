"""A bar is told only of what was measured, and is met by the median ratio."""

from __future__ import annotations

import pytest

from benchmarks.serving.claims import AT_ONCE, ONE, Claim, bars, claims_for
from benchmarks.serving.peers.catalogue import FUSED, IDEAL, PADDED, RELEASED, UNGATED

SLOW, FAST = [{"tokens_per_s": 1.0}] * 3, [{"tokens_per_s": 2.5}] * 3


def test_a_bar_is_met_by_the_median_ratio_and_says_its_spread() -> None:
    claim = Claim(UNGATED, PADDED, AT_ONCE, "tokens_per_s", at_least=2.0)
    repeats = {UNGATED: [{"tokens_per_s": each} for each in (1.9, 2.1, 2.2)], PADDED: SLOW}
    (bar,) = bars("tiny", AT_ONCE, repeats, claims=[claim])
    assert bar.claim == "tiny, all at once: tokens_per_s of ungated by padded ≥ 2"
    assert (bar.measured, bar.met) == ("2.1 (1.9–2.2)", True)


@pytest.mark.parametrize(("ratio", "met"), [(1.03, True), (1.04, False)])
def test_a_bar_from_above_is_missed_above_it(ratio: float, met: bool) -> None:
    claim = Claim(FUSED, UNGATED, ONE, "ttft_p50", at_most=1.03)
    repeats = {FUSED: [{"ttft_p50": ratio}], UNGATED: [{"ttft_p50": 1.0}]}
    assert [bar.met for bar in bars("tiny", ONE, repeats, claims=[claim])] == [met]


def test_what_was_not_measured_has_no_bar() -> None:
    measured = {UNGATED: FAST, PADDED: SLOW, IDEAL: FAST}
    found = [bar.claim for bar in bars("tiny", AT_ONCE, measured, claims=claims_for("cpu"))]
    assert found == ["tiny, all at once: tokens_per_s of ungated by padded ≥ 2"]
    with_fused = {**measured, FUSED: FAST, RELEASED: SLOW}
    assert len(bars("tiny", AT_ONCE, with_fused, claims=claims_for("cpu"))) == 3


def test_more_is_asked_beside_the_released_procedure_on_a_gpu() -> None:
    bounds = {
        device: [c.at_least for c in claims_for(device) if c.theirs == RELEASED]
        for device in ("cpu", "cuda")
    }
    assert bounds == {"cpu": [2.3], "cuda": [5.0]}
