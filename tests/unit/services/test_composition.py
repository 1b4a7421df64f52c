from __future__ import annotations

import pytest

from services.composition import notice_of, policy_of, request_limits
from services.domain import Reason
from services.gate.policy import Outcome
from services.settings import (
    BackboneSettings,
    EdgeSettings,
    GenerationSettings,
    OverrideSettings,
    PolicySettings,
    Settings,
    SettingsError,
)


def with_rows(*rows: OverrideSettings) -> Settings:
    return Settings(policy=PolicySettings(overrides=rows))


def test_without_rows_the_policy_is_the_strict_one():
    policy = policy_of(Settings())
    assert policy.overrides == ()
    assert policy.outcome(Reason.GATE_UNREACHABLE) is Outcome.FAIL


def test_an_operators_rows_reach_the_policy():
    row = OverrideSettings(reason="no_calibration", outcome="refuse", language="yo")
    policy = policy_of(with_rows(row))
    assert policy.outcome(Reason.NO_CALIBRATION, language="yo") is Outcome.REFUSE
    assert policy.outcome(Reason.NO_CALIBRATION, language="sw") is Outcome.STEER


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [("no_such_case", "refuse"), ("no_calibration", "perhaps"), ("no_calibration", "no_release")],
)
def test_a_row_that_means_nothing_stops_the_start_and_is_named(reason, outcome):
    rows = with_rows(OverrideSettings(reason=reason, outcome=outcome))
    with pytest.raises(SettingsError, match=r"`policy\.overrides\[0\]`"):
        policy_of(rows)


def test_days_and_milliseconds_become_seconds():
    section = PolicySettings(max_calibration_age_days=2, min_time_left_ms=50)
    policy = policy_of(Settings(policy=section))
    assert (policy.max_calibration_age_s, policy.min_time_left_s) == (172_800, 0.05)


def test_limits_of_requests_come_from_edge_and_generation():
    limits = request_limits(
        Settings(
            edge=EdgeSettings(max_request_bytes=5000),
            generation=GenerationSettings(default_max_tokens=7, max_tokens=9),
        )
    )
    assert (limits.max_prompt_bytes, limits.default_max_tokens, limits.max_tokens) == (5000, 7, 9)


def test_the_organism_never_goes_without_its_notice():
    assert "not a production model" in notice_of(Settings())
    real = BackboneSettings(name_or_path="Qwen/Qwen2.5-7B-Instruct")
    assert notice_of(Settings(backbone=real)) == ""
