"""A gate pass with 2,000 languages' own readouts beside one with a single language's.

python -m benchmarks.serving.languages [--quick] [--models NAMES] [--json FILE] ...

A pass is what the gate's thread does with a batch of 16 prompts of the mixed load: residuals of a
truncated model, every language's score, and the score of the language that counts. Passes differ
from one another by more than the bar of 2 %, so the bar is on one language's pass plus what 2,000
add to the readout, which is timed by itself; whole passes are shown beside it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial

import torch

from benchmarks.report import Benchmark, Found
from benchmarks.serving import models
from benchmarks.serving.artefacts import LANGUAGE, layer_of, with_own_readouts
from benchmarks.serving.load import draw
from benchmarks.serving.options import add_options, repeats_of
from benchmarks.serving.spread import Spread, in_turns, ratio_of, spread_of
from benchmarks.serving.tables import ratio_table
from recal.demo.results import Bar
from services.backbone.chat import EncodedPrompt, encode_prompt
from services.backbone.load import Backbone
from services.gate.extract import residuals
from services.readout.bundle import Bundle
from services.readout.scores import score_all

N_LANGUAGES, ONE = 2_000, 1
BATCH = 16
AT_MOST = 1.02
"""Bar on the time of a whole pass."""
PASSES = {"organism": 20, "30M": 5, "300M": 1}
"""In one repeat, so that a repeat takes about a second."""
QUICK = ("organism",)

Seconds = Mapping[str, list[float]]


def measure(options: argparse.Namespace) -> Found:
    """Measure every model that was asked for."""
    tables, bars, results, weights = [], [], {}, {}
    for name in models.names_in(options, quick=QUICK):
        backbone = models.load(name, options)
        weights[name] = backbone.identity.weights_digest
        bundles = {n: with_own_readouts(backbone, n) for n in (ONE, N_LANGUAGES)}
        truncated = models.load(name, options, n_blocks=layer_of(backbone) + 1)
        prompts = [
            encode_prompt(backbone.tokenizer, job.prompt)
            for job in draw(backbone, BATCH, seed=options.seed)
        ]
        passes, readouts = _timed(truncated, prompts, bundles, PASSES[name], options)
        ratio = _with_added(passes, readouts)
        claim = f"{name}: a gate pass with {N_LANGUAGES:,} own readouts by one with 1 ≤ {AT_MOST:g}"
        bars.append(Bar(claim, str(ratio), ratio.median <= AT_MOST))
        tables += [_table(name, passes, readouts)]
        results[name] = {
            "pass_s": {each: asdict(spread_of(values)) for each, values in passes.items()},
            "readout_s": {each: asdict(spread_of(values)) for each, values in readouts.items()},
            "pass_with_added_readout_by_pass": asdict(ratio),
        }
    return Found({"models": results}, "\n\n".join(tables), tuple(bars), weights, options.seed)


def _timed(
    backbone: Backbone,
    prompts: list[EncodedPrompt],
    bundles: Mapping[int, Bundle],
    n_passes: int,
    options: argparse.Namespace,
) -> tuple[Seconds, Seconds]:
    """Seconds of a whole pass and of its readout alone, of each repeat."""
    places = bundles[ONE].readout.places
    found = residuals(backbone, prompts, places=places)

    def whole(bundle: Bundle) -> None:
        _scores(bundle, residuals(backbone, prompts, places=places))

    passes = {_named(n): partial(_seconds, partial(whole, b), n_passes) for n, b in bundles.items()}
    readouts = {
        _named(n): partial(_seconds, partial(_scores, b, found), n_passes)
        for n, b in bundles.items()
    }
    for run in (*passes.values(), *readouts.values()):
        run()  # warm-up
    repeats = repeats_of(options)
    return in_turns(passes, repeats=repeats), in_turns(readouts, repeats=repeats)


def _with_added(passes: Seconds, readouts: Seconds) -> Spread:
    """One language's pass with what many add to its readout, by that pass."""
    one, many = _named(ONE), _named(N_LANGUAGES)
    added = [b - a for a, b in zip(readouts[one], readouts[many], strict=True)]
    return ratio_of([a + b for a, b in zip(passes[one], added, strict=True)], passes[one])


@torch.inference_mode()
def _scores(bundle: Bundle, found: torch.Tensor) -> list[float]:
    calibration = bundle.calibration_of(LANGUAGE)
    return [each.under(calibration) for each in score_all(bundle, found)]


def _seconds(run: Callable[[], object], times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        run()
    return (time.perf_counter() - started) / times


def _named(n_languages: int) -> str:
    return f"{n_languages:,} language{'s' * (n_languages > 1)}"


def _table(model: str, passes: Seconds, readouts: Seconds) -> str:
    one = _named(ONE)
    rows: list[tuple[str, Spread, Spread]] = []
    for what, seconds in (("whole pass", passes), ("readout alone", readouts)):
        rows += [
            (f"{what}, {each}", _ms(values), ratio_of(values, seconds[one]))
            for each, values in seconds.items()
        ]
    head = [f"{model}, {BATCH} prompts", "ms", f"× {one}"]
    return ratio_table(head, rows)


def _ms(seconds: list[float]) -> Spread:
    return spread_of([each * 1e3 for each in seconds])


BENCHMARK = Benchmark(__package__, "languages", __doc__, measure, add_options)


if __name__ == "__main__":
    BENCHMARK.main()
