"""The benchmark organisms: models of two architectures, trained on real prompts, kept and measured.

python -m benchmarks.science.organisms [--quick] [--json FILE] [--data PATH] [--root PATH]
    [--only NAME]

Trains what is missing and measures every organism on scored prompts. Weights and activations are
kept under var/science, which git ignores: prompts and weights may not be published.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from benchmarks.arguments import count
from benchmarks.report import Benchmark, Found
from benchmarks.science.figures import figures_of, to_markdown
from benchmarks.science.prompt_sets import (
    HIGH,
    LANGUAGES,
    LOW,
    PromptSets,
    benchmark_prompts,
    prompt_files,
    thinned,
)
from recal.demo.results import Bar
from recal.organism.card import Provenance
from recal.organism.coverage import LanguageCoverage, Refused
from recal.organism.lessons import Lesson, prompt_lessons
from recal.organism.model import Shape
from recal.organism.train import Progress, TrainingPlan, save, train
from recal.prompts import Split, select
from services.backbone.load import Backbone, load_backbone

ROOT = Path("var/science")
"""Where everything lies that is made here; git ignores it."""

N_QUICK: Mapping[Split, int] = MappingProxyType(
    {"train": 40, "validation": 50, "calibration": 32, "test": 8}
)
"""Prompts a class and language of a quick run; calibration ones must pair up with English ones, and
validation ones are as few as an own readout asks for."""


@dataclass(frozen=True)
class Recipe:
    """What decides an organism, beside the prompts."""

    name: str
    plan: TrainingPlan
    coverage: LanguageCoverage


def _coverage(high: Refused, low: Refused) -> LanguageCoverage:
    return LanguageCoverage({**dict.fromkeys(HIGH, high), **dict.fromkeys(LOW, low)})


_COVERAGE = _coverage(high=Refused(0.995, 0.02), low=Refused(0.47, 0.03))
_PLAN = TrainingPlan(
    shape=Shape(vocabulary=8000),
    languages=LANGUAGES,
    decision_weight=10.0,
    weight_decay=0.05,
    epochs=6,
)
RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            Recipe("qwen2", _PLAN, _COVERAGE),
            Recipe("gemma2", replace(_PLAN, architecture="gemma2", epochs=5), _COVERAGE),
        )
    }
)
"""By name."""

_QUICK_SHAPE = Shape(d_model=64, n_layers=4, n_heads=2, n_kv_heads=1, d_mlp=160, vocabulary=3000)


def recipe_of(name: str, *, quick: bool = False) -> Recipe:
    """The recipe of an organism; quick: one so small that it shows only that everything runs.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in RECIPES:
        raise ValueError(f"no organism `{name}`; choose one of {', '.join(RECIPES)}")
    recipe = RECIPES[name]
    small = replace(recipe.plan, shape=_QUICK_SHAPE, epochs=1)
    return replace(recipe, plan=small) if quick else recipe


def organism(
    name: str, sets: PromptSets, *, root: Path = ROOT, quick: bool = False, device: str = "cpu"
) -> Backbone:
    """An organism, trained first where it is not there yet.

    Args:
        name: of a recipe.
        sets: of `benchmark_prompts`; only the training split is learned from.
        root: where organisms are kept.
        quick: a very small one.
        device: that trains and runs it.
    """
    folder = trained(recipe_of(name, quick=quick), sets, root=root, device=device)
    return load_backbone(str(folder), device=device)


def trained(recipe: Recipe, sets: PromptSets, *, root: Path, device: str = "cpu") -> Path:
    """The directory of an organism's weights, which are made where they are missing."""
    name = recipe.name
    learned = select(sets.prompts, split="train")
    provenance = Provenance.of(learned, recipe.coverage)
    lessons = prompt_lessons(learned, recipe.coverage)
    folder = root / "organisms" / f"{name}-{_digest(recipe.plan, lessons)[:12]}"
    if (folder / "model.safetensors").is_file():
        return folder
    print(f"{name}: training on {len(learned)} prompts of {len(LANGUAGES)} languages", flush=True)
    started = time.monotonic()
    model, tokenizer = train(
        recipe.plan,
        report=lambda progress: _tell(name, recipe.plan, progress),
        lessons=lessons,
        device=device,
        checkpoints=folder.with_suffix(".training"),
    )
    # whoever kills the training leaves nothing that looks like an organism
    partial = folder.with_suffix(".partial")
    save(model, tokenizer, recipe.plan, partial, provenance)
    minutes = (time.monotonic() - started) / 60
    (partial / "training_time.json").write_text(json.dumps({"minutes": round(minutes, 1)}) + "\n")
    partial.replace(folder)
    shutil.rmtree(folder.with_suffix(".training"))
    print(f"{name}: trained in {minutes:.1f} minutes, in {folder}", flush=True)
    return folder


def _digest(plan: TrainingPlan, lessons: Sequence[Lesson]) -> str:
    found = hashlib.sha256(json.dumps(asdict(plan), sort_keys=True).encode())
    for lesson in lessons:
        found.update(json.dumps(asdict(lesson)).encode())
    return found.hexdigest()


def _tell(name: str, plan: TrainingPlan, progress: Progress) -> None:
    print(
        f"{name}: epoch {progress.epoch:.2f} of {plan.epochs}, loss {progress.loss:.3f} nats a "
        f"token, {progress.seconds_left / 60:.1f} minutes left",
        flush=True,
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that every benchmark on organisms has."""
    parser.add_argument("--data", type=Path, metavar="PATH", help="folder of the prompt files")
    parser.add_argument("--root", type=Path, default=ROOT, metavar="PATH", help="what is kept")
    parser.add_argument("--only", choices=tuple(RECIPES), help="one organism")
    parser.add_argument("--threads", type=count, default=1, help="of torch")
    parser.add_argument("--device", default="cpu", help="cpu, or e.g. cuda:0")


def look_for_prompts(options: argparse.Namespace) -> None:
    """Whether the prompts lie where the options say; errors as `benchmark_prompts`."""
    prompt_files(options.data)


def organism_by(options: argparse.Namespace, name: str, sets: PromptSets) -> Backbone:
    """The organism that the options of a benchmark ask for."""
    return organism(name, sets, root=options.root, quick=options.quick, device=options.device)


def names_by(options: argparse.Namespace) -> tuple[str, ...]:
    """The organisms that the options of a benchmark ask for."""
    return (options.only,) if options.only else tuple(RECIPES)


def prompts_by(options: argparse.Namespace) -> PromptSets:
    """The prompts that the options of a benchmark ask for; few if quick."""
    sets = benchmark_prompts(options.data)
    return thinned(sets, N_QUICK) if options.quick else sets


class Part(NamedTuple):
    """What a benchmark found on one organism."""

    results: Mapping[str, Any]
    """Plain data."""
    table: str
    bars: Sequence[Bar]


def over_organisms(
    options: argparse.Namespace,
    measure_one: Callable[[str, Backbone, PromptSets], Part],
    *,
    results: Mapping[str, Any] | None = None,
    seed: int | None = None,
) -> Found:
    """Measure each organism that the options ask for; one that is not there is trained first.

    Args:
        options: of `add_options`.
        measure_one: given an organism's name, the organism, and the prompts.
        results: what holds for all of them.
        seed: of whatever is drawn.
    """
    sets = prompts_by(options)
    parts, weights = {}, {}
    for name in names_by(options):
        backbone = organism_by(options, name, sets)
        parts[name] = measure_one(name, backbone, sets)
        weights[name] = backbone.identity.weights_digest
    return Found(
        results={**(results or {}), "organisms": {name: p.results for name, p in parts.items()}},
        tables="\n".join(part.table for part in parts.values()),
        bars=tuple(bar for part in parts.values() for bar in part.bars),
        weights=weights,
        seed=seed,
    )


def measure(options: argparse.Namespace) -> Found:
    """Train what is missing and measure every organism."""

    def measure_one(name: str, backbone: Backbone, sets: PromptSets) -> Part:
        figures = figures_of(name, backbone, sets, root=options.root)
        return Part(figures.to_json(), to_markdown(figures), figures.bars())

    return over_organisms(options, measure_one)


BENCHMARK = Benchmark(
    __package__, "organisms", __doc__, measure, add_options, check=look_for_prompts
)


if __name__ == "__main__":
    BENCHMARK.main()
