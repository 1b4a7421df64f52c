"""Refusals as written, in every language: to send one, and to know one in generated text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from services.errors import ArtefactRefused
from services.refusals.lists import LanguageRefusals, Phrase, load_refusals
from services.refusals.normal_form import ends_word, plain, sentences, starts_word

_OPENING_CHARACTERS = 120
"""A refusal begins within these; an answer that tells of one later is an answer."""
_INNER_CHARACTERS = 240
"""Whole clauses of refusal are looked for a little further: after thanks or a preamble."""
_READ_CHARACTERS = 600
"""No more of a text is looked at; more than the above, for what plain form leaves out."""
_FALLBACK = "en"


class _Known(NamedTuple):
    """A phrase and whose it is."""

    phrase: Phrase
    language: str


class _Found(NamedTuple):
    """Where a phrase stands: the first decides, among those that start together the longest."""

    start: int
    minus_length: int
    language: str


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
        self._openings = [_Known(p, r.language) for r in given for p in r.openings]
        self._inner = [_Known(p, r.language) for r in given for p in r.inner]
        self._begin = _by_first_letter(self._openings)
        self._lead = _by_first_letter([_Known(p, r.language) for r in given for p in r.leads])
        self._except = _by_first_letter(
            [_Known(p, r.language) for r in given for p in r.exceptions]
        )

    def fixed_refusal(self, language: str | None) -> str:
        """The refusal that is sent where nothing is generated.

        Args:
            language: BCP 47 tag; of a longer tag (`zh-Hant`) the language alone counts. None, and a
                language without a text, get the English one.
        """
        tag = _FALLBACK if language is None else language.split("-")[0].lower()
        return self._replies.get(tag, self._replies[_FALLBACK])

    def is_refusal(self, text: str) -> bool:
        """True when a text begins with a refusal, in whatever language."""
        return self.language_of(text) is not None

    def language_of(self, text: str) -> str | None:
        """The language in which a text begins with a refusal; None when it does not."""
        words = plain(text[:_READ_CHARACTERS])
        within = self._anywhere(self._inner, words, 0, _INNER_CHARACTERS)
        found = [*self._in_sentences(words), *within]
        return min(found).language if found else None

    def _in_sentences(self, text: str) -> Iterator[_Found]:
        for start, end in sentences(text):
            if start >= _OPENING_CHARACTERS:
                return
            exceptions = _all_at(self._except, text, start)
            opened = [] if exceptions else _all_at(self._begin, text, start)
            yield from opened
            if not opened and (led := exceptions or _all_at(self._lead, text, start)):
                after = start - min(found.minus_length for found in led)
                yield from self._anywhere(self._openings, text, after, end)

    def _anywhere(
        self, phrases: Sequence[_Known], text: str, start: int, end: int
    ) -> Iterator[_Found]:
        for known in phrases:
            at = text.find(known.phrase.text, start, end)
            while at >= 0:
                if self._counts(known.phrase, text, at):
                    yield _found(known, at)
                    break
                at = text.find(known.phrase.text, at + 1, end)

    def _counts(self, phrase: Phrase, text: str, at: int) -> bool:
        if not starts_word(text, at) or not _is_at(phrase, text, at):
            return False
        return not _all_at(self._except, text, at)


def fixed_refusal(language: str | None) -> str:
    """The shipped refusal in a language; the English one for None and where there is none."""
    return _shipped().fixed_refusal(language)


@cache
def _shipped() -> RefusalPhrases:
    return RefusalPhrases()


def _by_first_letter(phrases: Iterable[_Known]) -> dict[str, list[_Known]]:
    found: dict[str, list[_Known]] = {}
    for known in phrases:
        found.setdefault(known.phrase.text[0], []).append(known)
    return found


def _all_at(phrases: Mapping[str, Sequence[_Known]], text: str, at: int) -> list[_Found]:
    return [_found(k, at) for k in phrases.get(text[at], ()) if _is_at(k.phrase, text, at)]


def _found(known: _Known, at: int) -> _Found:
    return _Found(at, -len(known.phrase.text), known.language)


def _is_at(phrase: Phrase, text: str, at: int) -> bool:
    if not text.startswith(phrase.text, at):
        return False
    return not phrase.whole or ends_word(text, at + len(phrase.text))
