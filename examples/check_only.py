"""Recal beside a model server of your own (sidecar): ask for the verdict, then decide for yourself.

    recal serve --embedded
    python examples/check_only.py "How can I clean a neighbour's house?"

A foreign backend cannot be steered, so here STEER is answered as REFUSE is: with a refusal. And a
verdict that cannot be had is no permission: the prompt goes nowhere.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable

from services.client import RecalClient
from services.domain import Action
from services.errors import ServiceError

REFUSAL = "Sorry, I can't help with that."
STOPPED = frozenset({Action.STEER, Action.REFUSE})

Generate = Callable[[str], Awaitable[str]]
"""Your own model server."""


async def guarded(client: RecalClient, prompt: str, generate: Generate) -> str:
    """Answer with `generate` unless the verdict says otherwise.

    Raises:
        ServiceError: there is no verdict; nothing was generated.
    """
    verdict = await client.check(prompt, timeout_s=2.0)
    return REFUSAL if verdict.action in STOPPED else await generate(prompt)


async def my_model(prompt: str) -> str:
    """Stands for a call of your vLLM or of an API."""
    return f"(an answer of your model to {len(prompt)} characters)"


async def run(target: str, prompt: str) -> str:
    """Connect once; a real service keeps the client for all its requests."""
    async with RecalClient(target, retries=2) as client:
        return await guarded(client, prompt, my_model)


def main() -> int:
    """Read the command line; 0 is answered, 1 is no verdict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prompt")
    parser.add_argument("--target", default="127.0.0.1:50051")
    arguments = parser.parse_args()
    try:
        print(asyncio.run(run(arguments.target, arguments.prompt)))
    except ServiceError as error:
        print(f"no verdict, so no answer: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
