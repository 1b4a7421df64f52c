"""Collecting activations: the extractor of serving, cached by content, finite or refused."""

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from recal.activation_cache import ActivationCache
from recal.collect import Activations, Estimate, collect, refuse_missing_class
from recal.prompts import Prompt
from services.backbone.chat import encode_prompt
from services.backbone.load import Backbone, load_backbone
from services.gate.extract import residuals
from services.readout.place import READINGS, Place
from tests.unit.services.tiny import build_checkpoint


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_checkpoint("qwen2", tmp_path_factory.mktemp("tiny") / "tiny")


@pytest.fixture(scope="module")
def backbone(checkpoint: Path) -> Backbone:
    return load_backbone(str(checkpoint))


def _prompts(n: int = 6, language: str = "en") -> list[Prompt]:
    return [
        Prompt(f"p{i}", language, i % 2 == 0, f"tell me how to do thing {i}", "train")
        for i in range(n)
    ]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def asked() -> tuple[Callable[[Estimate], None], list[Estimate]]:
    """A listener for estimates, and what it heard."""
    heard: list[Estimate] = []
    return heard.append, heard


@pytest.mark.parametrize("cached", [True, False])
def test_offline_residuals_are_those_of_the_serving_extractor(
    backbone: Backbone, tmp_path: Path, cached: bool
) -> None:
    prompts = [*_prompts(), *_prompts(3, "sw")]
    found = collect(backbone, prompts, cache=tmp_path if cached else None)
    encoded = [encode_prompt(backbone.tokenizer, p.text) for p in prompts]
    places = [Place(layer, reading) for layer in found.layers for reading in READINGS]
    online = residuals(backbone, encoded, places=places).numpy()
    for index, (layer, reading) in enumerate(places):
        offline = found.at(layer, reading=reading)
        np.testing.assert_allclose(offline, online[:, index], atol=1e-5)


def test_the_last_token_is_read_unless_another_reading_is_asked_for(backbone: Backbone) -> None:
    found = collect(backbone, _prompts())
    assert np.array_equal(found.at(1), found.at(1, reading="last"))
    assert not np.allclose(found.at(1), found.at(1, reading="mean"), atol=1e-2)


def test_a_second_collection_reads_the_cache(
    backbone: Backbone, tmp_path: Path, asked: tuple[Callable[[Estimate], None], list[Estimate]]
) -> None:
    tell, heard = asked
    first = collect(backbone, _prompts(), cache=tmp_path, estimated=tell)
    before = {path: path.stat().st_mtime_ns for path in _files(tmp_path)}
    again = collect(backbone, _prompts(), cache=tmp_path, estimated=tell)
    assert np.array_equal(first.at(2, reading="mean"), again.at(2, reading="mean"))
    assert {path: path.stat().st_mtime_ns for path in _files(tmp_path)} == before
    assert [estimate.n_cached for estimate in heard] == [0, 6]


def test_a_larger_collection_reads_only_what_is_new(
    backbone: Backbone, tmp_path: Path, asked: tuple[Callable[[Estimate], None], list[Estimate]]
) -> None:
    tell, heard = asked
    collect(backbone, _prompts(8)[::4], cache=tmp_path)
    both = collect(backbone, [*_prompts(8), *_prompts(2, "sw")], cache=tmp_path, estimated=tell)
    assert (heard[0].n_prompts, heard[0].n_cached) == (10, 2)
    alone = collect(backbone, [*_prompts(8), *_prompts(2, "sw")])
    np.testing.assert_allclose(both.at(3), alone.at(3), atol=1e-5)


def test_a_cell_of_language_split_and_class_has_a_folder_of_its_own(
    backbone: Backbone, tmp_path: Path
) -> None:
    prompts = [*_prompts(4), *(replace(p, language="sw", split="test") for p in _prompts(2))]
    collect(backbone, prompts, cache=tmp_path)
    folders = {path.parent.relative_to(tmp_path).as_posix()[17:] for path in _files(tmp_path)}
    assert folders == {
        *("en/train-harmful", "en/train-harmless"),
        *("sw/test-harmful", "sw/test-harmless"),
    }


def test_a_file_of_the_cache_says_what_it_holds_and_never_a_text(
    backbone: Backbone, tmp_path: Path
) -> None:
    collect(backbone, _prompts(2), cache=tmp_path)
    path = _files(tmp_path)[0]
    with safe_open(path, framework="pt") as file:
        header = file.metadata()["recal"]
        assert file.get_tensor("2.instruction").shape == (1, 32)
        assert len(file.keys()) == 4 * 3
    wanted = (
        '"p0"',
        _prompts()[0].digest,
        backbone.identity.weights_digest,
        backbone.identity.chat_template_digest,
        str(len(encode_prompt(backbone.tokenizer, _prompts()[0].text).token_ids)),
    )
    assert all(word in header for word in wanted)
    assert b"thing" not in path.read_bytes()


def test_a_half_precision_backbone_is_kept_in_half_precision_without_loss(
    checkpoint: Path, tmp_path: Path
) -> None:
    half = load_backbone(str(checkpoint), dtype=torch.bfloat16)
    kept = collect(half, _prompts(), cache=tmp_path)
    for reading in READINGS:
        expected = collect(half, _prompts()).at(3, reading=reading)
        np.testing.assert_allclose(kept.at(3, reading=reading), expected, rtol=2**-6, atol=1e-2)
    with safe_open(_files(tmp_path)[0], framework="pt") as file:
        assert file.get_tensor("3.mean").dtype == torch.bfloat16


def test_a_single_precision_backbone_may_be_kept_in_half_precision(
    backbone: Backbone, tmp_path: Path
) -> None:
    whole, half = tmp_path / "whole", tmp_path / "half"
    exact = collect(backbone, _prompts(40), cache=whole).at(2)
    rounded = collect(backbone, _prompts(40), cache=half, dtype=torch.bfloat16).at(2)
    assert 0 < np.abs(rounded - exact).max() <= np.abs(exact).max() * 2**-8
    assert sum(p.stat().st_size for p in _files(half)) < 0.7 * sum(
        p.stat().st_size for p in _files(whole)
    )


def test_another_precision_or_depth_is_another_cache(
    backbone: Backbone, checkpoint: Path, tmp_path: Path
) -> None:
    collect(backbone, _prompts(), cache=tmp_path)
    collect(backbone, _prompts(), cache=tmp_path, dtype=torch.bfloat16)
    collect(load_backbone(str(checkpoint), n_blocks=2), _prompts(), cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_changed_file_of_the_cache_is_refused_by_name(backbone: Backbone, tmp_path: Path) -> None:
    collect(backbone, _prompts(), cache=tmp_path)
    path = _files(tmp_path)[0]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{path.name}.*not the one that it is named by.*delete"):
        collect(backbone, _prompts(), cache=tmp_path)


def _moved_to(running: Backbone, source: Path, cache: Path) -> None:
    """Copy files to where the running backbone's are looked for, as somebody might by hand."""
    own = ActivationCache(cache, running.identity, n_layers=4, dtype=torch.float32).folder
    for path in _files(source):
        target = own / path.relative_to(next(source.iterdir()))
        target.parent.mkdir(parents=True)
        target.write_bytes(path.read_bytes())


@pytest.mark.parametrize("part", ["weights", "tokenizer", "chat_template"])
def test_a_file_of_another_backbone_is_refused_by_the_digest_that_differs(
    backbone: Backbone, tmp_path: Path, part: str
) -> None:
    collect(backbone, _prompts(), cache=tmp_path / "theirs")
    other = replace(backbone.identity, **{f"{part}_digest": "0" * 64})
    running = replace(backbone, identity=other)
    _moved_to(running, tmp_path / "theirs", tmp_path / "ours")
    with pytest.raises(ValueError, match=f"its {part}_digest is .*the running one's 000000000000"):
        collect(running, _prompts(), cache=tmp_path / "ours")


def test_residuals_of_another_width_are_refused(backbone: Backbone, tmp_path: Path) -> None:
    collect(backbone, _prompts(), cache=tmp_path)
    wider = replace(backbone, identity=replace(backbone.identity, d_model=64))
    with pytest.raises(ValueError, match="of width 32, and `tiny` has width 64"):
        collect(wider, _prompts(), cache=tmp_path)


def test_a_file_that_holds_no_activations_is_refused(backbone: Backbone, tmp_path: Path) -> None:
    collect(backbone, _prompts(), cache=tmp_path)
    folder = _files(tmp_path)[0].parent
    # the sha256 of nothing
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    (folder / f"{empty}.safetensors").touch()
    with pytest.raises(ValueError, match="holds no activations"):
        collect(backbone, _prompts(), cache=tmp_path)


KILLED = """
import sys, time
from pathlib import Path
import torch
from recal.collect import collect
from recal.prompts import Prompt
from services.backbone.load import load_backbone

torch.set_num_threads(1)
backbone = load_backbone(sys.argv[1])
prompts = [Prompt(f"p{i}", "en", True, f"tell me how to do thing {i}", "train") for i in range(520)]

def hang(*_):
    print("in flight", flush=True)
    time.sleep(600)

def report(done, total):
    print(done, flush=True)
    if done > 256:
        backbone.blocks[3].register_forward_hook(hang)

collect(backbone, prompts, cache=Path(sys.argv[2]), report=report)
"""


def test_a_run_that_is_killed_loses_the_batch_in_flight_and_nothing_else(
    backbone: Backbone,
    checkpoint: Path,
    tmp_path: Path,
    asked: tuple[Callable[[Estimate], None], list[Estimate]],
) -> None:
    command = [sys.executable, "-c", KILLED, str(checkpoint), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        seen = []
        for line in run.stdout:
            seen.append(line.strip())
            if line.startswith("in flight"):
                run.kill()
                break
    assert run.returncode == -signal.SIGKILL
    kept = int(seen[-2])
    tell, heard = asked
    prompts = [
        Prompt(f"p{i}", "en", True, f"tell me how to do thing {i}", "train") for i in range(520)
    ]
    resumed = collect(backbone, prompts, cache=tmp_path, estimated=tell)
    assert 256 < kept < 520
    assert heard[0].n_cached == kept
    whole = collect(backbone, prompts)
    np.testing.assert_allclose(resumed.at(3), whole.at(3), atol=1e-5)


def test_an_estimate_comes_after_the_first_batch_and_before_the_rest(backbone: Backbone) -> None:
    happened: list[str] = []
    prompts = [replace(prompt, text=f"{i}") for i, prompt in enumerate(_prompts(300))]
    collect(
        backbone,
        prompts,
        estimated=lambda estimate: happened.append(f"{estimate.n_bytes} bytes"),
        report=lambda done, total: happened.append(f"{done} of {total}"),
    )
    assert happened[0] == f"{300 * 4 * 3 * 32 * 4} bytes"
    done = [int(each.removesuffix(" of 300")) for each in happened[1:]]
    assert len(done) > 1
    assert (done, done[-1]) == (sorted(set(done)), 300)


def test_the_estimated_time_is_that_of_all_the_prompts(backbone: Backbone) -> None:
    heard: dict[int, float] = {}
    for n in (300, 2400):
        collect(backbone, _prompts(n), estimated=lambda e: heard.update({e.n_prompts: e.seconds}))
    assert heard[2400] > 3 * heard[300] > 0


def test_what_a_listener_raises_ends_the_run_and_keeps_its_first_batch(
    backbone: Backbone, tmp_path: Path
) -> None:
    def stop(estimate: Estimate) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        collect(backbone, _prompts(8), cache=tmp_path, estimated=stop)
    assert len(_files(tmp_path)) == 1


def test_a_full_disk_is_noticed_before_the_start(backbone: Backbone, tmp_path: Path) -> None:
    huge = replace(backbone, identity=replace(backbone.identity, d_model=10**15))
    with pytest.raises(ValueError, match=r"6 prompts take .* GB, and .* GB free"):
        collect(huge, _prompts(), cache=tmp_path)


def test_no_prompts_is_an_error(backbone: Backbone) -> None:
    with pytest.raises(ValueError, match="no prompts"):
        collect(backbone, [])


@pytest.mark.parametrize("language", ["../elsewhere", "swahili", "qq", ""])
def test_a_language_that_is_no_tag_is_refused(
    backbone: Backbone, tmp_path: Path, language: str
) -> None:
    with pytest.raises(ValueError, match=f"`{language}` is no BCP 47 language tag"):
        collect(backbone, _prompts(2, language), cache=tmp_path)
    assert _files(tmp_path) == []


def test_a_prompt_longer_than_the_context_is_named_before_anything_runs(
    backbone: Backbone, tmp_path: Path
) -> None:
    long = replace(_prompts()[3], text="secret thing " * 60)
    with pytest.raises(ValueError, match=r"`p3` \(`en`\) has \d+ tokens, `tiny` takes at most 160"):
        collect(backbone, [*_prompts(3), long], cache=tmp_path)
    assert _files(tmp_path) == []


def test_a_residual_that_is_not_finite_names_the_prompt_and_not_its_text(
    tmp_path: Path,
) -> None:
    broken = load_backbone(str(build_checkpoint("qwen2", tmp_path / "tiny")))
    with torch.no_grad():
        broken.model.get_decoder().layers[0].mlp.down_proj.weight.fill_(float("inf"))
    with pytest.raises(ValueError, match="`p0`") as caught:
        collect(broken, _prompts(), cache=tmp_path / "cache")
    assert "thing" not in str(caught.value)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("harmful", [True, False])
def test_a_missing_class_is_named_with_its_language(harmful: bool) -> None:
    one_class = [p for p in _prompts(language="sw") if p.harmful is not harmful]
    kind = "harmful" if harmful else "harmless"
    with pytest.raises(ValueError, match=f"no {kind} train prompts of sw; give some"):
        refuse_missing_class([*_prompts(), *one_class], ("en", "sw"), "train")
    refuse_missing_class(_prompts(), ("en",), "train")


def test_rows_of_a_language_and_class_keep_the_prompts_order() -> None:
    prompts = (*_prompts(4), *_prompts(2, "sw"))
    rows = np.arange(6, dtype=np.float32).reshape(6, 1, 1)
    known = Activations(prompts, (3,), rows)
    assert known.at(3, language="en", harmful=False).ravel().tolist() == [1.0, 3.0]
    assert known.at(3, language="sw").ravel().tolist() == [4.0, 5.0]


def test_a_layer_or_reading_that_was_not_collected_is_named() -> None:
    known = Activations(tuple(_prompts(2)), (1,), np.zeros((2, 1, 3), dtype=np.float32))
    with pytest.raises(ValueError, match="layer 2 was not collected"):
        known.at(2)
    with pytest.raises(ValueError, match="reading `mean` was not collected"):
        known.at(1, reading="mean")


@pytest.mark.parametrize("shape", [(3, 1, 4), (2, 2, 4), (2, 1, 3, 4)])
def test_residuals_of_another_shape_than_prompts_and_layers_are_refused(
    shape: tuple[int, ...],
) -> None:
    with pytest.raises(ValueError, match="do not belong to 2 prompts at 1 layers"):
        Activations(tuple(_prompts(2)), (1,), np.zeros(shape, dtype=np.float32))
