"""Counts over HTTP: pages of processes, of Ray, of Prometheus; and what is none of these."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from services.drift.sources import Pages, Prometheus, Source, SourceUnreachable

PAGE = """# TYPE ray_recal_verdicts_total counter
ray_recal_verdicts_total{WorkerId="a",language="sw"} 7.0
# TYPE ray_recal_score_bucket gauge
ray_recal_score_bucket{language="sw",le="-1.0"} 3.0
# TYPE python_info gauge
python_info{major="3"} 1.0
# TYPE recal_threads gauge
recal_threads{pool="torch"} 1.0
"""
ANSWER = {
    "status": "success",
    "data": {
        "resultType": "vector",
        "result": [
            {
                "metric": {"__name__": "recal_verdicts_total", "pod": "x", "language": "sw"},
                "value": [1700000000.0, "12"],
            }
        ],
    },
}


class Web:
    """Answers every path with what it holds."""

    def __init__(self) -> None:
        self.content, self.status, self.asked = b"", 200, list[str]()
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.asked.append(self.path)
                self.send_response(web.status)
                self.end_headers()
                self.wfile.write(web.content)

            def log_message(self, *_: object) -> None:
                return

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web()
    thread = Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def test_a_page_gives_our_series_without_what_ray_puts_in_front(web: Web) -> None:
    web.content = PAGE.encode()
    found = {each.name: each for each in Pages([web.url]).read()}
    assert set(found) == {"recal_verdicts_total", "recal_score_bucket", "recal_threads"}
    verdicts = found["recal_verdicts_total"]
    assert (verdicts.value, verdicts.label("WorkerId"), verdicts.label("page")) == (7, "a", web.url)
    assert found["recal_score_bucket"].label("le") == "-1.0"


def test_prometheus_is_asked_for_our_series(web: Web) -> None:
    web.content = json.dumps(ANSWER).encode()
    [found] = Prometheus(web.url).read()
    assert (found.name, found.value, found.label("pod")) == ("recal_verdicts_total", 12, "x")
    assert web.asked[0].startswith("/api/v1/query?query=")


def test_series_of_different_processes_are_different_series(web: Web) -> None:
    web.content = PAGE.encode()
    keys = [each.key for each in Pages([f"{web.url}/a", f"{web.url}/b"]).read()]
    assert len(set(keys)) == len(keys) == 6


@pytest.mark.parametrize("content", [b"<html>hello</html>", b'{"a": [}', b"\xff\xfe", b"[]"])
@pytest.mark.parametrize("kind", [Prometheus, lambda url: Pages([url])])
def test_an_answer_that_is_no_answer_is_said_so(web: Web, content: bytes, kind: object) -> None:
    web.content = content
    source: Source = kind(web.url)  # type: ignore[operator]
    with pytest.raises(SourceUnreachable, match="check the address"):
        source.read()


def test_a_status_and_an_address_without_anybody_are_said_so(web: Web) -> None:
    web.status = 503
    with pytest.raises(SourceUnreachable, match="answers 503"):
        Pages([web.url]).read()
    with pytest.raises(SourceUnreachable, match="does not answer"):
        Pages(["http://127.0.0.1:9"]).read()


@pytest.mark.parametrize("url", ["localhost:9090", "file:///etc/passwd", "http://"])
def test_what_is_no_http_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is no http address"):
        Prometheus(url)
    with pytest.raises(ValueError, match="is no http address"):
        Pages([url])
    with pytest.raises(ValueError, match="no metrics page"):
        Pages([])
