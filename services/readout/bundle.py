"""Everything learned, as one frozen object: a readout and the calibrations that belong to it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from types import MappingProxyType
from typing import Literal

from torch import Tensor

from services.domain import CalibrationSummary
from services.errors import NoCalibration
from services.readout.canary import CalibrationKey, Challenger
from services.readout.linear import ReadoutPart, summed
from services.readout.own import OwnReadout
from services.readout.own_table import OwnTable
from services.readout.place import Place
from services.readout.references import References, ScoreHistogram


@dataclass(frozen=True)
class BackboneIdentity:
    """Which backbone an artefact belongs to; a digest that differs is refused at load."""

    name: str
    """Hub id or directory name; for people."""
    architecture: str
    """e.g. `Qwen2ForCausalLM`."""
    d_model: int
    n_layers: int
    weights_digest: str
    """sha256 over configuration and weight files."""
    tokenizer_digest: str
    """sha256 over the tokenizer's serialised form."""
    chat_template_digest: str
    """sha256 of the chat template's text."""


class Scope(Enum):
    """Which tokens of a request are edited."""

    PROMPT = "prompt"
    """Every prompt token; new tokens follow from them."""
    LAST = "last"
    """The last prompt token alone, where the decision falls."""
    LAST_THEN_DECODE = "last_then_decode"
    """The last prompt token and every new token."""
    DECODE = "decode"
    """Every new token; the prompt is read untouched, and so is the first new token's choice."""
    ALL = "all"
    """Every prompt token and every new token."""

    @property
    def prompt(self) -> Literal["none", "last", "all"]:
        """Which of the prompt's tokens."""
        if self is Scope.DECODE:
            return "none"
        return "all" if self in (Scope.PROMPT, Scope.ALL) else "last"

    @property
    def decodes(self) -> bool:
        """Whether new tokens are edited."""
        return self in (Scope.LAST_THEN_DECODE, Scope.DECODE, Scope.ALL)


class SteerForm(Enum):
    """How STEER moves a token along the direction."""

    ADD = "add"
    """By `coefficient`, in the residual's own units."""
    TO_TARGET = "to_target"
    """By the share `coefficient` of the way up to the target; never down."""


class ReleaseForm(Enum):
    """How RELEASE takes a false refusal away."""

    ABLATE = "ablate"
    """Remove the component along the direction."""
    AFFINE = "affine"
    """Bring a component above the harmless centre down to it; leave others alone."""
    SURGICAL = "surgical"
    """Remove the component along what tells false refusals from other harmless prompts, made
    orthogonal to harmfulness."""
    NOTHING = "nothing"
    """Leave the model untouched."""


@dataclass(frozen=True)
class SteeringStatistics:
    """Where the source languages' classes lie along the direction, in the residual's own units."""

    target: float
    """q₊: third quartile of the harmful projections."""
    centre: float
    """q₀: mean of the harmless projections."""
    gap: float
    """g: third quartile of the harmful minus first quartile of the harmless projections."""


@dataclass(frozen=True, eq=False)
class Release:
    """How a false refusal is taken away. By default as in arXiv:2606.01196."""

    form: ReleaseForm = ReleaseForm.ABLATE
    scope: Scope = Scope.ALL
    layer: int | None = None
    """0-based decoder block; None: the one that STEER acts at, along its direction."""
    direction: Tensor | None = None
    """(d_model,) float32, unit norm; given exactly where `layer` is."""
    centre: float | None = None
    """q₀ along the direction, in the residual's own units; `affine` needs it."""

    def __post_init__(self) -> None:
        if (self.layer is None) != (self.direction is None):
            raise ValueError("a release of its own needs both a layer and a direction")
        if self.form is ReleaseForm.SURGICAL and self.direction is None:
            raise ValueError("`surgical` needs a direction of its own")
        if self.form is ReleaseForm.AFFINE and self.centre is None:
            raise ValueError("`affine` needs the harmless centre")


@dataclass(frozen=True, eq=False)
class Steering:
    """How this backbone is steered and released, found by a search on validation prompts."""

    direction: Tensor
    """(d_model,) float32, unit norm: the pooled harmfulness direction at `layer`."""
    layer: int
    """0-based decoder block whose output is edited; not always the layer that is read."""
    coefficient: float
    """What `add` adds along the direction, signed and in the residual's own units; of `to_target`
    the share of the way."""
    typical_norm: float
    """Mean residual norm at `layer`, to read the coefficient against."""
    form: SteerForm = SteerForm.ADD
    scope: Scope = Scope.LAST_THEN_DECODE
    """As in arXiv:2606.01196. Small models lose their thread when every token of a refusal is
    pushed too; `last` leaves those alone."""
    statistics: SteeringStatistics | None = None
    """None in artefacts older than the forms; `to_target` needs it."""
    release: Release = Release()

    def __post_init__(self) -> None:
        if self.form is SteerForm.TO_TARGET and self.statistics is None:
            raise ValueError("`to_target` needs the statistics of projections")


@dataclass(frozen=True)
class Thresholds:
    """The operating point of one language: score >= steer steers, score <= release releases."""

    steer: float
    """τ_hi. Ties go to safety."""
    release: float | None
    """τ_lo, at most `steer`; None: never release. Equal to `steer` in two-way (paper) routing,
    where everything below `steer` is released."""

    def __post_init__(self) -> None:
        for name, threshold in (("steer", self.steer), ("release", self.release)):
            # every comparison with NaN is false, so that nothing would ever be steered
            if threshold is not None and not math.isfinite(threshold):
                raise ValueError(f"the {name} threshold is {threshold}; it must be finite")
        if self.release is not None and self.release > self.steer:
            raise ValueError(
                f"the release threshold {self.release} lies above the steer threshold {self.steer}"
            )


@dataclass(frozen=True)
class Calibration:
    """One language's recalibration of one readout, with a readout of its own or not. Immutable."""

    language: str
    """BCP 47 tag."""
    thresholds: Thresholds
    """In the unit of the score that they are held against: the own readout's where there is one,
    else the frozen one's. So are `threshold`, `posterior_sd`, `histogram` and `evidence`."""
    threshold: float
    """τ̂, the estimate itself."""
    posterior_sd: float
    """s_τ, the estimate's own uncertainty."""
    routing: str
    """`three_zone` or `two_way`."""
    estimator: str
    """e.g. `auto`, `paper_f1`, `source`."""
    k: int
    """Examples per class; 0 for a source language, and where no label was needed."""
    readout_digest: str
    """Digest of the readout that it belongs to."""
    backbone: BackboneIdentity
    created: str
    """RFC 3339 time."""
    example_hashes: tuple[str, ...] = ()
    """sha256 of each example's text; never the text."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Held-out metrics, e.g. `auc`, `tpr`, `fpr`, `j`, and their intervals."""
    histogram: ScoreHistogram | None = None
    reference_refusal: Mapping[str, float] = field(default_factory=dict)
    """Refusal rates in [0, 1] by class at calibration time, for drift."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    evidence: Mapping[str, float] = field(default_factory=dict)
    """What its own evidence said, for other languages' priors: `own_threshold` and `own_sd`, each
    part that was fused, `rho` of its pairs."""
    vacuous: bool = False
    """True: a bound on false positives was asked for that its examples cannot give; the thresholds
    are those without it."""
    own: OwnReadout | None = None
    """What scores this language; None: the frozen readout does."""
    digest: str = ""
    """Digest of the artefact on disk; empty before it is saved."""
    version: str = ""
    """e.g. `sw@7`: the language and the registry's version, or a digest prefix."""

    @property
    def created_at(self) -> datetime:
        """When it was made; without an offset, in UTC.

        Raises:
            ValueError: `created` is no time.
        """
        created = datetime.fromisoformat(self.created)
        return created if created.tzinfo is not None else created.replace(tzinfo=UTC)

    @property
    def key(self) -> CalibrationKey:
        """What tells it from the others of one bundle."""
        return CalibrationKey(self.language, self.version)

    def summary(self, readout_version: str) -> CalibrationSummary:
        """What a caller may know of it."""
        return CalibrationSummary(
            language=self.language,
            version=self.version,
            estimator=self.estimator,
            k=self.k,
            created=self.created,
            readout_version=readout_version,
            own_readout=self.own.method if self.own is not None else "",
        )


@dataclass(frozen=True, eq=False)
class Readout:
    """The readout of one backbone with what steering needs. Immutable."""

    parts: tuple[ReadoutPart, ...]
    """One for each place that is read; at least one."""
    source_languages: tuple[str, ...]
    steering: Steering
    backbone: BackboneIdentity
    source_threshold: float
    """The source languages' own threshold, in the score's units."""
    source_statistics: Mapping[str, float]
    """`mean_harmful`, `mean_harmless`, `sd_within` of source scores; `gap` g of projections."""
    created: str
    histogram: ScoreHistogram | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    fallback: OwnReadout | None = None
    """The direction readout: projections on the source languages' difference in means at the same
    places, of which a language's calibration may make its own. None in artefacts older than it."""
    references: References | None = None
    """By which it is tested where it is loaded. None in artefacts older than them."""
    digest: str = ""
    version: str = ""

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError("a readout reads at least one place")
        if len(set(self.places)) < len(self.parts):
            raise ValueError(f"a readout reads each place once, not {self.places}")
        if self.fallback is not None:
            self.fallback.refuse_other_places(self.places)

    @property
    def places(self) -> tuple[Place, ...]:
        """What is read, in the order in which `score` expects it."""
        return tuple(part.place for part in self.parts)

    @property
    def layers(self) -> tuple[int, ...]:
        """The 0-based decoder blocks that are read, rising."""
        return tuple(sorted({place.layer for place in self.places}))

    @property
    def deepest_layer(self) -> int:
        """The last decoder block that is read: no later one need run."""
        return self.layers[-1]

    @property
    def reads(self) -> str:
        """What is read, in words."""
        return " and ".join(f"block {layer} ({reading})" for layer, reading in self.places)

    def score(self, residuals: Tensor) -> Tensor:
        """THE score of the frozen readout, online and offline; larger is more harmful.

        Args:
            residuals: (..., len(parts), d_model), any float dtype, at `places` in their order.

        Returns:
            (...,) float32, in pooled standard deviations of the source languages. A residual that
            is not finite at any place gives a score that is not.

        Raises:
            ValueError: it has another number of places or another width.
        """
        return summed([(part.linear, part.share) for part in self.parts], residuals)


@dataclass(frozen=True, eq=False)
class Bundle:
    """A readout and every loaded calibration, swapped as a whole."""

    readout: Readout
    calibrations: Mapping[str, Calibration]
    """The champions, by language tag."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Why a language's newest calibration was refused; its last good one serves, or none."""
    challengers: Mapping[str, Challenger] = field(default_factory=dict)
    """By language; also of one that has no champion yet."""
    shadows: Mapping[str, Calibration] = field(default_factory=dict)
    """Scored and counted beside what decides, by language; they never act."""
    refused_beside: Mapping[str, str] = field(default_factory=dict)
    """Why a challenger or shadow was refused, by alias and language; champions go on without."""
    own_table: OwnTable[CalibrationKey] = field(init=False, repr=False)
    """All own readouts folded into one; made here, so that no request waits for it."""

    def __post_init__(self) -> None:
        beside = {language: each.calibration for language, each in self.challengers.items()}
        for filed in (self.calibrations, beside, self.shadows):
            for language, calibration in filed.items():
                self._refuse_misfiled(language, calibration)
        champions = {each.key for each in self.calibrations.values()}
        for calibration in (*beside.values(), *self.shadows.values()):
            if calibration.key in champions:
                raise ValueError(f"`{calibration.version}` cannot stand beside itself")
        own = {each.key: each.own for each in self.loaded if each.own}
        object.__setattr__(self, "own_table", OwnTable(own, self.readout.places))
        for name in ("calibrations", "refused", "challengers", "shadows", "refused_beside"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def _refuse_misfiled(self, language: str, calibration: Calibration) -> None:
        if calibration.language != language:
            raise ValueError(f"calibration of `{calibration.language}` is filed under `{language}`")
        if calibration.readout_digest != self.readout.digest:
            raise ValueError(
                f"calibration `{calibration.version}` belongs to another readout than "
                f"`{self.readout.version}`"
            )

    @property
    def loaded(self) -> tuple[Calibration, ...]:
        """Every calibration: champions, then challengers, then shadows."""
        challengers = (each.calibration for each in self.challengers.values())
        return (*self.calibrations.values(), *challengers, *self.shadows.values())

    def knows(self, language: str | None) -> bool:
        """Whether any calibration of the language is loaded."""
        return any(language in each for each in (self.calibrations, self.challengers, self.shadows))

    def deciding(self, language: str, routing_key: str | None) -> Calibration | None:
        """The calibration that decides a request: the challenger's share is drawn by its key.

        Args:
            language: of the request.
            routing_key: None: the champion decides.

        Returns:
            None where the language has neither.
        """
        challenger = self.challengers.get(language)
        if challenger and routing_key is not None and challenger.takes(routing_key):
            return challenger.calibration
        return self.calibrations.get(language)

    def calibration_of(self, language: str) -> Calibration:
        """The calibration of a language.

        Raises:
            NoCalibration: none is loaded. Never falls back to another language.
        """
        try:
            return self.calibrations[language]
        except KeyError:
            raise NoCalibration(
                f"no calibration for language `{language}` with readout "
                f"`{self.readout.version}`; run `recal recalibrate --language {language}` "
                "and promote the result"
            ) from None
