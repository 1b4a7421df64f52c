from __future__ import annotations

from importlib.util import find_spec

import pytest

from tests.deploy.postgres import PROGRAMS
from tests.deploy.rendered import BIN

_TOOLS = ("kubectl", "promtool", "prometheus", "hadolint")
_MODULES = ("cloudcoil", "dockerfile_parse", "grafana_foundation_sdk", "kubernetes_validate")


def pytest_configure() -> None:
    """Say in one line what is missing, before twenty tests do."""
    missing = [name for name in _TOOLS if not (BIN / name).exists()]
    missing += [] if (PROGRAMS / "initdb").exists() else ["PostgreSQL"]
    missing += [name for name in _MODULES if find_spec(name) is None]
    if missing:
        raise pytest.UsageError(f"{', '.join(missing)} not installed; run `make deploy-tools`")
