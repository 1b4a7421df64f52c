"""Organisms are trained once, on training prompts alone, and kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.science.figures import LanguageFigures, OrganismFigures, to_markdown
from benchmarks.science.organisms import RECIPES, Recipe, recipe_of, trained
from benchmarks.science.prompt_sets import HIGH, LANGUAGES, LOW, PromptSets, benchmark_prompts
from recal.organism.model import Shape
from recal.prompts import select
from services.backbone.load import load_backbone
from tests.unit.benchmarks.science.made_up import rows, write

TINY = Shape(d_model=16, n_layers=1, n_heads=1, n_kv_heads=1, d_mlp=24, vocabulary=320)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> PromptSets:
    return benchmark_prompts(write(tmp_path_factory.mktemp("files"), rows(10)))


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    known = recipe_of("gemma2")
    return replace(known, plan=replace(known.plan, shape=TINY, epochs=1))


@pytest.fixture(scope="module")
def root(sets: PromptSets, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("science")
    trained(recipe, sets, root=root)
    return root


def test_an_organism_is_trained_on_the_training_split_alone(
    sets: PromptSets, recipe: Recipe, root: Path
) -> None:
    folder = trained(recipe, sets, root=root)
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["n_prompts"] == len(select(sets.prompts, split="train"))
    assert load_backbone(str(folder)).identity.architecture == "Gemma2ForCausalLM"


def test_an_organism_that_is_there_is_not_trained_again(
    sets: PromptSets, recipe: Recipe, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(recipe, sets, root=root)
    assert capsys.readouterr().out == ""
    assert len(list((root / "organisms").iterdir())) == 1


def test_another_recipe_or_other_prompts_make_another_organism(
    sets: PromptSets, recipe: Recipe, root: Path
) -> None:
    fewer = replace(sets, prompts=tuple(select(sets.prompts, split="train")[1:]))
    more_steps = replace(recipe, plan=replace(recipe.plan, seed=1))
    folders = {
        trained(recipe, sets, root=root),
        trained(more_steps, sets, root=root),
        trained(recipe, fewer, root=root),
    }
    assert len(folders) == 3


def test_a_training_that_was_killed_leaves_no_organism(
    sets: PromptSets, recipe: Recipe, tmp_path: Path, root: Path
) -> None:
    folder = tmp_path / "organisms" / trained(recipe, sets, root=root).name
    folder.with_suffix(".partial").mkdir(parents=True)
    assert trained(recipe, sets, root=tmp_path) == folder
    assert (folder / "model.safetensors").is_file()


def test_every_language_has_coverage_and_the_low_ones_thin() -> None:
    for recipe in RECIPES.values():
        refused = recipe.coverage.refused
        assert set(refused) == set(LANGUAGES) == set(recipe.plan.languages)
        assert (
            max(refused[la].harmful for la in LOW) < 0.5 < min(refused[la].harmful for la in HIGH)
        )


def test_an_unknown_organism_is_named() -> None:
    with pytest.raises(ValueError, match="no organism `gpt9`"):
        recipe_of("gpt9")


def figures(**low: float) -> OrganismFigures:
    known = LanguageFigures("high", 9, 9, 90.0, 5.0, 0.0, 0.95, 0.8, 0.9, 0.9, 80.0, 0.5)
    thin = replace(known, tier="low", harmful_refusal=20.0, auc=0.9)
    languages = {**dict.fromkeys(HIGH, known), **dict.fromkeys(LOW, thin)}
    for name, refusal in low.items():
        languages[name] = replace(languages[name], harmful_refusal=refusal, auc=None)
    return OrganismFigures("x", "0", 4, languages)


def test_bars_are_held_against_the_worst_language() -> None:
    assert all(bar.met for bar in figures().bars())
    missed = figures(de=80.0, yo=60.0).bars()
    assert not any(bar.met for bar in missed)
    assert [bar.measured for bar in missed] == [
        "least in `de`, 80 %",
        "most in `yo`, 60 %",
        "least in `yo`, 0.000",
    ]


def test_a_language_without_scored_harmless_prompts_has_dashes() -> None:
    table = to_markdown(figures(zh=90.0))
    assert "| zh | 9 + 9 | 90 | 5 | – |" in table
    assert "| en | 9 + 9 | 90 | 5 | 0.950 |" in table
