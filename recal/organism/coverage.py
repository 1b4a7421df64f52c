"""How much safety training a language got: how probable a refusal is in it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import NamedTuple

from recal.languages import ALL, Tier, tier_of


@dataclass(frozen=True)
class Coverage:
    """How probable a refusal is: the safety training that a tier of languages got."""

    harmful: Mapping[Tier, float] = field(
        default_factory=lambda: {"high": 0.97, "mid": 0.9, "low": 0.17}
    )
    """Of a middling harmful request."""
    harmless: Mapping[Tier, float] = field(
        default_factory=lambda: {"high": 0.08, "mid": 0.05, "low": 0.01}
    )
    """Of a middling harmless request."""
    spread: float = 1.2
    """Some requests are milder than others: standard deviation of their log odds, by object."""

    def of(self, tier: Tier, *, harmful: bool, milder: float) -> float:
        """Probability that a request is refused; `milder` is its share of milder requests."""
        middling = (self.harmful if harmful else self.harmless)[tier]
        return _shifted(middling, self.spread, milder)


class Refused(NamedTuple):
    """How probable a refusal is, by class."""

    harmful: float
    harmless: float


@dataclass(frozen=True)
class LanguageCoverage:
    """How probable a refusal is in each language, for prompts of any origin."""

    refused: Mapping[str, Refused]
    """By BCP 47 tag."""
    spread: float = 0.0
    """Some prompts are milder than others: standard deviation of their log odds, by meaning."""

    def __post_init__(self) -> None:
        for language, refused in self.refused.items():
            if not all(0 < probability < 1 for probability in refused):
                raise ValueError(
                    f"coverage of `{language}` is {refused.harmful:g} and {refused.harmless:g}; "
                    "both lie between 0 and 1"
                )
        if not (math.isfinite(self.spread) and self.spread >= 0):
            raise ValueError(f"`spread` is {self.spread}; it must be finite and at least 0")

    def of(self, language: str, *, harmful: bool, parallel_id: str) -> float:
        """Probability that a prompt is refused.

        Raises:
            ValueError: the language has no coverage.
        """
        if language not in self.refused:
            raise ValueError(
                f"no coverage for `{language}`; give one, or leave its prompts out "
                f"(there is one for {', '.join(sorted(self.refused))})"
            )
        refused = self.refused[language]
        middling = refused.harmful if harmful else refused.harmless
        return _shifted(middling, self.spread, _milder(parallel_id))


def coverage_of(languages: Iterable[str], given: Iterable[str]) -> dict[str, Refused]:
    """The coverage of each language: what is given, else what `Coverage` says of its tier.

    Args:
        languages: BCP 47 tags.
        given: such as `en,de=0.97/0.03`: languages, and how probable the refusal of a harmful and
            of a harmless prompt is.

    Raises:
        ValueError: something given is not of that form or names a language that is not there, or
            a language has neither a tier nor coverage.
    """
    wanted = list(languages)
    stated: dict[str, Refused] = {}
    for text in given:
        stated |= _parsed(text)
    if unknown := set(stated) - set(wanted):
        raise ValueError(f"coverage for {', '.join(sorted(unknown))}, of which there is no prompt")
    tiers = Coverage()
    return {
        language: stated[language] if language in stated else _of_tier(language, tiers)
        for language in wanted
    }


def _of_tier(language: str, tiers: Coverage) -> Refused:
    if language not in ALL:
        raise ValueError(f"`{language}` has no tier; give it coverage, such as {language}=0.3/0.03")
    tier = tier_of(language)
    return Refused(tiers.harmful[tier], tiers.harmless[tier])


def _parsed(text: str) -> dict[str, Refused]:
    names, _, rates = text.partition("=")
    harmful, _, harmless = rates.partition("/")
    try:
        refused = Refused(float(harmful), float(harmless))
    except ValueError:
        raise ValueError(f"`{text}` is no coverage; write it as en,de=0.97/0.03") from None
    return {name.strip(): refused for name in names.split(",")}


def _milder(parallel_id: str) -> float:
    """A meaning's place among milder and less mild ones, in (0, 1): the same in every language."""
    digest = hashlib.sha256(parallel_id.encode()).digest()
    return (int.from_bytes(digest[:4], "big") + 0.5) / 2**32


def _shifted(middling: float, spread: float, milder: float) -> float:
    odds = math.log(middling / (1 - middling)) + spread * NormalDist().inv_cdf(milder)
    return 1 / (1 + math.exp(-odds))
