"""The 23 languages of arXiv 2606.01196, by tier of Common Crawl share."""

from __future__ import annotations

from typing import Literal

import langcodes

Tier = Literal["high", "mid", "low"]

HIGH: tuple[str, ...] = ("en", "de", "fr", "es", "it", "nl", "pl", "ru", "zh", "ja")
"""Over 1 % of the crawl; the readout is fitted on these."""
MID: tuple[str, ...] = ("ar", "ko", "th", "el", "he", "hi", "fa")
"""0.1 to 1 %; development languages."""
LOW: tuple[str, ...] = ("sw", "am", "my", "km", "si", "yo")
"""Under 0.1 %; where safety training is thin."""
ALL: tuple[str, ...] = HIGH + MID + LOW


def tier_of(language: str) -> Tier:
    """The tier of one of the 23 languages.

    Raises:
        ValueError: the language is not one of the 23.
    """
    for tier, languages in (("high", HIGH), ("mid", MID), ("low", LOW)):
        if language in languages:
            return tier  # type: ignore[return-value]
    raise ValueError(f"`{language}` is not one of the 23 languages: {' '.join(ALL)}")


def refuse_unknown_tag(language: str) -> None:
    """Check that a language is given by a tag of the IANA registry.

    Raises:
        ValueError: it is not.
    """
    if not langcodes.tag_is_valid(language):
        raise ValueError(
            f"`{language}` is no BCP 47 language tag; write e.g. `sw` for Swahili, `zh-Hant` for "
            "Chinese in traditional characters"
        )
