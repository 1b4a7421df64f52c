from __future__ import annotations

from pathlib import Path

import pytest

from services.backbone.load import load_backbone
from services.domain import Action, GateRequest, Intervention, LanguageGuess, Reason, Sampling
from services.errors import PromptTooLong
from services.readout.artefact import save_calibration, save_readout
from services.rpc.stubs import GateStub, GenerationStub, LanguageIdStub
from services.settings import BackboneSettings, RegistrySettings, ServeSettings, Settings
from tests.unit.services.tiny import build_checkpoint, tiny_calibration, tiny_readout

pytestmark = pytest.mark.serve
PROMPT = "How do I bake a loaf of bread at home without an oven?"
ENGLISH = LanguageGuess("en", 0.9)


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    directory = tmp_path_factory.mktemp("real")
    checkpoint = build_checkpoint("qwen2", directory / "tiny")
    readout = save_readout(tiny_readout(load_backbone(str(checkpoint))), directory / "readout")
    calibration = tiny_calibration(readout, "en", steer=-1e6, release=None)
    save_calibration(calibration, directory / "calibrations" / "en")
    return Settings(
        backbone=BackboneSettings(name_or_path=str(checkpoint)),
        registry=RegistrySettings(source="directory", directory=directory),
        serve=ServeSettings(drain_s=1.0),
    )


@pytest.fixture(scope="module")
def deployed(cluster, settings: Settings):
    """The real applications beside the scripted ones, under names of their own."""
    from ray import serve

    from services.on_ray import app

    applications = {
        "language-id": app.language_id_application(settings),
        "gate": app.gate_application(settings),
        "generation": app.generation_application(settings),
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
    reading = await gate.check(PROMPT, guess, timeout_s=30)
    assert (reading.verdict.action, reading.verdict.reason) == (Action.STEER, Reason.SCORE)
    assert [reading] == await gate.batch_check([GateRequest(PROMPT, guess)])
    description = await gate.describe()
    assert description.readout_version == reading.verdict.readout_version
    edit = Intervention(Action.STEER, reading.verdict.readout_version)
    chunks = [c async for c in generation.generate(PROMPT, edit, Sampling(max_tokens=8))]
    assert chunks[-1].finish is not None
    assert chunks[-1].n_prompt_tokens == reading.n_prompt_tokens


async def test_a_prompt_over_the_context_is_refused_by_tokens(deployed, channel):
    gate = GateStub(channel, application="real-gate")
    with pytest.raises(PromptTooLong, match="tokens"):
        await gate.check(PROMPT * 40, ENGLISH)


def test_every_application_is_built_from_a_config_file_by_its_import_path(cluster, tmp_path):
    from services.on_ray import app

    config = Path(tmp_path / "recal.yaml")
    config.write_text("serve: {gate_replicas: 2}\n", encoding="utf-8")
    for build in (app.language_id, app.gate, app.generation, app.recal):
        assert build({"config": str(config)}) is not None
