"""The demo finds what would stop it before it works for minutes."""

from __future__ import annotations

import socket

import pytest
from rich.console import Console

from recal.demo.run import DemoPlan, run
from services.errors import ArtefactRefused
from services.settings import BackboneSettings, EdgeSettings, Settings, SettingsError


def test_a_taken_port_is_named_before_a_model_is_loaded() -> None:
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        taken = other.getsockname()[1]
        settings = Settings(edge=EdgeSettings(port=taken))
        said = Console(record=True, quiet=True)
        with pytest.raises(SettingsError, match=rf"something listens on {taken} \(`edge.port`\)"):
            run(settings, DemoPlan(), said)
    assert said.export_text() == ""


def test_a_taken_port_of_haproxy_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        taken = other.getsockname()[1]
        monkeypatch.setenv("RAY_SERVE_HAPROXY_METRICS_PORT", str(taken))
        with pytest.raises(SettingsError, match=f"listens on .*{taken}.*HAProxy's metrics"):
            run(Settings(), DemoPlan(), Console(quiet=True))


def test_a_backbone_that_is_not_there_is_said_first() -> None:
    nowhere = Settings(backbone=BackboneSettings(name_or_path="/nowhere/at/all"))
    with pytest.raises(ArtefactRefused, match="/nowhere/at/all"):
        run(nowhere, DemoPlan(), Console(quiet=True))
