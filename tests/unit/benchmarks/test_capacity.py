"""The capacity model is arithmetic that can be done by hand, and grows with what it should."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.capacity import WITHIN, Measured, bars, fleet_table
from benchmarks.capacity_model import (
    H200,
    QWEN_7B,
    Assumptions,
    Costs,
    Gpu,
    Model,
    first_to_saturate,
    fleet,
    gate_seconds,
    generation_seconds,
    replicas,
    series_of,
)
from services.settings import RegistrySettings
from services.telemetry import CATALOGUE

COSTS = Costs(rpc=0.001, language_id=0.0005)
GIVEN = Assumptions()
PLAIN = Gpu("plain", flops=1e12, bandwidth=1e9, memory=1e9)
SMALL = Model("small", body=1e6, head=0, layers=4, gate_layers=2, kv_bytes=100)
ROUND = Assumptions(
    prefill_share=0.5, decode_share=0.5, prompt_tokens=100, answer_tokens=10, batch=2
)


def test_the_gate_pays_for_the_blocks_that_it_runs() -> None:
    # 2 operations a parameter and token, half of the blocks, at half of the GPU's operations.
    assert gate_seconds(PLAIN, SMALL, ROUND) == pytest.approx(2 * 1e6 / 2 * 100 / 0.5e12)


def test_an_answer_pays_its_prefill_and_its_share_of_each_step() -> None:
    prefill = 2 * 1e6 * 100 / 0.5e12
    step = (2e6 + 2 * 105 * 100) / 0.5e9
    assert generation_seconds(PLAIN, SMALL, ROUND) == pytest.approx(prefill + 10 * step / 2)


def test_a_larger_batch_makes_an_answer_cheaper_until_its_keys_and_values_weigh_as_much() -> None:
    seconds = [
        generation_seconds(H200, QWEN_7B, replace(GIVEN, batch=batch)) for batch in (8, 32, 128)
    ]
    assert seconds == sorted(seconds, reverse=True)
    floor = GIVEN.answer_tokens * 300 * QWEN_7B.kv_bytes / (H200.bandwidth * GIVEN.decode_share)
    assert seconds[-1] > floor


@pytest.mark.parametrize(("rate", "expected"), [(1, 2), (100, 2), (101, 3), (500, 10), (501, 11)])
def test_no_replica_is_busier_than_it_may_be_and_two_outlive_each_other(
    rate: float, expected: int
) -> None:
    assert replicas(rate, 0.01, replace(GIVEN, utilisation=0.5)) == expected


@pytest.mark.parametrize(("rate", "seconds"), [(0, 0.1), (-1, 0.1), (10, 0), (10, -0.1)])
def test_a_rate_or_a_cost_that_is_none_is_refused(rate: float, seconds: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        replicas(rate, seconds, GIVEN)


def test_ten_times_the_traffic_needs_ten_times_the_gpus() -> None:
    few, many = fleet(1000, 23, COSTS), fleet(10_000, 23, COSTS)
    assert many.gpus == pytest.approx(10 * few.gpus, rel=0.05)


def test_a_front_door_pays_its_own_call_two_handles_and_the_language() -> None:
    # 1,000 a second, of 3 calls and a name each, on replicas that are busy for seven tenths
    assert fleet(1000, 23, replace(COSTS, language_id=0.0004)).front_doors == 5
    assert fleet(1000, 23, replace(COSTS, language_id=0.001)).front_doors == 6


def test_languages_cost_series_and_polls_and_no_gpu() -> None:
    few, many = fleet(1000, 23, COSTS), fleet(1000, 2000, COSTS)
    assert many.gpus == few.gpus
    assert many.series > 50 * few.series
    # 2,001 models are three pages where 24 are one, and what is revoked is one more in both
    assert many.registry_polls == pytest.approx(2 * few.registry_polls)


def test_replicas_look_at_the_registry_as_often_as_the_settings_say() -> None:
    found = fleet(1000, 23, COSTS)
    a_look = RegistrySettings().poll_interval_s
    assert found.registry_polls == pytest.approx(2 * found.gpus / a_look)
    assert fleet(1000, 23, COSTS, poll_interval_s=30).registry_polls == pytest.approx(
        2 * found.gpus / 30
    )


def test_every_metric_of_the_catalogue_is_counted_once_with_its_buckets() -> None:
    one, two = (series_of("gate", n) + series_of("front door", n) for n in (1, 2))
    assert one >= len(CATALOGUE)
    [score] = [m for m in CATALOGUE if m.name == "recal_score"]
    assert two - one > len(score.buckets)


@pytest.mark.parametrize(
    ("rate", "languages", "words"),
    [
        (10, 2000, "nothing"),
        (100, 23, "generation's GPUs"),
        (1000, 23, "one Ray cluster"),
        (100_000, 2000, "monitoring"),
    ],
)
def test_it_says_what_stands_in_the_way_first(rate: float, languages: int, words: str) -> None:
    assert first_to_saturate(fleet(rate, languages, COSTS), GIVEN).startswith(words)


MEASURED = Measured(
    rpc=0.001,
    identify=0.0015,
    gate_check=0.004,
    generate_short=0.006,
    generate_long=0.013,
    check=0.0045,
    generate=0.0165,
)


def test_a_verdict_is_foretold_as_its_stages_with_the_cost_of_one_call() -> None:
    assert MEASURED.check_foretold == pytest.approx(0.0045)
    assert MEASURED.generate_foretold == pytest.approx(0.0165)
    assert MEASURED.costs == Costs(rpc=0.001, language_id=pytest.approx(0.0005))


def test_a_model_that_is_wrong_by_more_than_its_factor_misses_its_bar() -> None:
    assert all(bar.met for bar in bars(MEASURED))
    for factor in (WITHIN * 1.1, 1 / (WITHIN * 1.1)):
        assert not any(
            bar.met
            for bar in bars(replace(MEASURED, check=0.0045 * factor, generate=0.0165 * factor))
        )


def test_a_fleet_is_one_row_of_the_table() -> None:
    head, rule, row = fleet_table([fleet(1000, 23, COSTS)], GIVEN).splitlines()
    assert head.count("|") == rule.count("|") == row.count("|")
    assert row.startswith("| 1,000 | 23 |")
