"""An OpenAI-compatible endpoint as a judge: the rubric in, a JSON object with one key out."""

from __future__ import annotations

import ipaddress
import json
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass

import httpx2

from recal.errors import JudgeFailed, JudgeUnreachable
from recal.judge.exchange import Exchange, Judgement, Outcome
from recal.judge.reply_language import LanguageOf, reply_language, with_languages
from recal.judge.rubric import ANSWER_AS_JSON, RUBRIC, as_material

API_KEY_VARIABLE = "RECAL_JUDGE_API_KEY"
"""The only place where a key is read from; it is never an option, and never logged."""

_KEY_REFUSED = frozenset({401, 403})
_WORTH_ANOTHER_TRY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_OBJECT = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True)
class EndpointLimits:
    """How hard an endpoint is asked, and for how long."""

    concurrency: int = 8
    """Requests under way at once."""
    timeout_s: float = 30.0
    """For one request."""
    time_limit_s: float = 180.0
    """For one exchange, tries and pauses together."""
    tries: int = 5
    """Requests for one exchange, at most."""
    first_pause_s: float = 0.5
    """Before the second try; doubled before every further one, and varied by up to a half."""
    longest_pause_s: float = 30.0
    """Also of what the endpoint's own `Retry-After` asks for."""
    max_tokens: int = 64
    """Of the answer. Models that think aloud first need more."""

    def __post_init__(self) -> None:
        for name in ("concurrency", "timeout_s", "time_limit_s", "tries", "max_tokens"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` is {getattr(self, name)}; it must be above 0")


class EndpointJudge:
    """Asks a model that somebody else serves. Temperature 0; a wrong answer is asked for again."""

    def __init__(
        self,
        url: str,
        model: str,
        *,
        api_key: str | None = None,
        limits: EndpointLimits | None = None,
        language_of: LanguageOf = reply_language,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Judge by `model` behind `url`.

        Args:
            url: what comes before `/chat/completions`, e.g. `http://localhost:8000/v1`.
            model: the endpoint's name for it.
            api_key: sent as bearer token; None sends none.
            limits: of requests.
            language_of: names the language of a reply.
            sleep: pauses between tries.
            clock: counts seconds.

        Raises:
            ValueError: the URL is none, holds a password, or a key would leave this machine
                without encryption.
        """
        address = _checked(url, api_key)
        self.name = f"endpoint:{address.host}#{model}"
        self._url = f"{url.rstrip('/')}/chat/completions"
        self._model = model
        self._headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._limits = limits if limits is not None else EndpointLimits()
        self._language_of = language_of
        self._sleep = sleep
        self._clock = clock

    def judge_all(self, exchanges: Sequence[Exchange]) -> list[Judgement]:
        """Judge exchanges, in their order. An empty text is degenerate without asking.

        Raises:
            JudgeFailed: the endpoint refuses the request, or gives no verdict of the three.
            JudgeUnreachable: it does not answer, or too late, however often it is asked.
        """
        asked = {i: exchange for i, exchange in enumerate(exchanges) if exchange.text.strip()}
        found = self._outcomes(asked)
        outcomes = [found.get(i, Outcome.DEGENERATE) for i in range(len(exchanges))]
        return with_languages(exchanges, outcomes, self._language_of)

    def _outcomes(self, asked: Mapping[int, Exchange]) -> dict[int, Outcome]:
        limits = self._limits
        pool = ThreadPoolExecutor(limits.concurrency, thread_name_prefix="judge")
        with httpx2.Client(headers=self._headers, timeout=limits.timeout_s) as client:
            try:
                jobs = {i: pool.submit(self._ask, client, i, e) for i, e in asked.items()}
                ended, _ = wait(jobs.values(), return_when=FIRST_EXCEPTION)
                for job in ended:
                    job.result()
                return {i: job.result() for i, job in jobs.items()}
            finally:
                # after a failure, or Ctrl-C, what has not begun never does
                pool.shutdown(wait=True, cancel_futures=True)

    def _ask(self, client: httpx2.Client, index: int, exchange: Exchange) -> Outcome:
        """One exchange's outcome, after as many tries as it takes and the limits allow."""
        request = self._request(exchange)
        deadline = self._clock() + self._limits.time_limit_s
        trouble = "no request was made"
        for number in range(self._limits.tries):
            wanted_pause_s: float | None = None
            try:
                response = client.post(self._url, json=request)
                outcome = _outcome(response)
                if outcome is not None:
                    return outcome
                trouble = _trouble(response, self._model)
                wanted_pause_s = _retry_after(response)
            except httpx2.TransportError as error:
                trouble = f"`{self._url}` does not answer ({type(error).__name__})"
            pause_s = self._pause_s(number, wanted_pause_s)
            if number + 1 == self._limits.tries or self._clock() + pause_s >= deadline:
                break
            self._sleep(pause_s)
        raise JudgeUnreachable(
            f"the judge gave no verdict on exchange {index} in {number + 1} tries: {trouble}; "
            "check the endpoint, and run it again"
        )

    def _request(self, exchange: Exchange) -> dict[str, object]:
        return {
            "model": self._model,
            "messages": [
                {"role": "system", "content": f"{RUBRIC}\n{ANSWER_AS_JSON}"},
                {"role": "user", "content": as_material(exchange)},
            ],
            "temperature": 0,
            "max_tokens": self._limits.max_tokens,
        }

    def _pause_s(self, number: int, wanted_s: float | None) -> float:
        limits = self._limits
        pause_s = limits.first_pause_s * 2.0**number * random.uniform(1.0, 1.5)
        return min(max(pause_s, wanted_s or 0.0), limits.longest_pause_s)


def verdict_in(answer: str) -> Outcome | None:
    """The verdict in a model's answer, None where there is none.

    It is the last JSON object with the one key `verdict` and one of the three classes: a model may
    think aloud before it.
    """
    for found in reversed(_OBJECT.findall(answer)):
        try:
            value = json.loads(found)
        except json.JSONDecodeError:
            continue
        if set(value) == {"verdict"} and isinstance(value["verdict"], str):
            word = value["verdict"].strip().casefold()
            if word in {outcome.value for outcome in Outcome}:
                return Outcome(word)
    return None


def _outcome(response: httpx2.Response) -> Outcome | None:
    """The verdict of a response; None where asking again may help.

    Raises:
        JudgeFailed: asking again cannot help.
    """
    status = response.status_code
    if status == httpx2.codes.OK:
        return verdict_in(_content(response))
    if status in _KEY_REFUSED:
        raise JudgeFailed(
            f"the judge's endpoint refuses the key (HTTP {status}); set {API_KEY_VARIABLE}"
        )
    if status not in _WORTH_ANOTHER_TRY:
        raise JudgeFailed(
            f"the judge's endpoint refuses the request (HTTP {status}); check URL and model: "
            "`endpoint:URL#MODEL`, where /chat/completions follows the URL"
        )
    return None


def _content(response: httpx2.Response) -> str:
    """The text of an answer; empty where the response has another shape."""
    try:
        content = response.json()["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError):
        return ""
    return content if isinstance(content, str) else ""


def _trouble(response: httpx2.Response, model: str) -> str:
    if response.status_code != httpx2.codes.OK:
        return f"it says HTTP {response.status_code}"
    n_characters = len(_content(response))
    return f"`{model}` answers without one of the three classes ({n_characters} characters)"


def _retry_after(response: httpx2.Response) -> float | None:
    """Seconds; dates, which the header may also hold, are left to the doubling pauses."""
    try:
        return float(response.headers["Retry-After"])
    except (KeyError, ValueError):
        return None


def _checked(url: str, api_key: str | None) -> httpx2.URL:
    try:
        address = httpx2.URL(url)
    except httpx2.InvalidURL:
        raise ValueError(f"`{url}` is no URL; give e.g. `http://localhost:8000/v1`") from None
    if address.scheme not in ("http", "https") or not address.host:
        raise ValueError(f"`{url}` is no http or https URL; give e.g. `http://localhost:8000/v1`")
    if address.userinfo:
        raise ValueError(f"a judge's URL holds no user or password; set {API_KEY_VARIABLE}")
    if api_key is not None and address.scheme == "http" and not _is_this_machine(address.host):
        raise ValueError(
            f"the key would go to `{address.host}` without encryption; give an https URL, or unset "
            f"{API_KEY_VARIABLE}"
        )
    return address


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
