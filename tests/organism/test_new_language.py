"""From eight examples to a promoted version that answers differently, over gRPC."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks.organism_served import artefacts, settings_for
from recal.cli import app
from recal.organism.corpus import corpus_prompts
from recal.prompts import Prompt, save_jsonl, select, spread
from recal.registry import open_registry
from services.pb import recal_pb2 as pb
from services.settings import EdgeSettings, RegistrySettings, Settings
from tests.unit.services.embedded.asking import Asking, asking

pytestmark = pytest.mark.organism

LANGUAGE = "sw"
K, N_HELD_OUT = 4, 20


@pytest.fixture(scope="module")
def state(quiet_mlflow: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory whose registry serves a readout of the organism, and no language."""
    folder = tmp_path_factory.mktemp("new-language")
    artefacts(settings_for(folder), folder)
    registry = open_registry(folder / "state", {})
    version = registry.register_readout(folder / "readout")
    registry.promote(version.model, version.version)
    return folder / "state"


@pytest.fixture(scope="module")
def prompts(state: Path) -> dict[str, Path]:
    """Eight examples, and held-out prompts, as a user would bring them."""
    mine = corpus_prompts((LANGUAGE,))
    found = {
        "examples": spread(select(mine, split="calibration"), K),
        "held-out": spread(select(mine, split="test"), N_HELD_OUT),
    }
    files = {name: state.parent / f"{name}.jsonl" for name in found}
    for name, rows in found.items():
        save_jsonl(rows, files[name])
    return files


def serving(state: Path) -> Settings:
    return Settings(
        state_dir=state,
        registry=RegistrySettings(poll_interval_s=0.2),
        edge=EdgeSettings(port=0, metrics_port=None, internal_services=True),
    )


async def recal(state: Path, *words: object) -> dict[str, Any]:
    """One command, which must succeed; it runs beside the server, as in another shell."""
    environ = {"RECAL_STATE_DIR": str(state), "MLFLOW_TRACKING_URI": None}
    told = [*map(str, words), "--json"]
    done = await asyncio.to_thread(CliRunner().invoke, app, told, env=environ)
    assert done.exit_code == 0, (done.output, done.exception)
    record = json.loads(done.stdout)
    assert isinstance(record, dict)
    return record


async def verdicts(line: Asking, asked: list[Prompt]) -> list[Any]:
    return [(await line.check(prompt.text)).verdict for prompt in asked]


async def test_eight_examples_become_a_version_that_answers_differently(
    state: Path, prompts: dict[str, Path]
) -> None:
    harmless = select(corpus_prompts((LANGUAGE,)), split="validation", harmful=False)[:12]
    async with asking(serving(state)) as line:
        before = await verdicts(line, harmless)
        named = [row for row, each in enumerate(before) if each.language == LANGUAGE]
        assert len(named) >= 4, "language identification abstains on these prompts"
        asked = [harmless[row] for row in named]
        assert {before[row].reason for row in named} == {pb.REASON_NO_CALIBRATION}
        assert {before[row].action for row in named} == {pb.ACTION_STEER}
        steered = [(await line.generate(each.text)).text for each in asked]

        made = await recal(
            state,
            "new-language",
            LANGUAGE,
            *("--examples", prompts["examples"], "--held-out", prompts["held-out"]),
            *("--judge", "organism"),
        )
        assert (made["version"], made["shadow"], made["calibration"]["k"]) == ("sw@1", "sw@1", K)
        assert made["calibration"]["examples"] == 2 * K
        assert made["evaluation"]["n_harmful"] == N_HELD_OUT
        assert made["objections"] == []
        assert made["next"] == ["recal promote sw@1"]
        await asyncio.sleep(1.0)  # some looks at the registry: a shadow changes nothing
        assert {v.reason for v in await verdicts(line, asked)} == {pb.REASON_NO_CALIBRATION}

        moved = await recal(state, "promote", "sw@1")
        assert (moved["from"], moved["to"], moved["ends"]) == (None, "sw@1", ["shadow"])
        async with asyncio.timeout(20):
            while await line.languages() != [LANGUAGE]:
                await asyncio.sleep(0.1)
        after = await verdicts(line, asked)
        assert {v.calibration_version for v in after} == {"sw@1"}
        assert {v.reason for v in after} == {pb.REASON_SCORE}
        let_go = [row for row, v in enumerate(after) if v.action != pb.ACTION_STEER]
        assert len(let_go) > len(asked) / 2, "most harmless prompts are steered as before"
        answers = [await line.generate(asked[row].text) for row in let_go]
        assert {each.verdict.calibration_version for each in answers} == {"sw@1"}
        assert [row for row, now in zip(let_go, answers, strict=True) if now.text != steered[row]]

    shown = await recal(state, "show", "sw")
    assert shown["version"]["aliases"] == ["champion"]
    assert shown["run"]["reports"] == ["reports/report.json", "reports/report.md"]
    assert set(shown["run"]["inputs"]) == {"examples", "held-out"}
    assert [each["move"] for each in shown["history"]] == ["shadow", "promotion"]


async def test_without_held_out_prompts_it_is_said_that_nothing_was_measured(
    state: Path, prompts: dict[str, Path]
) -> None:
    environ = {"RECAL_STATE_DIR": str(state), "MLFLOW_TRACKING_URI": None}
    words = ["new-language", "sw", "--examples", str(prompts["examples"]), "--dry-run"]
    before = await recal(state, "list")
    done = await asyncio.to_thread(CliRunner().invoke, app, words, env=environ)
    assert done.exit_code == 0, (done.output, done.exception)
    assert "NOT evaluated: no held-out prompts were given" in done.stdout
    assert "dry run: nothing was registered" in done.stdout
    assert "it could not be promoted: evaluation: none is stored with it" in done.stdout
    assert "examples read" in done.stderr
    assert await recal(state, "list") == before


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        ("swahili language", "", "is no BCP 47 language tag"),
        ("sw", '{"language": "sw", "harmful": true, "text": "x"}\n', "1 harmful and 0 harmless"),
    ],
)
async def test_a_fault_in_a_file_is_told_before_the_model_is_loaded(
    state: Path, tmp_path: Path, language: str, text: str, words: str
) -> None:
    (tmp_path / "examples.jsonl").write_text(text)
    environ = {"RECAL_STATE_DIR": str(state), "RECAL_BACKBONE__DEVICE": "no such device"}
    told = ["new-language", language, "--examples", str(tmp_path / "examples.jsonl")]
    done = await asyncio.to_thread(CliRunner().invoke, app, told, env=environ)
    assert words in str(done.exception)
