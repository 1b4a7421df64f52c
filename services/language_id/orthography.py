"""Pure: what spelling settles that a bag of character n-grams blurs."""

from __future__ import annotations

import re
from collections.abc import Mapping

_DOTTED = re.compile("[ẹọṣ]")
_NOT_YORUBA = re.compile("[ăâđêôơưịụãõ]")
_KANA = re.compile("[ぁ-ヿ]")
_LEAST_DOTTED = 2
_DOTTED_SHARE = 0.02
_NOT_YORUBA_SHARE = 0.02
_KANA_SHARE = 0.1


def settle(text: str, probabilities: Mapping[str, float]) -> dict[str, float]:
    """Give a language the probability of those that cannot be spelled so.

    Two cases among the languages of lid.176: ẹ, ọ and ṣ are Yoruba's (Vietnamese has the first two,
    but beside letters that Yoruba lacks), and kana beside Han tells Japanese from Chinese. A model
    that knows more languages with these letters must not be settled like this.

    Args:
        text: as `clean` returns it.
        probabilities: BCP 47 tag to probability.
    """
    if _is_yoruba(text):
        return {"yo": sum(probabilities.values())}
    if "ja" in probabilities or "zh" in probabilities:
        japanese = len(_KANA.findall(text)) >= _KANA_SHARE * len(text)
        source, target = ("zh", "ja") if japanese else ("ja", "zh")
        return _moved(probabilities, source=source, target=target)
    return dict(probabilities)


def _is_yoruba(text: str) -> bool:
    if text.isascii():
        return False
    dotted = len(_DOTTED.findall(text))
    if dotted < _LEAST_DOTTED:
        return False
    others = len(_NOT_YORUBA.findall(text))
    return dotted >= _DOTTED_SHARE * len(text) and others < _NOT_YORUBA_SHARE * len(text)


def _moved(probabilities: Mapping[str, float], *, source: str, target: str) -> dict[str, float]:
    moved = dict(probabilities)
    given = moved.pop(source, 0.0)
    if given:
        moved[target] = moved.get(target, 0.0) + given
    return moved
