"""Pure: what no reason overrules, and what must be done first instead."""

from __future__ import annotations

from recal.errors import VersionRevoked, WrongStanding
from recal.registry.registered import RegisteredVersion, Standing
from services.readout.naming import (
    CALIBRATION,
    CHALLENGER,
    CHAMPION,
    KIND_TAG,
    READOUT_DIGEST_TAG,
    SHADOW,
)

_LONGEST_REASON = 500


def stated(reason: str | None) -> str:
    """A reason without space around it, as it is recorded.

    Raises:
        ValueError: it is too long to be read by whoever looks for it.
    """
    told = (reason or "").strip()
    if len(told) > _LONGEST_REASON:
        raise ValueError(
            f"the reason has {len(told)} characters; say it in {_LONGEST_REASON}, and link to more"
        )
    return told


def refuse_share(share: float) -> None:
    """Check that a canary's share of the traffic is one.

    Raises:
        ValueError: it does not lie in (0, 1].
    """
    if not 0.0 < share <= 1.0:
        raise ValueError(
            f"a share of {share:g} is none; give one above 0 and at most 1, e.g. 0.1 for a tenth "
            "of the requests"
        )


def refuse_revoked(version: RegisteredVersion) -> None:
    """Check that nobody revoked a version.

    Raises:
        VersionRevoked: somebody did; the message says why.
    """
    if version.revoked is not None:
        raise VersionRevoked(
            f"`{version.label}` was revoked ({version.revoked}) and must not decide again; "
            "register another version"
        )


def refuse_challenger(
    version: RegisteredVersion, standing: Standing, readout: RegisteredVersion | None
) -> None:
    """Check that a version can decide beside the champion.

    Raises:
        WrongStanding: it cannot.
    """
    _refuse_readout(version, "canary")
    if standing.champion is None:
        raise WrongStanding(
            f"`{standing.what}` has no champion beside which `{version.label}` could decide for a "
            f"share; promote it, or `recal shadow {standing.what}`"
        )
    if CHAMPION in version.aliases:
        raise WrongStanding(
            f"`{version.label}` is the champion and decides already; name another version with "
            "`--version`"
        )
    _refuse_other_readout(version, readout)


def refuse_shadow(version: RegisteredVersion, readout: RegisteredVersion | None) -> None:
    """Check that a version can be scored beside the champion.

    Raises:
        WrongStanding: it cannot.
    """
    _refuse_readout(version, "shadow")
    for alias in (CHAMPION, CHALLENGER):
        if alias in version.aliases:
            raise WrongStanding(
                f"`{version.label}` is the {alias} and decides already; name another version with "
                "`--version`"
            )
    _refuse_other_readout(version, readout)


def refuse_revocation(version: RegisteredVersion, reason: str, *, force: bool) -> None:
    """Check that a version can be revoked: it decides nothing, and somebody says why.

    Args:
        version: what is to be revoked.
        reason: why.
        force: it may carry an alias.

    Raises:
        ValueError: there is no reason.
        VersionRevoked: it was revoked before.
        WrongStanding: it carries an alias, and nothing is forced.
    """
    if not reason:
        raise ValueError("a revocation needs `--reason`, which is recorded and shown")
    if version.revoked is not None:
        raise VersionRevoked(f"`{version.label}` was revoked before: {version.revoked}")
    what = version.model.rsplit(".", 1)[-1]
    first = {
        CHAMPION: f"`recal rollback {what}`, or promote another version",
        CHALLENGER: f"`recal canary {what} --off`",
        SHADOW: f"`recal shadow {what} --off`",
    }
    for alias in () if force else version.aliases:
        raise WrongStanding(
            f"`{version.label}` is the {alias}; first {first[alias]}. With nothing to put in its "
            "place, `--force` revokes it where it stands"
        )


def _refuse_readout(version: RegisteredVersion, verb: str) -> None:
    if version.tags.get(KIND_TAG) != CALIBRATION:
        raise WrongStanding(
            f"`{version.label}` is a readout, which moves with all languages at once; `recal "
            f"{verb}` is for a language's calibrations"
        )


def _refuse_other_readout(version: RegisteredVersion, readout: RegisteredVersion | None) -> None:
    if readout is None:
        raise WrongStanding(
            f"no readout is promoted, so nothing can be scored with `{version.label}`; promote the "
            "readout first: `recal promote readout`"
        )
    if version.tags.get(READOUT_DIGEST_TAG) != readout.digest:
        raise WrongStanding(
            f"`{version.label}` was made for another readout than `{readout.label}`, which serves; "
            "recalibrate the language with that one"
        )
