"""A tiny backbone behind a gate that fires on about half of the prompts, and questions for it."""

from __future__ import annotations

import json
from pathlib import Path

from recal.utility.answers import Answers
from recal.utility.assembly import Line
from recal.utility.live_gate import LiveGate
from services.backbone.chat import encode_prompt
from services.backbone.load import Backbone
from services.domain import Abstention, LanguageGuess
from services.gate.extract import residuals
from services.gate.policy import Policy
from services.readout.bundle import Bundle, Readout
from tests.unit.services.tiny import tiny_bundle, tiny_calibration, tiny_readout

WORDS = ("bread", "oven", "home", "unga", "maji", "tanuri", "bake", "how")
QUESTIONS = [
    {"question": f"{a} {b}?", "choices": list("wxyz"), "answer": "ABCD"[(i + j) % 4], "lang": lang}
    for lang in ("en", "sw")
    for i, a in enumerate(WORDS[:4])
    for j, b in enumerate(WORDS[4:])
]


def write_questions(path: Path) -> Path:
    path.write_text("\n".join(map(json.dumps, QUESTIONS)), encoding="utf-8")
    return path


def identify(prompt: str) -> LanguageGuess:
    """Names nothing in a prompt with a Z, and Swahili or English elsewhere."""
    if "Z" in prompt:
        return LanguageGuess(None, 0.1, Abstention.LOW_CONFIDENCE)
    return LanguageGuess("sw" if "unga" in prompt else "en", 0.9)


def scores_of(backbone: Backbone, prompts: list[str]) -> list[float]:
    """Scores by the tiny readout, without the gate."""
    readout = tiny_readout(backbone)
    encoded = [encode_prompt(backbone.tokenizer, prompt) for prompt in prompts]
    read = residuals(backbone, encoded, places=readout.places)
    found: list[float] = readout.score(read).tolist()
    return found


def middle_of(scores: list[float]) -> float:
    """Between the two scores in the middle, so that no rounding moves a prompt across."""
    ranked = sorted(scores)
    return (ranked[len(ranked) // 2 - 1] + ranked[len(ranked) // 2]) / 2


def strong_readout(backbone: Backbone) -> Readout:
    """Steers so strongly that choices change."""
    return tiny_readout(backbone, coefficient=40.0)


def bundle_of(backbone: Backbone, *, steer: float, release: float | None) -> Bundle:
    readout = strong_readout(backbone)
    return tiny_bundle(
        readout,
        *(tiny_calibration(readout, la, steer=steer, release=release) for la in ("en", "sw")),
    )


def gate_of(
    backbone: Backbone,
    *,
    steer: float = 0.0,
    release: float | None = None,
    policy: Policy | None = None,
) -> LiveGate:
    bundle = bundle_of(backbone, steer=steer, release=release)
    return LiveGate(backbone, bundle, identify=identify, policy=policy)


def line_of(backbone: Backbone, *, steer: float, release: float | None = None) -> Line:
    bundle = bundle_of(backbone, steer=steer, release=release)
    return Line(
        backbone,
        bundle,
        Answers(backbone, bundle.readout.steering),
        LiveGate(backbone, bundle, identify=identify),
        "a tiny model",
    )
