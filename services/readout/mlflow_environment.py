"""Environment of MLflow's client: no prints, no telemetry, an absent server noticed in seconds."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

_DEFAULTS = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # MLflow's own defaults, 120 s and 7 retries with back-off, hold a look at the registry for
    # minutes.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}


def quieten_mlflow(environ: MutableMapping[str, str] = os.environ) -> None:
    """Set what is not set yet; called by composition roots before they import MLflow."""
    for name, value in _DEFAULTS.items():
        environ.setdefault(name, value)
