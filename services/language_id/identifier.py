"""Names the language of a prompt, or abstains. First step of the request flow."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from services.domain import Abstention, LanguageGuess
from services.language_id.agreement import contradicts, parts, sample
from services.language_id.cleaning import clean
from services.language_id.fasttext_model import FastTextModel
from services.language_id.scripts import Writing, writing_of

MIN_CONFIDENCE = 0.4
"""Measured with lid.176: see `benchmarks/language_id.py`."""
MIN_LETTERS = 12.0
"""Letters; one of a script that needs fewer of them counts as several."""

_LONG = 4_000
"""Characters that take 1 to 2 ms."""
_SHORT_LETTERS = 32.0
_SHORT_CONFIDENCE = 0.6
"""Asked of shorter texts: on a few words the model is often confidently wrong."""
_ENGLISH_CONFIDENCE = 0.5
"""Asked of English, which text in a language that the model does not know is often taken for."""


class LanguageModel(Protocol):
    """Text to probabilities by BCP 47 tag."""

    def probabilities(self, text: str) -> dict[str, float]:
        """The likeliest languages of a text; the probabilities sum to at most 1."""


class LanguageIdService:
    """Language identification that would rather abstain than be led by a part of the text."""

    def __init__(
        self,
        model_path: Path | str | None = None,
        *,
        min_confidence: float = MIN_CONFIDENCE,
        min_letters: float = MIN_LETTERS,
        model: LanguageModel | None = None,
    ) -> None:
        """Load the model.

        Args:
            model_path: a fastText model; None: lid.176, which ships with a dependency.
            min_confidence: below it the guess is `LOW_CONFIDENCE`; in (0, 1].
            min_letters: with fewer letters the guess is `TOO_SHORT`.
            model: used instead of a fastText model.

        Raises:
            ValueError: a limit is out of its range.
            ArtefactRefused: the model cannot be loaded.
        """
        if not 0.0 < min_confidence <= 1.0:
            raise ValueError(f"`min_confidence` is {min_confidence}; give a number in (0, 1]")
        if min_letters < 1:
            raise ValueError(f"`min_letters` is {min_letters}; give at least 1")
        self._min_confidence = min_confidence
        self._min_letters = min_letters
        self._model = model if model is not None else FastTextModel(model_path)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="language-id")
        """Starts with the first long text."""

    async def identify(self, text: str) -> LanguageGuess:
        """`guess`, as the pipeline asks for it.

        A long text is read in a thread, so that it does not hold up the event loop.
        """
        if len(text) <= _LONG:
            return self.guess(text)
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.guess, text)

    def guess(self, text: str) -> LanguageGuess:
        """The language of a text, or why there is none to name.

        Every part of the text is looked at, so that no prefix, suffix or insertion decides alone.
        """
        writing = writing_of(clean(text))
        if writing.n_letters < self._min_letters:
            return LanguageGuess(None, 0.0, Abstention.TOO_SHORT)
        text = writing.text
        language, confidence = _best(self._model.probabilities(sample(text)))
        others = [_best(self._model.probabilities(words))[0] for words in writing.foreign]
        others += self._contradictions(language, parts(text, language, writing.script))
        candidates = tuple(dict.fromkeys([language, *others]))
        if others:
            return LanguageGuess(None, confidence, Abstention.MIXED, candidates)
        if confidence < self._needed_confidence(language, writing):
            return LanguageGuess(None, confidence, Abstention.LOW_CONFIDENCE, candidates)
        return LanguageGuess(language, confidence, candidates=candidates)

    def _needed_confidence(self, language: str, writing: Writing) -> float:
        if writing.n_letters >= _SHORT_LETTERS:
            return max(self._min_confidence, _ENGLISH_CONFIDENCE if language == "en" else 0.0)
        return max(self._min_confidence, _SHORT_CONFIDENCE)

    def _contradictions(self, language: str, pieces: Sequence[str]) -> list[str]:
        """Best languages of the pieces that are not in the text's language, in order."""
        readings = [(piece, self._model.probabilities(piece)) for piece in pieces]
        return [_best(r)[0] for piece, r in readings if contradicts(language, piece, r)]


def _best(reading: Mapping[str, float]) -> tuple[str, float]:
    if not reading:
        return "und", 0.0
    language = max(reading, key=reading.__getitem__)
    return language, min(1.0, reading[language])  # fastText says up to 1.00001
