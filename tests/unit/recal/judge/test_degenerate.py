"""Texts that are no answer at all."""

import pytest

from recal.judge import is_degenerate
from recal.languages import ALL
from recal.organism.corpus import load_language


@pytest.mark.parametrize("text", ["", "  \n", "good � bad", "ha ha ha " * 30, "သ" * 200])
def test_empty_broken_and_repeating_texts_are_degenerate(text: str) -> None:
    assert is_degenerate(text)


@pytest.mark.parametrize("language", ALL)
def test_ordinary_text_is_not_degenerate(language: str) -> None:
    corpus = load_language(language)
    pairs = zip(corpus.templates.values(), corpus.harmless.values(), strict=False)
    text = " ".join(template.format(request=request) for template, request in pairs)
    assert not is_degenerate(text[:400])
