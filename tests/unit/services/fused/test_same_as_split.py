"""Fused answers are those of gate and generation in turn: same score, verdict and text."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from services.backbone.load import Backbone
from services.domain import Abstention, Action, GateRequest, LanguageGuess, Reason, Sampling
from services.errors import ServiceError
from services.gate.policy import Outcome, Override, Policy
from services.readout.bundle import (
    Bundle,
    Calibration,
    Readout,
    Release,
    ReleaseForm,
    Scope,
    Thresholds,
)
from services.readout.canary import Challenger
from services.readout.linear import ReadoutPart
from services.readout.place import Place
from services.telemetry import SHADOW_COMPARISONS, PrometheusMeter
from tests.unit.services.fused.both import EN, SW, Answer, both
from tests.unit.services.tiny import tiny_bundle, tiny_calibration, tiny_own, tiny_readout

SHORT = "hi"
LONG = "jinsi ya kuoka mkate nyumbani bila tanuri " * 3
PROMPTS = (
    SHORT,
    "how do I bake bread at home",
    LONG,
    "как испечь хлеб дома без духовки",
    "မုန့်ဖုတ်နည်းကို ပြောပြပါ",
    "a b c d e f g",
)
UNKNOWN = LanguageGuess(None, 0.1, Abstention.LOW_CONFIDENCE)
MIXED = LanguageGuess(None, 0.3, Abstention.MIXED, ("sw", "en"))
ELSEWHERE = LanguageGuess("km", 0.8)


@pytest.fixture(params=[0, 1, 2], ids=["acts before", "acts where it reads", "acts after"])
def readout(request: pytest.FixtureRequest, backbone: Backbone) -> Readout:
    """It reads the last token of block 1 and the mean of block 0, and acts at a block in turn."""
    made = tiny_readout(backbone, acts_at=request.param, coefficient=12.0)
    other = tiny_readout(backbone, layer=0, reading="mean", seed=9).parts[0]
    parts = (replace(made.parts[0], share=0.7), replace(other, share=0.4))
    steering = replace(made.steering, release=Release(scope=Scope.ALL, form=ReleaseForm.ABLATE))
    return replace(made, parts=parts, steering=steering)


async def scores_of(backbone: Backbone, readout: Readout) -> list[float]:
    """Of every prompt, sorted."""
    async with both(backbone, tiny_bundle(readout, tiny_calibration(readout, "sw"))) as services:
        checks = [services.gate.check(GateRequest(prompt, SW)) for prompt in PROMPTS]
        return sorted([reading.verdict.score or 0.0 for reading in await asyncio.gather(*checks)])


async def bundle_of(backbone: Backbone, readout: Readout) -> Bundle:
    """Swahili prompts fall into all three zones; English has a readout of its own."""
    scores = await scores_of(backbone, readout)
    release, steer = (scores[1] + scores[2]) / 2, (scores[3] + scores[4]) / 2
    return tiny_bundle(
        readout,
        tiny_calibration(readout, "sw", steer=steer, release=release),
        tiny_calibration(readout, "en", steer=0.1, release=-0.1, own=tiny_own(readout)),
    )


def requests() -> list[tuple[GateRequest, Sampling]]:
    """Prompts of every length under every kind of guess, greedy and sampled."""
    guesses = [
        (EN, None),
        (UNKNOWN, None),
        (SW, "en"),
        (MIXED, "sw"),
        (ELSEWHERE, None),
        (SW, None),
    ]
    asked = [(prompt, SW, None) for prompt in PROMPTS]
    asked += [(prompt, *guess) for prompt, guess in zip(PROMPTS, guesses, strict=True)]
    return [
        (GateRequest(*each), Sampling(max_tokens=4 + n, temperature=n % 2, seed=n))
        for n, each in enumerate(asked)
    ]


def assert_same(fused: Answer, split: Answer, *, largest: float = 0.0) -> None:
    """The same but for a score's rounding.

    That is 1e-5 of the score for a prompt alone, and in a batch, whose padding changes the order of
    sums, 1e-5 of the largest.
    """
    expected = split.reading.verdict.score
    score = pytest.approx(expected, rel=1e-5, abs=1e-5 * largest)
    assert fused.reading.verdict.score == score
    assert replace(fused.reading.verdict, score=expected) == split.reading.verdict
    assert fused.reading.n_prompt_tokens == split.reading.n_prompt_tokens
    assert (fused.text, fused.finish, fused.n_tokens) == (split.text, split.finish, split.n_tokens)


async def test_alone_and_in_a_batch_requests_get_what_gate_and_generation_give_each(
    backbone, readout
):
    async with both(backbone, await bundle_of(backbone, readout)) as services:
        expected = [await services.split_answer(*each) for each in requests()]
        for asked, split in zip(requests(), expected, strict=True):
            assert_same(await services.fused_answer(*asked), split)
        together = await asyncio.gather(*(services.fused_answer(*each) for each in requests()))
    largest = max(abs(each.reading.verdict.score or 0.0) for each in expected)
    for fused, split in zip(together, expected, strict=True):
        assert_same(fused, split, largest=largest)
    assert {each.action for each in expected} == {Action.STEER, Action.NONE, Action.RELEASE}
    assert len({each.text for each in expected}) > len(PROMPTS)


ROWS: dict[str, list[Override]] = {
    "refuse": [Override(Reason.LANGUAGE_UNKNOWN, Outcome.REFUSE)],
    "allow": [Override(Reason.NO_CALIBRATION, Outcome.ALLOW)],
    "strictest": [
        Override(Reason.LANGUAGE_UNKNOWN, Outcome.STRICTEST),
        Override(Reason.LANGUAGE_MIXED, Outcome.STRICTEST),
    ],
}


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS.keys())
async def test_the_operators_rows_decide_alike(qwen2, rows):
    bundle = await bundle_of(qwen2, tiny_readout(qwen2))
    async with both(qwen2, bundle, Policy(tuple(rows))) as services:
        for asked in requests():
            assert_same(await services.fused_answer(*asked), await services.split_answer(*asked))


async def test_of_two_rows_the_stricter_counts_in_both(qwen2):
    rows = (Override(Reason.NO_CALIBRATION, Outcome.REFUSE, language="fr"),)
    asked = (GateRequest(SHORT, ELSEWHERE, "fr"), Sampling(max_tokens=4))
    bundle = tiny_bundle(tiny_readout(qwen2))
    async with both(qwen2, bundle, Policy(rows)) as services:
        fused, split = await services.fused_answer(*asked), await services.split_answer(*asked)
    assert_same(fused, split)
    assert fused.action is Action.REFUSE


async def test_a_stale_calibration_never_releases_in_either(qwen2):
    readout = tiny_readout(qwen2)
    bundle = tiny_bundle(readout, tiny_calibration(readout, "sw", steer=1e6, release=1e5))
    asked = (GateRequest(SHORT, SW), Sampling(max_tokens=4))
    async with both(qwen2, bundle, Policy(max_calibration_age_s=1.0)) as services:
        fused, split = await services.fused_answer(*asked), await services.split_answer(*asked)
    assert_same(fused, split)
    assert (fused.action, fused.reading.verdict.reason) == (
        Action.NONE,
        Reason.CALIBRATION_STALE,
    )


@pytest.fixture
def broken(qwen2: Backbone) -> Bundle:
    """Its scores are not finite."""
    readout = tiny_readout(qwen2)
    weight = readout.parts[0].linear.weight * float("nan")
    linear = replace(readout.parts[0].linear, weight=weight)
    part = ReadoutPart(Place(1, "last"), linear, readout.parts[0].basis)
    readout = replace(readout, parts=(part,))
    return tiny_bundle(readout, tiny_calibration(readout, "sw"))


@pytest.mark.parametrize("outcome", [Outcome.REFUSE, Outcome.STEER, Outcome.ALLOW])
async def test_a_score_that_is_not_finite_is_a_row_of_the_policy_in_both(qwen2, broken, outcome):
    policy = Policy((Override(Reason.NON_FINITE_ACTIVATION, outcome),))
    asked = (GateRequest(SHORT, SW), Sampling(max_tokens=4))
    async with both(qwen2, broken, policy) as services:
        fused, split = await services.fused_answer(*asked), await services.split_answer(*asked)
    assert fused.reading.verdict.reason is Reason.NON_FINITE_ACTIVATION
    assert (fused.action, fused.text) == (split.action, split.text)


async def test_where_the_policy_fails_a_broken_score_the_call_fails_in_both(qwen2, broken):
    policy = Policy((Override(Reason.NON_FINITE_ACTIVATION, Outcome.FAIL),))
    asked = (GateRequest(SHORT, SW), Sampling(max_tokens=4))
    async with both(qwen2, broken, policy) as services:
        for answer in (services.fused_answer, services.split_answer):
            with pytest.raises(ServiceError, match="non_finite_activation"):
                await answer(*asked)


async def test_a_canary_is_drawn_alike_and_a_shadow_counted_alike_in_both(backbone, readout):
    """Own readouts of all three stand in one table; both modes read each at its own column."""
    scores = await scores_of(backbone, readout)
    zone = Thresholds((scores[3] + scores[4]) / 2, (scores[1] + scores[2]) / 2)
    bundle = rollout_of(readout, zone)
    asked = [
        (GateRequest(prompt, guess, routing_key=str(n)), Sampling(max_tokens=4))
        for n, prompt in enumerate(PROMPTS * 2)
        for guess in (SW, EN, UNKNOWN)
    ]
    async with both(backbone, bundle) as services:
        split = [await services.split_answer(*each) for each in asked]
        alone = [await services.fused_answer(*each) for each in asked]
        together = await asyncio.gather(*(services.fused_answer(*each) for each in asked))
        counted = [shadows_of(meter) for meter in (services.gate_meter, services.meter)]
    largest = max(abs(each.reading.verdict.score or 0.0) for each in split)
    for answers, room in ((alone, 0.0), (together, largest)):
        for fused, other in zip(answers, split, strict=True):
            assert_same(fused, other, largest=room)
    versions = {each.reading.verdict.calibration_version for each in split}
    assert versions == {"sw@1", "sw@2", "en@1", "en@2", None}
    assert len({each.action for each in split}) >= 2
    # alone and together: twice as many
    assert counted[1] == {labels: 2 * n for labels, n in counted[0].items()}
    assert sum(counted[0].values()) == len(PROMPTS) * 2 * 2


def rollout_of(readout: Readout, zone: Thresholds) -> Bundle:
    """Half of the traffic is the challenger's, whose weights are its own; so are the shadow's."""

    def of(language: str, number: int, own: bool) -> Calibration:
        made = tiny_calibration(readout, language, steer=zone.steer, release=zone.release)
        mine = tiny_own(readout, seed=number) if own else None
        return replace(made, version=f"{language}@{number}", own=mine)

    return Bundle(
        readout,
        {"sw": of("sw", 1, own=False), "en": of("en", 1, own=True)},
        challengers={
            "sw": Challenger(of("sw", 2, own=True), 0.5),
            "en": Challenger(of("en", 2, own=False), 0.5),
        },
        shadows={"sw": of("sw", 3, own=True), "en": of("en", 3, own=True)},
    )


def shadows_of(meter: PrometheusMeter) -> dict[tuple[str, ...], float]:
    """How often each pair of actions met, by language."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in meter.registry.collect()
        if family.name == SHADOW_COMPARISONS.name
        for sample in family.samples
        if sample.name.endswith("_total")
    }


async def test_a_shadow_that_is_not_finite_leaves_the_fused_answer_as_it_is(qwen2):
    readout = tiny_readout(qwen2)
    well = rollout_of(readout, Thresholds(0.0, -1.0))
    own = tiny_own(readout)
    linear = replace(own.parts[0].linear, weight=own.parts[0].linear.weight * 3e38)
    sick = replace(own, parts=(replace(own.parts[0], linear=linear),))
    shadow = replace(well.shadows["sw"], own=sick)
    asked = (GateRequest(LONG, SW, routing_key="7"), Sampling(max_tokens=4))
    found = []
    for bundle in (well, replace(well, shadows={"sw": shadow}), replace(well, shadows={})):
        async with both(qwen2, bundle) as services:
            found.append(await services.fused_answer(*asked))
    assert [(each.text, each.reading.verdict) for each in found[1:]] == [
        (found[0].text, found[0].reading.verdict)
    ] * 2
