"""Translations of labelled prompts to a language's own readout, where one is worth its weights."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch

from recal.collect import Activations
from recal.evidence import Labelled, labelled_of
from recal.maths.alignment import distil
from recal.maths.cross_fit import Learn, best_of, by_class, folds_of
from recal.maths.logistic import Folded
from recal.maths.metrics import auroc
from recal.maths.readout import fit_wide, source_of
from recal.maths.smoothed import MIN_ROWS
from recal.maths.source import SourceStatistics, pooled_within_sd
from recal.maths.two_class import BoolArray, FloatArray, TwoClass
from recal.prompts import Prompt
from recal.scoring import scores_at
from services.readout.bundle import Readout
from services.readout.linear import LinearReadout
from services.readout.own import OwnPart, OwnReadout
from services.readout.place import Place

OwnMethod = Literal["translate_train", "distil"]
"""`translate_train`: a logistic on the translations' labels. `distil`: a ridge regression on the
frozen scores of the prompts that they were translated from."""

OWN_METHODS: tuple[OwnMethod, ...] = ("translate_train", "distil")

MIN_TRANSLATIONS = MIN_ROWS
"""Of each class. From here on the threshold follows the densities of cross-fitted scores, and an
AUC of .95 has a standard error of .02 (Hanley and McNeil 1982), so that the comparison with the
frozen readout says something. Where fewer were measured there was no break: ADR 0017."""

_PENALTIES: dict[OwnMethod, tuple[float, ...]] = {
    "translate_train": (0.01, 0.1, 1.0),
    "distil": (100.0, 10.0, 1.0),
}
"""Tried from the strongest on; the best is taken by scores of prompts that no fit had seen."""

_UNSEEN = frozenset({"test", "heldout"})


class NotBetter(ValueError):
    """The own readout ranks unseen translations no better than the frozen one does."""


@dataclass(frozen=True, eq=False)
class FittedOwn:
    """A language's own readout with what its thresholds are estimated from."""

    language: str
    readout: OwnReadout
    scores: TwoClass | None
    """Of the translations, each by a fit that had not seen it; in the readout's unit. None: no
    prompt of the language was fitted on, and source languages score by the same weights."""
    source: SourceStatistics
    """Of these scores, or of the source languages' where there are none; takes the place of the
    frozen readout's for every estimator."""
    prompts: tuple[Prompt, ...]
    """The translations. Their own scores flatter them, so none may set or test a threshold."""
    said: str
    """How it came to be, in a line."""
    warnings: tuple[str, ...] = ()
    """Which translations were left out and why; ids, never texts."""


def own_method(name: str) -> OwnMethod:
    """The method of a name.

    Raises:
        ValueError: there is none.
    """
    for method in OWN_METHODS:
        if method == name:
            return method
    raise ValueError(f"no own readout is called `{name}`; choose one of {', '.join(OWN_METHODS)}")


def fit_own(
    readout: Readout,
    translated: Activations,
    language: str,
    *,
    method: OwnMethod,
    sources: Activations | None = None,
) -> FittedOwn:
    """Fit weights of one language, at the places of the frozen readout.

    A few hundred rows of one language have one direction between their class means, so weights are
    over every coordinate. Each place's are scaled to one cross-fitted standard deviation within a
    class, and places add up with equal shares.

    Args:
        readout: the frozen one.
        translated: labelled prompts that were translated; other languages in it are ignored.
        language: BCP 47 tag.
        method: `distil` is given no label; labels then say what the result is worth.
        sources: for `distil`, the prompts that they were translated from, by parallel id, in one
            or more source languages, whose frozen scores are averaged.

    Raises:
        NotBetter: it ranks prompts that it has not seen no better than the frozen readout does.
        ValueError: a class has too few translations, one is of a split that tests, or `distil`
            lacks a source prompt.
    """
    labelled = labelled_of(readout, translated, language)
    _refuse_few(labelled, language)
    _refuse_unseen(labelled.prompts, language)
    harmful = np.array([p.harmful for p in labelled.prompts])
    teacher = _teacher(readout, sources, labelled.prompts, language) if method == "distil" else None
    task = _Task(
        rows=_rows(translated, labelled.prompts, readout.places),
        harmful=harmful,
        folds=folds_of([p.parallel_id for p in labelled.prompts], harmful),
        teacher=teacher,
    )
    fitted = [_fit_place(task, place) for place in readout.places]
    summed = np.sum([each.scores for each in fitted], axis=0)
    unit = pooled_within_sd({language: by_class(summed, harmful)})
    scores = by_class(summed / unit, harmful)
    frozen = by_class(labelled.scores, harmful)
    _refuse_worse(scores, frozen, method, language)
    source = source_of({language: scores})
    own = OwnReadout(
        tuple(_part_of(each, unit) for each in fitted), method, _statistics(source, scores, frozen)
    )
    return FittedOwn(language, own, scores, source, labelled.prompts, _said(own), labelled.warnings)


def refuse_translations(own: FittedOwn, prompts: Iterable[Prompt], what: str) -> None:
    """Check that none of a language's other prompts is among the translations, or means the same.

    Args:
        own: fitted on the translations.
        prompts: examples or held-out prompts; other languages in it are ignored.
        what: how messages call one of them.

    Raises:
        ValueError: one is.
    """
    texts = {p.digest: p.id for p in own.prompts}
    meanings = {p.parallel_id: p.id for p in own.prompts}
    for prompt in prompts:
        if prompt.language != own.language:
            continue
        twin = texts.get(prompt.digest) or meanings.get(prompt.parallel_id)
        if twin is not None:
            raise ValueError(
                f"{what} `{prompt.id}` (`{prompt.language}`) is the translation `{twin}` that the "
                "own readout was fitted on, which flatters its score; take it out of one of both"
            )


class _Task(NamedTuple):
    """What the weights of every place are fitted on."""

    rows: dict[Place, FloatArray]
    """(n, d_model) at each place."""
    harmful: BoolArray
    folds: np.ndarray
    teacher: FloatArray | None
    """(n,) frozen scores of the source prompts; None: labels teach."""

    def ways(self, place: Place) -> list[Learn]:
        """How to learn the weights of a place, the strongest penalty first."""
        rows, harmful, teacher = self.rows[place], self.harmful, self.teacher
        if teacher is None:
            return [
                lambda seen, c=c: fit_wide(  # type: ignore[misc]
                    TwoClass(rows[seen & harmful], rows[seen & ~harmful]), c=c
                )
                for c in _PENALTIES["translate_train"]
            ]
        return [
            lambda seen, strength=strength: distil(  # type: ignore[misc]
                rows[seen], teacher[seen], strength=strength
            )
            for strength in _PENALTIES["distil"]
        ]


class _FittedPlace(NamedTuple):
    """Weights of one place, in cross-fitted standard deviations within a class."""

    place: Place
    folded: Folded
    scores: FloatArray
    """(n,) of the translations by fits that had not seen them, in the same unit."""


def _fit_place(task: _Task, place: Place) -> _FittedPlace:
    ways = task.ways(place)
    chosen = best_of(task.rows[place], task.harmful, task.folds, ways)
    unit = pooled_within_sd({"": by_class(chosen.scores, task.harmful)})
    whole = ways[chosen.number](np.ones(len(task.harmful), dtype=np.bool_))
    return _FittedPlace(place, Folded(whole.weight / unit, whole.bias / unit), chosen.scores / unit)


def _part_of(fitted: _FittedPlace, unit: float) -> OwnPart:
    weight = torch.tensor(fitted.folded.weight / unit, dtype=torch.float32)
    return OwnPart(fitted.place, LinearReadout(weight, fitted.folded.bias / unit))


def _rows(
    translated: Activations, kept: Sequence[Prompt], places: Sequence[Place]
) -> dict[Place, FloatArray]:
    rows = {id(prompt): row for row, prompt in enumerate(translated.prompts)}
    mine = translated.subset([rows[id(prompt)] for prompt in kept])
    return {place: mine.at(place.layer, reading=place.reading) for place in places}


def _teacher(
    readout: Readout, sources: Activations | None, prompts: Sequence[Prompt], language: str
) -> FloatArray:
    """(n,) the mean frozen score of each prompt's source prompts."""
    if sources is None:
        raise ValueError(
            "`distil` is taught by the frozen scores of the prompts that were translated, and "
            "there are none; give them as sources, or use `translate_train`"
        )
    strange = sorted({p.language for p in sources.prompts} - set(readout.source_languages))
    if strange:
        raise ValueError(
            f"the sources of `{language}` are also in {', '.join(strange)}, which the readout was "
            f"not fitted on; give some in {', '.join(readout.source_languages)} alone"
        )
    found: dict[str, list[float]] = defaultdict(list)
    for prompt, score in zip(sources.prompts, scores_at(readout, sources), strict=True):
        found[prompt.parallel_id].append(float(score))
    missing = [p.id for p in prompts if p.parallel_id not in found]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(prompts)} translations have no source prompt under their "
            f"parallel id, the first is `{missing[0]}`; give all, or use `translate_train`"
        )
    return np.array([np.mean(found[p.parallel_id]) for p in prompts])


def _said(own: OwnReadout) -> str:
    found = own.statistics
    return (
        f"{own.method} from {found['n_harmful']:.0f} harmful and "
        f"{found['n_harmless']:.0f} harmless translations: AUC {found['auc']:.3f} on those "
        f"that a fit had not seen, {found['frozen_auc']:.3f} by the frozen readout"
    )


def _statistics(source: SourceStatistics, scores: TwoClass, frozen: TwoClass) -> dict[str, float]:
    return {
        "mean_harmful": source.mean_harmful,
        "mean_harmless": source.mean_harmless,
        "sd_within": source.sd_within,
        "threshold": source.threshold,
        "auc": auroc(*scores),
        "frozen_auc": auroc(*frozen),
        "n_harmful": float(len(scores.harmful)),
        "n_harmless": float(len(scores.harmless)),
    }


def _refuse_few(labelled: Labelled, language: str) -> None:
    counts = Counter(p.harmful for p in labelled.prompts)
    if min(counts[True], counts[False]) < MIN_TRANSLATIONS:
        raise ValueError(
            f"{counts[True]} harmful and {counts[False]} harmless translations of `{language}` are "
            f"too few for a readout of its own; give at least {MIN_TRANSLATIONS} of each, or keep "
            "the frozen readout"
        )


def _refuse_unseen(prompts: Sequence[Prompt], language: str) -> None:
    unseen = [p for p in prompts if p.split in _UNSEEN]
    if unseen:
        raise ValueError(
            f"{len(unseen)} translation(s) of `{language}` are of a split that tests, the first is "
            f"`{unseen[0].id}` ({unseen[0].split}); fit on others"
        )


def _refuse_worse(scores: TwoClass, frozen: TwoClass, method: str, language: str) -> None:
    own, other = auroc(*scores), auroc(*frozen)
    if own <= other:
        raise NotBetter(
            f"`{method}` ranks translations of `{language}` that it had not seen with AUC "
            f"{own:.3f}, the frozen readout with {other:.3f}; keep the frozen readout, or give "
            "more translations"
        )
