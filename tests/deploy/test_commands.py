"""The commands that containers run exist, with the flags that they are given."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import PurePosixPath
from typing import Any

import pytest
import yaml
from typer.main import get_command

from recal.cli import app
from services.readout.naming import CHAMPION, readout_model
from services.settings import ORGANISM
from tests.deploy.rendered import MANIFESTS, OVERLAYS, named, of_kind, overlay, pods

pytestmark = pytest.mark.deploy

BY_OVERLAY = pytest.mark.parametrize("name", OVERLAYS)


def program(name: str) -> Any:
    """The command line of that name, as its own code declares it."""
    if name == "recal":
        return get_command(app)
    assert name == "mlflow", name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, of MLflow's own modules
        return import_module("mlflow.cli").cli


def parse(words: list[str]) -> None:
    """Read a command line as its program would, and run nothing.

    Raises:
        Exception: the program's own; it has no such command or option, or refuses a value.
    """
    command, rest = program(words[0]), words[1:]
    context = command.context_class(command, info_name=words[0])
    while hasattr(command, "resolve_command"):
        _, command, rest = command.resolve_command(context, rest)
    command.make_context(command.name, list(rest))


def command_lines(name: str) -> Iterator[tuple[str, list[str]]]:
    for pod in pods(overlay(name)):
        for container in pod.containers:
            if container["image"].rpartition(":")[0].endswith("recal") and "args" in container:
                yield f"{pod.where} {container['name']}", container["args"]


@BY_OVERLAY
def test_every_command_of_a_container_is_one_with_those_flags(name: str) -> None:
    found = dict(command_lines(name))
    # the edge, MLflow, the monitor, the console, and the four steps of a recalibration
    assert len(found) == 8
    for words in found.values():
        parse(words)


@pytest.mark.parametrize(
    "words",
    [
        ["recal", "serve", "--egde"],
        ["recal", "recalibrated", "--language=sw"],
        ["recal", "register"],
        ["mlflow", "server", "--artefacts-destination=/x"],
    ],
)
def test_a_command_that_there_is_not_is_noticed(words: list[str]) -> None:
    with pytest.raises(Exception, match=r"(?i)no such (command|option)|missing parameter"):
        parse(words)


def job(name: str) -> dict[str, Any]:
    [cron] = of_kind(overlay(name), "CronJob")
    spec: dict[str, Any] = cron["spec"]["jobTemplate"]["spec"]
    return spec


def steps(name: str) -> list[list[str]]:
    pod = job(name)["template"]["spec"]
    return [container["args"] for container in [*pod["initContainers"], *pod["containers"]]]


@BY_OVERLAY
def test_the_recalibration_goes_up_to_register_and_no_further(name: str) -> None:
    assert [words[:2] for words in steps(name)] == [
        ["mlflow", "artifacts"],
        ["recal", "recalibrate"],
        ["recal", "evaluate"],
        ["recal", "register"],
    ]
    assert not any("promote" in word for words in steps(name) for word in words)


@BY_OVERLAY
def test_a_recalibration_is_not_tried_again_nor_beside_itself(name: str) -> None:
    [cron] = of_kind(overlay(name), "CronJob")
    assert cron["spec"]["concurrencyPolicy"] == "Forbid"
    assert job(name)["backoffLimit"] == 0
    assert job(name)["template"]["spec"]["restartPolicy"] == "Never"


def backbone_of(name: str) -> str:
    """Last part of the path of the backbone that serves."""
    maps = [each["data"] for each in of_kind(overlay(name), "ConfigMap")]
    [text] = [data["settings.yaml"] for data in maps if "settings.yaml" in data]
    path = yaml.safe_load(text)["backbone"].get("name_or_path", str(ORGANISM))
    return PurePosixPath(path).name


@BY_OVERLAY
def test_the_recalibration_takes_the_readout_that_serves(name: str) -> None:
    uri = f"models:/{readout_model(backbone_of(name))}@{CHAMPION}"
    assert f"--artifact-uri={uri}" in steps(name)[0]


@BY_OVERLAY
def test_a_step_reads_where_the_one_before_wrote(name: str) -> None:
    flags = [dict(w.split("=", 1) for w in words if w.startswith("--")) for words in steps(name)]
    fetch, recalibrate, evaluate, register = flags
    language = recalibrate["--language"]
    assert recalibrate["--readout"] == evaluate["--readout"] == fetch["--dst-path"]
    assert recalibrate["--out"] == f"{evaluate['--calibrations']}/{language}"
    assert steps(name)[3][2] == recalibrate["--out"]
    assert register["--report"] == f"{evaluate['--out']}/report.json"
    assert evaluate["--languages"] == language


def test_the_image_is_named_as_the_overlays_rename_it() -> None:
    for name in OVERLAYS:
        text = (MANIFESTS / "overlays" / name / "kustomization.yaml").read_text(encoding="utf-8")
        images = {each["name"] for each in yaml.safe_load(text)["images"]}
        assert images == {"postgres", "recal"}
        named(overlay(name), "Deployment", "recal-edge")
