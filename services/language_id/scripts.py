"""Pure: which scripts a text is written in, and whether it is written in more than one."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache

from services.language_id.counting import counted

LATIN = "LATIN"
HAN = "CJK"
KANA = "KANA"

_WEIGHTS = {HAN: 2.5, KANA: 2.0, "HANGUL": 2.5, "ETHIOPIC": 2.0}
"""Latin letters that one letter stands for in parallel text, where they are several."""
_NO_ASCII_LETTER = {code: None for code in range(128) if not chr(code).isalpha()}
_KANA_NAMES = frozenset({"HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"})
_NO_SCRIPT = frozenset({"COMBINING", "MODIFIER", "FEMININE", "MASCULINE", "ZERO", ""})
_KANA_SHARE = 0.1
"""Among kana and Han, Japanese has at least this share of kana; Chinese with a brand has less."""
_LATIN_SHARE = 0.3
"""Names and loan words in Latin letters are part of ordinary text in every other script."""
_LATIN_SENTENCE = re.compile(r"[a-zß-ɏḀ-ỿ\u0300-\u036f' -]{64,}")
"""Longer than a name: a passage in a language of its own."""
_LATIN_WORD = re.compile(r"[a-zß-ɏḀ-ỿ][a-zß-ɏḀ-ỿ\u0300-\u036f'-]*")
_OTHER_SHARE = 0.25
_OTHER_LETTERS = 16.0
"""This much of another script is a sentence, however long the rest is."""


@dataclass(frozen=True, slots=True)
class Writing:
    """What a text is written in."""

    n_letters: float
    """How much there is to read, in Latin letters: a Han character counts as several."""
    script: str | None
    """The script of most of it, named as in the Unicode names of its letters; None without letters.

    Japanese is `KANA`, Han included.
    """
    text: str = field(repr=False)
    """The text; without what is in Latin letters when most of it is in another script."""
    foreign: tuple[str, ...] = field(default=(), repr=False)
    """The words in each other script of which there is too much to overlook.

    A few names in Latin letters, or a few short words in any other script, are overlooked.
    """


def writing_of(text: str) -> Writing:
    """Survey the scripts of a text.

    Args:
        text: as `clean` returns it.
    """
    weights = _weights(text)
    if not weights:
        return Writing(0.0, None, text)
    main = max(weights, key=lambda script: weights[script])
    total = sum(weights.values())
    foreign = (_foreign(text, s, w, total) for s, w in weights.items() if s != main)
    own = _without_latin(text) if main != LATIN and LATIN in weights else text
    return Writing(total, main, own, tuple(words for words in foreign if words))


def _weights(text: str) -> dict[str, float]:
    if text.isascii():  # most text is, and counting characters is what takes the time
        n_letters = len(text.translate(_NO_ASCII_LETTER))
        return {LATIN: float(n_letters)} if n_letters else {}
    weights: dict[str, float] = {}
    for character, count in counted(text).items():
        script = _script_of(character)
        if script is not None:
            weights[script] = weights.get(script, 0.0) + count * _WEIGHTS.get(script, 1.0)
    kana, han = weights.get(KANA, 0.0), weights.get(HAN, 0.0)
    if kana and han:
        # One writing system: Japanese is written in both, and a stray kana does not end Chinese.
        main, other = (KANA, HAN) if kana >= _KANA_SHARE * (kana + han) else (HAN, KANA)
        del weights[other]
        weights[main] = kana + han
    return weights


def _foreign(text: str, script: str, weight: float, total: float) -> str:
    """The words of a minor script, or nothing when there are few enough."""
    if script == LATIN and _LATIN_SENTENCE.search(text):
        return " ".join(_words_in(text, script))
    large = weight > (_LATIN_SHARE if script == LATIN else _OTHER_SHARE) * total
    if not large and (script == LATIN or weight < _OTHER_LETTERS):
        return ""
    words = _words_in(text, script)
    if large or sum(sum(_weights(word).values()) for word in words) >= _OTHER_LETTERS:
        return " ".join(words)
    return ""


def _without_latin(text: str) -> str:
    return " ".join(_LATIN_WORD.sub(" ", text).split())


def _words_in(text: str, script: str) -> list[str]:
    """Words of at least two letters of a script, or one in Han: a lone `α` is a symbol."""
    others = {ord(c): " " for c in set(text) if _script_of(c) not in (script, None)}
    least = 1 if script in (HAN, KANA) else 2
    return [w for w in text.translate(others).split() if sum(map(str.isalpha, w)) >= least]


@lru_cache(maxsize=16_384)
def _script_of(character: str) -> str | None:
    """First word of the Unicode name of a letter or vowel sign, kana united; None for the rest."""
    if unicodedata.category(character)[0] not in "LM":
        return None
    name = unicodedata.name(character, "").split(" ", 1)[0]
    if name in _KANA_NAMES:
        return KANA
    return None if name in _NO_SCRIPT else name
