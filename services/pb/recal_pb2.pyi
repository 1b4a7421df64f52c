from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACTION_UNSPECIFIED: _ClassVar[Action]
    ACTION_NONE: _ClassVar[Action]
    ACTION_STEER: _ClassVar[Action]
    ACTION_RELEASE: _ClassVar[Action]
    ACTION_REFUSE: _ClassVar[Action]

class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REASON_UNSPECIFIED: _ClassVar[Reason]
    REASON_SCORE: _ClassVar[Reason]
    REASON_LANGUAGE_UNKNOWN: _ClassVar[Reason]
    REASON_LANGUAGE_MIXED: _ClassVar[Reason]
    REASON_TEXT_TOO_SHORT: _ClassVar[Reason]
    REASON_NO_CALIBRATION: _ClassVar[Reason]
    REASON_GATE_UNREACHABLE: _ClassVar[Reason]
    REASON_NON_FINITE_ACTIVATION: _ClassVar[Reason]
    REASON_DEADLINE_NEARLY_GONE: _ClassVar[Reason]
    REASON_CALIBRATION_STALE: _ClassVar[Reason]

class Abstention(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ABSTENTION_UNSPECIFIED: _ClassVar[Abstention]
    ABSTENTION_LOW_CONFIDENCE: _ClassVar[Abstention]
    ABSTENTION_MIXED: _ClassVar[Abstention]
    ABSTENTION_TOO_SHORT: _ClassVar[Abstention]

class FinishReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FINISH_REASON_UNSPECIFIED: _ClassVar[FinishReason]
    FINISH_REASON_END_OF_TEXT: _ClassVar[FinishReason]
    FINISH_REASON_MAX_TOKENS: _ClassVar[FinishReason]
    FINISH_REASON_STOP_STRING: _ClassVar[FinishReason]
    FINISH_REASON_REFUSED: _ClassVar[FinishReason]
    FINISH_REASON_MONITOR: _ClassVar[FinishReason]

class MonitorStop(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MONITOR_STOP_UNSPECIFIED: _ClassVar[MonitorStop]
    MONITOR_STOP_SCORE: _ClassVar[MonitorStop]
    MONITOR_STOP_NON_FINITE: _ClassVar[MonitorStop]

class CandidateRole(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CANDIDATE_ROLE_UNSPECIFIED: _ClassVar[CandidateRole]
    CANDIDATE_ROLE_CHALLENGER: _ClassVar[CandidateRole]
    CANDIDATE_ROLE_SHADOW: _ClassVar[CandidateRole]
ACTION_UNSPECIFIED: Action
ACTION_NONE: Action
ACTION_STEER: Action
ACTION_RELEASE: Action
ACTION_REFUSE: Action
REASON_UNSPECIFIED: Reason
REASON_SCORE: Reason
REASON_LANGUAGE_UNKNOWN: Reason
REASON_LANGUAGE_MIXED: Reason
REASON_TEXT_TOO_SHORT: Reason
REASON_NO_CALIBRATION: Reason
REASON_GATE_UNREACHABLE: Reason
REASON_NON_FINITE_ACTIVATION: Reason
REASON_DEADLINE_NEARLY_GONE: Reason
REASON_CALIBRATION_STALE: Reason
ABSTENTION_UNSPECIFIED: Abstention
ABSTENTION_LOW_CONFIDENCE: Abstention
ABSTENTION_MIXED: Abstention
ABSTENTION_TOO_SHORT: Abstention
FINISH_REASON_UNSPECIFIED: FinishReason
FINISH_REASON_END_OF_TEXT: FinishReason
FINISH_REASON_MAX_TOKENS: FinishReason
FINISH_REASON_STOP_STRING: FinishReason
FINISH_REASON_REFUSED: FinishReason
FINISH_REASON_MONITOR: FinishReason
MONITOR_STOP_UNSPECIFIED: MonitorStop
MONITOR_STOP_SCORE: MonitorStop
MONITOR_STOP_NON_FINITE: MonitorStop
CANDIDATE_ROLE_UNSPECIFIED: CandidateRole
CANDIDATE_ROLE_CHALLENGER: CandidateRole
CANDIDATE_ROLE_SHADOW: CandidateRole

class Verdict(_message.Message):
    __slots__ = ("action", "reason", "language", "readout_version", "calibration_version", "bypassed", "score", "threshold")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    READOUT_VERSION_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_VERSION_FIELD_NUMBER: _ClassVar[int]
    BYPASSED_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    action: Action
    reason: Reason
    language: str
    readout_version: str
    calibration_version: str
    bypassed: bool
    score: float
    threshold: float
    def __init__(self, action: _Optional[_Union[Action, str]] = ..., reason: _Optional[_Union[Reason, str]] = ..., language: _Optional[str] = ..., readout_version: _Optional[str] = ..., calibration_version: _Optional[str] = ..., bypassed: bool = ..., score: _Optional[float] = ..., threshold: _Optional[float] = ...) -> None: ...

class LanguageGuess(_message.Message):
    __slots__ = ("language", "confidence", "abstention", "candidates")
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    ABSTENTION_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    language: str
    confidence: float
    abstention: Abstention
    candidates: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, language: _Optional[str] = ..., confidence: _Optional[float] = ..., abstention: _Optional[_Union[Abstention, str]] = ..., candidates: _Optional[_Iterable[str]] = ...) -> None: ...

class Sampling(_message.Message):
    __slots__ = ("max_tokens", "temperature", "top_p", "seed", "stop")
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    max_tokens: int
    temperature: float
    top_p: float
    seed: int
    stop: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, max_tokens: _Optional[int] = ..., temperature: _Optional[float] = ..., top_p: _Optional[float] = ..., seed: _Optional[int] = ..., stop: _Optional[_Iterable[str]] = ...) -> None: ...

class Intervention(_message.Message):
    __slots__ = ("action", "readout_version", "calibration_version")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    READOUT_VERSION_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_VERSION_FIELD_NUMBER: _ClassVar[int]
    action: Action
    readout_version: str
    calibration_version: str
    def __init__(self, action: _Optional[_Union[Action, str]] = ..., readout_version: _Optional[str] = ..., calibration_version: _Optional[str] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("n_prompt_tokens", "n_generated_tokens", "finish_reason", "timings_s", "withdrawn_by", "replacement")
    class TimingsSEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    N_PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    N_GENERATED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_S_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_BY_FIELD_NUMBER: _ClassVar[int]
    REPLACEMENT_FIELD_NUMBER: _ClassVar[int]
    n_prompt_tokens: int
    n_generated_tokens: int
    finish_reason: FinishReason
    timings_s: _containers.ScalarMap[str, float]
    withdrawn_by: MonitorStop
    replacement: str
    def __init__(self, n_prompt_tokens: _Optional[int] = ..., n_generated_tokens: _Optional[int] = ..., finish_reason: _Optional[_Union[FinishReason, str]] = ..., timings_s: _Optional[_Mapping[str, float]] = ..., withdrawn_by: _Optional[_Union[MonitorStop, str]] = ..., replacement: _Optional[str] = ...) -> None: ...

class RecalGenerateRequest(_message.Message):
    __slots__ = ("prompt", "language_hint", "sampling", "model", "routing_key")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_HINT_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ROUTING_KEY_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    language_hint: str
    sampling: Sampling
    model: str
    routing_key: str
    def __init__(self, prompt: _Optional[str] = ..., language_hint: _Optional[str] = ..., sampling: _Optional[_Union[Sampling, _Mapping]] = ..., model: _Optional[str] = ..., routing_key: _Optional[str] = ...) -> None: ...

class RecalGenerateResponse(_message.Message):
    __slots__ = ("verdict", "text", "usage")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    verdict: Verdict
    text: str
    usage: Usage
    def __init__(self, verdict: _Optional[_Union[Verdict, _Mapping]] = ..., text: _Optional[str] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ...) -> None: ...

class RecalCheckRequest(_message.Message):
    __slots__ = ("prompt", "language_hint", "model", "routing_key")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_HINT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ROUTING_KEY_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    language_hint: str
    model: str
    routing_key: str
    def __init__(self, prompt: _Optional[str] = ..., language_hint: _Optional[str] = ..., model: _Optional[str] = ..., routing_key: _Optional[str] = ...) -> None: ...

class RecalCheckResponse(_message.Message):
    __slots__ = ("verdict",)
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    verdict: Verdict
    def __init__(self, verdict: _Optional[_Union[Verdict, _Mapping]] = ...) -> None: ...

class ListCalibrationsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListCalibrationsResponse(_message.Message):
    __slots__ = ("calibrations", "candidates")
    CALIBRATIONS_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    calibrations: _containers.RepeatedCompositeFieldContainer[CalibrationSummary]
    candidates: _containers.RepeatedCompositeFieldContainer[CandidateSummary]
    def __init__(self, calibrations: _Optional[_Iterable[_Union[CalibrationSummary, _Mapping]]] = ..., candidates: _Optional[_Iterable[_Union[CandidateSummary, _Mapping]]] = ...) -> None: ...

class CandidateSummary(_message.Message):
    __slots__ = ("calibration", "role", "share")
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    calibration: CalibrationSummary
    role: CandidateRole
    share: float
    def __init__(self, calibration: _Optional[_Union[CalibrationSummary, _Mapping]] = ..., role: _Optional[_Union[CandidateRole, str]] = ..., share: _Optional[float] = ...) -> None: ...

class CalibrationSummary(_message.Message):
    __slots__ = ("language", "version", "estimator", "k", "created", "readout_version", "own_readout")
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ESTIMATOR_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    READOUT_VERSION_FIELD_NUMBER: _ClassVar[int]
    OWN_READOUT_FIELD_NUMBER: _ClassVar[int]
    language: str
    version: str
    estimator: str
    k: int
    created: str
    readout_version: str
    own_readout: str
    def __init__(self, language: _Optional[str] = ..., version: _Optional[str] = ..., estimator: _Optional[str] = ..., k: _Optional[int] = ..., created: _Optional[str] = ..., readout_version: _Optional[str] = ..., own_readout: _Optional[str] = ...) -> None: ...

class GetInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetInfoResponse(_message.Message):
    __slots__ = ("model", "model_digest", "readout_version", "languages", "software_version", "mode", "max_prompt_tokens", "notice")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    READOUT_VERSION_FIELD_NUMBER: _ClassVar[int]
    LANGUAGES_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    MAX_PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    model: str
    model_digest: str
    readout_version: str
    languages: _containers.RepeatedScalarFieldContainer[str]
    software_version: str
    mode: str
    max_prompt_tokens: int
    notice: str
    def __init__(self, model: _Optional[str] = ..., model_digest: _Optional[str] = ..., readout_version: _Optional[str] = ..., languages: _Optional[_Iterable[str]] = ..., software_version: _Optional[str] = ..., mode: _Optional[str] = ..., max_prompt_tokens: _Optional[int] = ..., notice: _Optional[str] = ...) -> None: ...

class IdentifyRequest(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class IdentifyResponse(_message.Message):
    __slots__ = ("guess",)
    GUESS_FIELD_NUMBER: _ClassVar[int]
    guess: LanguageGuess
    def __init__(self, guess: _Optional[_Union[LanguageGuess, _Mapping]] = ...) -> None: ...

class GateCheckRequest(_message.Message):
    __slots__ = ("prompt", "guess", "language_hint", "routing_key")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    GUESS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_HINT_FIELD_NUMBER: _ClassVar[int]
    ROUTING_KEY_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    guess: LanguageGuess
    language_hint: str
    routing_key: str
    def __init__(self, prompt: _Optional[str] = ..., guess: _Optional[_Union[LanguageGuess, _Mapping]] = ..., language_hint: _Optional[str] = ..., routing_key: _Optional[str] = ...) -> None: ...

class GateCheckResponse(_message.Message):
    __slots__ = ("verdict", "n_prompt_tokens", "timings_s")
    class TimingsSEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    N_PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_S_FIELD_NUMBER: _ClassVar[int]
    verdict: Verdict
    n_prompt_tokens: int
    timings_s: _containers.ScalarMap[str, float]
    def __init__(self, verdict: _Optional[_Union[Verdict, _Mapping]] = ..., n_prompt_tokens: _Optional[int] = ..., timings_s: _Optional[_Mapping[str, float]] = ...) -> None: ...

class GateBatchCheckRequest(_message.Message):
    __slots__ = ("requests",)
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[GateCheckRequest]
    def __init__(self, requests: _Optional[_Iterable[_Union[GateCheckRequest, _Mapping]]] = ...) -> None: ...

class GateBatchCheckResponse(_message.Message):
    __slots__ = ("responses",)
    RESPONSES_FIELD_NUMBER: _ClassVar[int]
    responses: _containers.RepeatedCompositeFieldContainer[GateCheckResponse]
    def __init__(self, responses: _Optional[_Iterable[_Union[GateCheckResponse, _Mapping]]] = ...) -> None: ...

class GateDescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GateDescribeResponse(_message.Message):
    __slots__ = ("model", "model_digest", "readout_version", "max_prompt_tokens", "calibrations", "notice", "candidates")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    READOUT_VERSION_FIELD_NUMBER: _ClassVar[int]
    MAX_PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CALIBRATIONS_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    model: str
    model_digest: str
    readout_version: str
    max_prompt_tokens: int
    calibrations: _containers.RepeatedCompositeFieldContainer[CalibrationSummary]
    notice: str
    candidates: _containers.RepeatedCompositeFieldContainer[CandidateSummary]
    def __init__(self, model: _Optional[str] = ..., model_digest: _Optional[str] = ..., readout_version: _Optional[str] = ..., max_prompt_tokens: _Optional[int] = ..., calibrations: _Optional[_Iterable[_Union[CalibrationSummary, _Mapping]]] = ..., notice: _Optional[str] = ..., candidates: _Optional[_Iterable[_Union[CandidateSummary, _Mapping]]] = ...) -> None: ...

class GenerationGenerateRequest(_message.Message):
    __slots__ = ("prompt", "intervention", "sampling")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    INTERVENTION_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    intervention: Intervention
    sampling: Sampling
    def __init__(self, prompt: _Optional[str] = ..., intervention: _Optional[_Union[Intervention, _Mapping]] = ..., sampling: _Optional[_Union[Sampling, _Mapping]] = ...) -> None: ...

class GenerationGenerateResponse(_message.Message):
    __slots__ = ("text", "usage")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    text: str
    usage: Usage
    def __init__(self, text: _Optional[str] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ...) -> None: ...

class FusedGenerateRequest(_message.Message):
    __slots__ = ("check", "sampling")
    CHECK_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    check: GateCheckRequest
    sampling: Sampling
    def __init__(self, check: _Optional[_Union[GateCheckRequest, _Mapping]] = ..., sampling: _Optional[_Union[Sampling, _Mapping]] = ...) -> None: ...

class FusedGenerateResponse(_message.Message):
    __slots__ = ("reading", "text", "usage")
    READING_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    reading: GateCheckResponse
    text: str
    usage: Usage
    def __init__(self, reading: _Optional[_Union[GateCheckResponse, _Mapping]] = ..., text: _Optional[str] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ...) -> None: ...
