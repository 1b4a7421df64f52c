"""Collecting activations: the extractor of serving, cached by content, finite or refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from recal.collect import Activations, collect
from recal.generate import Generator
from recal.judge import PhraseJudge
from recal.prompts import Prompt
from recal.readouts import ReadoutPlan, make_readout
from recal.search import SearchPlan
from services.backbone.chat import encode
from services.backbone.load import Backbone, load_backbone
from services.gate.extract import residuals
from services.readout.artefact import load_readout
from tests.unit.services.tiny import build_checkpoint


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    checkpoint = build_checkpoint("qwen2", tmp_path_factory.mktemp("tiny") / "tiny")
    return load_backbone(str(checkpoint))


def _prompts(n: int = 6, language: str = "en") -> list[Prompt]:
    return [
        Prompt(f"p{i}", language, i % 2 == 0, f"tell me how to do thing {i}", "train")
        for i in range(n)
    ]


def test_offline_residuals_are_those_of_the_serving_extractor(backbone: Backbone) -> None:
    prompts = _prompts()
    found = collect(backbone, prompts)
    token_ids = [encode(backbone.tokenizer, p.text) for p in prompts]
    online = residuals(backbone, token_ids, layers=found.layers)
    assert np.array_equal(found.residuals, online.numpy())


def test_a_second_collection_reads_the_cache(backbone: Backbone, tmp_path: Path) -> None:
    first = collect(backbone, _prompts(), cache=tmp_path)
    (cached,) = tmp_path.iterdir()
    stamp = cached.stat().st_mtime_ns
    again = collect(backbone, _prompts(), cache=tmp_path)
    assert np.array_equal(first.residuals, again.residuals)
    assert cached.stat().st_mtime_ns == stamp


def test_other_prompts_or_layers_are_another_cache_entry(
    backbone: Backbone, tmp_path: Path
) -> None:
    collect(backbone, _prompts(), cache=tmp_path)
    collect(backbone, _prompts(5), cache=tmp_path)
    collect(backbone, _prompts(), layers=(0,), cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_progress_reaches_the_end(backbone: Backbone) -> None:
    seen: list[tuple[int, int]] = []
    collect(backbone, _prompts(), report=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (6, 6)


def test_no_prompts_is_an_error(backbone: Backbone) -> None:
    with pytest.raises(ValueError, match="no prompts"):
        collect(backbone, [])


def test_a_residual_that_is_not_finite_names_the_prompt_and_not_its_text(
    tmp_path: Path,
) -> None:
    broken = load_backbone(str(build_checkpoint("qwen2", tmp_path / "tiny")))
    with torch.no_grad():
        broken.model.get_decoder().layers[0].mlp.down_proj.weight.fill_(float("inf"))
    with pytest.raises(ValueError, match="`p0`") as caught:
        collect(broken, _prompts())
    assert "thing" not in str(caught.value)


def test_rows_of_a_language_and_class_keep_the_prompts_order() -> None:
    prompts = (*_prompts(4), *_prompts(2, "sw"))
    rows = np.arange(6, dtype=np.float32).reshape(6, 1, 1)
    known = Activations(prompts, (3,), rows)
    assert known.at(3, language="en", harmful=False).ravel().tolist() == [1.0, 3.0]
    assert known.at(3, language="sw").ravel().tolist() == [4.0, 5.0]


def test_a_layer_that_was_not_collected_is_named() -> None:
    known = Activations(tuple(_prompts(2)), (1,), np.zeros((2, 1, 3), dtype=np.float32))
    with pytest.raises(ValueError, match="layer 2 was not collected"):
        known.at(2)


def test_a_readout_is_made_and_saved_from_prompts_alone(backbone: Backbone, tmp_path: Path) -> None:
    languages = ("en", "de", "fr")
    prompts = [
        Prompt(f"{split}{i}{harmful}", la, harmful, f"{la} {split} {harmful} thing {i}", split)
        for la in languages
        for split in ("train", "validation")
        for harmful in (True, False)
        for i in range(8)
    ]
    plan = ReadoutPlan(n_fit=8, n_search=1, search=SearchPlan(multiples=(0.5,), max_degenerate=1.0))
    fit_plan = type(plan.fit)(languages[:2], languages[2:], rank=2)
    made = make_readout(
        backbone,
        prompts,
        tmp_path / "readout",
        plan=ReadoutPlan(fit=fit_plan, n_fit=8, n_search=1, search=plan.search),
        generate=Generator(backbone),
        judge=PhraseJudge(),
    )
    loaded = load_readout(tmp_path / "readout", backbone=backbone.identity)
    assert loaded.digest == made.readout.digest
    assert loaded.source_languages == ("en", "de")
    assert loaded.provenance["judge"] == "phrases"


def test_missing_prompts_are_named_by_language(backbone: Backbone, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no train prompts of de"):
        make_readout(
            backbone,
            [p for p in _prompts(40)],
            tmp_path,
            plan=ReadoutPlan(n_fit=4),
            generate=Generator(backbone),
            judge=PhraseJudge(),
        )
