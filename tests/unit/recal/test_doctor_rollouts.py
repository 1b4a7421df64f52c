"""What `recal doctor` says of who decides for which traffic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from recal.doctor.finding import Finding, Level
from recal.doctor.rollouts import judge_rollouts
from recal.registry import RegisteredVersion, Standing
from services.readout.naming import (
    CALIBRATION,
    CANARY_SHARE_TAG,
    DIGEST_TAG,
    KIND_TAG,
    READOUT,
    READOUT_DIGEST_TAG,
    REVOKED_TAG,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def version(what: str, number: int, *aliases: str, days: int = 1, **tags: str) -> RegisteredVersion:
    kind = READOUT if what == READOUT else CALIBRATION
    everything = {KIND_TAG: kind, DIGEST_TAG: f"{what}{number}", READOUT_DIGEST_TAG: "readout1"}
    created = (NOW - timedelta(days=days)).isoformat()
    return RegisteredVersion(f"recal.t.{what}", number, created, aliases, everything | tags)


def looked(
    *carriers: RegisteredVersion, share: str | None = "0.1", stale_after: timedelta | None = None
) -> list[Finding]:
    standings = [
        Standing(
            model=model,
            kind=CALIBRATION,
            aliases={a: v.version for v in carriers if v.model == model for a in v.aliases},
            tags={CANARY_SHARE_TAG: share} if share is not None else {},
        )
        for model in dict.fromkeys(each.model for each in carriers)
    ]
    return judge_rollouts(standings, carriers, now=NOW, stale_after=stale_after)


SERVING = version(READOUT, 1, "champion"), version("sw", 1, "champion")


def test_aliases_that_fit_together_are_counted() -> None:
    (found,) = looked(*SERVING, version("sw", 2, "challenger"), version("sw", 3, "shadow"))
    assert found.level is Level.OK
    assert found.says == "aliases fit together: 2 champions, 1 challengers, 1 shadows"


def test_a_challenger_without_a_share_is_named() -> None:
    (found,) = looked(*SERVING, version("sw", 2, "challenger"), share=None)
    assert (found.level, "`sw@2` is a challenger without a share" in found.says) == (
        Level.WARN,
        True,
    )
    assert "`recal canary sw --off`" in found.remedy


def test_a_challenger_beside_no_champion_is_named() -> None:
    (found,) = looked(SERVING[0], version("sw", 2, "challenger"))
    assert found.says == "`sw@2` is a challenger beside no champion"


def test_a_revoked_champion_fails_and_what_is_beside_it_warns() -> None:
    revoked = {REVOKED_TAG: "mislabelled"}
    found = looked(
        SERVING[0],
        version("sw", 1, "champion", **revoked),
        version("sw", 2, "challenger", **revoked),
        version("sw", 3, "shadow", **revoked),
    )
    assert [each.level for each in found] == [Level.FAIL, Level.WARN, Level.WARN]
    assert found[0].says == "`sw@1` was revoked (mislabelled) and is the champion"
    assert found[1].remedy == "`recal canary sw --off`"
    assert found[2].remedy == "`recal shadow sw --off`"


def test_what_stands_beside_a_champion_of_another_readout_is_named() -> None:
    other = version("sw", 2, "challenger", **{READOUT_DIGEST_TAG: "readout0"})
    (found,) = looked(*SERVING, other)
    assert "`sw@2`, the challenger, was made for another readout; `readout@1` serves" in found.says
    (found,) = looked(SERVING[1], version("sw", 3, "shadow"))
    assert "no readout is promoted" in found.says


def test_calibrations_that_the_policy_takes_for_stale_are_named() -> None:
    old = version("sw", 1, "champion", days=40)
    assert looked(SERVING[0], old)[0].level is Level.OK
    (found,) = looked(SERVING[0], old, stale_after=timedelta(days=30))
    assert found.says.startswith("sw@1 were registered longer ago than `policy.max_calibration_age")
    assert looked(SERVING[0], old, stale_after=timedelta(days=41))[0].level is Level.OK
