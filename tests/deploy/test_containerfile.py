"""The image cannot be built without a registry of images: its steps are held against the tree."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import tomllib
from typing import Any

import pytest
from dockerfile_parse import DockerfileParser
from packaging.specifiers import SpecifierSet

from services.settings import Settings
from tests.deploy.rendered import OVERLAYS, ROOT, overlay, pods, tool
from tests.deploy.test_commands import parse

pytestmark = pytest.mark.deploy

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTAINERFILE = ROOT / "Containerfile"


def instructions(name: str) -> list[str]:
    """What stands behind each instruction of that name, lines joined."""
    parser = DockerfileParser(fileobj=io.BytesIO(CONTAINERFILE.read_bytes()))
    return [each["value"] for each in parser.structure if each["instruction"] == name]


def commands() -> list[list[str]]:
    """Every command of every RUN step, build arguments put in."""
    arguments = dict(each.split("=", 1) for each in instructions("ARG"))
    lines = [part for step in instructions("RUN") for part in step.split("&&")]
    put_in = [re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], line) for line in lines]
    return [shlex.split(line) for line in put_in]


def lint(text: str) -> str:
    done = subprocess.run(
        [tool("hadolint"), "--no-color", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def test_the_linter_has_nothing_against_it() -> None:
    assert lint(CONTAINERFILE.read_text(encoding="utf-8")) == ""


def test_what_the_linter_is_against_is_noticed() -> None:
    assert "DL3006" in lint("FROM python\nRUN cd /tmp && make\n")


def test_every_step_is_a_make_target_or_a_program_that_the_steps_before_brought() -> None:
    known = {"apt-get", "rm", "useradd", "make", ".venv/bin/python"}
    assert {words[0] for words in commands()} == known


def test_make_knows_the_targets_and_variables_of_the_steps() -> None:
    [words] = [words for words in commands() if words[0] == "make"]
    done = subprocess.run(
        [*words, "--dry-run", "--always-make"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for variable in [word.split("=")[0] for word in words[1:] if "=" in word]:
        assert re.search(rf"^{variable} \?=", makefile, re.MULTILINE), variable
    assert '-e ".[model,registry,report]"' in done.stdout


def test_the_extras_of_the_image_exist_and_hold_what_the_manifests_run() -> None:
    [words] = [words for words in commands() if words[0] == "make"]
    [extras] = [word.split("=")[1].split(",") for word in words if word.startswith("EXTRAS=")]
    declared: dict[str, Any] = PROJECT["project"]["optional-dependencies"]
    assert set(extras) <= set(declared)
    brought = " ".join(requirement for extra in extras for requirement in declared[extra])
    assert all(name in brought for name in ("torch", "mlflow", "psycopg", "matplotlib"))


def test_what_is_copied_is_there_and_is_not_ignored() -> None:
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for sources in [each.split()[:-1] for each in instructions("COPY")]:
        for source in sources:
            assert (ROOT / source).exists()
            assert f"!{source}" in ignore


def test_everything_that_an_installation_reads_is_copied() -> None:
    copied = {source for each in instructions("COPY") for source in each.split()[:-1]}
    project = PROJECT["project"]
    packages = {
        name.split(".")[0] for name in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    }
    assert {project["readme"], *project["license-files"], *packages, "constraints"} <= copied


def test_its_python_is_one_that_we_support() -> None:
    [base] = instructions("FROM")
    found = re.search(r"python:(\d+\.\d+)-", base)
    assert found
    assert found[1] in SpecifierSet(PROJECT["project"]["requires-python"])


def test_it_runs_as_the_user_that_the_manifests_name() -> None:
    [user] = instructions("USER")
    made = [words[words.index("--uid") + 1] for words in commands() if words[0] == "useradd"]
    assert made == [user.split(":")[0]]
    for name in OVERLAYS:
        for pod in pods(overlay(name)):
            if any(container["image"].startswith("postgres") for container in pod.containers):
                continue
            context = pod.spec["securityContext"]
            assert f"{context['runAsUser']}:{context['runAsGroup']}" == user, pod.where


def test_its_own_command_is_one_of_ours_at_the_ports_that_it_opens() -> None:
    [command] = instructions("CMD")
    parse([word.strip(' "') for word in command.strip("[]").split(",")])
    edge = Settings().edge
    assert instructions("EXPOSE") == [f"{edge.port} {edge.metrics_port}"]


def test_programs_of_the_virtual_environment_are_on_the_path() -> None:
    [where] = instructions("WORKDIR")
    assert f"PATH={where}/.venv/bin:$PATH" in instructions("ENV")
