from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from services.backbone.load import Backbone, load_backbone
from services.composition import (
    bundle_source,
    front_door_language_id,
    load_fused,
    load_gate,
    notice_of,
    policy_of,
    refuse_unread_block,
    request_limits,
)
from services.domain import (
    FinishReason,
    GateRequest,
    LanguageGuess,
    Reason,
    Sampling,
    TextChunk,
)
from services.errors import ArtefactRefused, NotReady
from services.gate.policy import Outcome
from services.generation.engine import EngineLimits, engine_limits
from services.generation.monitor import monitors_of
from services.readout.artefact import save_calibration, save_readout
from services.readout.bundle import Readout
from services.readout.references import References
from services.readout.signature import PUBLIC_KEY, new_keys
from services.settings import (
    BackboneSettings,
    EdgeSettings,
    GenerationSettings,
    MonitorSettings,
    OverrideSettings,
    PolicySettings,
    RegistrySettings,
    ServeSettings,
    Settings,
    SettingsError,
)
from services.telemetry import PrometheusMeter
from tests.behind import FakeLanguageId
from tests.unit.services.readout.factories import saved_readout
from tests.unit.services.tiny import tiny_bundle, tiny_calibration, tiny_readout


def of_two_places(backbone: Backbone, *layers: int) -> Readout:
    """A readout that reads the last token of each of these layers."""
    parts = [tiny_readout(backbone, layer=layer).parts[0] for layer in layers]
    return replace(tiny_readout(backbone), parts=tuple(parts))


async def test_the_gate_loads_the_blocks_up_to_the_deepest_that_is_read_and_runs_them_once(
    checkpoints: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    whole = load_backbone(str(checkpoints["llama"]))
    saved = save_readout(of_two_places(whole, 2, 0), tmp_path / "readout")
    save_calibration(tiny_calibration(saved, "sw"), tmp_path / "calibrations" / "sw")
    settings = Settings(
        backbone=BackboneSettings(name_or_path=str(checkpoints["llama"])),
        registry=RegistrySettings(source="directory", directory=tmp_path),
    )
    with caplog.at_level(logging.INFO):
        gate = await load_gate(settings, PrometheusMeter())
    warmed = [r.getMessage() for r in caplog.records if r.getMessage().startswith("warm-up:")]
    assert [words.split(" in ")[0] for words in warmed] == [
        "warm-up: 1 prompts",
        "warm-up: 16 prompts",
    ]
    reading = await gate.service.check(
        GateRequest("jinsi ya kuoka mkate", LanguageGuess("sw", 0.9))
    )
    await gate.service.close()
    assert reading.verdict.reason is Reason.SCORE
    with pytest.raises(ArtefactRefused, match=r"only blocks 0\.\.2 are loaded"):
        refuse_unread_block(tiny_bundle(of_two_places(whole, 3, 0)), n_blocks=3)


def test_a_readout_is_refused_for_its_deepest_block_wherever_that_stands(
    backbones: dict[str, Backbone],
):
    bundle = tiny_bundle(of_two_places(backbones["qwen2"], 3, 1))
    with pytest.raises(ArtefactRefused, match="reads block 3"):
        refuse_unread_block(bundle, n_blocks=3)
    refuse_unread_block(bundle, n_blocks=4)


def directory_with(tmp_path: Path, **registry: object) -> Settings:
    section = {"source": "directory", "directory": tmp_path / "artefacts", **registry}
    return Settings(registry=RegistrySettings(**section))  # type: ignore[arg-type]


def test_a_trusted_key_in_the_settings_demands_signatures_unless_they_say_otherwise(
    tmp_path: Path,
):
    new_keys(tmp_path)
    saved_readout(tmp_path / "artefacts" / "readout")
    bundle_source(directory_with(tmp_path), None).fetch()
    trusting = {"trusted_keys": [tmp_path / PUBLIC_KEY]}
    with pytest.raises(ArtefactRefused, match="is not signed"):
        bundle_source(directory_with(tmp_path, **trusting), None).fetch()
    bundle_source(directory_with(tmp_path, **trusting, require_signature=False), None).fetch()


def test_a_trusted_key_that_cannot_be_read_stops_the_start(tmp_path: Path):
    settings = directory_with(tmp_path, trusted_keys=[tmp_path / PUBLIC_KEY])
    with pytest.raises(SettingsError, match="`registry.trusted_keys`: the key .* cannot be read"):
        bundle_source(settings, None)


async def test_a_readout_without_a_monitors_threshold_does_not_serve_where_answers_are_monitored(
    checkpoints: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    whole = load_backbone(str(checkpoints["llama"]))
    saved = save_readout(tiny_readout(whole), tmp_path / "readout")
    untouched = tiny_calibration(saved, "sw", steer=1e6, release=None)
    save_calibration(untouched, tmp_path / "calibrations" / "sw")
    settings = Settings(
        backbone=BackboneSettings(name_or_path=str(checkpoints["llama"])),
        registry=RegistrySettings(source="directory", directory=tmp_path),
    )
    ready = []
    for digest in ("f" * 12, saved.digest[:12]):
        section = GenerationSettings(monitor=MonitorSettings(thresholds={digest: -1e6}, every=2))
        served = await load_fused(
            settings.model_copy(update={"generation": section}), PrometheusMeter()
        )
        ready.append(served.store.is_ready)
        if served.store.is_ready:
            asked = GateRequest("jinsi ya kuoka mkate", LanguageGuess("sw", 0.9))
            *_, last = [f async for f in served.fused.generate(asked, Sampling(max_tokens=6))]
            assert isinstance(last, TextChunk)
            assert last.finish is FinishReason.MONITOR
        await served.close()
    assert ready == [False, True]
    assert "`generation.monitor.thresholds` has none for readout" in caplog.text


def test_nobody_looks_at_answers_unless_it_is_set_and_something_is_generated():
    section = GenerationSettings(monitor=MonitorSettings(thresholds={"ab" * 6: 1.5}))
    assert monitors_of(Settings()) is None
    assert monitors_of(Settings(generation=section)) is not None
    assert monitors_of(Settings(generation=section, mode="sidecar")) is None


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


def test_limits_of_the_engine_are_those_of_the_settings_and_by_default_its_own():
    section = GenerationSettings(
        max_batch=3, max_queue=4, prefill_chunk=50, max_deciding_tokens=60, cache_gib=0.5
    )
    assert engine_limits(Settings(generation=section)) == EngineLimits(
        max_rows=3,
        max_waiting=4,
        max_prefill_tokens=50,
        max_deciding_tokens=60,
        max_cache_bytes=2**29,
    )
    assert engine_limits(Settings()) == EngineLimits()


def test_the_organism_never_goes_without_its_notice():
    assert "not a production model" in notice_of(Settings())
    real = BackboneSettings(name_or_path="Qwen/Qwen2.5-7B-Instruct")
    assert notice_of(Settings(backbone=real)) == ""


async def test_the_front_door_names_languages_itself_unless_it_is_told_to_ask():
    asked = FakeLanguageId()
    inside = front_door_language_id(Settings(), lambda: pytest.fail("it asked"))
    assert (await inside.identify("How do I bake a loaf of bread at home?")).language == "en"
    outside = Settings(serve=ServeSettings(language_id_inside=False))
    assert front_door_language_id(outside, lambda: asked) is asked


async def test_a_gate_refuses_a_readout_whose_stored_activations_it_scores_otherwise(
    checkpoints: dict[str, Path], tmp_path: Path
):
    whole = load_backbone(str(checkpoints["llama"]))
    made = tiny_readout(whole)
    rows = torch.randn(2, 1, whole.identity.d_model, generator=torch.Generator().manual_seed(1))
    scores = made.score(rows).tolist()
    settings = Settings(
        backbone=BackboneSettings(name_or_path=str(checkpoints["llama"])),
        registry=RegistrySettings(source="directory", directory=tmp_path),
    )
    for wrong, ready in ((0.0, True), (0.5, False)):
        references = References(rows, (scores[0], scores[1] + wrong))
        save_readout(replace(made, references=references), tmp_path / "readout")
        service, store = await load_gate(settings, PrometheusMeter())
        await service.close()
        assert store.is_ready is ready
    with pytest.raises(NotReady, match="scores its reference activation 1 as"):
        _ = store.current
