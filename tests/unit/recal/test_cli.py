"""The shell of the command line: help at once, version, errors as one line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest
from typer.main import get_command

from recal import cli
from recal.errors import UnknownVersion
from services.errors import NotReady, ServiceError

HEAVY = ("torch", "transformers", "ray", "mlflow", "sklearn", "scipy", "matplotlib")


def run(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "recal", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **(env or {})},
        check=False,
    )


def test_help_lists_the_commands_and_the_exit_codes() -> None:
    done = run("--help")
    assert done.returncode == 0
    for word in ("ask", "doctor", "serve", "Exit codes"):
        assert word in done.stdout


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from recal.cli import main\n"
        "try: main(['--help'])\n"
        f"finally: print('heavy:', [m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.endswith("heavy: []\n")


def test_version_names_the_program() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout.split()[0]) == (0, "recal")


def test_no_arguments_show_the_help() -> None:
    assert "Usage: recal" in run().stdout


def test_an_unknown_command_ends_with_code_2_and_no_traceback() -> None:
    done = run("foretell")
    assert done.returncode == 2
    assert "foretell" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_command_has_a_help_text() -> None:
    commands = get_command(cli.app).commands  # type: ignore[attr-defined]
    assert {name for name, command in commands.items() if not command.help} == set()


def test_an_expected_error_is_one_line_and_exit_code_2() -> None:
    done = run("ask", "hello", "--target", "http://example.org")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("recal: the target is the URL")


def test_the_traceback_is_there_for_those_who_ask() -> None:
    done = run("ask", "hello", "--target", "http://x", env={"RECAL_TRACEBACK": "1"})
    assert done.returncode == 1
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    "error", [NotReady("`x`"), UnknownVersion("`y`"), ValueError("z"), FileNotFoundError("f")]
)
def test_what_a_user_can_mend_is_expected(error: Exception) -> None:
    assert cli.is_expected(error)


def test_a_bug_is_not_expected() -> None:
    assert not cli.is_expected(ZeroDivisionError("division by zero"))


def test_an_error_of_mlflow_is_expected() -> None:
    exceptions = pytest.importorskip("mlflow.exceptions")
    assert cli.is_expected(exceptions.MlflowException("the registry is away"))


def test_a_message_of_several_lines_becomes_one_without_control_characters() -> None:
    assert cli.one_line(ServiceError("a\n  b\x1b[31m")) == "recal: a b\N{REPLACEMENT CHARACTER}[31m"


def test_only_words_that_are_not_ours_come_with_the_way_to_the_traceback() -> None:
    assert "RECAL_TRACEBACK" in cli.one_line(ValueError("bad"))
    assert "RECAL_TRACEBACK" not in cli.one_line(NotReady("bad"))
