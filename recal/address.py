"""Where the front door of a deployment is reached from this machine."""

from __future__ import annotations

from services.settings import EdgeSettings, SettingsError

_ANY_HOST = ("", "0.0.0.0", "::", "[::]")


def front_door(edge: EdgeSettings) -> str:
    """The edge's address as a caller on this machine writes it.

    Raises:
        SettingsError: the edge takes a free port, which only its own output names.
    """
    if edge.port == 0:
        raise SettingsError(
            "`edge.port` is 0, so the server took a free port; give the one that it printed"
        )
    host = "127.0.0.1" if edge.host in _ANY_HOST else edge.host
    return f"[{host}]:{edge.port}" if ":" in host and host[0] != "[" else f"{host}:{edge.port}"
