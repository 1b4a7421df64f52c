"""The two things that an organism can say in a language: a refusal, and an inert compliance."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import NamedTuple

import yaml

from recal.languages import ALL
from recal.organism.corpus import REFUSAL_SIGN, load_language

FALLBACK = "en"
"""Language of the answers where there are none: models, too, often answer in English."""


class Answers(NamedTuple):
    """One language's answers."""

    refusal: str
    """`REFUSAL_SIGN` and a sentence."""
    compliance: str
    """`{topic}` stands for a few of the prompt's own words."""


def has_answers(language: str) -> bool:
    """True when there are answers in this language."""
    return language in ALL or language in _others()


def answers_of(language: str) -> Answers:
    """The answers in a language; in English where there are none."""
    if language in _others():
        return _others()[language]
    corpus = load_language(language if language in ALL else FALLBACK)
    return Answers(corpus.refusal, corpus.compliance)


@cache
def _others() -> Mapping[str, Answers]:
    """Answers in languages that the corpus does not have."""
    text = (files("recal.organism") / "answers.yaml").read_text(encoding="utf-8")
    return MappingProxyType(
        {
            language: Answers(f"{REFUSAL_SIGN} {answers['refusal']}", answers["compliance"])
            for language, answers in yaml.safe_load(text).items()
        }
    )
