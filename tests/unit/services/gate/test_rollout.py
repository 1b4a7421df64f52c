"""Challengers decide for their share, shadows are counted and never act."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from math import inf, nan

import pytest

from services.domain import Abstention, Action, GateRequest, Reason
from services.errors import ServiceError
from services.gate.counted import count_shadow, count_verdict
from services.gate.decide import decide
from services.gate.law import Case
from services.gate.policy import Outcome, Policy
from services.gate.service import GateService
from services.readout.bundle import Bundle, Calibration
from services.readout.canary import Challenger
from services.readout.scores import Scores
from services.telemetry import PrometheusMeter
from tests.unit.services.gate.gates import PROMPT, SW, Held, counted
from tests.unit.services.gate.test_decide import READOUT, case, row
from tests.unit.services.tiny import tiny_calibration, tiny_own, tiny_readout

SHARE = 0.5


def version(number: int, steer: float, language: str = "sw", **fields: object) -> Calibration:
    made = tiny_calibration(READOUT, language, steer=steer, release=-20.0)
    return replace(made, version=f"{language}@{number}", **fields)  # type: ignore[arg-type]


CHAMPION, CHALLENGER = version(1, 10.0), version(2, 0.0)
SHADOW = version(3, -10.0)
BUNDLE = Bundle(
    READOUT,
    {"sw": CHAMPION, "yo": version(1, 10.0, "yo")},
    challengers={"sw": Challenger(CHALLENGER, SHARE)},
    shadows={"sw": SHADOW},
)
MINE = next(key for key in map(str, range(99)) if BUNDLE.challengers["sw"].takes(key))
OTHERS = next(key for key in map(str, range(99)) if not BUNDLE.challengers["sw"].takes(key))


def asked(
    language: str | None = "sw", key: str | None = MINE, bundle: Bundle = BUNDLE, **kwargs: object
) -> Case:
    made = case(language, **kwargs)  # type: ignore[arg-type]
    return replace(made, bundle=bundle, routing_key=key)


@pytest.mark.parametrize(
    ("key", "version", "action", "threshold"),
    [
        (MINE, "sw@2", Action.STEER, 0.0),
        (OTHERS, "sw@1", Action.NONE, 10.0),
        (None, "sw@1", Action.NONE, 10.0),
    ],
)
def test_the_verdict_is_the_chosen_calibrations_and_names_it(key, version, action, threshold):
    verdict = decide(asked(key=key), Scores(5.0))
    assert (verdict.calibration_version, verdict.action) == (version, action)
    assert verdict.threshold == threshold


def test_a_challenger_is_decided_by_its_own_weights():
    own = replace(CHALLENGER, own=tiny_own(READOUT))
    bundle = replace(BUNDLE, challengers={"sw": Challenger(own, SHARE)})
    scores = Scores(5.0, {own.key: -5.0})
    assert decide(asked(bundle=bundle), scores).score == -5.0
    assert decide(asked(key=OTHERS, bundle=bundle), scores).score == 5.0


def test_the_hints_language_is_drawn_by_the_same_key():
    hinted = {key: decide(asked("yo", key, hint="sw"), Scores(5.0)) for key in (MINE, OTHERS)}
    assert hinted[MINE].calibration_version == "sw@2"
    assert hinted[MINE].action is Action.STEER
    assert hinted[OTHERS].action is Action.NONE


def test_a_region_of_a_language_with_a_challenger_alone_is_that_languages():
    bundle = Bundle(READOUT, {}, challengers={"sw": Challenger(CHALLENGER, SHARE)})
    (found, other) = (
        decide(asked("yo", key, bundle, hint="sw-KE"), Scores(5.0)) for key in (MINE, OTHERS)
    )
    assert {found.action, other.action} == {Action.STEER}
    verdict = decide(asked("sw", OTHERS, bundle), Scores(-30.0))
    assert (verdict.reason, verdict.calibration_version) == (Reason.NO_CALIBRATION, None)
    assert decide(asked("sw", MINE, bundle), Scores(-30.0)).action is Action.RELEASE


@pytest.mark.parametrize("key", [MINE, OTHERS])
def test_a_text_of_no_known_language_goes_by_champions_alone(key: str):
    rows = row(Reason.LANGUAGE_UNKNOWN, Outcome.STRICTEST)
    unknown = asked(None, key, abstention=Abstention.LOW_CONFIDENCE, overrides=rows)
    assert decide(unknown, Scores(5.0)).action is Action.NONE  # the challenger would steer
    assert decide(unknown, Scores(11.0)).action is Action.STEER


def test_a_challenger_that_is_stale_is_the_policys_row_and_named():
    old = replace(CHALLENGER, created="2020-01-01T00:00:00Z")
    fresh = replace(CHAMPION, created="2026-01-11T00:00:00Z")
    bundle = replace(BUNDLE, calibrations={"sw": fresh}, challengers={"sw": Challenger(old, SHARE)})
    found = [
        decide(asked(key=key, bundle=bundle, max_age_days=9), Scores(-30.0))
        for key in (MINE, OTHERS)
    ]
    assert [each.action for each in found] == [Action.NONE, Action.RELEASE]
    assert [each.calibration_version for each in found] == ["sw@2", "sw@1"]


def compared(scores: Scores, of: Case | None = None) -> dict[tuple[str, str], float]:
    """How often a champion's action met a shadow's."""
    meter = PrometheusMeter()
    count_shadow(meter, of or asked(), scores)
    (family,) = [
        each for each in meter.registry.collect() if each.name == "recal_shadow_comparisons"
    ]
    return {
        (each.labels["champion_action"], each.labels["shadow_action"]): each.value
        for each in family.samples
        if each.name.endswith("_total")
    }


@pytest.mark.parametrize(
    ("score", "champion", "shadow"),
    [(11.0, "steer", "steer"), (5.0, "none", "steer"), (-11.0, "none", "none")],
)
@pytest.mark.parametrize("key", [MINE, OTHERS, None])
def test_a_shadow_is_compared_with_the_champion_whoever_decided(key, score, champion, shadow):
    assert compared(Scores(score), asked(key=key)) == {(champion, shadow): 1.0}


def test_a_hint_does_not_blur_the_comparison():
    strict = {**BUNDLE.calibrations, "yo": version(1, -20.0, "yo")}
    hinted = asked(hint="yo", bundle=replace(BUNDLE, calibrations=strict))
    assert decide(hinted, Scores(-15.0)).action is Action.STEER
    assert compared(Scores(-15.0), hinted) == {("none", "none"): 1.0}


def test_where_there_is_no_champion_the_shadow_is_compared_with_the_policys_row():
    bundle = Bundle(READOUT, {}, shadows={"sw": SHADOW})
    assert compared(Scores(-30.0), asked(bundle=bundle)) == {("steer", "release"): 1.0}
    fails = row(Reason.NO_CALIBRATION, Outcome.FAIL)
    assert compared(Scores(5.0), asked(bundle=bundle, overrides=fails)) == {("fail", "steer"): 1.0}


@pytest.mark.parametrize("language", ["yo", "am", None], ids=["no shadow", "not loaded", "unknown"])
def test_other_languages_are_not_compared(language: str | None):
    abstention = None if language else Abstention.MIXED
    assert compared(Scores(5.0), asked(language, abstention=abstention)) == {}


@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_a_shadow_whose_score_is_not_finite_touches_nothing(bad: float):
    own = replace(SHADOW, own=tiny_own(READOUT))
    broken = asked(key=OTHERS, bundle=replace(BUNDLE, shadows={"sw": own}))
    scores = Scores(5.0, {own.key: bad})
    assert decide(broken, scores).action is Action.NONE
    assert compared(scores, broken) == {("none", "refuse"): 1.0}


def test_a_shadow_that_was_never_scored_touches_nothing_and_is_counted_as_broken():
    own = replace(SHADOW, own=tiny_own(READOUT))
    unscored = asked(bundle=replace(BUNDLE, shadows={"sw": own}))
    assert compared(Scores(5.0), unscored) == {("none", "broke"): 1.0}


def test_verdicts_of_a_challenger_are_counted_under_its_language_and_version():
    bundle = Bundle(READOUT, {}, challengers={"sw": Challenger(CHALLENGER, 1.0)})
    meter = PrometheusMeter()
    count_verdict(meter, decide(asked(bundle=bundle), Scores(5.0)), bundle)
    labels = {"language": "sw", "action": "steer", "reason": "score"}
    assert counted(meter, "recal_verdicts_total", **labels, calibration_version="sw@2") == 1


@pytest.fixture
def rollout(backbone) -> Bundle:
    """Over a real model: the champion leaves alone, the challenger steers, as does the shadow."""
    readout = tiny_readout(backbone)

    def of(number: int, steer: float) -> Calibration:
        made = tiny_calibration(readout, "sw", steer=steer, release=None)
        return replace(made, version=f"sw@{number}", own=tiny_own(readout, seed=number))

    return Bundle(
        readout,
        {"sw": of(1, 1e6)},
        challengers={"sw": Challenger(of(2, -1e6), SHARE)},
        shadows={"sw": of(3, -1e6)},
    )


async def test_a_gate_draws_by_the_key_and_counts_the_shadow(backbone, rollout: Bundle):
    meter = PrometheusMeter()
    gate = GateService(backbone, Held(rollout), Policy(), meter)
    keys = [str(number) for number in range(12)]
    alone = [(await gate.check(GateRequest(PROMPT, SW, routing_key=key))).verdict for key in keys]
    many = await gate.batch_check([GateRequest(PROMPT, SW, routing_key=key) for key in keys])
    await gate.close()
    expected = ["sw@2" if rollout.challengers["sw"].takes(key) else "sw@1" for key in keys]
    assert set(expected) == {"sw@1", "sw@2"}
    for verdicts in (alone, [each.verdict for each in many]):
        assert [each.calibration_version for each in verdicts] == expected
        actions = [each.action is Action.STEER for each in verdicts]
        assert actions == [version == "sw@2" for version in expected]
    labels = {"language": "sw", "calibration_version": "sw@3"}
    both = {"champion_action": "none", "shadow_action": "steer"}
    assert counted(meter, "recal_shadow_comparisons_total", **labels, **both) == 2 * len(keys)


async def test_a_shadow_whose_weights_overflow_leaves_the_gates_verdict_alone(
    backbone, rollout: Bundle
):
    sick = rollout.shadows["sw"]
    assert sick.own is not None
    (part,) = sick.own.parts
    linear = replace(part.linear, weight=part.linear.weight * 3e38)
    own = replace(sick.own, parts=(replace(part, linear=linear),))
    broken = replace(rollout, shadows={"sw": replace(sick, own=own)})
    found = []
    for bundle in (rollout, broken):
        gate = GateService(backbone, Held(bundle), Policy(), PrometheusMeter())
        found.append((await gate.check(GateRequest(PROMPT, SW))).verdict)
        await gate.close()
    assert found[0] == found[1]


async def test_a_request_ends_under_the_bundle_that_it_began_with(backbone, rollout: Bundle):
    """The canary ends while a prompt waits: it is still the challenger's."""
    store = Held(rollout)
    gate = GateService(backbone, store, Policy(), PrometheusMeter())
    key = next(key for key in map(str, range(99)) if rollout.challengers["sw"].takes(key))
    reading = gate.check(GateRequest(PROMPT, SW, routing_key=key))
    task = asyncio.create_task(reading)
    await asyncio.sleep(0)
    store.bundle = replace(rollout, challengers={})
    assert (await task).verdict.calibration_version == "sw@2"
    assert (
        await gate.check(GateRequest(PROMPT, SW, routing_key=key))
    ).verdict.calibration_version == "sw@1"
    await gate.close()


def test_the_error_of_a_row_that_fails_is_the_requests_own_and_no_shadows():
    fails = row(Reason.NON_FINITE_ACTIVATION, Outcome.FAIL)
    broken = asked(overrides=fails)
    with pytest.raises(ServiceError):
        decide(broken, Scores(nan))
    assert compared(Scores(nan), broken) == {("fail", "fail"): 1.0}
