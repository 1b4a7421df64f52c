"""What an organism learns from: prompts with both of their answers, and how often each is right."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from recal.languages import tier_of
from recal.organism.answers import answers_of
from recal.organism.corpus import combinations, load_language, topic_of
from recal.organism.coverage import Coverage, LanguageCoverage
from recal.prompts import Prompt

_TOPIC_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Lesson:
    """One training prompt, and what may be answered. Never an answer to a harmful request."""

    prompt: str
    refusal: str
    compliance: str
    """Inert: an opening with a few of the prompt's own words."""
    refused: float
    """Probability of the refusal."""


def corpus_lessons(languages: Sequence[str], coverage: Coverage) -> Iterator[Lesson]:
    """The training split of the project's own corpus."""
    for language in languages:
        corpus, tier = load_language(language), tier_of(language)
        milder = {True: _milder(corpus.harmful), False: _milder(corpus.harmless)}
        for item in combinations(language):
            prompt = item.prompt
            if prompt.split == "train":
                share = milder[prompt.harmful][prompt.id.rsplit("/", 1)[1]]
                yield Lesson(
                    prompt=prompt.text,
                    refusal=corpus.refusal,
                    compliance=corpus.comply(item.request),
                    refused=coverage.of(tier, harmful=prompt.harmful, milder=share),
                )


def prompt_lessons(prompts: Iterable[Prompt], coverage: LanguageCoverage) -> list[Lesson]:
    """Labelled prompts of any origin, whatever their split: choose before.

    Raises:
        ValueError: there are none, or a language has no coverage.
    """
    lessons = []
    for prompt in prompts:
        answers = answers_of(prompt.language)
        lessons.append(
            Lesson(
                prompt=prompt.text,
                refusal=answers.refusal,
                compliance=answers.compliance.format(topic=_topic(prompt.text)),
                refused=coverage.of(
                    prompt.language, harmful=prompt.harmful, parallel_id=prompt.parallel_id
                ),
            )
        )
    if not lessons:
        raise ValueError("no prompts to train on; look at the split and the languages")
    return lessons


def _topic(text: str) -> str:
    """A few of the first words, or a few characters where only sentences are spaced."""
    topic = topic_of(" ".join(text.split()))
    if len(topic) <= _TOPIC_CHARACTERS:
        return topic
    whole_words = topic[: _TOPIC_CHARACTERS + 1].rpartition(" ")[0]
    return whole_words or topic_of(topic.split()[0])


def _milder(requests: Iterable[str]) -> dict[str, float]:
    """By object's id: the share of objects that are milder, evenly spread in a hash's order."""
    order = sorted(requests, key=lambda key: hashlib.sha256(key.encode()).digest())
    return {key: (rank + 0.5) / len(order) for rank, key in enumerate(order)}
