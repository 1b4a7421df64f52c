"""The same with nothing but grpcio and the generated stubs, for services that do not install Recal.

Copy `protos/recal/v1/recal.proto` and generate stubs of your own; here `services.pb` has them.

    recal serve --embedded
    python examples/grpc_only.py "How can I clean a neighbour's house?"
"""

from __future__ import annotations

import argparse
import json
import sys

import grpc

from services.pb import recal_pb2, recal_pb2_grpc

DEADLINE_S = 20.0
RETRIES = {
    # gRPC itself gives up retrying as soon as the server has begun to answer.
    "methodConfig": [
        {
            "name": [{"service": "recal.v1.Recal"}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.2s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}


def answer(target: str, prompt: str) -> None:
    """Print verdict, text and usage of one answer."""
    options = [("grpc.service_config", json.dumps(RETRIES))]
    with grpc.insecure_channel(target, options=options) as channel:
        stub = recal_pb2_grpc.RecalStub(channel)  # type: ignore[no-untyped-call]
        request = recal_pb2.RecalGenerateRequest(prompt=prompt)
        request.sampling.max_tokens = 48
        for response in stub.Generate(request, timeout=DEADLINE_S):
            match response.WhichOneof("frame"):
                case "verdict":
                    action = recal_pb2.Action.Name(response.verdict.action)
                    print(f"[{response.verdict.language or 'unknown'}: {action}]")
                case "text":
                    print(response.text, end="", flush=True)
                case "usage":
                    usage = response.usage
                    if usage.finish_reason == recal_pb2.FINISH_REASON_MONITOR:
                        # a screen takes the text above away; a terminal cannot
                        print(f"\n[withdrawn; the answer is:]\n{usage.replacement}", end="")
                    print(f"\n[{usage.n_generated_tokens} tokens]")


def main() -> int:
    """Read the command line; 0 is answered, 1 is not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prompt")
    parser.add_argument("--target", default="127.0.0.1:50051")
    arguments = parser.parse_args()
    try:
        answer(arguments.target, arguments.prompt)
    except grpc.RpcError as error:
        print(f"{error.code().name}: {error.details()}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
