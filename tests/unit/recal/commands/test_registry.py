"""What the registry holds, as people and as programs read it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from recal.errors import UnknownVersion
from recal.registry.description import describe, differences
from services.errors import ArtefactRefused
from services.readout.artefact import save_calibration
from services.readout.bundle import Thresholds
from services.readout.naming import CANARY_SHARE_TAG, CHALLENGER, REVOKED_TAG, SHADOW
from tests.unit.recal.commands.shelved import Desk
from tests.unit.services.readout.factories import a_calibration


def client_of(desk: Desk) -> MlflowClient:
    uri = desk.shelf.registry.tracking_uri
    return MlflowClient(uri, uri)


@pytest.fixture
def rolling(desk: Desk) -> Desk:
    """sw@1 serves, sw@2 decides for a tenth of the requests, sw@3 is a shadow; yo waits."""
    readout = desk.shelf.readout()
    for threshold in (0.25, 0.5, 0.75):
        desk.shelf.calibration(
            readout, threshold=threshold, thresholds=Thresholds(threshold, threshold - 0.125)
        )
    desk.shelf.calibration(readout, "yo")
    desk.shelf.promote(1, sw=1)
    client, model = client_of(desk), desk.shelf.model_of("sw")
    client.set_registered_model_alias(model, CHALLENGER, "2")
    client.set_registered_model_tag(model, CANARY_SHARE_TAG, "0.1")
    client.set_registered_model_alias(model, SHADOW, "3")
    return desk


def test_a_list_says_who_decides_for_each_model(rolling: Desk) -> None:
    readout, sw, yo = rolling.said("list")
    assert readout.split() == ["readout", "champion", "readout@1"]
    assert sw.endswith("champion sw@1  challenger sw@2 (10 % of requests)  shadow sw@3")
    assert yo.split() == ["yo", "no", "champion"]


def test_a_list_for_programs_is_one_object(rolling: Desk) -> None:
    listed = rolling.json("list")
    assert listed["backbone"] == rolling.shelf.backbone.name
    assert [each["what"] for each in listed["models"]] == ["readout", "sw", "yo"]
    sw = listed["models"][1]
    assert (sw["champion"], sw["challenger"], sw["canary_share"]) == ("sw@1", "sw@2", 0.1)
    assert (sw["shadow"], listed["models"][2]["champion"]) == ("sw@3", None)


@pytest.mark.parametrize("share", ["", "0", "1.5", "much"])
def test_a_share_that_is_none_is_said_to_be_none(rolling: Desk, share: str) -> None:
    client_of(rolling).set_registered_model_tag(
        rolling.shelf.model_of("sw"), CANARY_SHARE_TAG, share
    )
    assert "challenger sw@2 (no share, so none)" in rolling.said("list")[1]
    assert rolling.json("list")["models"][1]["canary_share"] is None


def test_an_empty_registry_lists_nothing_and_says_where_it_looked(desk: Desk) -> None:
    (line,) = desk.said("list")
    assert line.startswith(f"nothing of `{desk.shelf.backbone.name}` is registered at sqlite://")


def test_the_versions_of_a_language_are_listed_newest_first(rolling: Desk) -> None:
    model = rolling.shelf.model_of("sw")
    client_of(rolling).set_model_version_tag(model, "2", REVOKED_TAG, "wrong examples")
    newest, middle, oldest = rolling.said("list", "sw")
    assert newest.startswith("sw@3 ")
    assert newest.endswith("estimator=midpoint k=4  shadow")
    assert middle.endswith("challenger revoked")
    assert oldest.endswith("champion")
    versions = rolling.json("list", "sw")["versions"]
    assert [each["label"] for each in versions] == ["sw@3", "sw@2", "sw@1"]
    assert [each["revoked"] for each in versions] == [None, "wrong examples", None]


def test_show_tells_everything_about_the_champion(rolling: Desk) -> None:
    told = rolling.json("show", "sw")
    assert told["version"]["label"] == "sw@1"
    assert told["version"]["aliases"] == ["champion"]
    assert told["thresholds"]["steer"] == 0.25
    assert told["made"]["k"] == 4
    assert told["readout"]["digest"] == rolling.json("show", "readout")["version"]["digest"]
    assert told["backbone"] == asdict(rolling.shelf.backbone)
    assert told["run"]["status"] == "FINISHED"
    assert [each["move"] for each in told["history"]] == ["promotion"]
    assert not any(tag.startswith("promotion.") for tag in told["tags"])


@pytest.mark.parametrize(
    ("text", "label"),
    [("sw@2", "sw@2"), ("sw@shadow", "sw@3"), ("sw@challenger", "sw@2"), ("yo", "yo@1")],
)
def test_a_version_is_named_by_number_or_alias_or_is_the_newest(
    rolling: Desk, text: str, label: str
) -> None:
    assert rolling.json("show", text)["version"]["label"] == label


def test_show_is_read_by_people_too(rolling: Desk) -> None:
    lines = rolling.said("show", "sw@3")
    assert "thresholds" in lines
    assert "  steer                0.75" in lines
    assert "  aliases              shadow" in lines
    assert [line for line in lines if line.startswith("  auc ")] == ["  auc                  0.95"]


def test_an_artefact_that_was_exchanged_in_the_registry_is_refused(rolling: Desk) -> None:
    client, model = client_of(rolling), rolling.shelf.model_of("sw")
    runs = [client.get_model_version(model, number).run_id for number in ("1", "2")]
    first, second = (
        Path(client.get_run(run).info.artifact_uri.removeprefix("file://")) / "artefact"
        for run in runs
    )
    for file in second.iterdir():  # whole and valid, but not what was registered
        (first / file.name).write_bytes(file.read_bytes())
    done = rolling.run("show", "sw@1")
    assert isinstance(done.exception, ArtefactRefused)
    assert "sw@1" in str(done.exception)


def test_a_version_whose_run_was_deleted_is_described_by_what_is_left(rolling: Desk) -> None:
    registry = rolling.shelf.registry
    version = registry.version(rolling.shelf.model_of("sw"), 1)
    told = describe(version, registry.artefact(version), None)
    assert (told["run"], told["evaluation"], told["made"]["k"]) == (None, {}, 4)


def test_diff_names_what_differs_and_nothing_else(rolling: Desk) -> None:
    head, *lines = rolling.said("diff", "sw@1", "sw@challenger")
    assert head == "sw@1 → sw@2"
    assert lines == [
        "  thresholds.steer: 0.25 → 0.5",
        "  thresholds.release: 0.125 → 0.375",
        "  thresholds.estimate: 0.25 → 0.5",
    ]
    assert rolling.said("diff", "sw", "sw@1")[1:] == ["  nothing differs"]
    told = rolling.json("diff", "sw@1", "sw@2")
    assert told["differences"][0] == {"field": "thresholds.steer", "first": 0.25, "second": 0.5}


def test_a_field_that_one_version_lacks_differs() -> None:
    found = differences({"made": {"evidence": {"labels": 1.0}}}, {"made": {"k": 4}})
    assert found == (("made.evidence.labels", 1.0, None), ("made.k", None, 4))


@pytest.mark.parametrize("text", ["sw@0", "sw@", "sw@newest", "sw@-1", "sw@²"])
def test_what_names_no_version_is_an_error_with_the_way_out(desk: Desk, text: str) -> None:
    assert "names no version; write e.g. `sw@7`" in desk.error("show", text)


def test_a_language_that_is_none_is_named(desk: Desk) -> None:
    assert "`swahili language` is no BCP 47 language tag" in desk.error("list", "swahili language")


def test_an_alias_that_nobody_carries_is_an_error(desk: Desk) -> None:
    desk.shelf.calibration(desk.shelf.readout())
    done = desk.run("show", "sw@challenger")
    assert isinstance(done.exception, UnknownVersion)
    assert "see `recal list sw`" in str(done.exception)


def saved(desk: Desk) -> Path:
    readout = desk.shelf.readout()
    made = replace(a_calibration(readout_digest=readout.digest), backbone=desk.shelf.backbone)
    save_calibration(made, desk.shelf.directory / "sw")
    return desk.shelf.directory / "sw"


def test_registering_says_label_and_digest(desk: Desk) -> None:
    directory = saved(desk)
    assert desk.said("register", directory)[0].startswith("sw@1 (")
    told = desk.json("register", directory)
    assert (told["label"], told["dry_run"], told["aliases"]) == ("sw@2", False, [])


def test_a_dry_run_registers_nothing(desk: Desk) -> None:
    directory = saved(desk)
    told = desk.json("register", directory, "--dry-run")
    assert (told["dry_run"], told["model"]) == (True, desk.shelf.model_of("sw"))
    (line,) = desk.said("register", directory, "--dry-run")
    assert line.startswith("would register")
    assert [each["what"] for each in desk.json("list")["models"]] == ["readout"]


def test_a_report_without_the_language_is_said_before_anything_is_written(
    desk: Desk, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"results": []}))
    told = desk.error("register", saved(desk), "--report", report)
    assert "holds no evaluation of a saved calibration of `sw`" in told
    assert [each["what"] for each in desk.json("list")["models"]] == ["readout"]


@pytest.mark.parametrize("text", ["", "[]", '{"results": [{"language": "sw", "auc": 1.0}]}'])
def test_what_is_no_report_of_this_build_is_refused(desk: Desk, tmp_path: Path, text: str) -> None:
    report = tmp_path / "report.json"
    report.write_text(text)
    told = desk.error("register", saved(desk), "--report", report)
    assert "is no report of this build's `recal evaluate`" in told
