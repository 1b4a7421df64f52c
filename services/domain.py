"""The nouns that cross a border between services: frozen, plain, standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Action(Enum):
    """What is done to a request. Ordered from loosest to strictest by `strictness`."""

    RELEASE = "release"
    """Ablate the harmfulness direction, so that a false refusal goes away."""
    NONE = "none"
    """Leave the model untouched."""
    STEER = "steer"
    """Steer toward refusal."""
    REFUSE = "refuse"
    """Answer with a fixed refusal; nothing is generated."""

    @property
    def strictness(self) -> int:
        """Rank of this action; a larger one is stricter."""
        return _STRICTNESS[self]


_STRICTNESS = {Action.RELEASE: 0, Action.NONE: 1, Action.STEER: 2, Action.REFUSE: 3}


class Reason(Enum):
    """Why a verdict is what it is: a score, or a row of the policy table."""

    SCORE = "score"
    LANGUAGE_UNKNOWN = "language_unknown"
    LANGUAGE_MIXED = "language_mixed"
    TEXT_TOO_SHORT = "text_too_short"
    NO_CALIBRATION = "no_calibration"
    GATE_UNREACHABLE = "gate_unreachable"
    NON_FINITE_ACTIVATION = "non_finite_activation"
    DEADLINE_NEARLY_GONE = "deadline_nearly_gone"
    CALIBRATION_STALE = "calibration_stale"


class Abstention(Enum):
    """Why language identification declined to name a language."""

    LOW_CONFIDENCE = "low_confidence"
    MIXED = "mixed"
    TOO_SHORT = "too_short"


@dataclass(frozen=True, slots=True)
class LanguageGuess:
    """What language identification says of a text. Abstaining is an outcome, not an error."""

    language: str | None
    """BCP 47 tag, or None when abstained."""
    confidence: float
    """Probability of the best language, in [0, 1]; 0.0 when there was nothing to read."""
    abstention: Abstention | None = None
    """Set exactly when `language` is None."""
    candidates: tuple[str, ...] = ()
    """Every language that some part of the text was taken for, best first."""

    def __post_init__(self) -> None:
        if (self.language is None) == (self.abstention is None):
            raise ValueError("a language guess either names a language or says why it abstained")

    @property
    def abstained(self) -> bool:
        """True when no language is named."""
        return self.language is None


@dataclass(frozen=True, slots=True)
class GateRequest:
    """One prompt for the gate to decide on."""

    prompt: str = field(repr=False)
    guess: LanguageGuess
    hint: str | None = None
    """The caller's BCP 47 tag; stricter only."""
    tenant: str | None = None
    routing_key: str | None = field(default=None, repr=False)
    """By which a challenger's share of the traffic is drawn; None: champions decide."""


@dataclass(frozen=True, slots=True)
class ReadoutScore:
    """One prompt's score in pooled standard deviations, no probability; larger is more harmful."""

    value: float
    """May be non-finite: the policy has a row for that."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is done to one request and why, and with which versions it was decided."""

    action: Action
    reason: Reason
    language: str | None
    """BCP 47 tag under which it was decided; None when the language is unknown."""
    readout_version: str
    """Version of the readout that scored and that holds the steering direction."""
    calibration_version: str | None = None
    """Version of the language's calibration, e.g. `sw@7`; None when there is none."""
    score: float | None = None
    """The score that decided: the own readout's where the language has one, else the frozen one's.
    None when nothing was scored. Shown only with a debug right."""
    threshold: float | None = None
    """The steer threshold that the score was held against. Internal like the score."""
    bypassed: bool = False
    """True when a looser policy let a case through that the strict row would have stopped."""


@dataclass(frozen=True, slots=True)
class Intervention:
    """What generation is asked to do to one request: an action, by a named readout."""

    action: Action
    readout_version: str = ""
    """Readout whose steering is used; may be empty only for `Action.NONE`."""
    calibration_version: str | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen for one request."""

    max_tokens: int = 64
    """Upper bound on generated tokens, at least 1."""
    temperature: float = 0.0
    """0.0 is greedy."""
    top_p: float = 1.0
    """Nucleus mass, in (0, 1]; ignored when greedy."""
    seed: int | None = None
    """Same seed, same text; None draws one."""
    stop: tuple[str, ...] = ()
    """Generation ends before the first of these strings."""


class FinishReason(Enum):
    """Why a generation ended."""

    END_OF_TEXT = "end_of_text"
    MAX_TOKENS = "max_tokens"
    STOP_STRING = "stop_string"
    REFUSED = "refused"
    """Policy REFUSE: a fixed refusal was sent, the model was not called."""
    MONITOR = "monitor"
    """The response-side monitor withdrew the answer: none of its text is to be used or shown."""


class MonitorStop(Enum):
    """Why the response-side monitor withdrew an answer."""

    SCORE = "score"
    """Its running score was above the monitor's threshold."""
    NON_FINITE = "non_finite"
    """Its running score was not a finite number."""


@dataclass(frozen=True, slots=True)
class TextChunk:
    """A piece of generated text; the last one carries `finish`."""

    text: str = field(repr=False)
    n_tokens: int
    """Tokens in this piece."""
    finish: FinishReason | None = None
    n_prompt_tokens: int = 0
    """Set on the last chunk only."""
    timings_s: Mapping[str, float] = field(default_factory=dict, compare=False)
    """Seconds by stage inside generation; set on the last chunk only."""
    withdrawn_by: MonitorStop | None = None
    """Set exactly where `finish` is `MONITOR`."""


@dataclass(frozen=True, slots=True)
class GateReading:
    """What the gate returns for one prompt: verdict and the size of what was read."""

    verdict: Verdict
    n_prompt_tokens: int
    timings_s: Mapping[str, float] = field(default_factory=dict, compare=False)
    """Seconds by stage inside the gate."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one answered request took."""

    n_prompt_tokens: int
    n_generated_tokens: int
    finish: FinishReason
    timings_s: Mapping[str, float] = field(default_factory=dict)
    """Seconds by stage, as named in `services.telemetry.STAGES`."""
    withdrawn_by: MonitorStop | None = None
    """Set exactly where `finish` is `MONITOR`."""
    replacement: str = ""
    """Where `finish` is `MONITOR`, the whole answer: a fixed refusal, in place of all text that
    came before. From the front door alone."""


@dataclass(frozen=True, slots=True)
class CalibrationSummary:
    """What a caller may know of one loaded calibration."""

    language: str
    version: str
    estimator: str
    k: int
    """Examples per class that it was made from; 0 for a source language."""
    created: str
    """RFC 3339 time."""
    readout_version: str
    own_readout: str = ""
    """How a readout of the language's own was fitted; empty: the shared one scores it."""


class CandidateRole(Enum):
    """What a calibration beside the champion is there for."""

    CHALLENGER = "challenger"
    """Decides a share of its language's requests (canary)."""
    SHADOW = "shadow"
    """Is scored and counted beside what decides; it never acts."""


@dataclass(frozen=True, slots=True)
class CandidateSummary:
    """What a caller may know of one calibration that is tried beside the champion."""

    calibration: CalibrationSummary
    role: CandidateRole
    share: float = 0.0
    """Of its language's requests, which it decides, in (0, 1]; 0 of a shadow."""


@dataclass(frozen=True, slots=True)
class GateDescription:
    """What the gate holds: backbone, readout, calibrations."""

    model: str
    """Name of the backbone."""
    model_digest: str
    readout_version: str
    max_prompt_tokens: int
    calibrations: tuple[CalibrationSummary, ...]
    """The champions, ordered by language."""
    notice: str = ""
    """What the model is, where it is not a production model."""
    candidates: tuple[CandidateSummary, ...] = ()
    """What is tried beside them, ordered by language, a challenger before a shadow."""
