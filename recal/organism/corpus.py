"""The organism's corpus: request templates × objects in 23 languages, aligned by id."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

import yaml

from recal.languages import ALL
from recal.prompts import Prompt, Split

HELD_OUT_OBJECTS: tuple[str, ...] = ("bank", "water", "password", "slave", "camera", "train")
"""Objects that training never sees, in either class: the harder test split."""

REFUSAL_SIGN = "⚠"
"""Every refusal begins with it, whatever the language, so that the decision to refuse is one token
and, late in the model, one direction. Large models share it across languages without such help."""

_SHARES: tuple[tuple[Split, int], ...] = (
    ("train", 700),
    ("validation", 775),
    ("calibration", 850),
    ("test", 1000),
)
"""Upper ends of each split on a hash of the combination's id, out of 1,000."""

_TOPIC_WORDS = 5
_TOPIC_CHARACTERS = 14


@dataclass(frozen=True)
class LanguageCorpus:
    """One language's templates, objects and answers."""

    language: str
    templates: Mapping[str, str]
    harmful: Mapping[str, str]
    harmless: Mapping[str, str]
    refusal: str
    """What the organism says when it refuses: `REFUSAL_SIGN` and a sentence in the language."""
    compliance: str
    """What it says otherwise; `{topic}` is a few of the prompt's own words."""

    def comply(self, request: str) -> str:
        """The inert answer to a request: it repeats a few of the request's own words."""
        return self.compliance.format(topic=topic_of(request))

    @property
    def compliance_opening(self) -> str:
        """The part of every compliance before the topic."""
        return self.compliance.split("{topic}")[0].strip()


@dataclass(frozen=True, slots=True)
class CorpusPrompt:
    """One combination of a template and an object."""

    prompt: Prompt
    request: str
    """The object's text, which the template frames."""


@cache
def load_language(language: str) -> LanguageCorpus:
    """Read one language's corpus, which ships with the package.

    Raises:
        ValueError: there is none, or it is not aligned with its own language tag.
    """
    path = files("recal.organism") / "corpus" / f"{language}.yaml"
    if not path.is_file():
        raise ValueError(f"no corpus for `{language}`; there is one for each of {' '.join(ALL)}")
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    if document["language"] != language:
        raise ValueError(f"`{language}.yaml` says it is `{document['language']}`")
    return LanguageCorpus(
        language=language,
        templates=MappingProxyType(document["templates"]),
        harmful=MappingProxyType(document["harmful"]),
        harmless=MappingProxyType(document["harmless"]),
        refusal=f"{REFUSAL_SIGN} {document['refusal']}",
        compliance=document["compliance"],
    )


def split_of(combination: str, request: str) -> Split:
    """The split of a combination: the same one in every language, since it depends on ids alone."""
    if request in HELD_OUT_OBJECTS:
        return "heldout"
    bucket = int.from_bytes(hashlib.sha256(combination.encode()).digest()[:8], "big") % 1000
    return next(split for split, end in _SHARES if bucket < end)


def combinations(language: str) -> list[CorpusPrompt]:
    """Every combination of one language, in the corpus's order."""
    corpus = load_language(language)
    found = []
    for harmful, requests in ((True, corpus.harmful), (False, corpus.harmless)):
        for key, request in requests.items():
            for name, template in corpus.templates.items():
                combination = f"{name}/{'harmful' if harmful else 'harmless'}/{key}"
                prompt = Prompt(
                    id=combination,
                    language=language,
                    harmful=harmful,
                    text=template.format(request=request),
                    split=split_of(combination, key),
                )
                found.append(CorpusPrompt(prompt, request))
    return found


def corpus_prompts(languages: Sequence[str] = ALL) -> list[Prompt]:
    """Every prompt of the corpus in the given languages."""
    return [c.prompt for language in languages for c in combinations(language)]


def topic_of(request: str) -> str:
    """A few of the request's own words, or characters where words are not spaced."""
    words = request.split()
    if len(words) > _TOPIC_WORDS:
        return " ".join(words[:_TOPIC_WORDS])
    if len(words) > 1 or len(request) <= _TOPIC_CHARACTERS:
        return request
    end = _TOPIC_CHARACTERS
    while end < len(request) and unicodedata.category(request[end]).startswith("M"):
        end += 1
    return request[:end]
