"""Refusals as written, in every language: to send one, and to know one in generated text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import yaml

from services.errors import ArtefactRefused

_OPENING_CHARACTERS = 120
"""A refusal begins within these; an answer that quotes one later is an answer."""
_FALLBACK = "en"
_FIELDS = frozenset({"language", "reply", "phrases"})
_APOSTROPHES = str.maketrans(dict.fromkeys("’ʼ‘`´", "'"))
# Scripts that write words without spaces between them: Thai, Lao, Myanmar, Khmer, kana, Han.
_UNSPACED = (
    *(("\u0e00", "\u0eff"), ("\u1000", "\u109f"), ("\u1780", "\u17ff")),
    *(("\u3040", "\u30ff"), ("\u3400", "\u9fff")),
)


@dataclass(frozen=True, slots=True)
class LanguageRefusals:
    """What a refusal looks like in one language."""

    language: str
    """BCP 47 tag."""
    reply: str
    """Sent where the policy says REFUSE and nothing is generated."""
    phrases: tuple[str, ...]
    """Openings by which a refusal is known, as `_plain` writes them."""


class RefusalPhrases:
    """Says a refusal in a language, and knows one in any: models often refuse in another."""

    def __init__(self, languages: Iterable[LanguageRefusals] | None = None) -> None:
        """Use the given languages, or those that ship.

        Raises:
            ArtefactRefused: English, the text for unknown languages, is not among them.
        """
        given = tuple(languages) if languages is not None else load_refusals()
        self._replies = {refusals.language: refusals.reply for refusals in given}
        if _FALLBACK not in self._replies:
            raise ArtefactRefused(
                f"no refusal in `{_FALLBACK}`, which unknown languages get; add `{_FALLBACK}.yaml`"
            )
        self._phrases = [(phrase, r.language) for r in given for phrase in r.phrases]

    def fixed_refusal(self, language: str | None) -> str:
        """The refusal that is sent where nothing is generated.

        Args:
            language: BCP 47 tag; of a longer tag (`zh-Hant`) the language alone counts. None, and a
                language without a text, get the English one.
        """
        tag = _FALLBACK if language is None else language.split("-")[0].lower()
        return self._replies.get(tag, self._replies[_FALLBACK])

    def is_refusal(self, text: str) -> bool:
        """True when a text opens with a refusal, in whatever language."""
        return self.language_of(text) is not None

    def language_of(self, text: str) -> str | None:
        """The language in which a text opens with a refusal; None when it does not.

        The phrase that comes first decides, and among those that start together the longest.
        """
        plain = _plain(text[: 4 * _OPENING_CHARACTERS])
        found = [
            (start, -len(phrase), language)
            for phrase, language in self._phrases
            if (start := _start_of(phrase, plain)) is not None
        ]
        return min(found)[2] if found else None


def fixed_refusal(language: str | None) -> str:
    """The shipped refusal in a language; the English one for None and where there is none."""
    return _shipped().fixed_refusal(language)


def load_refusals(directory: Traversable | None = None) -> tuple[LanguageRefusals, ...]:
    """Read every `<language>.yaml` of a directory, by default those that ship with the package.

    Raises:
        ArtefactRefused: a file has an unknown, missing or wrong field.
    """
    folder = directory if directory is not None else files("services.refusals") / "phrases"
    entries = [entry for entry in folder.iterdir() if entry.name.endswith(".yaml")]
    return tuple(
        _parsed(entry.name, entry.read_text(encoding="utf-8"))
        for entry in sorted(entries, key=lambda entry: entry.name)
    )


@cache
def _shipped() -> RefusalPhrases:
    return RefusalPhrases()


def _parsed(name: str, text: str) -> LanguageRefusals:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ArtefactRefused(f"`{name}` is no YAML; see the files beside it") from error
    if not isinstance(document, dict) or set(document) != _FIELDS:
        found = ", ".join(map(str, document)) if isinstance(document, dict) else "no fields"
        raise ArtefactRefused(
            f"`{name}` has {found}; it must have exactly {', '.join(sorted(_FIELDS))}"
        )
    language = _text(name, "language", document["language"])
    if f"{language}.yaml" != name:
        raise ArtefactRefused(f"`{name}`: `language` is `{language}`; it must be the file's name")
    return LanguageRefusals(
        language=language,
        reply=_text(name, "reply", document["reply"]),
        phrases=_phrases(name, document["phrases"]),
    )


def _phrases(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ArtefactRefused(f"`{name}`: `phrases` must be a list of at least one phrase")
    texts = [_text(name, f"phrases[{index}]", phrase) for index, phrase in enumerate(value)]
    return tuple(dict.fromkeys(map(_plain, texts)))


def _text(name: str, field: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        kind = "empty" if isinstance(value, str) else f"a {type(value).__name__}"
        raise ArtefactRefused(
            f"`{name}`: `{field}` is {kind}; give a text (`no` and numbers need quotes in YAML)"
        )
    return value


def _plain(text: str) -> str:
    """Without case, in NFC, with straight apostrophes and single spaces."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return " ".join(folded.translate(_APOSTROPHES).split())


def _start_of(phrase: str, text: str) -> int | None:
    """Where a phrase starts a word in the opening of a text."""
    start = text.find(phrase)
    while 0 <= start < _OPENING_CHARACTERS:
        if start == 0 or _is_unspaced(phrase[0]) or not _is_letter(text[start - 1]):
            return start
        start = text.find(phrase, start + 1)
    return None


def _is_unspaced(character: str) -> bool:
    return any(first <= character <= last for first, last in _UNSPACED)


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"
