"""Ask a running Recal server; print the answer as it comes. Retries and deadlines included.

recal serve --embedded
python examples/python_client.py "How can I clean a neighbour's house?"
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from services.client import Backoff, RecalClient
from services.domain import Sampling, Usage, Verdict
from services.errors import DeadlinePassed, InvalidRequest, ServiceError


async def answer(target: str, prompt: str) -> None:
    """Print verdict, text and usage of one answer."""
    backoff = Backoff(initial_s=0.2, factor=2.0, max_s=2.0)
    # The deadline covers all attempts. Only a call that is UNAVAILABLE before its first frame is
    # tried again: once text has come, an error is an error.
    async with RecalClient(target, timeout_s=20.0, retries=3, backoff=backoff) as client:
        sampling = Sampling(max_tokens=48, temperature=0.0)
        async for frame in client.generate(prompt, sampling=sampling):
            match frame:
                case Verdict():
                    print(f"[{frame.language or 'unknown'}: {frame.action.value}]")
                case Usage():
                    if frame.withdrawn_by is not None:
                        # a screen takes the text above away; a terminal cannot
                        print(f"\n[withdrawn; the answer is:]\n{frame.replacement}", end="")
                    print(f"\n[{frame.n_generated_tokens} tokens, {frame.finish.value}]")
                case _:
                    print(frame, end="", flush=True)


def main() -> int:
    """Read the command line; 0 is answered, 1 is not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prompt")
    parser.add_argument("--target", default="127.0.0.1:50051")
    arguments = parser.parse_args()
    try:
        asyncio.run(answer(arguments.target, arguments.prompt))
    except InvalidRequest as error:
        print(f"mend the request: {error}", file=sys.stderr)
    except DeadlinePassed as error:
        print(f"too slow: {error}", file=sys.stderr)
    except ServiceError as error:
        print(f"{error.status}: {error}", file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
