"""Replicas, GPUs and time series from costs: pure arithmetic, no measurement.

Two kinds of number go in. `Costs` are CPU seconds that `benchmarks.capacity` measures on the
machine it runs on. `Gpu`, `Model` and `Assumptions` are taken from data sheets and configurations,
or are guesses that are called so: nothing here was run on a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.settings import RegistrySettings
from services.telemetry import CATALOGUE, OTHER_LANGUAGE, STAGES, Kind, Metric

LANGUAGES_OF_A_METRIC = "language"
_SETTINGS = RegistrySettings()


@dataclass(frozen=True)
class Costs:
    """CPU seconds of a call, beside the model."""

    rpc: float
    """Of a unary call that does nothing else."""
    language_id: float
    """Of naming one text's language."""


@dataclass(frozen=True)
class Gpu:
    """One accelerator, by its data sheet."""

    name: str
    flops: float
    """Dense bfloat16 operations a second."""
    bandwidth: float
    """Bytes a second from its memory."""
    memory: float
    """Bytes."""


@dataclass(frozen=True)
class Model:
    """A backbone, by its configuration."""

    name: str
    body: float
    """Parameters of its blocks."""
    head: float
    """Parameters of its output layer."""
    layers: int
    gate_layers: int
    """Blocks that the gate runs."""
    kv_bytes: float
    """Of keys and values of one token, all layers."""
    bytes_per_parameter: float = 2.0

    @property
    def weights(self) -> float:
        """Bytes that one decoding step reads."""
        return (self.body + self.head) * self.bytes_per_parameter


@dataclass(frozen=True)
class Assumptions:
    """What nobody measured here."""

    prefill_share: float = 0.5
    """Of the GPU's operations, in a prefill."""
    decode_share: float = 0.6
    """Of its bandwidth, in a decoding step."""
    utilisation: float = 0.7
    """At which a replica is full: above it queues grow."""
    handle_calls: float = 2.0
    """Calls of `rpc`'s cost that the front door makes for one: to gate and generation. It names
    languages itself (`serve.language_id_inside`)."""
    prompt_tokens: int = 200
    answer_tokens: int = 200
    batch: int = 32
    """Answers that one generation replica decodes together."""
    series_of_a_prometheus: float = 10e6
    gpus_of_a_cluster: int = 24
    """As `k8s/overlays/prod` bounds one Ray cluster; more is more clusters."""


H200 = Gpu("H200", flops=989e12, bandwidth=4.8e12, memory=141e9)
QWEN_7B = Model(
    "Qwen2.5-7B", body=6.525e9, head=0.545e9, layers=28, gate_layers=16, kv_bytes=57_344
)


def gate_seconds(gpu: Gpu, model: Model, given: Assumptions) -> float:
    """GPU seconds of one verdict: the blocks up to the one that is read, over the prompt."""
    operations = 2 * model.body * model.gate_layers / model.layers * given.prompt_tokens
    return operations / (gpu.flops * given.prefill_share)


def generation_seconds(gpu: Gpu, model: Model, given: Assumptions) -> float:
    """GPU seconds of one answer: its prefill, and its share of the steps of a full batch."""
    prefill = 2 * model.body * given.prompt_tokens / (gpu.flops * given.prefill_share)
    tokens = given.prompt_tokens + given.answer_tokens / 2  # half of the answer, on average
    read = model.weights + given.batch * tokens * model.kv_bytes
    step = read / (gpu.bandwidth * given.decode_share)
    return prefill + given.answer_tokens * step / given.batch


def replicas(rate: float, seconds: float, given: Assumptions, *, least: int = 2) -> int:
    """How many it takes so that none is busier than it may be; `least` for availability.

    Raises:
        ValueError: a rate or a cost is not positive.
    """
    if not (rate > 0 and seconds > 0):
        raise ValueError(f"{rate} requests/s at {seconds} s each; both must be positive")
    return max(least, math.ceil(rate * seconds / given.utilisation))


@dataclass(frozen=True)
class Fleet:
    """What one rate and one number of languages need."""

    rate: float
    languages: int
    edges: int
    front_doors: int
    gates: int
    """Of one GPU each."""
    generations: int
    """Of one GPU each."""
    clusters: int
    registry_polls: float
    """Requests a second that the registry gets from replicas that look."""
    series: float
    """Time series of Prometheus, of all replicas."""

    @property
    def gpus(self) -> int:
        """All of them."""
        return self.gates + self.generations


def fleet(
    rate: float,
    languages: int,
    costs: Costs,
    *,
    gpu: Gpu = H200,
    model: Model = QWEN_7B,
    given: Assumptions | None = None,
    poll_interval_s: float = _SETTINGS.poll_interval_s,
    page: int = 1000,
) -> Fleet:
    """What it takes to answer `rate` requests a second in so many languages."""
    given = given or Assumptions()
    gates = replicas(rate, gate_seconds(gpu, model, given), given)
    generations = replicas(rate, generation_seconds(gpu, model, given), given)
    # one model for each language, and the readout; one page more of what is revoked
    pages = math.ceil((languages + 1) / page) + 1
    door = costs.rpc * (1 + given.handle_calls) + costs.language_id
    doors = replicas(rate, door, given)
    return Fleet(
        rate=rate,
        languages=languages,
        edges=replicas(rate, costs.rpc, given),
        front_doors=doors,
        gates=gates,
        generations=generations,
        clusters=math.ceil((gates + generations) / given.gpus_of_a_cluster),
        registry_polls=(gates + generations) * pages / poll_interval_s,
        series=gates * series_of("gate", languages)
        + generations * series_of("generation", languages)
        + doors * series_of("front door", languages),
    )


_VALUES: Mapping[str, int] = {
    "action": 3,  # of a score; rows of the policy add a few for all languages together
    "calibration_version": 1,
    "estimator": 1,
    "reason": 1,
    "stage": len(STAGES),
    "method": 9,
    "status": 4,
    "service": 1,
    "outcome": 4,
    "abstention": 4,
    "role": 1,
    "champion_action": 3,
    "shadow_action": 3,
}
"""Values of a label that a replica meets in ordinary traffic; `language` has one for each."""
_FEW = 4
"""Of any other label: none of ours is open."""
_OF_A_ROLLOUT = frozenset({"recal_canary_share", "recal_shadow_comparisons"})
_ROLLED_OUT = 4
"""Languages with a challenger or a shadow at one time; no others have these series."""
_OF_THE_FRONT_DOOR = frozenset({"recal_refusals_observed", "recal_requests", "recal_stage_seconds"})
_OF_A_STORE = frozenset(
    {
        "recal_threshold",
        "recal_calibration_info",
        "recal_canary_share",
        "recal_reloads",
        "recal_registry_age_seconds",
    }
)
_SHOWN: Mapping[str, Callable[[str], bool]] = {
    "front door": lambda name: name in _OF_THE_FRONT_DOOR,
    "generation": lambda name: name in _OF_A_STORE or name == "recal_queue_depth",
    "gate": lambda name: name not in _OF_THE_FRONT_DOOR,
}
"""Which metrics a replica shows, by its kind."""


def series_of(replica: str, languages: int) -> int:
    """Time series that one replica shows: a `gate`, a `generation` or a `front door`."""
    return sum(_series(metric, languages) for metric in CATALOGUE if _SHOWN[replica](metric.name))


def _series(metric: Metric, languages: int) -> int:
    rolled_out = metric.name in _OF_A_ROLLOUT
    named = min(languages, _ROLLED_OUT) if rolled_out else languages + len([OTHER_LANGUAGE])
    combinations = math.prod(
        named if label == LANGUAGES_OF_A_METRIC else _VALUES.get(label, _FEW)
        for label in metric.labels
    )
    per_combination = len(metric.buckets) + 3 if metric.kind is Kind.HISTOGRAM else 1
    return combinations * per_combination


def first_to_saturate(found: Fleet, given: Assumptions) -> str:
    """What stands in the way of this fleet before anything else does, in words."""
    if found.series > given.series_of_a_prometheus:
        return f"monitoring: {found.series / 1e6:.1f} M time series"
    if found.clusters > 1:
        return f"one Ray cluster: {found.gpus} GPUs are {found.clusters} of them"
    least = 2
    if found.generations > least:
        return "generation's GPUs"
    return "nothing: the fewest replicas that outlive one another are enough"
