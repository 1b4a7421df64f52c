"""A registry in a folder, artefacts in it, and the command line over both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import Result
from typer.testing import CliRunner

from recal.cli import app
from tests.unit.services.readout.shelf import Shelf


class Desk:
    """Runs commands on one backbone of one registry."""

    def __init__(self, shelf: Shelf, state: Path) -> None:
        self.shelf = shelf
        self._state = state

    def run(self, *words: object) -> Result:
        """One command; an error of it is in the result."""
        told = [str(word) for word in words]
        if told[0] != "register":
            told += ["--model", self.shelf.backbone.name]
        environ = {"RECAL_STATE_DIR": str(self._state), "MLFLOW_TRACKING_URI": None}
        return CliRunner().invoke(app, told, env=environ)

    def said(self, *words: object) -> list[str]:
        """What a command that must succeed says, line by line."""
        done = self.run(*words)
        assert done.exception is None, done.exception
        assert done.exit_code == 0, done.output
        return done.stdout.splitlines()

    def json(self, *words: object) -> dict[str, Any]:
        """The one object that it writes with `--json`."""
        (line,) = self.said(*words, "--json")
        record = json.loads(line)
        assert isinstance(record, dict)
        return record

    def error(self, *words: object) -> str:
        """The message of a command that must fail."""
        done = self.run(*words)
        assert done.exception is not None, done.output
        assert done.stdout == ""
        return str(done.exception)
