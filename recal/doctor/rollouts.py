"""Whether the aliases of a backbone's models make sense together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from recal.doctor.finding import Finding, fail, ok, warn
from services.readout.naming import (
    CALIBRATION,
    CHALLENGER,
    CHAMPION,
    KIND_TAG,
    READOUT,
    READOUT_DIGEST_TAG,
    SHADOW,
)

if TYPE_CHECKING:
    from recal.registry import RegisteredVersion, Standing

_NAME = "rollout"


def judge_rollouts(
    standings: Sequence[Standing],
    carriers: Sequence[RegisteredVersion],
    *,
    now: datetime,
    stale_after: timedelta | None = None,
) -> list[Finding]:
    """What is wrong with who decides; one good finding where nothing is.

    Args:
        standings: of the backbone's models.
        carriers: every version that carries one of their aliases.
        now: to tell ages by.
        stale_after: age at which serving takes a calibration for stale; None: never.
    """
    readouts = [v for v in carriers if v.tags.get(KIND_TAG) == READOUT and v.is_champion]
    readout = readouts[0] if readouts else None
    found = [*_shares(standings), *_revoked(carriers), *_of_others(carriers, readout)]
    if stale_after is not None:
        found += _stale(carriers, now - stale_after)
    if found:
        return found
    told = [
        f"{len([v for v in carriers if alias in v.aliases])} {alias}s"
        for alias in (CHAMPION, CHALLENGER, SHADOW)
    ]
    return [ok(_NAME, f"aliases fit together: {', '.join(told)}")]


def _shares(standings: Sequence[Standing]) -> Iterator[Finding]:
    for each in standings:
        if each.challenger is None:
            continue
        label = each.label_of(CHALLENGER)
        if each.canary_share is None:
            says = f"`{label}` is a challenger without a share of the traffic, and decides nothing"
            ways = f"`recal canary {each.what} --off`, or `--share` with `--version`"
            yield warn(_NAME, says, ways)
        if each.champion is None:
            says = f"`{label}` is a challenger beside no champion"
            yield warn(_NAME, says, f"`recal promote {each.what}`, or `recal canary … --off`")


def _revoked(carriers: Sequence[RegisteredVersion]) -> Iterator[Finding]:
    for version in carriers:
        if version.revoked is None:
            continue
        what = version.model.rsplit(".", 1)[-1]
        says = f"`{version.label}` was revoked ({version.revoked}) and is the "
        if version.is_champion:
            way = f"`recal rollback {what}`, or promote another version: servers refuse this one"
            yield fail(_NAME, f"{says}champion", way)
            continue
        for alias in version.aliases:
            verb = "canary" if alias == CHALLENGER else alias
            yield warn(_NAME, f"{says}{alias}", f"`recal {verb} {what} --off`")


def _of_others(
    carriers: Sequence[RegisteredVersion], readout: RegisteredVersion | None
) -> Iterator[Finding]:
    """Challengers and shadows that stand aside; of champions the registry's check tells."""
    for version in carriers:
        beside = [alias for alias in version.aliases if alias != CHAMPION]
        if not beside or version.tags.get(KIND_TAG) != CALIBRATION:
            continue
        if readout is None or version.tags.get(READOUT_DIGEST_TAG) != readout.digest:
            serving = "no readout is promoted" if readout is None else f"`{readout.label}` serves"
            says = f"`{version.label}`, the {beside[0]}, was made for another readout; {serving}"
            what = version.model.rsplit(".", 1)[-1]
            yield warn(_NAME, says, f"recalibrate `{what}` with the readout that serves")


def _stale(carriers: Sequence[RegisteredVersion], oldest: datetime) -> Iterator[Finding]:
    old = [
        v.label
        for v in carriers
        if v.is_champion and v.tags.get(KIND_TAG) == CALIBRATION and _time(v.created) < oldest
    ]
    if old:
        says = f"{', '.join(old)} were registered longer ago than `policy.max_calibration_age_days`"
        yield warn(_NAME, says, "recalibrate these languages; the policy takes them for stale")


def _time(created: str) -> datetime:
    found = datetime.fromisoformat(created)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
