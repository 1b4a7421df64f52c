"""A real HTTP server on this machine that answers as an OpenAI-compatible endpoint does."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """What the server sends back to one request."""

    content: str = '{"verdict": "complied"}'
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    """Instead of a completion that holds `content`."""
    delay_s: float = 0.0


@dataclass
class ChatServer:
    """What came in, and how to answer it."""

    answer: Callable[[dict[str, Any], int], Reply]
    """Request's body and number of tries with the same body so far, to a reply."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    most_at_once: int = 0
    port: int = 0
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def exchange(self, body: dict[str, Any], path: str, headers: dict[str, str]) -> Reply:
        with self._lock:
            n_before = self.requests.count(body)
            self.requests.append(body)
            self.paths.append(path)
            self.headers.append(headers)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        reply = self.answer(body, n_before)
        time.sleep(reply.delay_s)
        with self._lock:
            self._at_once -= 1
        return reply


def material(body: dict[str, Any]) -> dict[str, str]:
    """The exchange that a request asks about."""
    found: dict[str, str] = json.loads(body["messages"][1]["content"])
    return found


@contextmanager
def serving(answer: Callable[[dict[str, Any], int], Reply]) -> Iterator[ChatServer]:
    """A server for the length of a test."""
    server = ChatServer(answer)

    class Face(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply = server.exchange(body, self.path, dict(self.headers))
            completion = {"choices": [{"message": {"role": "assistant", "content": reply.content}}]}
            payload = (json.dumps(completion) if reply.body is None else reply.body).encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: object) -> None:
            """A client that has given up is part of these tests."""

    listening = Quiet(("127.0.0.1", 0), Face)
    server.port = listening.server_address[1]
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()
