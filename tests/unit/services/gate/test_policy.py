from __future__ import annotations

import copy
import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain import Abstention, Action, Reason
from services.gate.policy import (
    REASON_OF_ABSTENTION,
    STRICT,
    Outcome,
    Override,
    Policy,
    action_of_score,
    strict_outcome,
)

CASES = [reason for reason in Reason if reason is not Reason.SCORE]
UNSCORED = [reason for reason in CASES if reason is not Reason.CALIBRATION_STALE]
LOOSE_TO_STRICT = [
    Outcome.ALLOW,
    Outcome.NO_RELEASE,
    Outcome.STRICTEST,
    Outcome.STEER,
    Outcome.REFUSE,
    Outcome.FAIL,
]


def rank(outcome: Outcome) -> int:
    return LOOSE_TO_STRICT.index(outcome)


def valid(reason: Reason, outcome: Outcome) -> bool:
    if outcome is Outcome.STRICTEST:
        return reason in set(REASON_OF_ABSTENTION.values())
    return outcome is not Outcome.NO_RELEASE or reason is Reason.CALIBRATION_STALE


ROWS = [(reason, outcome) for reason in CASES for outcome in Outcome if valid(reason, outcome)]
overrides = st.builds(
    lambda row, language, tenant: Override(*row, language=language, tenant=tenant),
    st.sampled_from(ROWS),
    st.sampled_from([None, "sw", "my"]),
    st.sampled_from([None, "acme", "umbrella"]),
)


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        (Reason.LANGUAGE_UNKNOWN, Outcome.STEER),
        (Reason.LANGUAGE_MIXED, Outcome.STEER),
        (Reason.TEXT_TOO_SHORT, Outcome.STEER),
        (Reason.NO_CALIBRATION, Outcome.STEER),
        (Reason.GATE_UNREACHABLE, Outcome.FAIL),
        (Reason.NON_FINITE_ACTIVATION, Outcome.REFUSE),
        (Reason.DEADLINE_NEARLY_GONE, Outcome.FAIL),
        (Reason.CALIBRATION_STALE, Outcome.NO_RELEASE),
    ],
)
def test_the_strict_row_of_each_case(reason: Reason, outcome: Outcome) -> None:
    assert Policy().outcome(reason, language="sw", tenant="acme") is outcome


def test_every_case_but_the_score_has_a_strict_row_and_none_allows() -> None:
    assert set(STRICT) == set(CASES)
    assert Outcome.ALLOW not in STRICT.values()


def test_every_abstention_has_its_own_case() -> None:
    assert set(REASON_OF_ABSTENTION) == set(Abstention)
    assert len(set(REASON_OF_ABSTENTION.values())) == len(Abstention)


def test_the_strict_table_cannot_be_written_to() -> None:
    with pytest.raises(TypeError):
        STRICT[Reason.NO_CALIBRATION] = Outcome.ALLOW  # type: ignore[index]


def test_a_score_is_no_case() -> None:
    for ask in (strict_outcome, Policy().outcome):
        with pytest.raises(ValueError, match="`score` has no row"):
            ask(Reason.SCORE)
    with pytest.raises(ValueError, match="`score` has no row"):
        Override(Reason.SCORE, Outcome.STEER)


@pytest.mark.parametrize("reason", UNSCORED)
def test_no_release_needs_a_score(reason: Reason) -> None:
    with pytest.raises(ValueError, match="`no_release` needs a score"):
        Override(reason, Outcome.NO_RELEASE)


@pytest.mark.parametrize(
    "reason", [r for r in CASES if r not in set(REASON_OF_ABSTENTION.values())]
)
def test_the_strictest_is_for_texts_of_no_known_language(reason: Reason) -> None:
    with pytest.raises(ValueError, match="`strictest` is for a text whose language is not known"):
        Override(reason, Outcome.STRICTEST)


@pytest.mark.parametrize(("reason", "outcome"), ROWS)
def test_an_override_changes_its_own_case_alone(reason: Reason, outcome: Outcome) -> None:
    policy = Policy((Override(reason, outcome),))
    assert policy.outcome(reason) is outcome
    others = [other for other in CASES if other is not reason]
    assert all(policy.outcome(other) is STRICT[other] for other in others)


@pytest.mark.parametrize(
    ("language", "tenant", "applies"),
    [
        ("sw", "acme", True),
        ("sw", "umbrella", False),
        ("my", "acme", False),
        (None, "acme", False),
        ("sw", None, False),
    ],
)
def test_an_override_holds_for_its_language_and_tenant_alone(
    language: str | None, tenant: str | None, applies: bool
) -> None:
    row = Override(Reason.NO_CALIBRATION, Outcome.ALLOW, language="sw", tenant="acme")
    found = Policy((row,)).outcome(Reason.NO_CALIBRATION, language=language, tenant=tenant)
    assert found is (Outcome.ALLOW if applies else Outcome.STEER)


@pytest.mark.parametrize("turned", [False, True])
def test_the_more_specific_override_wins_in_either_order(turned: bool) -> None:
    general = Override(Reason.NO_CALIBRATION, Outcome.REFUSE)
    for_language = Override(Reason.NO_CALIBRATION, Outcome.ALLOW, language="sw")
    for_both = Override(Reason.NO_CALIBRATION, Outcome.FAIL, language="sw", tenant="acme")
    rows = (general, for_language, for_both)
    policy = Policy(rows[::-1] if turned else rows)
    assert policy.outcome(Reason.NO_CALIBRATION, language="my") is Outcome.REFUSE
    assert policy.outcome(Reason.NO_CALIBRATION, language="sw") is Outcome.ALLOW
    assert policy.outcome(Reason.NO_CALIBRATION, language="sw", tenant="acme") is Outcome.FAIL


@pytest.mark.parametrize("turned", [False, True])
def test_among_equally_specific_overrides_the_strictest_wins(turned: bool) -> None:
    rows = (
        Override(Reason.NO_CALIBRATION, Outcome.ALLOW, language="sw"),
        Override(Reason.NO_CALIBRATION, Outcome.REFUSE, tenant="acme"),
    )
    policy = Policy(rows[::-1] if turned else rows)
    found = policy.outcome(Reason.NO_CALIBRATION, language="sw", tenant="acme")
    assert found is Outcome.REFUSE


@given(
    rows=st.lists(overrides, max_size=6),
    reason=st.sampled_from(CASES),
    language=st.sampled_from([None, "sw", "my", "yo"]),
    tenant=st.sampled_from([None, "acme", "initech"]),
)
def test_nothing_is_looser_than_strict_unless_an_override_says_exactly_so(
    rows: list[Override], reason: Reason, language: str | None, tenant: str | None
) -> None:
    policy = Policy(tuple(rows))
    found = policy.outcome(reason, language=language, tenant=tenant)
    if rank(found) < rank(STRICT[reason]):
        assert any(
            row.reason is reason
            and row.outcome is found
            and row.language in (None, language)
            and row.tenant in (None, tenant)
            for row in rows
        )


@given(rows=st.lists(overrides, max_size=4), extra=overrides, reason=st.sampled_from(CASES))
def test_a_general_override_never_undoes_a_specific_one(
    rows: list[Override], extra: Override, reason: Reason
) -> None:
    specific = Override(reason, Outcome.REFUSE, language="sw", tenant="acme")
    policy = Policy((*rows, extra, specific))
    assert rank(policy.outcome(reason, language="sw", tenant="acme")) >= rank(Outcome.REFUSE) or (
        any(row.specificity == 2 and row.reason is reason for row in (*rows, extra))
    )


@pytest.mark.parametrize(("reason", "outcome"), ROWS)
def test_an_outcome_that_lets_a_case_go_further_than_strict_is_a_bypass(
    reason: Reason, outcome: Outcome
) -> None:
    stops = outcome in (Outcome.REFUSE, Outcome.FAIL)
    looser = rank(outcome) < rank(STRICT[reason]) and not stops
    assert Policy().is_bypass(reason, outcome) is looser


@pytest.mark.parametrize("reason", CASES)
def test_allowing_is_always_a_bypass_and_the_strict_row_never(reason: Reason) -> None:
    assert Policy().is_bypass(reason, Outcome.ALLOW)
    assert not Policy().is_bypass(reason, STRICT[reason])


def test_a_refusal_in_place_of_an_error_is_no_bypass_but_steering_is() -> None:
    assert not Policy().is_bypass(Reason.GATE_UNREACHABLE, Outcome.REFUSE)
    assert Policy().is_bypass(Reason.GATE_UNREACHABLE, Outcome.STEER)


@pytest.mark.parametrize("name", ["max_calibration_age_s", "min_time_left_s"])
@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf])
def test_an_impossible_time_is_named(name: str, seconds: float) -> None:
    with pytest.raises(ValueError, match=f"`{name}` is"):
        Policy(**{name: seconds})


def test_a_policy_is_a_value() -> None:
    policy = Policy((Override(Reason.NO_CALIBRATION, Outcome.REFUSE),), max_calibration_age_s=9.0)
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert hash(copy.deepcopy(policy)) == hash(policy)


@pytest.mark.parametrize(
    ("score", "release", "action"),
    [
        (0.5, 0.0, Action.STEER),
        (0.4999, 0.0, Action.NONE),
        (0.0001, 0.0, Action.NONE),
        (0.0, 0.0, Action.RELEASE),
        (-9.0, 0.0, Action.RELEASE),
        (-9.0, None, Action.NONE),
        (0.5, 0.5, Action.STEER),
        (0.4999, 0.5, Action.RELEASE),
    ],
)
def test_the_action_of_a_score_with_ties_to_safety(
    score: float, release: float | None, action: Action
) -> None:
    assert action_of_score(score, steer=0.5, release=release) is action


finite = st.floats(-10, 10)


@given(scores=st.tuples(finite, finite), steer=finite, width=st.none() | st.floats(0, 5))
def test_a_higher_score_is_never_treated_more_loosely(
    scores: tuple[float, float], steer: float, width: float | None
) -> None:
    release = None if width is None else steer - width
    low, high = (action_of_score(s, steer=steer, release=release) for s in sorted(scores))
    assert low.strictness <= high.strictness


@given(score=finite, steer=finite)
def test_two_ways_leave_nothing_untouched(score: float, steer: float) -> None:
    assert action_of_score(score, steer=steer, release=steer) is not Action.NONE


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_non_finite_score_has_no_action(score: float) -> None:
    with pytest.raises(ValueError, match="see `non_finite_activation`"):
        action_of_score(score, steer=0.0, release=None)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_threshold_that_is_not_finite_never_lets_a_score_through(bad: float) -> None:
    with pytest.raises(ValueError, match="both must be finite"):
        action_of_score(9.0, steer=bad, release=None)
    with pytest.raises(ValueError, match="both must be finite"):
        action_of_score(-9.0, steer=0.0, release=bad)
