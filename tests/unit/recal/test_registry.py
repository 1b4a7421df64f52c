from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from recal.errors import PromotionRefused, RegistryError, UnknownVersion
from recal.registry import Registry, open_registry
from recal.registry.connection import Connection
from services.errors import ArtefactRefused, RegistryUnreachable
from tests.unit.services.readout.factories import a_calibration, saved_calibration, saved_readout
from tests.unit.services.readout.shelf import Shelf, an_evaluation


def client_of(registry: Registry) -> MlflowClient:
    return MlflowClient(registry.tracking_uri, registry.tracking_uri)


def test_a_registered_calibration_carries_its_tags(shelf: Shelf) -> None:
    readout = shelf.readout()
    version = shelf.calibration(readout)
    assert (version.label, version.is_champion) == ("sw@1", False)
    assert version.tags == {
        "kind": "calibration",
        "language": "sw",
        "digest": version.digest,
        "readout_digest": readout.digest,
        "weights_digest": shelf.backbone.weights_digest,
        "k": "4",
        "estimator": "midpoint",
        "examples_data": hashlib.sha256(f"{'e' * 64}\n{'f' * 64}".encode()).hexdigest(),
    }


def test_a_vacuous_bound_is_a_tag_and_keeps_a_calibration_from_serving(shelf: Shelf) -> None:
    version = shelf.calibration(shelf.readout(), vacuous=True)
    assert version.tags["vacuous"] == "true"
    with pytest.raises(PromotionRefused, match="vacuous"):
        shelf.registry.promote(shelf.model_of("sw"), 1)


def test_names_are_of_the_backbone_and_the_language(tmp_path: Path, registry: Registry) -> None:
    shelf = Shelf(registry, tmp_path, "Qwen/Qwen2.5-7B-Instruct")
    version = shelf.calibration(shelf.readout(), "zh-Hant")
    assert version.model == "recal.qwen-qwen2-5-7b-instruct.zh-Hant"
    assert shelf.readout_model == "recal.qwen-qwen2-5-7b-instruct.readout"


def test_only_the_artefact_and_the_reports_are_uploaded(shelf: Shelf) -> None:
    readout = saved_readout(shelf.directory / "r")
    saved_calibration(shelf.directory / "c", readout, "sw", backbone=shelf.backbone)
    (shelf.directory / "report.json").write_text("{}")
    version = shelf.registry.register_calibration(
        shelf.directory / "c", reports=[shelf.directory / "report.json"]
    )
    client = client_of(shelf.registry)
    run = client.get_model_version(version.model, "1").run_id
    artefact = [f.path for f in client.list_artifacts(run, "artefact")]
    assert artefact == ["artefact/calibration.json", "artefact/manifest.json"]
    assert [f.path for f in client.list_artifacts(run, "reports")] == ["reports/report.json"]


def test_a_stray_file_beside_an_artefact_is_never_uploaded(shelf: Shelf) -> None:
    readout = saved_readout(shelf.directory / "r")
    saved_calibration(shelf.directory / "c", readout, "sw", backbone=shelf.backbone)
    (shelf.directory / "c" / "prompts.txt").write_text("a stray file")
    with pytest.raises(ArtefactRefused, match=r"holds `prompts\.txt`"):
        shelf.registry.register_calibration(shelf.directory / "c")


def test_an_evaluation_becomes_metrics_of_the_run(shelf: Shelf) -> None:
    version = shelf.evaluated(shelf.readout())
    metrics = client_of(shelf.registry).get_run(version.run_id).data.metrics
    assert metrics["untouched_harmful_refusal"] == 40.0
    assert metrics["harmful_refusal"] == 90.0
    assert metrics["harmful_change_low"] == 30.0
    assert metrics["auc"] == 0.95


def test_a_version_is_tied_to_its_report_and_to_the_hashes_of_its_data(shelf: Shelf) -> None:
    readout = saved_readout(shelf.directory / "r")
    made = saved_calibration(shelf.directory / "c", readout, "sw", backbone=shelf.backbone)
    report = shelf.directory / "report.json"
    report.write_text('{"results": []}')
    version = shelf.registry.register_calibration(
        shelf.directory / "c", evaluation=an_evaluation(made, data="d" * 64), reports=[report]
    )
    digest = hashlib.sha256(report.read_bytes()).hexdigest()
    assert version.tags["evaluation_report"] == digest
    assert version.tags["evaluation_data"] == "d" * 64
    run = shelf.registry.run(version)
    assert run.reports == ("reports/report.json",)
    assert run.inputs == {
        "held-out": "d" * 36,
        "examples": version.tags["examples_data"][:36],
    }
    held = client_of(shelf.registry).get_run(version.run_id).inputs.dataset_inputs[0].dataset
    assert json.loads(held.source) == {"sha256": "d" * 64}


@pytest.mark.parametrize(
    ("of_language", "digest", "words"),
    [
        ("am", "", "of `am`, the calibration of `sw`"),
        ("sw", "9" * 64, "of a calibration 999999999999 of `sw`, and this one is "),
    ],
)
def test_the_evaluation_of_another_calibration_is_not_registered(
    shelf: Shelf, of_language: str, digest: str, words: str
) -> None:
    readout = saved_readout(shelf.directory / "r")
    made = saved_calibration(shelf.directory / "c", readout, "sw", backbone=shelf.backbone)
    wrong = replace(
        an_evaluation(made), language=of_language, calibration_digest=digest or made.digest
    )
    with pytest.raises(RegistryError, match=words):
        shelf.registry.register_calibration(shelf.directory / "c", evaluation=wrong)


def test_a_corrupt_artefact_is_not_registered(shelf: Shelf) -> None:
    saved_readout(shelf.directory / "r")
    (shelf.directory / "r" / "readout.json").write_bytes(b"{}")
    with pytest.raises(ArtefactRefused):
        shelf.registry.register_readout(shelf.directory / "r")


def test_a_report_that_is_not_there_is_said_before_anything_is_written(shelf: Shelf) -> None:
    saved_readout(shelf.directory / "r")
    with pytest.raises(RegistryError, match=re.escape("gone.json` is not a file")):
        shelf.registry.register_readout(
            shelf.directory / "r", reports=[shelf.directory / "gone.json"]
        )


def test_a_model_that_is_not_registered_has_no_versions(shelf: Shelf) -> None:
    with pytest.raises(UnknownVersion):
        shelf.registry.list_versions("recal.nothing.sw")


def test_a_registry_that_is_away_is_said_so(tmp_path: Path, registry: Registry) -> None:
    away = Registry(Connection("http://user:word@127.0.0.1:1"))
    with pytest.raises(
        RegistryUnreachable, match=r"http://127\.0\.0\.1:1 does not answer"
    ) as error:
        away.list_versions("recal.x.sw")
    assert "word" not in str(error.value)


def test_the_environment_names_the_registry(tmp_path: Path) -> None:
    named = open_registry(tmp_path / "state", {"MLFLOW_TRACKING_URI": "http://mlflow:5000"})
    assert named.tracking_uri == "http://mlflow:5000"
    assert not (tmp_path / "state").exists()


def test_the_default_registry_lies_in_the_state_directory(registry: Registry) -> None:
    state = Path(registry.tracking_uri.removeprefix("sqlite:///")).parent
    assert state.is_absolute()
    assert (state / "artefacts").is_dir()


def test_a_registry_of_an_estimator_keeps_digests_apart(shelf: Shelf) -> None:
    readout = shelf.readout()
    first = shelf.calibration(readout)
    second = shelf.calibration(readout, threshold=a_calibration().threshold + 0.1)
    assert first.digest != second.digest
