"""Putting a bundle together, so that one bad calibration takes down no other language."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypedDict, TypeVar

from services.errors import ArtefactRefused, RegistryUnreachable
from services.readout.bundle import Bundle, Calibration, Readout
from services.readout.canary import Challenger
from services.readout.naming import CHALLENGER, SHADOW

LoadedT = TypeVar("LoadedT")
Load = Callable[[], LoadedT]


@dataclass(frozen=True)
class Loaders:
    """What loads each language's calibrations, by the alias that they carry."""

    champions: Mapping[str, Load[Calibration]]
    """By language; each raises ArtefactRefused for its own calibration only."""
    challengers: Mapping[str, Load[Challenger]] = field(default_factory=dict)
    shadows: Mapping[str, Load[Calibration]] = field(default_factory=dict)


def assemble(readout: Readout, loaders: Loaders) -> Bundle:
    """Load each language's calibrations; those that are refused are named in the bundle.

    A challenger or shadow that is refused, or cannot be fetched, leaves its champion alone. One
    that is its language's champion as well stands beside nobody, and is left out.

    Args:
        readout: what the calibrations must belong to.
        loaders: of the calibrations.

    Raises:
        RegistryUnreachable: a champion's loader could not reach the registry; nothing is put
            together.
    """
    calibrations, refused = {}, {}
    for language, load in loaders.champions.items():
        try:
            calibrations[language] = _fitting(load(), language, readout)
        except ArtefactRefused as error:
            refused[language] = str(error)
    challengers: dict[str, Challenger] = {}
    shadows: dict[str, Calibration] = {}
    beside: dict[str, str] = {}
    for language, load_challenger in loaders.challengers.items():
        with _noting(beside, CHALLENGER, language):
            challenger = load_challenger()
            _fitting(challenger.calibration, language, readout)
            challengers[language] = challenger
    for language, load in loaders.shadows.items():
        with _noting(beside, SHADOW, language):
            shadows[language] = _fitting(load(), language, readout)
    return Bundle(
        readout,
        calibrations,
        refused,
        **not_themselves(calibrations, challengers, shadows),
        refused_beside=beside,
    )


class Beside(TypedDict):
    """What stands beside the champions, as `Bundle` takes it."""

    challengers: dict[str, Challenger]
    shadows: dict[str, Calibration]


def not_themselves(
    champions: Mapping[str, Calibration],
    challengers: Mapping[str, Challenger],
    shadows: Mapping[str, Calibration],
) -> Beside:
    """Those that are not their language's champion as well: nothing is compared with itself."""
    keys = {each.key for each in champions.values()}
    return Beside(
        challengers={la: c for la, c in challengers.items() if c.calibration.key not in keys},
        shadows={la: each for la, each in shadows.items() if each.key not in keys},
    )


@contextmanager
def _noting(refused: dict[str, str], alias: str, language: str) -> Iterator[None]:
    try:
        yield
    except (ArtefactRefused, RegistryUnreachable) as error:
        refused[f"{alias} of {language}"] = f"the {alias} of `{language}` stands aside: {error}"


def _fitting(calibration: Calibration, language: str, readout: Readout) -> Calibration:
    if calibration.language != language:
        raise ArtefactRefused(
            f"calibration `{calibration.version}` is of language `{calibration.language}`, "
            f"but was found under `{language}`; check its place"
        )
    if calibration.readout_digest != readout.digest:
        raise ArtefactRefused(
            f"calibration `{calibration.version}` belongs to the readout "
            f"{calibration.readout_digest[:12]}…, not to `{readout.version}` "
            f"({readout.digest[:12]}…); promote the readout that it was made for, or run "
            f"`recal recalibrate --language {language}`"
        )
    _refuse_other_places(calibration, readout)
    _refuse_overflow(calibration, readout)
    return calibration


def _refuse_other_places(calibration: Calibration, readout: Readout) -> None:
    if calibration.own is None:
        return
    try:
        calibration.own.refuse_other_places(readout.places)
    except ValueError as error:
        raise ArtefactRefused(
            f"calibration `{calibration.version}`: {error}; run "
            f"`recal recalibrate --language {calibration.language}` with this readout"
        ) from None


def _refuse_overflow(calibration: Calibration, readout: Readout) -> None:
    """Score the readout's references by own weights; what is wrong is this language's alone."""
    own, references = calibration.own, readout.references
    if own is None or references is None:
        return
    scores = own.score(references.residuals[:, own.rows_among(readout.places)])
    if not bool(scores.isfinite().all()):
        raise ArtefactRefused(
            f"calibration `{calibration.version}`: its own readout's scores of the reference "
            f"activations are not finite; run `recal recalibrate --language "
            f"{calibration.language}` again"
        )
