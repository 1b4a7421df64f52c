"""The serving gate on many prompts without a server."""

from __future__ import annotations

import pytest

from services.backbone.load import Backbone
from services.domain import Action, Reason
from services.errors import ServiceUnavailable
from services.gate.policy import Outcome, Override, Policy
from tests.unit.recal.utility.tiny_line import WORDS, gate_of, middle_of, scores_of

PROMPTS = [f"{a} {b} {a}" for a in WORDS for b in WORDS]


def test_a_verdict_is_what_the_score_and_the_languages_thresholds_say(backbone: Backbone) -> None:
    scores = scores_of(backbone, PROMPTS)
    middle = middle_of(scores)
    low = middle_of([score for score in scores if score < middle])
    verdicts = gate_of(backbone, steer=middle, release=low).decide_all(PROMPTS)
    expected = [
        Action.STEER if s >= middle else Action.RELEASE if s <= low else Action.NONE for s in scores
    ]
    assert [v.action for v in verdicts if v] == expected
    assert set(expected) == {Action.STEER, Action.RELEASE, Action.NONE}
    assert [v.language for v in verdicts if v] == ["sw" if "unga" in p else "en" for p in PROMPTS]


def test_a_prompt_that_no_language_is_named_for_meets_its_row(backbone: Backbone) -> None:
    strict = gate_of(backbone, steer=1e6).decide_all(["Z bread"])[0]
    assert strict is not None
    assert (strict.action, strict.reason) == (Action.STEER, Reason.LANGUAGE_UNKNOWN)
    policy = Policy((Override(Reason.LANGUAGE_UNKNOWN, Outcome.REFUSE),))
    refused = gate_of(backbone, policy=policy).decide_all(["Z bread"])[0]
    assert refused is not None
    assert refused.action is Action.REFUSE


def test_a_row_that_fails_fails_the_run(backbone: Backbone) -> None:
    policy = Policy((Override(Reason.LANGUAGE_UNKNOWN, Outcome.FAIL),))
    with pytest.raises(ServiceUnavailable, match="language_unknown"):
        gate_of(backbone, policy=policy).decide_all(["bread", "Z bread"])


def test_a_prompt_longer_than_the_context_has_no_verdict(backbone: Backbone) -> None:
    verdicts = gate_of(backbone).decide_all(["bread", "x " * 200])
    assert [verdict is None for verdict in verdicts] == [False, True]


def test_a_prompt_is_decided_once(backbone: Backbone) -> None:
    gate = gate_of(backbone)
    seen: list[tuple[int, int]] = []
    first = gate.decide_all(PROMPTS[:3] * 2, report=lambda *n: seen.append(n))
    again = gate.decide_all(PROMPTS[2:5], report=lambda *n: seen.append(n))
    assert seen == [(3, 3), (2, 2)]
    assert first[:3] == first[3:]
    assert again[0] is first[2]


def test_more_prompts_than_a_queue_holds_are_decided(backbone: Backbone) -> None:
    many = [f"{a} {i}" for a in WORDS for i in range(150)]
    assert None not in gate_of(backbone).decide_all(many)
