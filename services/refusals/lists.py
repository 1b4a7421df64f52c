"""The lists of refusals as files: one for each language, checked field by field."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import yaml

from services.errors import ArtefactRefused
from services.refusals.normal_form import plain

_FIELDS = frozenset({"language", "reply", "openings", "inner", "leads", "exceptions"})
_BEGINNING = "…"


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that a text is searched for."""

    text: str
    """In plain form."""
    whole: bool = True
    """False: the last word may go on."""


@dataclass(frozen=True, slots=True)
class LanguageRefusals:
    """What a refusal looks like in one language."""

    language: str
    """BCP 47 tag."""
    reply: str
    """Sent where the policy says REFUSE and nothing is generated."""
    openings: tuple[Phrase, ...]
    """A sentence near the beginning that starts so is a refusal."""
    inner: tuple[Phrase, ...] = ()
    """A refusal wherever it stands near the beginning."""
    leads: tuple[Phrase, ...] = ()
    """No refusal alone; in a sentence that starts so, an opening may stand anywhere."""
    exceptions: tuple[Phrase, ...] = ()
    """Starts like an opening, and is none ("I'm sorry to hear"); otherwise like a lead."""


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


def phrase(text: str) -> Phrase:
    """A phrase as written in a list; `…` at its end says that its last word may go on."""
    return Phrase(plain(text.removesuffix(_BEGINNING)), whole=not text.endswith(_BEGINNING))


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
        openings=_phrases(name, "openings", document["openings"], at_least=1),
        inner=_phrases(name, "inner", document["inner"]),
        leads=_phrases(name, "leads", document["leads"]),
        exceptions=_phrases(name, "exceptions", document["exceptions"]),
    )


def _phrases(name: str, field: str, value: Any, *, at_least: int = 0) -> tuple[Phrase, ...]:
    if not isinstance(value, list) or len(value) < at_least:
        raise ArtefactRefused(f"`{name}`: `{field}` must be a list of at least {at_least} phrases")
    texts = [_text(name, f"{field}[{index}]", words) for index, words in enumerate(value)]
    found = tuple(dict.fromkeys(map(phrase, texts)))
    for index, made in enumerate(found):
        if not made.text:
            raise ArtefactRefused(f"`{name}`: `{field}[{index}]` holds no words")
    return found


def _text(name: str, field: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        kind = "empty" if isinstance(value, str) else f"a {type(value).__name__}"
        raise ArtefactRefused(
            f"`{name}`: `{field}` is {kind}; give a text (`no` and numbers need quotes in YAML)"
        )
    return value
