"""`recal collect` says what it will take, keeps what it reads, and refuses what it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result

from recal.collect import Estimate
from recal.commands.collect import _sentence
from tests.unit.recal.commands.collecting import recal, write_prompts
from tests.unit.services.tiny import build_checkpoint


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_checkpoint("qwen2", tmp_path_factory.mktemp("tiny") / "tiny")


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    return write_prompts(tmp_path / "prompts.jsonl")


def collect(checkpoint: Path, prompts: Path, cache: Path, *more: object) -> Result:
    where = ("--model", checkpoint, "--prompts", prompts, "--cache", cache)
    return recal("collect", *where, *more)


def files(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.safetensors"))


def test_size_and_time_are_said_and_the_residuals_kept(
    checkpoint: Path, prompts: Path, tmp_path: Path
) -> None:
    done = collect(checkpoint, prompts, tmp_path / "cache")
    assert done.exit_code == 0, done.output
    assert "4 blocks, 3 readings; 16 of 16 prompts to read: 0.0 MB, about" in done.output
    assert len(files(tmp_path / "cache")) == 4


def test_what_is_in_the_cache_is_not_read_again(
    checkpoint: Path, prompts: Path, tmp_path: Path
) -> None:
    collect(checkpoint, prompts, tmp_path / "cache", "--per-class", 2)
    before = files(tmp_path / "cache")
    again = collect(checkpoint, prompts, tmp_path / "cache", "--per-class", 2)
    assert "all 8 prompts are in the cache" in again.output
    assert files(tmp_path / "cache") == before
    more = collect(checkpoint, prompts, tmp_path / "cache")
    assert "8 of 16 prompts to read" in more.output


def test_a_dry_run_reads_one_batch_and_says_what_the_rest_would_take(
    checkpoint: Path, prompts: Path, tmp_path: Path
) -> None:
    done = collect(checkpoint, prompts, tmp_path / "cache", "--dry-run")
    assert done.exit_code == 0, done.output
    assert "16 of 16 prompts to read" in done.output
    assert len(files(tmp_path / "cache")) == 1


def test_half_precision_takes_half_the_room(
    checkpoint: Path, prompts: Path, tmp_path: Path
) -> None:
    collect(checkpoint, prompts, tmp_path / "whole")
    collect(checkpoint, prompts, tmp_path / "half", "--half")
    whole, half = (
        sum(path.stat().st_size for path in files(tmp_path / name)) for name in ("whole", "half")
    )
    assert half < 0.8 * whole


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--languages", "swahili"), "`swahili` is no BCP 47 language tag"),
        (("--languages", "en,yo"), "no harmful train prompts of yo; give some"),
        (("--split", "tests"), "no split is called `tests`"),
        (("--per-class", 9), "9 prompts wanted, but `en` has only 4 harmful ones"),
    ],
    ids=str,
)
def test_what_cannot_be_collected_is_named_before_the_model_is_loaded(
    more: tuple[object, ...], words: str, prompts: Path, tmp_path: Path
) -> None:
    done = collect(Path("no-such-model"), prompts, tmp_path / "cache", *more)
    assert words in str(done.exception)
    assert not (tmp_path / "cache").exists()


def test_a_class_that_is_missing_is_named(prompts: Path, tmp_path: Path) -> None:
    harmful = [line for line in prompts.read_text().splitlines() if '"harmful": true' in line]
    prompts.write_text("\n".join(harmful))
    done = collect(Path("no-such-model"), prompts, tmp_path / "cache")
    assert "no harmless train prompts of en, sw" in str(done.exception)


def test_an_estimate_counts_only_what_is_still_to_be_read() -> None:
    sentence = _sentence(Estimate(n_prompts=10, n_cached=4, n_bytes=2_500_000, seconds=61.4))
    assert sentence == "6 of 10 prompts to read: 2.5 MB, about 61 s"
