from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.errors import ArtefactRefused, NotReady, VersionMismatch
from services.readout.bundle import Bundle
from services.readout.store import BundleStore
from services.telemetry import PrometheusMeter
from tests.unit.services.readout.factories import a_bundle
from tests.unit.services.readout.sources import ChangingSource, RememberingSource, SlowSource


@pytest.fixture
def meter() -> PrometheusMeter:
    return PrometheusMeter()


def sample(meter: PrometheusMeter, name: str, **labels: str) -> float | None:
    return meter.registry.get_sample_value(name, labels)


def versions(store: BundleStore) -> dict[str, str]:
    return {lang: c.version for lang, c in store.current.calibrations.items()}


async def test_nothing_is_served_before_the_first_look(meter: PrometheusMeter) -> None:
    store = BundleStore(ChangingSource(a_bundle()), meter)
    with pytest.raises(NotReady, match="no readout is loaded yet"):
        _ = store.current
    assert not store.is_ready


async def test_a_promoted_bundle_is_swapped_in_whole(meter: PrometheusMeter) -> None:
    source = ChangingSource(a_bundle(["sw", "am"]))
    store = BundleStore(source, meter)
    assert await store.refresh() == "swapped"
    assert store.current is source.bundle
    source.bundle = a_bundle(["sw", "am"], number=2)
    assert await store.refresh() == "swapped"
    assert versions(store) == {"sw": "sw@2", "am": "am@2"}


async def test_an_unmoved_alias_costs_no_fetch(meter: PrometheusMeter) -> None:
    source = ChangingSource(a_bundle())
    store = BundleStore(source, meter)
    await store.refresh()
    assert await store.refresh() == "unchanged"
    assert source.fetches == 1


async def test_a_request_keeps_the_bundle_that_it_took(meter: PrometheusMeter) -> None:
    source = ChangingSource(a_bundle())
    store = BundleStore(source, meter)
    await store.refresh()
    taken = store.current
    source.bundle = a_bundle(number=2, seed=1)
    await store.refresh()
    assert taken.calibrations["sw"].version == "sw@1"


async def test_the_previous_readout_is_kept_and_the_one_before_is_not(
    meter: PrometheusMeter,
) -> None:
    source = ChangingSource(a_bundle(seed=1))
    store = BundleStore(source, meter)
    for seed in (1, 2, 3):
        source.bundle = a_bundle(seed=seed)
        await store.refresh()
    source.bundle = a_bundle(seed=3, number=2)
    await store.refresh()
    assert store.readout("readout@3").version == "readout@3"
    assert store.readout("readout@2").version == "readout@2"
    with pytest.raises(VersionMismatch, match="`readout@1` is not loaded"):
        store.readout("readout@1")


async def test_an_absent_registry_keeps_the_last_good(meter: PrometheusMeter) -> None:
    source = ChangingSource(a_bundle())
    store = BundleStore(source, meter)
    await store.refresh()
    source.is_away = True
    assert await store.refresh() == "unreachable"
    assert versions(store) == {"sw": "sw@1"}


async def test_a_refused_bundle_keeps_the_last_good_and_is_tried_again(
    meter: PrometheusMeter,
) -> None:
    source = ChangingSource(a_bundle())
    store = BundleStore(source, meter)
    await store.refresh()
    source.bundle = ArtefactRefused("corrupt; fetch it again")
    assert [await store.refresh() for _ in range(2)] == ["refused", "refused"]
    assert source.fetches == 3
    assert versions(store) == {"sw": "sw@1"}


async def test_going_back_to_what_serves_ends_the_trouble(meter: PrometheusMeter) -> None:
    good = a_bundle()
    source = ChangingSource(good)
    store = BundleStore(source, meter)
    await store.refresh()
    source.bundle = ArtefactRefused("corrupt; fetch it again")
    await store.refresh()
    source.bundle = good
    assert await store.refresh() == "unchanged"


async def test_one_refused_language_keeps_its_last_good_while_the_others_move(
    meter: PrometheusMeter,
) -> None:
    source = ChangingSource(a_bundle(["am", "sw"]))
    store = BundleStore(source, meter)
    await store.refresh()
    source.bundle = replace(a_bundle(["am"], number=2), refused={"sw": "sw@2 is corrupt"})
    assert await store.refresh() == "refused"
    assert versions(store) == {"am": "am@2", "sw": "sw@1"}
    assert store.current.refused == {"sw": "sw@2 is corrupt"}


async def test_a_refused_language_is_tried_again_until_it_is_good(meter: PrometheusMeter) -> None:
    source = ChangingSource(replace(a_bundle(["am"]), refused={"sw": "sw@1 is corrupt"}))
    store = BundleStore(source, meter)
    assert [await store.refresh() for _ in range(2)] == ["refused", "refused"]
    source.heal(a_bundle(["am", "sw"]))
    assert await store.refresh() == "swapped"
    assert versions(store) == {"am": "am@1", "sw": "sw@1"}


async def test_a_refused_language_without_a_last_good_has_no_calibration(
    meter: PrometheusMeter,
) -> None:
    bundle = replace(a_bundle(["am"]), refused={"sw": "sw@1 is corrupt"})
    store = BundleStore(ChangingSource(bundle), meter)
    assert await store.refresh() == "refused"
    assert versions(store) == {"am": "am@1"}


async def test_a_calibration_of_another_readout_is_not_carried_over(
    meter: PrometheusMeter,
) -> None:
    source = ChangingSource(a_bundle(["am", "sw"], seed=1))
    store = BundleStore(source, meter)
    await store.refresh()
    source.bundle = replace(a_bundle(["am"], seed=2), refused={"sw": "of another readout"})
    await store.refresh()
    assert versions(store) == {"am": "am@1"}


async def test_going_back_to_the_previous_readout_brings_its_calibrations_back(
    meter: PrometheusMeter,
) -> None:
    source = ChangingSource(a_bundle(["sw"], seed=1))
    store = BundleStore(source, meter)
    await store.refresh()
    source.bundle = a_bundle(["sw"], seed=2, number=2)
    await store.refresh()
    source.bundle = replace(a_bundle([], seed=1), refused={"sw": "of another readout"})
    await store.refresh()
    assert versions(store) == {"sw": "sw@1"}


async def test_a_language_that_is_no_longer_promoted_goes(meter: PrometheusMeter) -> None:
    source = ChangingSource(a_bundle(["am", "sw"]))
    store = BundleStore(source, meter)
    await store.refresh()
    source.bundle = a_bundle(["am"])
    assert await store.refresh() == "swapped"
    assert versions(store) == {"am": "am@1"}


async def test_the_self_test_may_refuse(meter: PrometheusMeter) -> None:
    source = ChangingSource(a_bundle(seed=1))
    store = BundleStore(source, meter, verify=refuse_seed_2)
    await store.refresh()
    source.bundle = a_bundle(seed=2)
    assert await store.refresh() == "refused"
    assert store.current.readout.version == "readout@1"


def refuse_seed_2(bundle: Bundle) -> None:
    if bundle.readout.version == "readout@2":
        raise ArtefactRefused("the self-test scored 0.3, 0.9 was expected; fit again")


@pytest.mark.parametrize("trouble", [KeyError("a secret prompt"), OSError("disk"), ValueError()])
async def test_an_unexpected_error_is_survived_and_not_quoted(
    trouble: Exception, meter: PrometheusMeter, caplog: pytest.LogCaptureFixture
) -> None:
    store = BundleStore(ChangingSource(trouble), meter)
    assert await store.refresh() == "refused"
    with pytest.raises(NotReady) as not_ready:
        _ = store.current
    assert type(trouble).__name__ in str(not_ready.value)
    assert "secret" not in caplog.text + str(not_ready.value)


async def test_why_nothing_is_loaded_is_said(meter: PrometheusMeter) -> None:
    source = ChangingSource(a_bundle())
    source.is_away = True
    store = BundleStore(source, meter)
    await store.refresh()
    with pytest.raises(NotReady, match="the registry is away"):
        _ = store.current


async def test_a_start_without_the_registry_serves_what_the_disk_remembers(
    meter: PrometheusMeter,
) -> None:
    source = RememberingSource(a_bundle(number=2), kept=a_bundle(number=1))
    source.is_away = True
    store = BundleStore(source, meter)
    assert await store.refresh() == "unreachable"
    assert versions(store) == {"sw": "sw@1"}
    source.is_away = False
    assert await store.refresh() == "swapped"
    assert source.kept is store.current


async def test_a_start_with_a_refused_readout_serves_what_the_disk_remembers(
    meter: PrometheusMeter,
) -> None:
    source = RememberingSource(ArtefactRefused("corrupt; fetch it again"), kept=a_bundle())
    store = BundleStore(source, meter)
    assert await store.refresh() == "refused"
    assert versions(store) == {"sw": "sw@1"}


async def test_a_start_with_one_refused_language_takes_it_from_the_disk(
    meter: PrometheusMeter,
) -> None:
    fetched = replace(a_bundle(["am"], number=2), refused={"sw": "sw@2 is corrupt"})
    store = BundleStore(RememberingSource(fetched, kept=a_bundle(["am", "sw"])), meter)
    assert await store.refresh() == "refused"
    assert versions(store) == {"am": "am@2", "sw": "sw@1"}


async def test_the_self_test_may_refuse_what_the_disk_remembers(meter: PrometheusMeter) -> None:
    source = RememberingSource(a_bundle(), kept=a_bundle(seed=2))
    source.is_away = True
    store = BundleStore(source, meter, verify=refuse_seed_2)
    assert await store.refresh() == "unreachable"
    assert not store.is_ready


async def test_thresholds_and_versions_are_gauges_and_old_series_go(
    meter: PrometheusMeter,
) -> None:
    source = ChangingSource(a_bundle(["am", "sw"]))
    store = BundleStore(source, meter)
    await store.refresh()
    source.bundle = a_bundle(["sw"], number=2)
    await store.refresh()
    info = "recal_calibration_info"
    old = {"language": "sw", "calibration_version": "sw@1", "estimator": "midpoint"}
    old["role"] = "champion"
    assert sample(meter, "recal_threshold", language="sw") == 2.0
    assert sample(meter, "recal_threshold", language="am") is None
    assert sample(meter, info, **old) is None
    assert sample(meter, info, **{**old, "calibration_version": "sw@2"}) == 1.0
    created = "recal_calibration_created_timestamp_seconds"
    made = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()
    assert sample(meter, created, language="sw", calibration_version="sw@2") == made
    assert sample(meter, created, language="sw", calibration_version="sw@1") is None


async def test_every_look_is_counted_by_its_outcome(meter: PrometheusMeter) -> None:
    source = ChangingSource(a_bundle())
    store = BundleStore(source, meter)
    await store.refresh()
    await store.refresh()
    source.is_away = True
    await store.refresh()
    for outcome in ("swapped", "unchanged", "unreachable"):
        assert sample(meter, "recal_reloads_total", outcome=outcome) == 1.0


async def test_the_registry_ages_until_it_answers(meter: PrometheusMeter) -> None:
    now = [100.0]
    source = ChangingSource(a_bundle())
    store = BundleStore(source, meter, clock=lambda: now[0])
    await store.refresh()
    assert sample(meter, "recal_registry_age_seconds") == 0.0
    source.is_away, now[0] = True, 190.0
    await store.refresh()
    assert sample(meter, "recal_registry_age_seconds") == 90.0


async def test_lasting_trouble_is_logged_once(
    meter: PrometheusMeter, caplog: pytest.LogCaptureFixture
) -> None:
    source = ChangingSource(a_bundle())
    source.is_away = True
    store = BundleStore(source, meter)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await store.refresh()
    assert len(caplog.records) == 1


async def eventually(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_so():
            await asyncio.sleep(0.005)


async def test_polling_sees_a_promotion_and_ends_when_cancelled(meter: PrometheusMeter) -> None:
    source = ChangingSource(a_bundle())
    store = BundleStore(source, meter, interval_s=0.01)
    polling = asyncio.create_task(store.poll())
    await eventually(lambda: store.is_ready)
    source.bundle = a_bundle(number=2)
    await eventually(lambda: versions(store) == {"sw": "sw@2"})
    polling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await polling


async def test_polling_outlives_trouble(meter: PrometheusMeter) -> None:
    source = ChangingSource(RuntimeError())
    store = BundleStore(source, meter, interval_s=0.01)
    polling = asyncio.create_task(store.poll())
    await eventually(lambda: source.looks > 2)
    source.bundle = a_bundle()
    await eventually(lambda: store.is_ready)
    polling.cancel()


async def test_two_looks_at_once_are_made_one_after_the_other(meter: PrometheusMeter) -> None:
    source = SlowSource(a_bundle())
    store = BundleStore(source, meter)
    await asyncio.gather(*(store.refresh() for _ in range(3)))
    assert source.most == 1


async def test_no_reader_sees_two_versions_at_once(meter: PrometheusMeter) -> None:
    source = ChangingSource(a_bundle(["am", "sw"], number=0))
    store = BundleStore(source, meter)
    await store.refresh()
    for number in range(100):
        source.bundle = a_bundle(["am", "sw"], number=number, seed=number)
        refreshing = asyncio.create_task(store.refresh())
        while not refreshing.done():
            bundle = store.current
            numbers = {c.version.split("@")[1] for c in bundle.calibrations.values()}
            assert numbers == {bundle.readout.version.split("@")[1]}
            await asyncio.sleep(0)
