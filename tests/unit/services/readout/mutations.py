"""A set of saved artefacts, and ways to spoil it, each of which must be refused; by a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import NamedTuple

from services.readout.artefact import save_calibration, save_readout
from tests.unit.services.readout import spoilt_content, spoilt_files
from tests.unit.services.readout.factories import a_calibration, a_readout, an_own_readout

READOUT, PLAIN, OWNING = "readout", "calibrations/sw", "calibrations/yo"
ARTEFACTS = (READOUT, PLAIN, OWNING)
WITH_TENSORS = (READOUT, OWNING)

Spoil = Callable[[Path, Path, Random], None]
"""Spoils the artefact in the first directory, with what lies in another set's if it likes."""


class Mutation(NamedTuple):
    """One way to spoil one artefact."""

    name: str
    artefact: str
    seed: int
    spoil: Spoil

    def apply(self, root: Path, other: Path) -> None:
        """Spoil it where it lies under `root`; `other` is another set."""
        self.spoil(root / self.artefact, other / self.artefact, Random(self.seed))


def save_set(root: Path, seed: int) -> None:
    """A readout, a calibration, and one with a readout of its own, as `DirectorySource` reads."""
    readout = save_readout(a_readout(seed), root / READOUT)
    for directory, own in ((PLAIN, None), (OWNING, an_own_readout(seed))):
        language = directory[-2:]
        calibration = a_calibration(language, readout_digest=readout.digest, steer=0.4 + seed)
        save_calibration(replace(calibration, own=own), root / directory)


def mutations(n: int, seed: int) -> Iterator[Mutation]:
    """`n` mutations, every kind of them in turn."""
    random = Random(seed)
    kinds = [(kind, name) for kind in KINDS for name in _artefacts_of(kind)]
    for index in range(n):
        kind, artefact = kinds[index % len(kinds)]
        yield Mutation(kind.__name__, artefact, random.randrange(2**32), kind)


def _artefacts_of(kind: Spoil) -> tuple[str, ...]:
    return WITH_TENSORS if kind in OF_TENSORS else ARTEFACTS


KINDS: tuple[Spoil, ...] = (
    spoilt_files.flip_a_bit,
    spoilt_files.overwrite_bytes,
    spoilt_files.cut_short,
    spoilt_files.append,
    spoilt_files.reformat,
    spoilt_files.take_a_file_away,
    spoilt_files.exchange_with_another_set,
    spoilt_files.exchange_manifests,
    spoilt_files.exchange_two_files,
    spoilt_files.link,
    spoilt_files.link_the_whole,
    spoilt_files.put_something_else,
    spoilt_files.add_a_file,
    spoilt_files.empty_the_whole,
    spoilt_files.blow_up,
    spoilt_content.wrong_type,
    spoilt_content.absurd_number,
    spoilt_content.negative_or_absurd_layer,
    spoilt_content.wrong_field,
    spoilt_content.say_twice,
    spoilt_content.other_schema,
    spoilt_content.broken_sense,
    spoilt_content.bad_json,
    spoilt_content.bad_manifest,
    spoilt_content.wrong_place,
    spoilt_content.bad_header,
    spoilt_content.bad_frame,
    spoilt_content.not_finite,
)
OF_TENSORS = frozenset(
    {spoilt_content.bad_header, spoilt_content.bad_frame, spoilt_content.not_finite}
)
