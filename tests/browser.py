"""A headless Chromium, driven over its own protocol: what a page asks for and how it looks.

Debian's package `chromium`, which `make test` installs where it may.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from websockets.sync.client import ClientConnection, connect

CHROMIUM = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (found := shutil.which(name))
    ),
    None,
)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
_START_S, _LOAD_S = 60.0, 60.0


class Window(NamedTuple):
    """How large a page is shown, in CSS pixels, and by day or by night."""

    width: int
    height: int
    dark: bool = False


PHONE, LAPTOP = Window(390, 844), Window(1280, 900)


class Page:
    """One tab."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._last = 0
        self.requests: list[str] = []
        """Every address that was asked for."""
        self.complaints: list[str] = []
        """What the browser said against the page."""
        for domain in ("Page", "Network", "Log", "Runtime"):
            self._do(f"{domain}.enable")

    def _do(self, method: str, **given: Any) -> dict[str, Any]:
        self._last += 1
        self._socket.send(json.dumps({"id": self._last, "method": method, "params": given}))
        while True:
            said = self._hear()
            if said.get("id") == self._last:
                if "error" in said:
                    raise RuntimeError(f"{method}: {said['error']['message']}")
                result: dict[str, Any] = said["result"]
                return result

    def _hear(self, timeout: float = _LOAD_S) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self._socket.recv(timeout))
        method, given = said.get("method"), said.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(given["request"]["url"])
        elif method == "Log.entryAdded":
            self.complaints.append(given["entry"]["text"])
        return said

    def open(self, url: str, window: Window) -> None:
        """Go to a page and wait until it is loaded."""
        self._do(
            "Emulation.setDeviceMetricsOverride",
            width=window.width,
            height=window.height,
            deviceScaleFactor=1,
            mobile=window.width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if window.dark else "light"}
        self._do("Emulation.setEmulatedMedia", features=[scheme])
        self._do("Page.navigate", url=url)
        while self._hear().get("method") != "Page.loadEventFired":
            pass

    def ask(self, expression: str) -> Any:
        """The value of an expression."""
        found = self._do("Runtime.evaluate", expression=expression, returnByValue=True)
        return found["result"].get("value")

    def picture(self, *, whole: bool = True) -> bytes:
        """The page as PNG, as far as it goes down, or what the window shows."""
        shot = self._do("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(shot["data"])


@contextmanager
def browsing() -> Iterator[Page]:
    """A browser with one tab, ended with the block.

    Raises:
        FileNotFoundError: there is no Chromium.
    """
    if CHROMIUM is None:
        raise FileNotFoundError("no chromium here; install Debian's package `chromium`")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with connect(_tab(Path(profile)), max_size=None) as socket:
                yield Page(socket)
        finally:
            process.terminate()
            process.wait(30)


def _tab(profile: Path) -> str:
    """Address of the first tab's protocol."""
    written = profile / "DevToolsActivePort"
    end = time.monotonic() + _START_S
    while not (written.exists() and written.read_text(encoding="utf-8").strip()):
        if time.monotonic() > end:
            raise TimeoutError("chromium did not start")
        time.sleep(0.05)
    port = written.read_text(encoding="utf-8").split()[0]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
        tabs = json.load(answer)
    address: str = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
    return address
