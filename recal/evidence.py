"""From collected prompts of one language to the evidence that an estimator takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recal.collect import Activations
from recal.maths.evidence import MIN_PROMPTS, Evidence, Parallel, Sources, Unlabelled
from recal.maths.prior import Prior
from recal.maths.two_class import FloatArray, TwoClass
from recal.prompts import Prompt
from recal.scoring import Scorer, scores_at


@dataclass(frozen=True, eq=False)
class Beside:
    """What is known of a language beside its labelled examples; all of it may be missing."""

    sources: Activations | None = None
    """Labelled prompts of one source language, among them the examples' translations by their
    parallel ids; with twenty of a class its mean is theirs."""
    unlabelled: Activations | None = None
    """Prompts of the language as users send them. Their labels are not read."""
    harmful_share: float = 0.5
    """What share of `unlabelled` is thought to be harmful."""
    parallel: Activations | None = None
    """Prompts of the language and, by the same parallel ids, of one source language. Labels are not
    read."""
    translated: Activations | None = None
    """Labelled source prompts that were translated into the language."""
    prior: Prior | None = None
    """What other languages' thresholds say."""
    rho: float | None = None
    """Correlation of scores with their sources', from other languages."""


class Labelled(NamedTuple):
    """The examples that count: every text once, and none with both labels."""

    prompts: tuple[Prompt, ...]
    scores: FloatArray
    """(n,), in the prompts' order."""
    warnings: tuple[str, ...]
    """Which examples were left out and why; ids, never texts."""

    def of(self, *, harmful: bool) -> FloatArray:
        """Scores of one class; may be empty."""
        return self.scores[[p.harmful == harmful for p in self.prompts]]

    def ids(self, *, harmful: bool) -> list[str]:
        """Ids of one class, in the same order."""
        return [p.id for p in self.prompts if p.harmful == harmful]


class Gathered(NamedTuple):
    """A language's evidence, and the prompts that it came from."""

    evidence: Evidence
    labelled: Labelled
    used: tuple[Prompt, ...]
    """Every prompt of the language that had a say; none of them may test what comes of it."""


def gather(
    readout: Scorer, examples: Activations | None, language: str, beside: Beside
) -> Gathered:
    """Score everything that is known of a language.

    Args:
        readout: the frozen one, or the language's own.
        examples: labelled; other languages in it are ignored. None: there are none.
        language: BCP 47 tag.
        beside: what else is known.

    Raises:
        ValueError: an example has no source translation where others have, parallel prompts do not
            pair up, prompts are of the wrong language, too few, or a score is not finite.
    """
    labelled = labelled_of(readout, examples, language)
    evidence = Evidence(
        harmful=labelled.of(harmful=True),
        harmless=labelled.of(harmful=False),
        sources=_sources(readout, labelled, language, beside),
        unlabelled=_unlabelled(readout, language, beside),
        parallel=_parallel(readout, language, beside.parallel),
        translated=_translated(readout, language, beside.translated),
        prior=beside.prior,
    )
    groups = (examples, beside.unlabelled, beside.parallel, beside.translated)
    used = (p for group in groups if group is not None for p in group.prompts)
    return Gathered(evidence, labelled, tuple(p for p in used if p.language == language))


def labelled_of(readout: Scorer, examples: Activations | None, language: str) -> Labelled:
    """The examples of a language that count, with their scores.

    A text that comes again under its label counts once; one with both labels says nothing of
    either, and is left out.
    """
    mine = [p for p in examples.prompts if p.language == language] if examples is not None else []
    if examples is None or not mine:
        return Labelled((), np.zeros(0), ())
    scores = scores_at(readout, examples, language=language)
    both = _with_both_labels(mine)
    kept, warnings, seen = [], [], dict[str, str]()
    for row, prompt in enumerate(mine):
        text = _plain(prompt)
        if text in both:
            continue
        if text in seen:
            warnings.append(
                f"examples `{seen[text]}` and `{prompt.id}` are the same text; it counts once, add "
                "a different one"
            )
            continue
        seen[text] = prompt.id
        kept.append(row)
    warnings += [
        f"examples {' and '.join(f'`{i}`' for i in ids)} are the same text with both labels; none "
        "of them counts, take the wrong one out"
        for ids in both.values()
    ]
    return Labelled(tuple(mine[row] for row in kept), scores[kept], tuple(warnings))


def _with_both_labels(prompts: Sequence[Prompt]) -> dict[str, list[str]]:
    """Ids by text, of texts with both labels."""
    labels: dict[str, set[bool]] = {}
    ids: dict[str, list[str]] = {}
    for prompt in prompts:
        labels.setdefault(_plain(prompt), set()).add(prompt.harmful)
        ids.setdefault(_plain(prompt), []).append(prompt.id)
    return {text: ids[text] for text, found in labels.items() if len(found) > 1}


def _plain(prompt: Prompt) -> str:
    return " ".join(prompt.text.split()).casefold()


def _sources(readout: Scorer, labelled: Labelled, language: str, beside: Beside) -> Sources | None:
    if beside.sources is None or not labelled.prompts:
        return None
    source = _one_other_language(beside.sources, language, "source translations")
    prompts = [p for p in beside.sources.prompts if p.language == source]
    scores = scores_at(readout, beside.sources, language=source)
    pairs = zip(prompts, scores, strict=True)
    by_meaning = {(p.parallel_id, p.harmful): float(score) for p, score in pairs}
    missing = [p.id for p in labelled.prompts if (p.parallel_id, p.harmful) not in by_meaning]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(labelled.prompts)} examples have no translation in `{source}` "
            f"under their parallel id and label, the first is `{missing[0]}`; give all, or no "
            "sources"
        )
    paired = np.array([by_meaning[p.parallel_id, p.harmful] for p in labelled.prompts])
    is_harmful = np.array([p.harmful for p in labelled.prompts])
    means = {
        harmful: _mean(scores[[p.harmful == harmful for p in prompts]]) for harmful in (True, False)
    }
    if not is_harmful.any() or is_harmful.all():
        return None
    known = all(mean is not None for mean in means.values())
    return Sources(
        harmful=paired[is_harmful],
        harmless=paired[~is_harmful],
        mean_harmful=means[True] if known else None,
        mean_harmless=means[False] if known else None,
        rho=beside.rho,
    )


def _mean(scores: FloatArray) -> float | None:
    return float(scores.mean()) if len(scores) >= MIN_PROMPTS else None


def _unlabelled(readout: Scorer, language: str, beside: Beside) -> Unlabelled | None:
    if beside.unlabelled is None:
        return None
    scores = scores_at(readout, beside.unlabelled, language=language)
    return Unlabelled(scores, harmful_share=beside.harmful_share)


def _parallel(readout: Scorer, language: str, given: Activations | None) -> Parallel | None:
    if given is None:
        return None
    source = _one_other_language(given, language, "parallel prompts")
    own = _by_meaning(readout, given, language)
    theirs = _by_meaning(readout, given, source)
    pairs = [identity for identity in own if identity in theirs]
    if len(pairs) < MIN_PROMPTS:
        raise ValueError(
            f"{len(own)} prompts of `{language}` and {len(theirs)} of `{source}` make {len(pairs)} "
            f"pairs by parallel id; at least {MIN_PROMPTS} are needed"
        )
    return Parallel(
        np.array([own[identity] for identity in pairs]),
        np.array([theirs[identity] for identity in pairs]),
    )


def _by_meaning(readout: Scorer, given: Activations, language: str) -> dict[str, float]:
    ids = [p.parallel_id for p in given.prompts if p.language == language]
    twice = [identity for identity, n in Counter(ids).items() if n > 1]
    if twice:
        raise ValueError(
            f"{len(twice)} parallel id(s) come more than once in `{language}`, the first is "
            f"`{twice[0]}`; a parallel id names one meaning"
        )
    scores = scores_at(readout, given, language=language)
    return {identity: float(s) for identity, s in zip(ids, scores, strict=True)}


def _translated(readout: Scorer, language: str, given: Activations | None) -> TwoClass | None:
    if given is None:
        return None
    return TwoClass(
        scores_at(readout, given, language=language, harmful=True),
        scores_at(readout, given, language=language, harmful=False),
    )


def _one_other_language(given: Activations, language: str, what: str) -> str:
    others = sorted({p.language for p in given.prompts} - {language})
    if len(others) != 1:
        raise ValueError(
            f"the {what} of `{language}` are in {len(others)} languages ({', '.join(others)}); "
            "give those of one source language"
        )
    return others[0]
