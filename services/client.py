"""The public client of the front door: always a deadline, retries only before the first frame."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from services.domain import (
    CalibrationSummary,
    CandidateSummary,
    Sampling,
    TextChunk,
    Usage,
    Verdict,
)
from services.errors import InvalidRequest, ServiceError, ServiceUnavailable
from services.rpc.call import DEBUG
from services.rpc.stubs import open_channel
from services.wire.answers import calibration_of, candidate_of, frame_of
from services.wire.messages import (
    GetInfoRequest,
    GetInfoResponse,
    ListCalibrationsRequest,
    ListCalibrationsResponse,
    RecalCheckRequest,
    RecalCheckResponse,
    RecalGenerateRequest,
    RecalGenerateResponse,
)
from services.wire.methods import APPLICATIONS, RECAL, method_of
from services.wire.prompts import from_sampling
from services.wire.status import error_of
from services.wire.verdicts import verdict_of

T = TypeVar("T")
M = TypeVar("M", bound=Message)

Frame = Verdict | str | Usage
"""What an answer consists of: the verdict, then pieces of text, last the usage."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a retry: exponential, with jitter, so that clients spread out."""

    initial_s: float = 0.1
    factor: float = 2.0
    max_s: float = 2.0

    def __post_init__(self) -> None:
        if not (self.initial_s > 0 and self.factor >= 1 and self.max_s >= self.initial_s):
            raise ValueError(
                f"backoff of {self.initial_s} s, times {self.factor}, up to {self.max_s} s; "
                "give a start above 0, a factor of at least 1 and a limit not below the start"
            )

    def delay_s(self, retry: int, rng: random.Random) -> float:
        """Seconds before a retry; the first has the number 0."""
        return rng.uniform(0.5, 1.0) * min(self.max_s, self.initial_s * self.factor**retry)


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a server says it serves."""

    model: str
    """Name of the backbone."""
    model_digest: str
    readout_version: str
    languages: tuple[str, ...]
    """BCP 47 tags with a calibration, ordered."""
    software_version: str
    mode: str
    """`split`, `fused` or `sidecar`."""
    max_prompt_tokens: int
    notice: str
    """What the model is, where it is not a production model; else empty."""


class _Opened(NamedTuple):
    """A streamed answer of which the first frame has arrived."""

    call: grpc.aio.UnaryStreamCall[Any, Any]
    first: RecalGenerateResponse | None
    """None when the answer ended before it."""
    rest: AsyncIterator[RecalGenerateResponse]


class RecalClient:
    """A connection to one front door.

    Calls are safe to repeat (they change nothing on the server), so a call that ends UNAVAILABLE is
    tried again, within its deadline, as long as no frame of its answer has arrived. Every failure
    is raised as the `ServiceError` that the server meant.

    ```python
    async with RecalClient("localhost:9000") as client:
        async for frame in client.generate("How can I clean a neighbour's house?"):
            print(frame)
    ```
    """

    def __init__(
        self,
        target: str,
        *,
        timeout_s: float = 30.0,
        retries: int = 2,
        backoff: Backoff | None = None,
        rng: random.Random | None = None,
    ) -> None:
        """Prepare a connection; the first call opens it. Needs a running event loop.

        Args:
            target: `host:port`, or another name that gRPC resolves.
            timeout_s: deadline of a call that sets none, retries included.
            retries: further attempts after the first; 0 never retries.
            backoff: waiting time between attempts.
            rng: source of the jitter.

        Raises:
            ValueError: a URL for a target, a deadline that is not positive, negative retries.
        """
        if target.startswith(("http://", "https://")):
            raise ValueError(f"the target is the URL `{target}`; give `host:port`")
        if retries < 0:
            raise ValueError(f"`retries` is {retries}; give 0 or more")
        self._target = target
        self._timeout_s = _positive(timeout_s)
        self._retries = retries
        self._backoff = backoff if backoff is not None else Backoff()
        self._rng = rng if rng is not None else random.Random()
        self._channel = open_channel(target)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls that still run end as unavailable."""
        await self._channel.close(None)

    async def generate(
        self,
        prompt: str,
        *,
        language_hint: str | None = None,
        sampling: Sampling | None = None,
        model: str | None = None,
        routing_key: str | None = None,
        debug: bool = False,
        timeout_s: float | None = None,
    ) -> AsyncGenerator[Frame, None]:
        """Answer a prompt: the verdict first, then text as it comes, last the usage.

        Closing the iterator early (`contextlib.aclosing`) cancels the call on the server.

        Where the usage has `withdrawn_by` set, the text before it is withdrawn: take it off the
        screen and out of whatever keeps it, and show `usage.replacement` alone.

        Args:
            prompt: the user's prompt, as plain text.
            language_hint: BCP 47 tag that the prompt is believed to be in; stricter only.
            sampling: how tokens are chosen; None takes the server's defaults.
            model: backbone that is expected; None for whichever is served.
            routing_key: whose request it is, e.g. a hash of the user's id: what is tried on a share
                of the traffic decides for one key always or never. Not for users to choose.
            debug: ask for score and threshold; takes effect only with the debug right.
            timeout_s: deadline of this call, retries included.

        Raises:
            ServiceError: the call failed; its class says how.
        """
        request = _encoded(
            lambda: RecalGenerateRequest(
                prompt=prompt,
                language_hint=language_hint or "",
                sampling=None if sampling is None else from_sampling(sampling),
                model=model or "",
                routing_key=routing_key or "",
            ),
            prompt,
        )
        answer = await self._retrying(lambda left_s: self._open(request, left_s, debug), timeout_s)
        try:
            async for frame in _in_order(answer):
                yield frame
        except grpc.aio.AioRpcError as error:
            raise self._error(error) from None
        finally:
            answer.call.cancel()

    async def check(
        self,
        prompt: str,
        *,
        language_hint: str | None = None,
        model: str | None = None,
        routing_key: str | None = None,
        debug: bool = False,
        timeout_s: float | None = None,
    ) -> Verdict:
        """Say what would be done with a prompt, without generating. Arguments as in `generate`.

        Raises:
            ServiceError: the call failed; its class says how.
        """
        request = _encoded(
            lambda: RecalCheckRequest(
                prompt=prompt,
                language_hint=language_hint or "",
                model=model or "",
                routing_key=routing_key or "",
            ),
            prompt,
        )
        response: RecalCheckResponse = await self._unary("Check", request, timeout_s, debug=debug)
        return _understood(verdict_of, response.verdict)

    async def list_calibrations(
        self, *, timeout_s: float | None = None
    ) -> tuple[CalibrationSummary, ...]:
        """The calibrations that decide (champions), ordered by language.

        Raises:
            ServiceError: the call failed; its class says how.
        """
        response = await self._listed(timeout_s)
        return tuple(calibration_of(each) for each in response.calibrations)

    async def list_candidates(
        self, *, timeout_s: float | None = None
    ) -> tuple[CandidateSummary, ...]:
        """What is tried beside the champions: challengers (canary) and shadows, by language.

        Raises:
            ServiceError: the call failed; its class says how.
        """
        response = await self._listed(timeout_s)
        return tuple(_understood(candidate_of, each) for each in response.candidates)

    async def _listed(self, timeout_s: float | None) -> ListCalibrationsResponse:
        response: ListCalibrationsResponse = await self._unary(
            "ListCalibrations", ListCalibrationsRequest(), timeout_s
        )
        return response

    async def get_info(self, *, timeout_s: float | None = None) -> ServerInfo:
        """What is being served.

        Raises:
            ServiceError: the call failed; its class says how.
        """
        response: GetInfoResponse = await self._unary("GetInfo", GetInfoRequest(), timeout_s)
        return ServerInfo(
            model=response.model,
            model_digest=response.model_digest,
            readout_version=response.readout_version,
            languages=tuple(response.languages),
            software_version=response.software_version,
            mode=response.mode,
            max_prompt_tokens=response.max_prompt_tokens,
            notice=response.notice,
        )

    async def _unary(
        self, name: str, request: Message, timeout_s: float | None, *, debug: bool = False
    ) -> Any:
        method = method_of(RECAL, name)
        call = self._channel.unary_unary(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )

        async def attempt(left_s: float) -> Any:
            return await call(request, timeout=left_s, metadata=_metadata(debug))

        return await self._retrying(attempt, timeout_s)

    async def _open(self, request: Message, left_s: float, debug: bool) -> _Opened:
        method = method_of(RECAL, "Generate")
        call = self._channel.unary_stream(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )(request, timeout=left_s, metadata=_metadata(debug))
        rest = aiter(call)
        return _Opened(call, await anext(rest, None), rest)

    async def _retrying(
        self, attempt: Callable[[float], Awaitable[T]], timeout_s: float | None
    ) -> T:
        left_s = _positive(timeout_s if timeout_s is not None else self._timeout_s)
        deadline = time.monotonic() + left_s
        for retry in itertools.count():
            try:
                return await attempt(deadline - time.monotonic())
            except grpc.aio.AioRpcError as error:
                pause_s = self._backoff.delay_s(retry, self._rng)
                in_time = time.monotonic() + pause_s < deadline
                unavailable = error.code() is grpc.StatusCode.UNAVAILABLE
                if not (unavailable and in_time and retry < self._retries):
                    raise self._error(error) from None
            await asyncio.sleep(pause_s)
        raise AssertionError("the loop above has no end")

    def _error(self, error: grpc.aio.AioRpcError) -> ServiceError:
        unavailable = error.code() is grpc.StatusCode.UNAVAILABLE
        if unavailable and self._channel.get_state() is not grpc.ChannelConnectivity.READY:
            return ServiceUnavailable(
                f"no server answers at `{self._target}`; start one with `recal serve`, "
                "or give the address of one"
            )
        return error_of(error.code(), error.details() or "", self._target)


def _positive(timeout_s: float) -> float:
    if not (math.isfinite(timeout_s) and timeout_s > 0):
        raise ValueError(f"`timeout_s` is {timeout_s}; give seconds, finite and above 0")
    return timeout_s


def _metadata(debug: bool) -> tuple[tuple[str, str], ...]:
    application = ("application", APPLICATIONS[RECAL])
    return (application, (DEBUG, "1")) if debug else (application,)


def _encoded(request: Callable[[], T], prompt: str) -> T:
    try:
        return request()
    except UnicodeEncodeError:
        raise InvalidRequest(
            f"the prompt of {len(prompt)} characters, or what is sent with it, holds a lone "
            "surrogate and is no valid UTF-8; decode it as UTF-8 first"
        ) from None
    except ValueError as error:
        raise InvalidRequest(f"a number does not fit the wire: {error}; give another") from None


def _understood(read: Callable[[M], T], message: M) -> T:
    try:
        return read(message)
    except InvalidRequest as error:
        raise ServiceError(
            f"the server's answer is malformed: {error}; bring both sides to the same version"
        ) from None


async def _in_order(answer: _Opened) -> AsyncIterator[Frame]:
    """The frames of an answer, held to their order: one verdict, text, one usage, the end."""
    last: Verdict | TextChunk | Usage | None = None
    response = answer.first
    while response is not None:
        frame = _understood(frame_of, response)
        if isinstance(frame, Verdict) is not (last is None) or isinstance(last, Usage):
            raise ServiceError("the server's answer is out of order; retry, and report it")
        yield frame.text if isinstance(frame, TextChunk) else frame
        last, response = frame, await anext(answer.rest, None)
    if not isinstance(last, Usage):
        raise ServiceError("the server's answer broke off without an error; retry, and report it")
