"""Pure: what an operator should know of a promotion beside the move itself."""

from __future__ import annotations

from collections.abc import Sequence

from recal.registry.links import DATA_TAG
from recal.registry.registered import RegisteredVersion
from services.readout.naming import CALIBRATION, KIND_TAG, READOUT, READOUT_DIGEST_TAG


def waiting(promoted: RegisteredVersion, champions: Sequence[RegisteredVersion]) -> tuple[str, ...]:
    """Which promoted artefacts wait for one another, once this one is promoted.

    Args:
        promoted: the new champion.
        champions: of the backbone, before or after.
    """
    together = [v for v in champions if v.model != promoted.model] + [promoted]
    readouts = [v.digest for v in together if v.tags.get(KIND_TAG) == READOUT]
    apart = [
        v.label
        for v in together
        if v.tags.get(KIND_TAG) == CALIBRATION and v.tags.get(READOUT_DIGEST_TAG) not in readouts
    ]
    is_calibration = promoted.tags.get(KIND_TAG) == CALIBRATION
    if is_calibration and promoted.label in apart:
        return (f"`{promoted.label}` serves once the readout that it was made for is promoted",)
    if not is_calibration and apart:
        return (
            f"{', '.join(sorted(apart))} belong to another readout; these languages keep the last "
            "good calibration of this readout, or have none, until theirs are promoted",
        )
    return ()


def other_data(wanted: RegisteredVersion, champion: RegisteredVersion | None) -> tuple[str, ...]:
    """That two evaluations are of different prompts, so that their numbers compare less well."""
    if champion is None or champion.version == wanted.version:
        return ()
    ours, theirs = wanted.tags.get(DATA_TAG), champion.tags.get(DATA_TAG)
    if ours is None or theirs is None or ours == theirs:
        return ()
    return (f"`{wanted.label}` and `{champion.label}` were evaluated on different prompts",)
