"""Putting a bundle together, so that one bad calibration takes down no other language."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from services.errors import ArtefactRefused
from services.readout.bundle import Bundle, Calibration, Readout


def assemble(readout: Readout, loaders: Mapping[str, Callable[[], Calibration]]) -> Bundle:
    """Load each language's calibration; those that are refused are named in `Bundle.refused`.

    Args:
        readout: what the calibrations must belong to.
        loaders: by language; each raises ArtefactRefused for its own calibration only.

    Raises:
        RegistryUnreachable: a loader could not reach the registry; nothing is put together.
    """
    calibrations, refused = {}, {}
    for language, load in loaders.items():
        try:
            calibrations[language] = _fitting(load(), language, readout)
        except ArtefactRefused as error:
            refused[language] = str(error)
    return Bundle(readout, calibrations, refused)


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
