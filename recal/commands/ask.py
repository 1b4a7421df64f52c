"""`recal ask`: put a prompt to the front door and show verdict, text and timings."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from recal import exits

if TYPE_CHECKING:
    from recal.ask import Listener, Question

_STDIN = "-"

Prompt = Annotated[str, typer.Argument(help="The prompt; `-` reads it from standard input.")]
Target = Annotated[
    str | None,
    typer.Option(help="host:port of the server; by default where `recal serve` listens."),
]
Hint = Annotated[
    str | None, typer.Option(help="BCP 47 tag of the prompt's language; may only make it stricter.")
]
MaxTokens = Annotated[int | None, typer.Option(help="Upper bound on generated tokens.")]
Temperature = Annotated[float | None, typer.Option(help="0 is greedy.")]
TopP = Annotated[float | None, typer.Option(help="Nucleus mass, above 0 and at most 1.")]
Seed = Annotated[int | None, typer.Option(help="Same seed, same text.")]
Stop = Annotated[list[str] | None, typer.Option(help="End before this string; may be repeated.")]
Model = Annotated[str | None, typer.Option(help="Fail unless this backbone is served.")]
Timeout = Annotated[float, typer.Option(help="Seconds for each call, retries included.")]
Check = Annotated[bool, typer.Option("--check", help="The verdict alone; generates nothing.")]
Debug = Annotated[bool, typer.Option("--debug", help="Ask for scores (the server must allow it).")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object; errors are one, too.")]


def ask(
    prompt: Prompt,
    target: Target = None,
    hint: Hint = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    seed: Seed = None,
    stop: Stop = None,
    model: Model = None,
    timeout: Timeout = 30.0,
    check: Check = False,
    debug: Debug = False,
    as_json: AsJson = False,
) -> None:
    """Ask the server; show language, verdict, versions, text as it comes, and timings.

    Exit codes: 0 answered (a refusal is an answer), 2 an error, 130 interrupted.
    """
    from recal.ask import Question, Record, Screen, chosen_sampling
    from services.errors import ServiceError

    record = Record()
    try:
        question = Question(
            prompt=_read_stdin() if prompt == _STDIN else prompt,
            language_hint=hint,
            sampling=chosen_sampling(
                max_tokens=max_tokens, temperature=temperature, top_p=top_p, seed=seed, stop=stop
            ),
            model=model,
            check_only=check,
            debug=debug,
        )
        listener = record if as_json else Screen(Console())
        asyncio.run(_ask(question, target or _default_target(), timeout, listener))
    except (ServiceError, ValueError) as error:
        if not as_json:
            raise
        record.error(error)
    if as_json:
        typer.echo(json.dumps(record.content, ensure_ascii=False))
        raise typer.Exit(exits.ERROR if record.has_error else 0)


async def _ask(question: Question, target: str, timeout_s: float, listener: Listener) -> None:
    from recal.ask import ask as put
    from services.client import RecalClient

    async with RecalClient(target, timeout_s=timeout_s) as client:
        try:
            await put(client, question, listener)
        finally:
            listener.end()


def _read_stdin() -> str:
    from services.errors import InvalidRequest

    raw = sys.stdin.buffer.read()
    try:
        # The line feed that `echo` adds is no part of the prompt.
        return raw.decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"standard input is no valid UTF-8 at byte {error.start}; convert it first, "
            "e.g. with `iconv`"
        ) from None


def _default_target() -> str:
    from recal.address import front_door
    from services.settings import load_settings

    return front_door(load_settings().edge)
