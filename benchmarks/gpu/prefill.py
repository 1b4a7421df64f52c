"""Prefill against its floor, and the gate alone: prompts of equal length, by batch size.

python -m benchmarks.gpu.prefill [--quick] [--models NAMES] [--batches SIZES] [--json FILE] ...

The floor is the time of the prompt's matrix products at the speed that a large square product
reached on this device in this run. `gate alone` is what the gate's thread does with a batch:
residuals of the first blocks, score and verdict of the language, on the host.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import torch

from benchmarks.gpu import shapes
from benchmarks.gpu.clock import peak_flops, seconds
from benchmarks.gpu.options import (
    NOT_RUN,
    add_options,
    batches_of,
    names_of,
    repeats_of,
    tokens_of,
)
from benchmarks.report import Benchmark, Found
from benchmarks.serving.artefacts import LANGUAGE, random_bundle
from benchmarks.serving.spread import Spread, spread_of
from benchmarks.serving.tables import markdown
from recal.demo.results import Bar
from services.backbone.chat import EncodedPrompt
from services.backbone.load import Backbone
from services.domain import Sampling
from services.gate.extract import residuals
from services.generation.decode import Batch
from services.generation.row import Row
from services.generation.treatment import UNTOUCHED
from services.readout.bundle import Bundle, Thresholds
from services.readout.scores import score_all

GATE_MOST_S = 6e-3
"""Bar on the gate alone, batch 1."""
PREFILL_LEAST = 0.5
"""Bar on the share of the peak that a prefill of `BAR_BATCH` prompts reaches."""
BAR_BATCH = 32
_ANY = Thresholds(1e6, -1e6)


def measure(options: argparse.Namespace) -> Found:
    """Measure every model that was asked for."""
    device = torch.device(options.device)
    peak = peak_flops(device, repeats=repeats_of(options))
    tables, bars, results = [], [], {}
    for name in names_of(options):
        print(f"{name} on {device}", flush=True)
        backbone = shapes.make(name, options)
        found = {
            batch: _batch(name, backbone, batch, options, peak) for batch in batches_of(options)
        }
        tables.append(_table(name, tokens_of(options), found))
        bars += _bars(name, found) if shapes.is_accelerated(options) else []
        results[name] = {
            f"{batch}": {k: asdict(v) for k, v in each.items()} for batch, each in found.items()
        }
        del backbone
    tables += [] if shapes.is_accelerated(options) else [NOT_RUN]
    plain = {
        "device": _device_name(device),
        "peak_flops": asdict(peak),
        "models": results,
    }
    return Found(plain, "\n\n".join(tables), tuple(bars), seed=options.seed)


def _batch(
    name: str, backbone: Backbone, n: int, options: argparse.Namespace, peak: Spread
) -> dict[str, Spread]:
    prompts = prompts_of(backbone, n, tokens_of(options))
    layer = shapes.layer_read(name, backbone)
    gate = shapes.first_blocks(backbone, layer + 1)
    bundle = random_bundle(gate, _ANY, layer=layer)
    device, repeats = backbone.device, repeats_of(options)
    whole = seconds(partial(_prefill, backbone, prompts), device, repeats=repeats)
    alone = seconds(partial(_check, gate, bundle, prompts), device, repeats=repeats)
    floor = n * tokens_of(options) * shapes.flops_of_a_token(backbone) / peak.median
    return {
        "prefill_s": spread_of(whole),
        "gate_s": spread_of(alone),
        "gate_by_prefill": spread_of([a / b for a, b in zip(alone, whole, strict=True)]),
        "share_of_peak": spread_of([floor / each for each in whole]),
    }


def prompts_of(backbone: Backbone, n: int, n_tokens: int) -> list[EncodedPrompt]:
    """Prompts of so many tokens, no two the same."""
    generator = torch.Generator().manual_seed(n)
    ids = torch.randint(10, 5000, (n, n_tokens), generator=generator).tolist()
    return [EncodedPrompt(each, n_tokens - 6) for each in ids]


def _prefill(backbone: Backbone, prompts: list[EncodedPrompt]) -> None:
    """As the engine does it: keys and values are kept, the first tokens come to the host."""
    batch = Batch(backbone, chunk_tokens=sum(len(each.token_ids) for each in prompts))
    batch.admit(
        [
            Row(
                each.token_ids,
                UNTOUCHED,
                Sampling(max_tokens=1),
                tokenizer=backbone.tokenizer,
                ends=frozenset(),
            )
            for each in prompts
        ]
    )


@torch.inference_mode()
def _check(backbone: Backbone, bundle: Bundle, prompts: list[EncodedPrompt]) -> list[float]:
    found = residuals(backbone, prompts, places=bundle.readout.places, max_tokens=2**20)
    calibration = bundle.calibration_of(LANGUAGE)
    return [each.under(calibration) for each in score_all(bundle, found)]


def _bars(name: str, found: Mapping[int, Mapping[str, Spread]]) -> list[Bar]:
    bars = []
    if 1 in found:
        gate = found[1]["gate_s"]
        claim = f"{name}: seconds of the gate alone, batch 1 ≤ {GATE_MOST_S:g}"
        bars.append(Bar(claim, str(gate), gate.median <= GATE_MOST_S))
    if BAR_BATCH in found:
        share = found[BAR_BATCH]["share_of_peak"]
        claim = f"{name}: share of peak of a prefill, batch {BAR_BATCH} ≥ {PREFILL_LEAST:g}"
        bars.append(Bar(claim, str(share), share.median >= PREFILL_LEAST))
    return bars


def _table(name: str, n_tokens: int, found: Mapping[int, Mapping[str, Spread]]) -> str:
    rows: list[Any] = [
        [
            str(batch),
            str(_ms(each["prefill_s"])),
            str(each["share_of_peak"]),
            str(_ms(each["gate_s"])),
            str(each["gate_by_prefill"]),
        ]
        for batch, each in found.items()
    ]
    head = [
        f"{name}, {n_tokens} tokens, batch",
        "prefill ms",
        "share of peak",
        "gate alone ms",
        "gate × prefill",
    ]
    return markdown(head, rows)


def _ms(spread: Spread) -> Spread:
    return Spread(spread.median * 1e3, spread.low * 1e3, spread.high * 1e3, spread.repeats)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


BENCHMARK = Benchmark(__package__, "prefill", __doc__, measure, add_options)


if __name__ == "__main__":
    BENCHMARK.main()
