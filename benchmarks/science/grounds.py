"""What readouts and their fallbacks are compared on: organisms, read, and readouts to compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch

from benchmarks.science.prompt_sets import LOW as LOW_OF_BENCHMARK
from benchmarks.science.prompt_sets import PromptSets
from benchmarks.science.reading import FITTED_ON, read
from recal.choose import choose
from recal.collect import Activations, collect
from recal.direction_readout import fit_direction
from recal.fit import Candidate, FitPlan, fit
from recal.languages import HIGH, LOW, MID
from recal.organism.corpus import corpus_prompts
from recal.prompts import Split, fewest, select, spread
from services.backbone.load import Backbone, load_backbone
from services.readout.bundle import BackboneIdentity, Readout, Steering
from services.readout.place import Place
from services.settings import ORGANISM

N_LEARNED = 96
"""Training prompts a class and language of readouts that are fitted on these; as `recal fit`."""
SEED = 0
"""Of the first shuffle of labels."""
SHIPPED = "shipped"
_N_SHIPPED: Mapping[Split, int] = MappingProxyType(
    {"train": N_LEARNED, "validation": 52, "calibration": 54, "test": 93, "heldout": 144}
)
_N_SHIPPED_QUICK = 26


@dataclass(frozen=True, eq=False)
class Ground:
    """One organism, read, with the languages that fit a readout and those that it meets."""

    name: str
    identity: BackboneIdentity
    plan: FitPlan
    languages: tuple[str, ...]
    """That choose between the readouts."""
    unseen: Activations
    """What a readout should be fitted on: the organism did not learn it."""
    learned: Activations
    """What it knows by heart."""
    calibration: Activations
    """Few-shot examples and, without their labels, the prompts that both readouts decide."""
    scored: Mapping[str, Activations]
    """By the name of their split."""

    @cached_property
    def single(self) -> Candidate:
        """The best single place, with the whole span of directions: the paper's rank."""
        tried = [each for each in choose(self.unseen, self.plan).tried if len(each.members) == 1]
        place = max(tried, key=lambda each: each.transfer).members[0].place
        return Candidate(place, len(self.plan.source_languages))

    def readout(
        self,
        given: Activations,
        chosen: Sequence[Candidate],
        *,
        fallback: Activations | None = None,
        plan: FitPlan | None = None,
    ) -> Readout:
        """A readout with its direction beside it, as `recal fit` keeps it; steering is no part."""
        plan = plan or self.plan
        made = fit(
            given,
            self.identity,
            chosen=chosen,
            steering=no_steering(self.identity.d_model),
            plan=plan,
            provenance={},
        )
        kept = fit_direction(given if fallback is None else fallback, chosen, plan)
        return replace(made, fallback=kept, digest="0" * 64, version="benchmark")


def no_steering(d_model: int) -> Steering:
    """A steering that moves nothing, for readouts of which only scores are asked."""
    direction = torch.zeros(d_model)
    direction[0] = 1.0
    return Steering(direction, layer=0, coefficient=0.0, typical_norm=1.0)


def searched(ground: Ground) -> Readout:
    """As `recal fit` chooses it."""
    return ground.readout(ground.unseen, choose(ground.unseen, ground.plan).members)


def whole_span(ground: Ground) -> Readout:
    """The best single place, at full rank."""
    return ground.readout(ground.unseen, [ground.single])


def papers_probe(ground: Ground) -> Readout:
    """The released probe at the same place."""
    plan = replace(ground.plan, method="paper")
    return ground.readout(ground.unseen, [ground.single], plan=plan)


def searched_on_learned(ground: Ground) -> Readout:
    """As `recal fit` chooses it, of prompts that the organism knows by heart."""
    return ground.readout(ground.learned, choose(ground.learned, ground.plan).members)


def whole_span_on_learned(ground: Ground) -> Readout:
    """The best single place at full rank, of prompts that the organism knows by heart."""
    return ground.readout(ground.learned, [ground.single])


def at_place_on_learned(ground: Ground, place: Place) -> Readout:
    """One place, chosen by nothing, at full rank, of prompts that the organism knows by heart."""
    return ground.readout(ground.learned, [Candidate(place, len(ground.plan.source_languages))])


def frozen_broken(ground: Ground, seed: int = SEED) -> Readout:
    """Weights of shuffled labels, beside a sound direction."""
    return ground.readout(shuffled(ground.unseen, seed), [ground.single], fallback=ground.unseen)


def fallback_broken(ground: Ground, seed: int = SEED) -> Readout:
    """Sound weights, beside a direction of shuffled labels."""
    return ground.readout(ground.unseen, [ground.single], fallback=shuffled(ground.unseen, seed))


def shuffled(activations: Activations, seed: int) -> Activations:
    """Labels drawn from one another within each language."""
    rng = np.random.default_rng(seed)
    prompts = list(activations.prompts)
    for language in dict.fromkeys(p.language for p in prompts):
        rows = [i for i, p in enumerate(prompts) if p.language == language]
        labels = rng.permutation([prompts[i].harmful for i in rows])
        for i, label in zip(rows, labels, strict=True):
            prompts[i] = replace(prompts[i], harmful=bool(label))
    return replace(activations, prompts=tuple(prompts))


def in_memory(activations: Activations) -> Activations:
    """What was collected, read from disk once."""
    read = [
        np.stack([activations.at(layer, reading=each) for each in activations.readings], axis=1)
        for layer in activations.layers
    ]
    return replace(activations, residuals=np.stack(read, axis=1).astype(np.float32))


def thinned(activations: Activations, n: int) -> Activations:
    """At most n prompts of each language and class, the same meanings in all."""
    kept = {id(p) for p in spread(activations.prompts, min(n, fewest(activations.prompts)))}
    return activations.subset([i for i, p in enumerate(activations.prompts) if id(p) in kept])


def of_benchmark(name: str, backbone: Backbone, sets: PromptSets, root: Path) -> Ground:
    """An organism that was trained on real prompts."""
    reading = read(name, backbone, sets, root=root)
    found = reading.activations
    return Ground(
        name=name,
        identity=backbone.identity,
        plan=FitPlan(source_languages=reading.sources, development_languages=()),
        languages=LOW_OF_BENCHMARK,
        unseen=in_memory(in_languages(found[FITTED_ON], reading.sources)),
        learned=in_memory(thinned(in_languages(found["train"], reading.sources), N_LEARNED)),
        calibration=in_memory(in_languages(found["calibration"], LOW_OF_BENCHMARK)),
        scored={"test": in_memory(in_languages(found["test"], LOW_OF_BENCHMARK))},
    )


def of_shipped(root: Path, *, quick: bool) -> Ground:
    """The organism that comes with the package; its `heldout` prompts are of unseen subjects."""
    backbone = load_backbone(str(ORGANISM))
    prompts = corpus_prompts()
    most = dict.fromkeys(_N_SHIPPED, _N_SHIPPED_QUICK) if quick else _N_SHIPPED
    languages = {
        split: (*HIGH, *MID) if split in ("train", "validation") else LOW for split in _N_SHIPPED
    }
    found = {
        split: in_memory(
            collect(
                backbone,
                spread(select(prompts, split=split, languages=languages[split]), most[split]),
                cache=root / "activations",
            )
        )
        for split in _N_SHIPPED
    }
    return Ground(
        name=SHIPPED,
        identity=backbone.identity,
        plan=FitPlan(),
        languages=LOW,
        unseen=found["validation"],
        learned=found["train"],
        calibration=found["calibration"],
        scored={"test": found["test"], "heldout": found["heldout"]},
    )


def in_languages(activations: Activations, languages: Sequence[str]) -> Activations:
    """The prompts of some languages."""
    return activations.subset(
        [i for i, p in enumerate(activations.prompts) if p.language in languages]
    )
