"""`recal doctor`: every check says what it found and, where that is bad, what to do."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from recal.doctor import artefacts, checkup, installation, machine, ports
from recal.doctor.artefacts import LocalBackbone, judge_champions
from recal.doctor.finding import Finding, Level, fail, ok, warn, worst
from recal.doctor.ports import WantedPort, judge_port, wanted_ports
from recal.registry import RegisteredVersion
from services.readout.naming import (
    CALIBRATION,
    DIGEST_TAG,
    KIND_TAG,
    LANGUAGE_TAG,
    READOUT,
    READOUT_DIGEST_TAG,
    WEIGHTS_DIGEST_TAG,
)
from services.settings import (
    BackboneSettings,
    EdgeSettings,
    RegistrySettings,
    ServeSettings,
    Settings,
)
from tests.unit.front_door import FakeFrontDoor, serving

TESTED = ((3, 11), (3, 13))
GENERATED = Path(__file__).parents[3] / "services" / "pb"


def run(*arguments: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("RECAL_", "MLFLOW_"))}
    return subprocess.run(
        [sys.executable, "-m", "recal", "doctor", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**clean, **env},
        check=False,
    )


def test_a_finding_that_is_not_ok_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="says not what to do"):
        Finding("x", Level.WARN, "it is bad")


def test_the_worst_finding_decides() -> None:
    assert worst([]) is Level.OK
    assert worst([ok("a", "b"), warn("a", "b", "c")]) is Level.WARN
    assert worst([warn("a", "b", "c"), fail("a", "b", "c"), ok("a", "b")]) is Level.FAIL


@pytest.mark.parametrize(
    ("version", "level"),
    [((3, 10), Level.FAIL), ((3, 11), Level.OK), ((3, 13), Level.OK), ((3, 14), Level.WARN)],
)
def test_python_is_held_to_the_tested_range(version: tuple[int, int], level: Level) -> None:
    assert installation.python_version(version, tested=TESTED).level is level


REQUIREMENTS = (
    "grpcio<2,>=1.71",
    'torch<2.15,>=2.11; extra == "model"',
    'matplotlib<4,>=3.9; extra == "report"',
    'ruff<1,>=0.9; extra == "dev"',
)
GOOD = {"grpcio": "1.85.1", "torch": "2.13.0+cpu", "matplotlib": "3.10.0"}


def levels_of(versions: Mapping[str, str]) -> list[Level]:
    return [f.level for f in installation.packages(REQUIREMENTS, versions.get)]


def test_packages_as_required_are_one_line_and_developers_tools_are_not_asked_for() -> None:
    (finding,) = installation.packages(REQUIREMENTS, GOOD.get)
    assert (finding.level, finding.says) == (Level.OK, "3 of 3 packages are as required")


@pytest.mark.parametrize(
    ("change", "level"),
    [
        ({"grpcio": "1.70.0"}, Level.FAIL),
        ({"torch": "2.15.0"}, Level.FAIL),
        ({"matplotlib": "3.8.0"}, Level.WARN),
    ],
)
def test_a_package_out_of_range_is_named(change: dict[str, str], level: Level) -> None:
    _, finding = installation.packages(REQUIREMENTS, {**GOOD, **change}.get)
    ((name, version),) = change.items()
    assert finding.level is level
    assert f"`{name}` is {version}" in finding.says


def test_a_missing_package_is_named_with_how_to_install_it() -> None:
    _, finding = installation.packages(REQUIREMENTS, {**GOOD, "torch": None}.get)
    assert "not installed" in finding.says
    assert "pip install 'torch<2.15,>=2.11'" in finding.remedy


def test_a_project_that_is_not_installed_is_a_failure() -> None:
    (finding,) = installation.packages(None, GOOD.get)
    assert (finding.level, "make install" in finding.remedy) == (Level.FAIL, True)


def test_one_provider_of_fasttext_is_right_and_two_overwrite_each_other() -> None:
    two = {"fasttext": ["fasttext-predict", "fasttext-wheel"]}
    assert installation.one_fasttext({"fasttext": ["fasttext-predict"] * 2}).level is Level.OK
    assert installation.one_fasttext({}).level is Level.FAIL
    finding = installation.one_fasttext(two)
    assert finding.level is Level.FAIL
    assert "pip uninstall -y fasttext-wheel" in finding.remedy


@pytest.mark.parametrize(
    ("version", "cuda", "n_gpus", "level"),
    [
        (None, None, 0, Level.FAIL),
        ("2.13.0+cpu", None, 0, Level.OK),
        ("2.13.0", "13.0", 0, Level.WARN),
        ("2.13.0", "13.0", 1, Level.OK),
    ],
)
def test_a_cuda_build_without_a_gpu_is_noticed(
    version: str | None, cuda: str | None, n_gpus: int, level: Level
) -> None:
    assert installation.torch_build(version, cuda=cuda, n_gpus=n_gpus).level is level


def test_the_generated_code_runs_on_what_is_installed() -> None:
    findings = installation.generated_code(GENERATED, protobuf="5.29.0", grpcio="1.71.2")
    assert [f.level for f in findings] == [Level.OK, Level.OK]


def test_a_runtime_older_than_the_generated_code_fails() -> None:
    findings = installation.generated_code(GENERATED, protobuf="5.28.3", grpcio=None)
    assert [f.level for f in findings] == [Level.FAIL, Level.FAIL]
    assert "5.28.3" in findings[0].says


def test_generated_code_that_is_missing_is_made_again(tmp_path: Path) -> None:
    findings = installation.generated_code(tmp_path, protobuf="7.0", grpcio="1.80")
    assert all("make proto" in f.remedy for f in findings)


def test_without_ray_only_the_embedded_runtime_is_left() -> None:
    assert installation.ray_version("2.60.0").level is Level.OK
    assert "--embedded" in installation.ray_version(None).remedy


@pytest.mark.parametrize(("gib", "level"), [(1, Level.FAIL), (3, Level.WARN), (8, Level.OK)])
def test_memory_and_disk_have_two_bars(gib: int, level: Level) -> None:
    assert machine.memory(gib * machine.GIB).level is level
    assert machine.disk(gib * machine.GIB - 1, Path()).level is level


def test_a_containers_limit_counts(tmp_path: Path) -> None:
    assert machine.container_room(tmp_path) is None
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("400\n")
    assert machine.container_room(tmp_path) == 600
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.container_room(tmp_path) is None


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_weights_that_the_processor_cannot_multiply_are_told_of(dtype: str) -> None:
    slow = machine.precision(dtype, "AVX2")
    assert slow.level is Level.WARN
    assert f"does not multiply in {dtype}" in slow.says
    assert "`backbone.dtype: float32`" in slow.remedy
    assert machine.precision(dtype, "AVX512").level is Level.OK
    assert machine.precision("float32", "AVX2").level is Level.OK


def judged(port: WantedPort, *, free: bool, model: str | None = None, by: str = "") -> Finding:
    return judge_port(port, free=lambda _: free, model=lambda _: model, held_by=lambda _: by)


EDGE = WantedPort("`edge.port`", "RECAL_EDGE__PORT", 50051, "127.0.0.1:50051")


def test_a_port_is_free_or_recals_or_in_the_way() -> None:
    assert judged(EDGE, free=True).level is Level.OK
    assert "serving `organism`" in judged(EDGE, free=False, model="organism").says
    assert judged(EDGE, free=False, by="ray::ProxyActor").level is Level.OK
    taken = judged(EDGE, free=False, by="nginx: master")
    assert taken.level is Level.FAIL
    assert "nginx" in taken.says
    assert "RECAL_EDGE__PORT=" in taken.remedy


def test_every_port_of_the_settings_is_looked_at_unless_it_is_chosen_freely() -> None:
    edge = EdgeSettings(port=0, metrics_port=None)
    serve = ServeSettings(grpc_port=1, http_port=2, high_throughput=False)
    assert [p.port for p in wanted_ports(Settings(edge=edge, serve=serve))] == [1, 2]
    assert len(wanted_ports(Settings(), {})) == 7


def test_the_ports_of_haproxy_follow_rays_own_variables() -> None:
    moved = wanted_ports(Settings(), {"RAY_SERVE_HAPROXY_METRICS_PORT": "9999"})
    assert [p.port for p in moved if "metrics" in p.name] == [9464, 9999]


def test_a_listening_socket_makes_its_port_taken() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert not ports.is_free(port)
    assert ports.is_free(port)


async def test_a_running_front_door_is_recognised() -> None:
    async with serving(FakeFrontDoor()) as target:
        assert await ports.model_of(target) == "organism"
    assert await ports.model_of("127.0.0.1:1") is None


BACKBONE = LocalBackbone("tiny", "w" * 64)


def version(kind: str, language: str = "", **tags: str) -> RegisteredVersion:
    name = f"recal.tiny.{language or kind}"
    everything = {KIND_TAG: kind, DIGEST_TAG: f"digest of {name}", LANGUAGE_TAG: language, **tags}
    return RegisteredVersion(name, 1, "2026-01-01T00:00:00+00:00", ("champion",), everything)


READOUT_1 = version(READOUT, **{WEIGHTS_DIGEST_TAG: "w" * 64})
SW = version(CALIBRATION, "sw", **{READOUT_DIGEST_TAG: READOUT_1.digest})
YO = version(CALIBRATION, "yo", **{READOUT_DIGEST_TAG: "another"})


def test_what_is_promoted_is_named() -> None:
    (finding,) = judge_champions([READOUT_1, SW], "tiny", BACKBONE)
    assert finding == ok("registry", "`readout@1` is promoted with 1 languages: sw")


def test_nothing_promoted_is_a_warning_with_the_commands() -> None:
    (finding,) = judge_champions([SW], "tiny", BACKBONE)
    assert (finding.level, "recal promote" in finding.remedy) == (Level.WARN, True)


def test_a_readout_of_other_weights_fails() -> None:
    (finding,) = judge_champions([READOUT_1, SW], "tiny", LocalBackbone("tiny", "v" * 64))
    assert finding.level is Level.FAIL
    assert "vvvv" in finding.says


def test_a_calibration_of_another_readout_is_named() -> None:
    found = judge_champions([READOUT_1, YO], "tiny", None)
    assert [f.level for f in found] == [Level.WARN, Level.WARN]
    assert "yo@1" in found[1].says


def test_a_registry_that_was_never_made_is_not_made_by_looking(tmp_path: Path) -> None:
    (finding,) = artefacts.promoted(Settings(state_dir=tmp_path), "tiny", None)
    assert (finding.level, list(tmp_path.iterdir())) == (Level.WARN, [])


def test_a_registry_that_does_not_answer_fails(tmp_path: Path) -> None:
    registry = RegistrySettings(tracking_uri="http://127.0.0.1:1")
    (finding,) = artefacts.promoted(Settings(registry=registry), "tiny", None)
    assert finding.level is Level.FAIL
    assert "does not answer" in finding.says


def test_a_directory_of_artefacts_must_exist(tmp_path: Path) -> None:
    def look(directory: Path) -> Level:
        registry = RegistrySettings(source="directory", directory=directory)
        (finding,) = artefacts.promoted(Settings(registry=registry), "tiny", None)
        return finding.level

    assert look(tmp_path) is Level.OK
    assert look(tmp_path / "missing") is Level.FAIL


def test_a_backbone_without_weights_fails_and_a_hub_id_warns(tmp_path: Path) -> None:
    finding, local = artefacts.find_backbone(str(tmp_path), None)
    assert (finding.level, local) == (Level.FAIL, None)
    finding, local = artefacts.find_backbone("nobody-here/no-such-model", None)
    assert (finding.level, local) == (Level.WARN, None)
    assert "hf download" in finding.remedy


def test_a_backbone_is_named_by_its_digest(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    finding, local = artefacts.find_backbone(str(tmp_path), None)
    assert local is not None
    assert local.name == tmp_path.name
    assert local.weights_digest[:12] in finding.says
    assert local.dtype is None


@pytest.mark.parametrize("key", ["dtype", "torch_dtype"])
def test_the_dtype_of_the_weights_is_read_from_the_configuration(tmp_path: Path, key: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({key: "bfloat16"}))
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    _, local = artefacts.find_backbone(str(tmp_path), None)
    assert local is not None
    assert local.dtype == "bfloat16"


def test_a_configuration_that_is_no_json_is_a_backbone_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    finding, local = artefacts.find_backbone(str(tmp_path), None)
    assert (finding.level, local) == (Level.FAIL, None)
    assert "cannot be read" in finding.says


@pytest.mark.parametrize(
    ("backbone", "looked_at"),
    [
        (BackboneSettings(dtype="bfloat16"), ["bfloat16"]),
        (BackboneSettings(dtype="bfloat16", device="cpu:0"), ["bfloat16"]),
        (BackboneSettings(), ["float32"]),
        (BackboneSettings(dtype="bfloat16", device="cuda:0"), []),
    ],
)
def test_the_dtype_that_will_be_served_is_looked_at_on_a_cpu_alone(
    tmp_path: Path, backbone: BackboneSettings, looked_at: list[str]
) -> None:
    settings = Settings(backbone=backbone, state_dir=tmp_path)
    said = [each.says for each in checkup.of_artefacts(settings) if each.check == "dtype"]
    assert len(said) == len(looked_at)
    assert all(dtype in text for dtype, text in zip(looked_at, said, strict=True))


def test_a_check_that_breaks_is_a_finding() -> None:
    def broken() -> Any:
        yield ok("a", "b")
        raise ZeroDivisionError("division by zero")

    found = list(checkup.guarded(broken))
    assert [f.level for f in found] == [Level.OK, Level.FAIL]
    assert "ZeroDivisionError" in found[1].says


def test_the_command_fails_on_bad_settings_and_still_looks_at_the_rest(tmp_path: Path) -> None:
    config = tmp_path / "recal.yaml"
    config.write_text("edge: {port: 99999}\n")
    done = run("--json", "--config", str(config), env={})
    report = json.loads(done.stdout)
    (settings,) = (f for f in report["findings"] if f["check"] == "settings")
    assert done.returncode == 1
    assert (report["level"], settings["level"]) == ("fail", "fail")
    assert "edge.port" in settings["says"]
    assert {"python", "packages", "memory"} <= {f["check"] for f in report["findings"]}


def test_people_get_a_line_for_each_check_and_an_arrow_to_what_to_do(tmp_path: Path) -> None:
    backbone = {"RECAL_BACKBONE__NAME_OR_PATH": str(tmp_path)}
    done = run(env={**backbone, "RECAL_STATE_DIR": str(tmp_path / "state")})
    assert done.returncode == 1
    assert "✗ backbone" in done.stdout
    assert "→ train the shipped organism" in done.stdout
    assert "to attend to" in done.stdout
