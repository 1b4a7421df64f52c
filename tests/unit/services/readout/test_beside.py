"""Challengers and shadows in a bundle: whose trouble they never are, and what metrics say."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from services.errors import ArtefactRefused, RegistryUnreachable
from services.readout.assembly import Loaders, assemble
from services.readout.bundle import Bundle, Calibration
from services.readout.canary import Challenger
from services.readout.reported import contents, report
from services.readout.scores import column_of, score_all, score_table
from services.telemetry import PrometheusMeter
from tests.unit.services.readout.factories import D_MODEL, a_calibration, a_readout, an_own_readout

DIGEST = "d" * 64
READOUT = a_readout(digest=DIGEST, version="readout@1")


def version(number: int, language: str = "sw", **fields: object) -> Calibration:
    made = a_calibration(language, readout_digest=DIGEST, steer=float(number))
    return replace(made, version=f"{language}@{number}", digest=f"{number}", **fields)  # type: ignore[arg-type]


def bundle(share: float = 0.5, **fields: object) -> Bundle:
    """Champion 1, challenger 2, shadow 3."""
    defaults = {
        "challengers": {"sw": Challenger(version(2), share)},
        "shadows": {"sw": version(3)},
    }
    return Bundle(READOUT, {"sw": version(1)}, **{**defaults, **fields})  # type: ignore[arg-type]


def refusing(error: Exception):
    def load():
        raise error

    return load


def test_keys_of_the_share_get_the_challenger_and_all_others_the_champion() -> None:
    held = bundle()
    for key in map(str, range(50)):
        found = held.deciding("sw", key)
        assert found is not None
        assert found.version == ("sw@2" if held.challengers["sw"].takes(key) else "sw@1")


def test_without_a_key_the_champion_decides() -> None:
    found = bundle(share=1.0).deciding("sw", None)
    assert found is not None
    assert found.version == "sw@1"


def test_a_challenger_without_a_champion_leaves_its_other_keys_without_a_calibration() -> None:
    held = Bundle(READOUT, {}, challengers={"sw": Challenger(version(2), 0.5)})
    found = {
        each.version if each else None
        for key in range(50)
        for each in [held.deciding("sw", str(key))]
    }
    assert found == {"sw@2", None}
    assert held.knows("sw")
    assert not held.knows("yo")
    assert not held.knows(None)


@pytest.mark.parametrize("place", ["challengers", "shadows"])
@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (version(2, "yo"), "calibration of `yo` is filed under `sw`"),
        (replace(version(2), readout_digest="e" * 64), "belongs to another readout"),
        (version(1), "cannot stand beside itself"),
    ],
)
def test_what_does_not_belong_beside_a_champion_makes_no_bundle(
    place: str, wrong: Calibration, why: str
) -> None:
    filed = Challenger(wrong, 0.5) if place == "challengers" else wrong
    with pytest.raises(ValueError, match=why):
        bundle(**{place: {"sw": filed}})


@pytest.mark.parametrize(
    "error", [ArtefactRefused("it was changed"), RegistryUnreachable("it does not answer")]
)
def test_a_challenger_or_shadow_that_does_not_load_leaves_the_champion_alone(
    error: Exception,
) -> None:
    loaders = Loaders({"sw": lambda: version(1)}, {"sw": refusing(error)}, {"sw": refusing(error)})
    made = assemble(READOUT, loaders)
    assert made.calibrations["sw"].version == "sw@1"
    assert (made.challengers, made.shadows, made.refused) == ({}, {}, {})
    assert made.refused_beside == {
        "challenger of sw": f"the challenger of `sw` stands aside: {error}",
        "shadow of sw": f"the shadow of `sw` stands aside: {error}",
    }


def test_a_champion_that_is_refused_does_not_take_its_challenger_with_it() -> None:
    refused = refusing(ArtefactRefused("it was changed"))
    made = assemble(READOUT, Loaders({"sw": refused}, {"sw": lambda: Challenger(version(2), 0.25)}))
    assert made.refused == {"sw": "it was changed"}
    assert made.challengers["sw"].share == 0.25


@pytest.mark.parametrize("wrong", [version(2, "yo"), replace(version(2), readout_digest="e" * 64)])
def test_a_challenger_or_shadow_of_something_else_stands_aside(wrong: Calibration) -> None:
    loaders = Loaders(
        {"sw": lambda: version(1)},
        {"sw": lambda: Challenger(wrong, 0.5)},
        {"sw": lambda: wrong},
    )
    made = assemble(READOUT, loaders)
    assert (made.challengers, made.shadows) == ({}, {})
    assert made.refused_beside.keys() == {"challenger of sw", "shadow of sw"}


def test_aliases_left_behind_by_a_promotion_stand_beside_nobody() -> None:
    loaders = Loaders(
        {"sw": lambda: version(1)},
        {"sw": lambda: Challenger(version(1), 0.5)},
        {"sw": lambda: version(1)},
    )
    made = assemble(READOUT, loaders)
    assert (made.challengers, made.shadows, made.refused_beside) == ({}, {}, {})


def test_every_calibration_with_weights_of_its_own_has_its_own_column() -> None:
    own = {number: an_own_readout(number) for number in (1, 2, 3)}
    held = Bundle(
        READOUT,
        {"sw": version(1, own=own[1])},
        challengers={"sw": Challenger(version(2, own=own[2]), 0.5)},
        shadows={"sw": version(3, own=own[3])},
    )
    rows = torch.randn(4, 2, D_MODEL, generator=torch.Generator().manual_seed(3))
    table = score_table(held, rows)
    assert table.shape == (4, 4)
    for calibration in held.loaded:
        assert calibration.own is not None
        alone = calibration.own.score(rows[:, 1:])
        torch.testing.assert_close(table[:, column_of(calibration, held)], alone)
        read = [scores.under(calibration) for scores in score_all(held, rows)]
        assert read == pytest.approx(alone.tolist())


def test_one_version_may_be_challenger_and_shadow_at_once() -> None:
    own = version(2, own=an_own_readout())
    held = bundle(challengers={"sw": Challenger(own, 0.5)}, shadows={"sw": own})
    assert score_table(held, torch.zeros(1, 2, D_MODEL)).shape == (1, 2)


def test_shares_challengers_and_shadows_tell_bundles_apart() -> None:
    others = [
        bundle(0.25),
        bundle(challengers={}),
        bundle(shadows={}),
        bundle(shadows={"sw": version(4)}),
    ]
    seen = [contents(each) for each in (bundle(), *others)]
    assert all(seen.count(each) == 1 for each in seen)
    assert contents(bundle()) == contents(bundle())


def sample(meter: PrometheusMeter, name: str, **labels: str) -> float | None:
    return meter.registry.get_sample_value(name, labels)


def test_metrics_name_every_role_and_the_share_and_forget_what_left() -> None:
    meter, held = PrometheusMeter(), bundle(0.25)
    report(meter, None, held)

    def info(number: int, role: str) -> float | None:
        labels = {"calibration_version": f"sw@{number}", "estimator": "midpoint", "role": role}
        return sample(meter, "recal_calibration_info", language="sw", **labels)

    assert [info(1, "champion"), info(2, "challenger"), info(3, "shadow")] == [1.0, 1.0, 1.0]
    assert sample(meter, "recal_canary_share", language="sw") == 0.25
    assert sample(meter, "recal_threshold", language="sw") == 1.0
    # the challenger is promoted
    report(meter, held, Bundle(READOUT, {"sw": version(2)}))
    assert [info(1, "champion"), info(2, "challenger"), info(3, "shadow")] == [None, None, None]
    assert info(2, "champion") == 1.0
    assert sample(meter, "recal_canary_share", language="sw") is None
    report(meter, Bundle(READOUT, {"sw": version(2)}), None)
    assert info(2, "champion") is None
    assert sample(meter, "recal_threshold", language="sw") is None
