"""Generated texts on disk, so that a run that was stopped goes on where it was.

One file of JSON lines, a text each, readable by its owner alone. A line is written when its text
ends, so that a run that is killed loses the texts in flight and nothing else. Of prompts it holds
digests; the texts are a model's answers, those to harmful prompts among them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from recal.prompts import Prompt
from services.domain import Sampling
from services.generation.treatment import Treatment
from services.readout.bundle import BackboneIdentity

_SCHEMA = 1
_OWNER_ALONE = 0o600


class Runs(NamedTuple):
    """What decides a text beside prompt, treatment and sampling."""

    identity: BackboneIdentity
    dtype: torch.dtype
    device: str


class KeptTexts:
    """Texts of one file, by backbone, prompt, treatment and sampling."""

    def __init__(self, path: Path, runs: Runs) -> None:
        """Open the file, or make it.

        A last line that was cut short, by a run that was killed, is dropped.

        Raises:
            ValueError: another line is none of ours, or was changed.
        """
        self.path = path
        self._backbone = _backbone_key(runs)
        self._directions: dict[int, tuple[Tensor, str]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, _OWNER_ALONE)
        os.fchmod(self._file, _OWNER_ALONE)  # one that was there may have been open to others
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        os.ftruncate(self._file, whole)
        self._texts = dict(_lines(path, content[:whole]))

    def get(self, prompt: Prompt, treatment: Treatment, sampling: Sampling) -> str | None:
        """The text, or None where it has not been written."""
        return self._texts.get(self._key(prompt, treatment, sampling))

    def put(self, prompt: Prompt, treatment: Treatment, sampling: Sampling, text: str) -> None:
        """Keep a text."""
        key = self._key(prompt, treatment, sampling)
        self._texts[key] = text
        line = json.dumps({"key": key, "check": _check(key, text), "text": text})
        os.write(self._file, line.encode() + b"\n")

    def close(self) -> None:
        """Close the file; nothing can be kept any more."""
        os.close(self._file)

    def _key(self, prompt: Prompt, treatment: Treatment, sampling: Sampling) -> str:
        # what a treatment does, and not what it is meant as: two that move alike write one text
        moves = [
            [m.layer, self._digest(m.direction), [each.hex() for each in m.push], m.scope.value]
            for m in treatment.moves
        ]
        parts = [_SCHEMA, self._backbone, prompt.digest, moves, asdict(sampling)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _digest(self, direction: Tensor) -> str:
        """sha256 of a direction, computed once; it is kept, for its identity may be used again."""
        if id(direction) not in self._directions:
            numbers = direction.detach().float().cpu().contiguous().numpy().tobytes()
            self._directions[id(direction)] = direction, hashlib.sha256(numbers).hexdigest()
        return self._directions[id(direction)][1]


def _backbone_key(runs: Runs) -> list[str]:
    identity = runs.identity
    digests = [identity.weights_digest, identity.tokenizer_digest, identity.chat_template_digest]
    return [*digests, str(runs.dtype), runs.device]


def _lines(path: Path, content: bytes) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            row = json.loads(line)
            key, text, check = row["key"], row["text"], row["check"]
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
            key, text, check = "", "", ""
        if not check or check != _check(key, text):
            raise ValueError(
                f"line {number} of `{path}` is no kept text, or was changed; delete the file, and "
                "its texts are written again"
            )
        yield key, text


def _check(key: str, text: str) -> str:
    return hashlib.sha256(f"{key} {text}".encode()).hexdigest()[:16]
