"""What a move of an alias changes for which traffic, in plain words."""

from __future__ import annotations

from collections.abc import Iterator

from recal.registry.registered import AliasMove, RegisteredVersion
from services.readout.bundle import Calibration, Readout
from services.readout.naming import CHALLENGER, CHAMPION, READOUT, SHADOW, version_label

Artefact = Calibration | Readout


def in_words(move: AliasMove, before: Artefact | None, after: Artefact | None) -> tuple[str, ...]:
    """One sentence for the traffic, one for what differs, and one for whatever ends.

    Args:
        move: what is to happen, or has.
        before: what the version that decides now holds; None: none does, or it is of no matter.
        after: what the version that the alias moves to holds; None: it moves to none.
    """
    found = [_traffic(move)]
    if move.changes_nothing:
        return tuple(found)
    if before is not None and after is not None:
        found.extend(_differences(move, before, after))
    elif isinstance(after, Calibration):
        found.append(f"{_label(move, move.to_version)}: {_made(after)}")
    found += [f"{_label(move, move.to_version)} is no longer {alias}" for alias in move.ends]
    return tuple(found)


def revoked_in_words(version: RegisteredVersion) -> tuple[str, ...]:
    """What a revocation changes.

    Args:
        version: with the reason, and the aliases that it carried.
    """
    what = version.model.rsplit(".", 1)[-1]
    said = {
        CHAMPION: (
            f"{what}: 100 % of requests that {version.label} decides are decided by the policy's "
            "row for no calibration, until another version is promoted"
        ),
        CHALLENGER: f"{what}: the requests that {version.label} decides go back to the champion",
        SHADOW: f"{what}: no request moves; {version.label} is scored no more",
    }
    if version.model.endswith(f".{READOUT}"):
        said[CHAMPION] = (
            f"{what}: no request in any language is decided until another readout is promoted"
        )
    found = [said[alias] for alias in version.aliases] or [f"{what}: no request moves"]
    forever = f"{version.label} can never decide again, wherever it is kept: {version.revoked}"
    return (*found, forever)


def _traffic(move: AliasMove) -> str:
    if move.changes_nothing:
        return f"{move.before.what}: nothing changes; {_label(move, move.to_version)} is it already"
    return {CHAMPION: _crowned, CHALLENGER: _tried, SHADOW: _shadowed}[move.alias](move)


def _crowned(move: AliasMove) -> str:
    who, to = _requests(move), _label(move, move.to_version)
    tried = None if move.before.challenger is None else move.canary_share
    rest = 1.0 - (tried or 0.0)
    kept = ""
    if rest < 1.0:
        kept = (
            f"; {_label(move, move.before.challenger)} keeps its {_percent(1.0 - rest)} as a canary"
        )
    if move.from_version is None:
        return (
            f"{move.before.what}: {_percent(rest)} of {who}, for which there is no {_noun(move)} "
            f"now, move to {to}{kept}"
        )
    start = _label(move, move.from_version)
    if CHALLENGER in move.ends and move.before.canary_share is not None:
        return (
            f"{move.before.what}: the {_percent(1.0 - move.before.canary_share)} of {who} that "
            f"{start} decides move to {to}, which then decides all"
        )
    return f"{move.before.what}: {_percent(rest)} of {who} move from {start} to {to}{kept}"


def _tried(move: AliasMove) -> str:
    champion = _label(move, move.before.champion)
    who = _requests(move)
    if move.to_version is None:
        share = move.before.canary_share
        told = "no" if share is None else f"the {_percent(share)} of"
        return (
            f"{move.before.what}: {told} {who} that {_label(move, move.from_version)} decides move "
            f"back to {champion}"
        )
    wanted = _percent(move.canary_share or 0.0)
    to = _label(move, move.to_version)
    if move.from_version == move.to_version and move.before.canary_share is not None:
        return (
            f"{move.before.what}: the share of {who} that {to} decides beside {champion} goes from "
            f"{_percent(move.before.canary_share)} to {wanted}"
        )
    said = f"{move.before.what}: {wanted} of {who} move from {champion} to {to}, by a stable hash"
    if move.from_version is not None:
        said += f"; {_label(move, move.from_version)} is no longer tried"
    return said


def _shadowed(move: AliasMove) -> str:
    before, who = move.from_version, _requests(move)
    if move.to_version is None:
        return f"{move.before.what}: no request moves; {_label(move, before)} is scored no more"
    champion = move.before.champion
    beside = (
        f"beside {_label(move, champion)}"
        if champion is not None
        else "though no version decides yet"
    )
    replaced = "" if before is None else f"; {_label(move, before)} is scored no more"
    return (
        f"{move.before.what}: no request moves; {_label(move, move.to_version)} is scored and "
        f"counted on all {who} {beside}, and never acts{replaced}"
    )


def _differences(move: AliasMove, before: Artefact, after: Artefact) -> Iterator[str]:
    if isinstance(before, Calibration) and isinstance(after, Calibration):
        yield f"{_label(move, move.to_version)}: {_moved(before, after)}"
    elif isinstance(before, Readout) and isinstance(after, Readout):
        steering, was = after.steering, before.steering
        yield (
            f"{_label(move, move.to_version)}: reads {before.reads} → {after.reads}; steers at "
            f"block {was.layer} → {steering.layer} by {was.form.value} → {steering.form.value}; "
            f"made of {len(before.source_languages)} → {len(after.source_languages)} languages"
        )


def _moved(before: Calibration, after: Calibration) -> str:
    said = [
        f"steers from {before.thresholds.steer:.2f} → {after.thresholds.steer:.2f}",
        f"releases up to {_release(before)} → {_release(after)}",
        f"estimator {_arrow(before.estimator, after.estimator)}",
        f"k {_arrow(before.k, after.k)}",
    ]
    if _scored_by(before) != _scored_by(after):
        said.append(
            f"scored by {_scored_by(before)} → {_scored_by(after)}, so that thresholds do not "
            "compare"
        )
    elif after.thresholds.steer != before.thresholds.steer:
        more = "fewer" if after.thresholds.steer > before.thresholds.steer else "more"
        said.append(f"{more} prompts are steered")
    return "; ".join(said)


def _made(made: Calibration) -> str:
    return (
        f"steers from {made.thresholds.steer:.2f}, releases up to {_release(made)}; "
        f"{made.estimator}, k = {made.k}"
    )


def _scored_by(made: Calibration) -> str:
    return "the frozen readout" if made.own is None else f"an own readout ({made.own.method})"


def _release(made: Calibration) -> str:
    return "nothing" if made.thresholds.release is None else f"{made.thresholds.release:.2f}"


def _arrow(before: object, after: object) -> str:
    return f"{before}" if before == after else f"{before} → {after}"


def _requests(move: AliasMove) -> str:
    if move.before.kind == READOUT:
        return "requests in all languages"
    return f"requests in `{move.before.what}`"


def _noun(move: AliasMove) -> str:
    return "readout" if move.before.kind == READOUT else "calibration"


def _label(move: AliasMove, version: int | None) -> str:
    return "nobody" if version is None else version_label(move.model, version)


def _percent(share: float) -> str:
    return f"{100.0 * share:.4g} %"
