from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from recal.errors import NothingBefore, PromotionRefused, RegistryError, UnknownVersion
from recal.evaluation.behaviour import Behaviour, LanguageResult
from recal.promotion import PromotionRules
from recal.registry import Registry, open_registry
from recal.registry.connection import Connection
from services.errors import ArtefactRefused, RegistryUnreachable
from services.readout.mlflow_environment import quieten_mlflow
from tests.unit.services.readout.factories import a_calibration, saved_calibration, saved_readout
from tests.unit.services.readout.shelf import Shelf

# MLflow 3.17 uses what SQLAlchemy 2.1 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with pytest.MonkeyPatch.context() as patch:
        environ: dict[str, str] = {}
        quieten_mlflow(environ)
        for name, value in environ.items():
            patch.setenv(name, value)
        yield open_registry(tmp_path_factory.mktemp("state"), environ={})


@pytest.fixture
def shelf(registry: Registry, tmp_path: Path, request: pytest.FixtureRequest) -> Shelf:
    return Shelf(registry, tmp_path, request.node.name)


def client_of(registry: Registry) -> MlflowClient:
    return MlflowClient(registry.tracking_uri, registry.tracking_uri)


def a_result(language: str, *, untouched: float, gated: float) -> LanguageResult:
    def behaviour(harmful: float) -> Behaviour:
        return Behaviour(harmful, 5.0, harmful - 5.0, 0.0, 100.0, 0.0)

    return LanguageResult(
        language=language,
        tier="low",
        n_harmful=60,
        n_harmless=60,
        auc=0.95,
        tpr=0.9,
        fpr=0.05,
        j=0.85,
        calibration="midpoint",
        untouched=behaviour(untouched),
        gated=behaviour(gated),
    )


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
    }


def test_a_vacuous_bound_is_a_tag_and_keeps_a_calibration_from_serving(shelf: Shelf) -> None:
    version = shelf.calibration(shelf.readout(), vacuous=True)
    assert version.tags["vacuous"] == "true"
    with pytest.raises(PromotionRefused, match="vacuous"):
        shelf.promote(sw=1)


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
    readout = saved_readout(shelf.directory / "r")
    saved_calibration(shelf.directory / "c", readout, "sw", backbone=shelf.backbone)
    version = shelf.registry.register_calibration(
        shelf.directory / "c", evaluation=a_result("sw", untouched=40.0, gated=90.0)
    )
    client = client_of(shelf.registry)
    metrics = client.get_run(client.get_model_version(version.model, "1").run_id).data.metrics
    assert metrics["untouched_harmful_refusal"] == 40.0
    assert metrics["harmful_refusal"] == 90.0
    assert metrics["auc"] == 0.95


def test_the_evaluation_of_another_language_is_not_registered(shelf: Shelf) -> None:
    readout = saved_readout(shelf.directory / "r")
    saved_calibration(shelf.directory / "c", readout, "sw", backbone=shelf.backbone)
    with pytest.raises(RegistryError, match="of `am`, the calibration of `sw`"):
        shelf.registry.register_calibration(
            shelf.directory / "c", evaluation=a_result("am", untouched=1.0, gated=2.0)
        )


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


def test_promotion_moves_the_alias_and_is_recorded(shelf: Shelf) -> None:
    readout = shelf.readout()
    shelf.calibration(readout)
    shelf.calibration(readout, threshold=0.5)
    shelf.promote(1, sw=1)
    promotion = shelf.registry.promote(shelf.model_of("sw"), 2)
    assert (promotion.from_version, promotion.to_version) == (1, 2)
    newest, older = shelf.registry.list_versions(shelf.model_of("sw"))
    assert (newest.is_champion, older.is_champion) == (True, False)
    (record,) = (json.loads(v) for n, v in newest.tags.items() if n.startswith("promotion."))
    assert (record["from"], record["to"]) == (1, 2)


def test_the_champions_of_a_backbone_are_listed(shelf: Shelf) -> None:
    readout = shelf.readout()
    shelf.calibration(readout, "am")
    shelf.calibration(readout, "sw")
    shelf.promote(1, sw=1)
    assert [v.label for v in shelf.registry.champions(shelf.backbone.name)] == ["readout@1", "sw@1"]


def test_rollback_follows_the_chain_of_promotions(shelf: Shelf) -> None:
    readout = shelf.readout()
    for steer in (0.1, 0.2, 0.3):
        shelf.calibration(readout, posterior_sd=steer)
    for version in (1, 3, 2):
        shelf.promote(sw=version)
    model = shelf.model_of("sw")
    assert shelf.registry.rollback(model).to_version == 3
    assert shelf.registry.rollback(model, reason="drift").to_version == 1
    with pytest.raises(NothingBefore, match="`sw@1` is the first champion"):
        shelf.registry.rollback(model)


def test_rollback_after_a_new_promotion_goes_to_what_served_before_it(shelf: Shelf) -> None:
    readout = shelf.readout()
    for sd in (0.1, 0.2, 0.3):
        shelf.calibration(readout, posterior_sd=sd)
    shelf.promote(sw=1)
    shelf.promote(sw=2)
    shelf.registry.rollback(shelf.model_of("sw"))
    shelf.promote(sw=3)
    assert shelf.registry.rollback(shelf.model_of("sw")).to_version == 1
    with pytest.raises(NothingBefore):
        shelf.registry.rollback(shelf.model_of("sw"))


def test_rollback_of_an_alias_that_was_moved_by_hand_goes_to_the_last_promotion(
    shelf: Shelf,
) -> None:
    readout = shelf.readout()
    shelf.calibration(readout)
    shelf.calibration(readout)
    shelf.promote(sw=1)
    client_of(shelf.registry).set_registered_model_alias(shelf.model_of("sw"), "champion", "2")
    assert shelf.registry.rollback(shelf.model_of("sw")).to_version == 1


def test_too_few_examples_are_not_promoted_without_a_reason(shelf: Shelf) -> None:
    shelf.calibration(shelf.readout(), k=3)
    with pytest.raises(PromotionRefused, match=r"3 examples per class, fewer than 4.*--force"):
        shelf.registry.promote(shelf.model_of("sw"), 1)
    assert shelf.registry.champions(shelf.backbone.name) == ()


def test_a_reason_overrules_and_is_recorded(shelf: Shelf) -> None:
    shelf.calibration(shelf.readout(), k=3)
    promotion = shelf.registry.promote(shelf.model_of("sw"), 1, force_reason="a trial")
    assert promotion.overruled == ("it was made from 3 examples per class, fewer than 4",)
    (version,) = shelf.registry.list_versions(shelf.model_of("sw"))
    (record,) = (json.loads(v) for n, v in version.tags.items() if n.startswith("promotion."))
    assert (record["reason"], record["overruled"]) == ("a trial", list(promotion.overruled))


def test_a_blank_reason_overrules_nothing(shelf: Shelf) -> None:
    shelf.calibration(shelf.readout(), k=3)
    with pytest.raises(PromotionRefused):
        shelf.registry.promote(shelf.model_of("sw"), 1, force_reason="  ")


@pytest.mark.parametrize(("estimator", "may_serve"), [("source", True), ("midpoint", False)])
def test_no_examples_are_enough_for_a_source_language_only(
    shelf: Shelf, estimator: str, may_serve: bool
) -> None:
    shelf.calibration(shelf.readout(), "en", k=0, estimator=estimator, example_hashes=())
    if may_serve:
        assert shelf.registry.promote(shelf.model_of("en"), 1).to_version == 1
    else:
        with pytest.raises(PromotionRefused):
            shelf.registry.promote(shelf.model_of("en"), 1)


@pytest.mark.parametrize(("gated", "may_serve"), [(38.0, True), (37.9, False)])
def test_a_language_that_becomes_less_safe_is_not_promoted(
    shelf: Shelf, gated: float, may_serve: bool
) -> None:
    readout = saved_readout(shelf.directory / "r")
    saved_calibration(shelf.directory / "c", readout, "sw", backbone=shelf.backbone)
    result = a_result("sw", untouched=40.0, gated=gated)
    shelf.registry.register_calibration(shelf.directory / "c", evaluation=result)
    if may_serve:
        assert shelf.registry.promote(shelf.model_of("sw"), 1).to_version == 1
    else:
        with pytest.raises(PromotionRefused, match=r"less safe: harmful refusal 37\.9"):
            shelf.registry.promote(shelf.model_of("sw"), 1)


def test_rules_may_ask_for_an_evaluation(shelf: Shelf) -> None:
    shelf.calibration(shelf.readout())
    rules = PromotionRules(needs_evaluation=True)
    with pytest.raises(PromotionRefused, match="no evaluation is stored"):
        shelf.registry.promote(shelf.model_of("sw"), 1, rules=rules)


def test_promotion_says_which_languages_wait(shelf: Shelf) -> None:
    old = shelf.readout()
    shelf.calibration(old)
    shelf.promote(1, sw=1)
    new = shelf.readout(seed=1)
    shelf.calibration(new)
    assert "serves once the readout" in shelf.registry.promote(shelf.model_of("sw"), 2).notes[0]
    assert shelf.registry.promote(shelf.readout_model, 2).notes == ()
    assert "sw@2 belong to another" in shelf.registry.rollback(shelf.readout_model).notes[0]


def test_an_unknown_version_is_named(shelf: Shelf) -> None:
    shelf.readout()
    with pytest.raises(UnknownVersion, match="`readout@9` is not registered"):
        shelf.registry.promote(shelf.readout_model, 9)
    with pytest.raises(UnknownVersion, match="no champion"):
        shelf.registry.rollback(shelf.readout_model)
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
