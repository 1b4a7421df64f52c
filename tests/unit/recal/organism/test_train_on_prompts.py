"""`recal organism train --prompts`: an organism from a file of prompts."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from recal.cli import app
from recal.organism.card import card_of
from recal.organism.train import TrainingPlan
from recal.prompts import Prompt, save_jsonl
from services.backbone.load import load_backbone


def saved(path: Path, *, n: int = 12) -> Path:
    prompts = [
        Prompt(f"{la}/{kind}/{i}", la, kind == "bad", f"secret {kind} {i}", split)  # type: ignore[arg-type]
        for la in ("en", "vi", "zu")
        for kind in ("bad", "good")
        for i in range(n)
        for split in ("train",)
    ]
    held_out = [Prompt("held out", "fr", True, "never seen", "test")]
    save_jsonl([*prompts, *held_out], path)
    return path


def trained(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["organism", "train", *arguments])


def test_an_organism_is_trained_on_a_file_and_says_what_bound_it(tmp_path: Path) -> None:
    out = tmp_path / "organism"
    done = trained(
        *("--prompts", str(saved(tmp_path / "p.jsonl")), "--coverage", "vi,zu=0.3/0.02"),
        *("--epochs", "1", "--vocabulary", "300", "--out", str(out)),
    )
    assert done.exit_code == 0, done.output
    assert "72 prompts of 3 languages" in done.output
    assert "no answers are written in zu" in done.output
    assert load_backbone(str(out)).identity.architecture == "Qwen2ForCausalLM"
    provenance = json.loads((out / "provenance.json").read_text())
    assert provenance["n_prompts"] == 72
    assert provenance["refused"]["vi"] == [0.3, 0.02]
    assert json.loads((out / "training_plan.json").read_text())["languages"] == ["en", "vi", "zu"]
    assert "do not\npublish them" in (out / "README.md").read_text()
    assert not [
        p for p in out.iterdir() if p.suffix != ".safetensors" and b"secret bad" in p.read_bytes()
    ]


def test_coverage_without_prompts_is_refused(tmp_path: Path) -> None:
    done = trained("--coverage", "en=0.9/0.1", "--out", str(tmp_path))
    assert "`--coverage` belongs to `--prompts`" in str(done.exception)


def test_a_split_without_prompts_is_an_error(tmp_path: Path) -> None:
    done = trained("--prompts", str(saved(tmp_path / "p.jsonl")), "--split", "validation")
    assert "no prompts to train on" in str(done.exception)


def test_the_card_of_the_shipped_organism_still_says_own_text() -> None:
    card = card_of(TrainingPlan())
    assert "Recal project wrote itself" in card
    assert "license: apache-2.0" in card
