from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from services.backbone.load import load_backbone
from services.domain import (
    Action,
    FinishReason,
    GateRequest,
    Intervention,
    LanguageGuess,
    MonitorStop,
    Reason,
    Sampling,
)
from services.errors import PromptTooLong
from services.pb import recal_pb2 as pb
from services.pb import recal_pb2_grpc as pb_grpc
from services.readout.artefact import load_readout, save_calibration, save_readout
from services.rpc.stubs import FusedStub, GateStub, GenerationStub, LanguageIdStub
from services.settings import (
    BackboneSettings,
    GenerationSettings,
    MonitorSettings,
    RegistrySettings,
    ServeSettings,
    Settings,
    SettingsError,
)
from services.telemetry import INNER_STAGES, STAGES
from services.wire.methods import RECAL
from tests.unit.services.tiny import build_checkpoint, tiny_calibration, tiny_readout

pytestmark = pytest.mark.serve
PROMPT = "How do I bake a loaf of bread at home without an oven?"
ENGLISH = LanguageGuess("en", 0.9)
_in_order = STAGES.index


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return build_checkpoint("qwen2", tmp_path_factory.mktemp("real") / "tiny")


def settings_for(checkpoint: Path, directory: Path, *, steer: float, **more: Any) -> Settings:
    """Of a line whose English is steered above a score."""
    readout = save_readout(tiny_readout(load_backbone(str(checkpoint))), directory / "readout")
    calibration = tiny_calibration(readout, "en", steer=steer, release=None)
    save_calibration(calibration, directory / "calibrations" / "en")
    return Settings(
        backbone=BackboneSettings(name_or_path=str(checkpoint)),
        registry=RegistrySettings(source="directory", directory=directory),
        serve=ServeSettings(drain_s=1.0),
        **more,
    )


@pytest.fixture(scope="module")
def settings(checkpoint, tmp_path_factory) -> Settings:
    return settings_for(checkpoint, tmp_path_factory.mktemp("steering"), steer=-1e6)


@pytest.fixture(scope="module")
def watchful(checkpoint, tmp_path_factory) -> Settings:
    """Steers nothing, and withdraws every answer at the monitor's first look."""
    directory = tmp_path_factory.mktemp("watchful")
    calm = settings_for(checkpoint, directory, steer=1e6, mode="fused")
    digest = load_readout(directory / "readout").digest
    monitor = MonitorSettings(thresholds={digest: -1e6}, every=4)
    return calm.model_copy(update={"generation": GenerationSettings(monitor=monitor)})


@pytest.fixture(scope="module")
def deployed(cluster, settings: Settings, watchful: Settings):
    """The real applications beside the scripted ones, under names of their own."""
    from ray import serve

    from services.on_ray import app
    from services.on_ray.application import application
    from services.on_ray.deployments import RecalDeployment
    from tests.serve.scripted import load_fused_front

    applications = {
        "language-id": app.language_id_application(settings),
        "gate": app.gate_application(settings),
        "generation": app.generation_application(settings),
        "fused": app.gate_application(settings.model_copy(update={"mode": "fused"})),
        "watchful": app.gate_application(watchful),
        "front": application(RECAL, RecalDeployment, load_fused_front, settings, replicas=1),
    }
    serve.run_many(
        [
            serve.RunTarget(application, name=f"real-{name}", route_prefix=f"/real-{name}")
            for name, application in applications.items()
        ]
    )
    yield
    for name in applications:
        serve.delete(f"real-{name}")


async def test_language_id_gate_and_generation_work_in_replicas(deployed, channel):
    language_id = LanguageIdStub(channel, application="real-language-id")
    gate = GateStub(channel, application="real-gate")
    generation = GenerationStub(channel, application="real-generation")
    guess = await language_id.identify(PROMPT)
    assert guess.language == "en"
    reading = await gate.check(GateRequest(PROMPT, guess), timeout_s=30)
    assert (reading.verdict.action, reading.verdict.reason) == (Action.STEER, Reason.SCORE)
    assert [reading] == await gate.batch_check([GateRequest(PROMPT, guess)])
    description = await gate.describe()
    assert description.readout_version == reading.verdict.readout_version
    edit = Intervention(Action.STEER, reading.verdict.readout_version)
    chunks = [c async for c in generation.generate(PROMPT, edit, Sampling(max_tokens=8))]
    assert chunks[-1].finish is not None
    assert chunks[-1].n_prompt_tokens == reading.n_prompt_tokens
    assert tuple(INNER_STAGES["gate"]) == tuple(sorted(reading.timings_s, key=_in_order))
    assert tuple(INNER_STAGES["generation"]) == tuple(sorted(chunks[-1].timings_s, key=_in_order))


async def test_gate_and_generation_in_one_replica_decide_and_answer_as_two_do(deployed, channel):
    fused, gate = (kind(channel, application="real-fused") for kind in (FusedStub, GateStub))
    generation = GenerationStub(channel, application="real-generation")
    asked, sampling = GateRequest(PROMPT, ENGLISH), Sampling(max_tokens=8)
    reading, *chunks = [frame async for frame in fused.generate(asked, sampling)]
    apart = await GateStub(channel, application="real-gate").check(GateRequest(PROMPT, ENGLISH))
    assert reading.verdict.score == pytest.approx(apart.verdict.score, rel=1e-5)
    assert reading.verdict.action is apart.verdict.action is Action.STEER
    assert (await gate.check(GateRequest(PROMPT, ENGLISH))).verdict.score == pytest.approx(
        reading.verdict.score, rel=1e-5
    )
    edit = Intervention(Action.STEER, reading.verdict.readout_version)
    told = [c async for c in generation.generate(PROMPT, edit, sampling)]
    assert "".join(c.text for c in chunks) == "".join(c.text for c in told)
    assert chunks[-1].finish is told[-1].finish


async def test_an_answer_that_the_monitor_withdraws_says_so_through_serve(deployed, channel):
    fused = FusedStub(channel, application="real-watchful")
    frames = fused.generate(GateRequest(PROMPT, ENGLISH), Sampling(max_tokens=20))
    reading, *chunks = [frame async for frame in frames]
    assert reading.verdict.action is Action.NONE
    assert (chunks[-1].finish, chunks[-1].withdrawn_by) == (
        FinishReason.MONITOR,
        MonitorStop.SCORE,
    )
    assert "".join(each.text for each in chunks) == ""


async def test_a_front_door_over_the_fused_handle_answers_and_errors_keep_their_class(
    deployed, channel
):
    def frames(prompt: str):
        request = pb.RecalGenerateRequest(prompt=prompt, sampling=pb.Sampling(max_tokens=4))
        metadata = (("application", "real-front"),)
        return pb_grpc.RecalStub(channel).Generate(request, metadata=metadata, timeout=30)

    verdict, *_, usage = [frame async for frame in frames(PROMPT)]
    assert verdict.verdict.action == pb.ACTION_STEER
    assert usage.usage.n_generated_tokens > 0
    assert set(usage.usage.timings_s) <= set(STAGES)
    assert {"gate", "first_token", "generation", "total"} <= set(usage.usage.timings_s)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        _ = [frame async for frame in frames(PROMPT * 40)]
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "PromptTooLong" in (raised.value.details() or "")


async def test_a_prompt_over_the_context_is_refused_by_tokens(deployed, channel):
    gate = GateStub(channel, application="real-gate")
    with pytest.raises(PromptTooLong, match="tokens"):
        await gate.check(GateRequest(PROMPT * 40, ENGLISH))


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        ("split", ["language-id", "gate", "generation", "recal"]),
        ("fused", ["language-id", "gate", "recal"]),
        ("sidecar", ["language-id", "gate", "recal"]),
    ],
)
def test_each_mode_has_its_applications(cluster, mode, names):
    from services.on_ray import app
    from services.on_ray.launch import default_applications

    settings = Settings(mode=mode)
    assert list(default_applications(settings)) == names
    if mode != "split":
        with pytest.raises(SettingsError, match=f"mode `{mode}` has no application `generation`"):
            app.generation_application(settings)


def test_every_application_is_built_from_a_config_file_by_its_import_path(cluster, tmp_path):
    from services.on_ray import app

    config = Path(tmp_path / "recal.yaml")
    config.write_text("serve: {gate_replicas: 2}\n", encoding="utf-8")
    for build in (app.language_id, app.gate, app.generation, app.recal):
        assert build({"config": str(config)}) is not None
