"""Replicas that count as ours do, and whose pages are read as a process' own."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from prometheus_client import generate_latest

from services.drift.sources import Sample, SourceUnreachable, parsed
from services.telemetry import ANSWERS, REFUSALS_OBSERVED, SCORE, VERDICTS, PrometheusMeter

STEP_S = 1200.0


class Replicas:
    """Serve languages; may be restarted one by one. A source of counts, with a clock."""

    def __init__(self, n: int = 2) -> None:
        self.meters = [PrometheusMeter() for _ in range(n)]
        self.rng = np.random.default_rng(17)
        self.now = 1_000_000.0
        self.is_away = False

    def clock(self) -> float:
        return self.now

    def read(self) -> list[Sample]:
        if self.is_away:
            raise SourceUnreachable("`http://replica` does not answer (OSError)")
        pages = [generate_latest(meter.registry).decode() for meter in self.meters]
        return [s for index, page in enumerate(pages) for s in parsed(page, f"replica {index}")]

    def restart(self, index: int) -> None:
        self.meters[index] = PrometheusMeter()

    def serve(self, n: int, share: float, language: str = "sw", version: str = "sw@1") -> None:
        """`n` requests at each replica, of which a share is steered and refused."""
        self.now += STEP_S
        for meter in self.meters:
            steered = int(self.rng.binomial(n, share))
            for action, count in (("steer", steered), ("none", n - steered)):
                labels = {"language": language, "action": action, "calibration_version": version}
                meter.count(VERDICTS, count, reason="score", **labels)
                meter.count(ANSWERS, count, **labels)
            meter.count(
                REFUSALS_OBSERVED,
                steered,
                language=language,
                action="steer",
                calibration_version=version,
            )

    def score(self, scores: list[float], language: str = "sw", version: str = "sw@1") -> None:
        for score in scores:
            self.meters[0].observe(SCORE, score, language=language, calibration_version=version)


def sample(name: str, value: float, **labels: str) -> Sample:
    return Sample(name, tuple(sorted(labels.items())), value)


def values(meter: PrometheusMeter, name: str) -> Mapping[tuple[str, ...], float]:
    """A gauge's series by their labels' values, in the order of their names."""
    [family] = [each for each in meter.registry.collect() if each.name == name]
    return {tuple(v for _, v in sorted(s.labels.items())): s.value for s in family.samples}
