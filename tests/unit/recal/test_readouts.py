"""From prompts alone to a saved readout."""

from pathlib import Path

import pytest
import torch

from recal.collect import collect
from recal.direction_readout import fit_direction
from recal.fit import FitPlan
from recal.generate import Generator
from recal.judge import PhraseJudge
from recal.prompts import Prompt
from recal.readouts import MadeReadout, ReadoutPlan, Watch, calibrate_sources, make_readout
from recal.recalibrate import zone_width_of
from recal.search import SearchPlan
from services.backbone.load import Backbone, load_backbone
from services.readout.artefact import load_readout
from services.readout.bundle import Calibration
from tests.unit.services.tiny import build_checkpoint

LANGUAGES = ("en", "de", "fr")


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    checkpoint = build_checkpoint("qwen2", tmp_path_factory.mktemp("tiny") / "tiny")
    return load_backbone(str(checkpoint))


def _prompts(splits: tuple[str, ...] = ("train", "validation")) -> list[Prompt]:
    return [
        Prompt(f"{split}{i}{harmful}", la, harmful, f"{la} {split} {harmful} thing {i}", split)
        for la in LANGUAGES
        for split in splits
        for harmful in (True, False)
        for i in range(8)
    ]


def _make(
    backbone: Backbone,
    prompts: list[Prompt],
    directory: Path,
    cache: Path | None = None,
    *,
    development: tuple[str, ...] = LANGUAGES[2:],
) -> MadeReadout:
    plan = ReadoutPlan(
        fit=FitPlan(LANGUAGES[:2], development, rank=2),
        search=SearchPlan(multiples=(0.5,), max_degenerate=1.0),
        n_fit=8,
        n_search=1,
    )
    return make_readout(
        backbone,
        prompts,
        directory,
        plan=plan,
        generate=Generator(backbone),
        judge=PhraseJudge(),
        cache=cache,
    )


def test_a_readout_is_made_and_saved_from_prompts_alone(backbone: Backbone, tmp_path: Path) -> None:
    made = _make(backbone, _prompts(), tmp_path / "readout")
    loaded = load_readout(tmp_path / "readout", backbone=backbone.identity)
    assert loaded.digest == made.readout.digest
    assert loaded.places == tuple(member.place for member in made.choice.members)
    assert loaded.source_languages == ("en", "de")
    assert loaded.provenance["judge"] == "phrases"
    assert f"of {len(made.choice.tried)} candidates" in loaded.provenance["choice"]


def test_the_direction_readout_is_kept_beside_it(backbone: Backbone, tmp_path: Path) -> None:
    made = _make(backbone, _prompts(), tmp_path / "readout")
    kept = load_readout(tmp_path / "readout").fallback
    assert kept is not None
    assert kept.places == made.readout.places
    fitted = fit_direction(made.activations, made.choice.members, FitPlan(LANGUAGES[:2], ()))
    for one, other in zip(kept.parts, fitted.parts, strict=True):
        assert torch.allclose(one.linear.weight, other.linear.weight)


def test_development_languages_choose_the_untouched_zone(
    backbone: Backbone, tmp_path: Path
) -> None:
    made = _make(backbone, _prompts(), tmp_path / "readout")
    assert made.width is not None
    kept = load_readout(tmp_path / "readout", backbone=backbone.identity)
    assert zone_width_of(kept) == made.width.c
    assert "zone_width" in kept.provenance


def test_without_development_languages_no_zone_is_chosen(
    backbone: Backbone, tmp_path: Path
) -> None:
    made = _make(backbone, _prompts(), tmp_path / "readout", development=())
    assert made.width is None
    assert "zone_width" not in made.readout.provenance


def test_a_layer_that_is_none_is_refused_before_anything_is_read(
    backbone: Backbone, tmp_path: Path
) -> None:
    read: list[int] = []
    plan = ReadoutPlan(fit=FitPlan(LANGUAGES[:2], (), layer=99))
    with pytest.raises(ValueError, match="`layer` is 99, and the backbone has"):
        make_readout(
            backbone,
            _prompts(),
            tmp_path / "readout",
            plan=plan,
            generate=Generator(backbone),
            judge=PhraseJudge(),
            watch=Watch(collected=lambda done, total: read.append(done)),
        )
    assert not read


def test_a_cache_changes_nothing_but_the_time(backbone: Backbone, tmp_path: Path) -> None:
    prompts = _prompts()
    collect(backbone, [p for p in prompts if p.split == "train"][:20], cache=tmp_path / "cache")
    fresh = _make(backbone, prompts, tmp_path / "fresh")
    cached = _make(backbone, prompts, tmp_path / "cached", tmp_path / "cache")
    assert cached.readout.places == fresh.readout.places
    for one, other in zip(cached.readout.parts, fresh.readout.parts, strict=True):
        assert one.linear.weight.tolist() == pytest.approx(other.linear.weight.tolist(), abs=1e-3)


def test_missing_prompts_are_named_by_language_class_and_split(
    backbone: Backbone, tmp_path: Path
) -> None:
    without = [p for p in _prompts() if p.language != "de" or p.harmful]
    with pytest.raises(ValueError, match="no harmless train prompts of de"):
        _make(backbone, without, tmp_path)
    with pytest.raises(ValueError, match="no harmful validation prompts of en, de"):
        _make(backbone, _prompts(("train",)), tmp_path)


def test_source_languages_are_calibrated_with_a_release_that_unfitted_prompts_allow(
    backbone: Backbone, tmp_path: Path
) -> None:
    prompts = _prompts()
    made = _make(backbone, prompts, tmp_path / "readout")
    few = _calibrated(backbone, made, prompts)
    assert [each.language for each in few] == list(LANGUAGES[:2])
    assert [each.thresholds.release for each in few] == [None, None]
    assert "never releases: 8 harmful prompts" in few[0].provenance["release"]
    # of the prompts that fitted the readout there are not enough either, and of others there are
    more = [
        Prompt(f"more{i}", la, True, f"{la} more thing {i}", "validation")
        for la in LANGUAGES
        for i in range(141)
    ]
    many = _calibrated(backbone, made, [*prompts, *more])
    assert all(each.thresholds.release is not None for each in many)
    assert "of 149 would have" in many[0].provenance["release"]
    assert [each.thresholds.steer for each in many] == [each.thresholds.steer for each in few]


def test_prompts_that_would_be_released_are_answered_and_judged(
    backbone: Backbone, tmp_path: Path
) -> None:
    validation = [
        Prompt(f"{i}", la, True, f"{la} train False thing {i}", "validation")
        for la in LANGUAGES[:2]
        for i in range(149)
    ]
    made = _make(backbone, _prompts(), tmp_path / "readout")
    told: list[int] = []
    watch = Watch(released=lambda done, total: told.append(done))
    made_of = _calibrated(backbone, made, validation, watch)
    assert told[-1] > 0
    assert all("as observed" in each.provenance["release"] for each in made_of)


def _calibrated(
    backbone: Backbone, made: MadeReadout, prompts: list[Prompt], watch: Watch | None = None
) -> list[Calibration]:
    return calibrate_sources(
        backbone,
        made,
        prompts,
        generate=Generator(backbone),
        judge=PhraseJudge(),
        watch=watch,
    )
