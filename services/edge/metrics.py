"""Prometheus over HTTP, for processes outside Ray."""

from __future__ import annotations

from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server


class MetricsEndpoint:
    """`/metrics` of one registry."""

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        """Serve `registry` from now on; port 0 takes a free one.

        Raises:
            OSError: the port is taken.
        """
        server: tuple[WSGIServer, Thread] = start_http_server(port, host, registry)
        self._server, self._thread = server
        self.port: int = self._server.server_port

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
