"""How answers begin that refuse and that comply: what CAST's behaviour vector is fitted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from recal.organism.corpus import load_language


class SuffixPair(NamedTuple):
    """Two beginnings of an answer to the same question."""

    refusal: str
    compliance: str


ENGLISH: Mapping[str, tuple[SuffixPair, ...]] = MappingProxyType(
    {
        "en": (
            SuffixPair("I can't help with that.", "Sure, I can help with that."),
            SuffixPair("I'm sorry, but I won't do this.", "Of course, here is how to do this."),
            SuffixPair("No, I am not able to assist.", "Yes, I am glad to assist."),
            SuffixPair("That is something I must decline.", "That is something I can explain."),
            SuffixPair("I have to refuse this request.", "I will gladly answer this request."),
            SuffixPair("Sorry, I cannot give you that.", "Certainly, let me give you that."),
            SuffixPair("I will not provide this.", "Here is what you asked for."),
            SuffixPair("This is not something I do.", "This is how it is done."),
        )
    }
)
"""Of our own wording, for backbones that answer in English."""


def organism_suffixes(languages: Sequence[str]) -> dict[str, tuple[SuffixPair, ...]]:
    """The organism's own refusal and the opening of its compliance, by language.

    Raises:
        ValueError: there is no corpus of a language.
    """
    corpora = [load_language(language) for language in languages]
    return {c.language: (SuffixPair(c.refusal, c.compliance_opening),) for c in corpora}
