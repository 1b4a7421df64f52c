"""One question to the front door, shown as it is answered: on a screen, or as one JSON object."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from rich.console import Console
from rich.text import Text

from recal.terminal import printable
from services.client import RecalClient, ServerInfo
from services.domain import Action, Sampling, Usage, Verdict
from services.errors import ServiceError
from services.telemetry import STAGES

_COLOURS = {
    Action.RELEASE: "cyan",
    Action.NONE: "green",
    Action.STEER: "yellow",
    Action.REFUSE: "red",
}
"""The order in which they happen; the wire's map has none."""


@dataclass(frozen=True)
class Question:
    """A prompt and how it is to be answered."""

    prompt: str
    language_hint: str | None = None
    sampling: Sampling | None = None
    """None: the server's defaults."""
    model: str | None = None
    check_only: bool = False
    """Ask for the verdict alone; nothing is generated."""
    debug: bool = False
    """Ask for score and threshold."""


class Listener(Protocol):
    """Takes an answer piece by piece, in this order."""

    def info(self, info: ServerInfo) -> None:
        """What answers."""

    def verdict(self, verdict: Verdict) -> None:
        """What is done."""

    def text(self, text: str) -> None:
        """A piece of the answer."""

    def usage(self, usage: Usage) -> None:
        """What it took."""

    def end(self) -> None:
        """Nothing more comes, whether the answer is whole or broke off."""


def chosen_sampling(
    *,
    max_tokens: int | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    stop: Sequence[str] | None = None,
) -> Sampling | None:
    """Sampling with what was chosen; None when nothing was, so that the server's defaults hold."""
    chosen: dict[str, Any] = {
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "seed": seed,
        "stop": tuple(stop) if stop else None,
    }
    given = {name: value for name, value in chosen.items() if value is not None}
    return Sampling(**given) if given else None


async def ask(client: RecalClient, question: Question, listener: Listener) -> None:
    """Ask, and hand the answer on as it comes.

    Raises:
        ServiceError: a call failed; what came before it was handed on.
    """
    listener.info(await client.get_info())
    if question.check_only:
        verdict = await client.check(
            question.prompt,
            language_hint=question.language_hint,
            model=question.model,
            debug=question.debug,
        )
        listener.verdict(verdict)
        return
    frames = client.generate(
        question.prompt,
        language_hint=question.language_hint,
        sampling=question.sampling,
        model=question.model,
        debug=question.debug,
    )
    async with aclosing(frames):
        async for frame in frames:
            if isinstance(frame, Verdict):
                listener.verdict(frame)
            elif isinstance(frame, Usage):
                listener.usage(frame)
            else:
                listener.text(frame)


class Screen:
    """Shows an answer to people."""

    def __init__(self, console: Console) -> None:
        """Write to the given console, in colours where it has them."""
        self._console = console
        self._within_line = False

    def info(self, info: ServerInfo) -> None:
        """One line: the model, and what it is where it is no production model."""
        notice = f" · {info.notice}" if info.notice else ""
        self._line(Text(printable(f"{info.model}{notice}"), style="dim"))

    def verdict(self, verdict: Verdict) -> None:
        """One line: language, action, reason, versions."""
        line = Text()
        line.append(f"{verdict.language or 'language unknown'} ", style="bold")
        line.append(f"{verdict.action.name} ", style=f"bold {_COLOURS[verdict.action]}")
        line.append(f"by {verdict.reason.value.replace('_', ' ')}")
        if verdict.bypassed:
            line.append(" BYPASSED", style="bold red")
        if verdict.score is not None:
            line.append(f" {verdict.score:+.3f} against {_number(verdict.threshold)}")
        line.append(f" · {verdict.calibration_version or 'no calibration'}", style="dim")
        line.append(f" · {verdict.readout_version}", style="dim")
        self._line(line)

    def text(self, text: str) -> None:
        """A piece of the answer, as it comes."""
        self._console.out(printable(text), end="", highlight=False)
        self._within_line = not text.endswith("\n")

    def usage(self, usage: Usage) -> None:
        """One line: tokens, why it ended, time by stage.

        Before it, where the answer is withdrawn: that it is, and what stands in its place.
        """
        self.end()
        if usage.withdrawn_by is not None:
            # what is printed cannot be unprinted
            self._line(Text("WITHDRAWN: ignore the text above; the answer is", style="bold red"))
            self._line(Text(printable(usage.replacement)))
        seconds = sorted(usage.timings_s.items(), key=lambda each: _rank(each[0]))
        times = "".join(f" · {stage} {_ms(s)} ms" for stage, s in seconds)
        self._line(
            Text(
                f"{usage.n_prompt_tokens} + {usage.n_generated_tokens} tokens, "
                f"{usage.finish.value.replace('_', ' ')}{times}",
                style="dim",
            )
        )

    def end(self) -> None:
        """Leave the line that an answer may have broken off in."""
        if self._within_line:
            self._console.out("")
        self._within_line = False

    def _line(self, line: Text) -> None:
        self._console.print(line, soft_wrap=True, highlight=False)


def _rank(stage: str) -> int:
    return STAGES.index(stage) if stage in STAGES else len(STAGES)


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.0f}" if seconds >= 0.1 else f"{seconds * 1e3:.2g}"


def _number(threshold: float | None) -> str:
    return "no threshold" if threshold is None else f"{threshold:+.3f}"


class Record:
    """Collects an answer into one JSON object."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.content: dict[str, Any] = {}

    def info(self, info: ServerInfo) -> None:
        """Keep the model and its notice."""
        self.content |= {"model": info.model, "notice": info.notice}

    def verdict(self, verdict: Verdict) -> None:
        """Keep the verdict."""
        self.content["verdict"] = {
            "action": verdict.action.value,
            "reason": verdict.reason.value,
            "language": verdict.language,
            "readout_version": verdict.readout_version,
            "calibration_version": verdict.calibration_version,
            "bypassed": verdict.bypassed,
            "score": verdict.score,
            "threshold": verdict.threshold,
        }

    def text(self, text: str) -> None:
        """Append to the text."""
        self.content["text"] = self.content.get("text", "") + text

    def usage(self, usage: Usage) -> None:
        """Keep the usage; the text is what the caller is to show."""
        self.content.setdefault("text", "")
        if usage.withdrawn_by is not None:
            self.content["text"] = usage.replacement
        self.content["usage"] = {
            "n_prompt_tokens": usage.n_prompt_tokens,
            "n_generated_tokens": usage.n_generated_tokens,
            "finish": usage.finish.value,
            "withdrawn_by": None if usage.withdrawn_by is None else usage.withdrawn_by.value,
            "timings_s": dict(usage.timings_s),
        }

    def end(self) -> None:
        """Nothing is left to do."""

    def error(self, error: Exception) -> None:
        """Keep how the answer failed, beside what came before."""
        status = error.status if isinstance(error, ServiceError) else "INVALID_ARGUMENT"
        self.content["error"] = {"status": status, "message": str(error)}

    @property
    def has_error(self) -> bool:
        """True when the answer failed."""
        return "error" in self.content
