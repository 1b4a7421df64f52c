"""All checks in order, with what they need from this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING

from recal.doctor import installation, machine
from recal.doctor.finding import Check, Finding, fail, ok

if TYPE_CHECKING:
    from services.settings import Settings

TESTED_PYTHONS = ((3, 11), (3, 12), (3, 13))


def examine(config: Path | None) -> Iterator[Finding]:
    """Look at everything; a check that breaks is a finding, too, and stops no other.

    Args:
        config: the settings file; None for the one that RECAL_CONFIG names, or the defaults.
    """
    for check in _of_installation():
        yield from guarded(check)
    finding, settings = _load(config)
    yield finding
    yield from guarded(lambda: _of_machine(settings.state_dir if settings else Path()))
    if settings is not None:
        yield from guarded(lambda: of_artefacts(settings))
        yield from guarded(lambda: _of_ports(settings))


def guarded(check: Check) -> Iterator[Finding]:
    """The findings of a check, and one more where it breaks."""
    try:
        yield from check()
    except Exception as error:
        says = f"a check broke: {type(error).__name__}: {error}"
        yield fail("doctor", says, "report this line; the other checks are not affected")


def _of_installation() -> Iterable[Check]:
    version_of = installation.installed_version
    generated = Path(__file__).resolve().parents[2] / "services" / "pb"
    yield lambda: [installation.python_version(sys.version_info[:2], tested=TESTED_PYTHONS)]
    yield lambda: installation.packages(_requirements(), version_of)
    yield lambda: [installation.one_fasttext(metadata.packages_distributions())]
    yield lambda: [_torch()]
    yield lambda: installation.generated_code(
        generated, protobuf=version_of("protobuf"), grpcio=version_of("grpcio")
    )
    yield lambda: [installation.ray_version(version_of("ray"))]


def _requirements() -> list[str] | None:
    try:
        return metadata.requires(installation.DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return None


def _torch() -> Finding:
    if util.find_spec("torch") is None:
        return installation.torch_build(None, cuda=None, n_gpus=0)
    import torch

    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return installation.torch_build(torch.__version__, cuda=torch.version.cuda, n_gpus=n_gpus)


def _load(config: Path | None) -> tuple[Finding, Settings | None]:
    from services.settings import CONFIG_VARIABLE, SettingsError, load_settings

    try:
        settings = load_settings(config)
    except SettingsError as error:
        remedy = f"mend the file or the variable; {CONFIG_VARIABLE} names the file, if any"
        return fail("settings", str(error), remedy), None
    source = f"`{config}` is" if config else "defaults and environment are"
    says = f"{source} valid; state lies in `{settings.state_dir}`"
    return ok("settings", says), settings


def _of_machine(state_dir: Path) -> Iterable[Finding]:
    import shutil

    import psutil

    room = machine.container_room()
    available = psutil.virtual_memory().available
    yield machine.memory(available if room is None else min(available, room))
    folder = next(p for p in (state_dir.resolve(), *state_dir.resolve().parents) if p.exists())
    yield machine.disk(shutil.disk_usage(folder).free, folder)


def of_artefacts(settings: Settings) -> Iterable[Finding]:
    """The backbone, whether the processor suits it, and what was promoted for it."""
    from recal.doctor.artefacts import backbone_name, find_backbone, promoted

    backbone = settings.backbone
    finding, local = find_backbone(backbone.name_or_path, backbone.revision)
    yield finding
    dtype = (local and local.dtype) if backbone.dtype == "auto" else backbone.dtype
    if dtype and backbone.device.partition(":")[0] == "cpu" and util.find_spec("torch") is not None:
        import torch

        yield machine.precision(dtype, torch.backends.cpu.get_cpu_capability())
    yield from promoted(settings, backbone_name(backbone.name_or_path), local)


def _of_ports(settings: Settings) -> Iterable[Finding]:
    from recal.doctor.ports import judge_port, wanted_ports

    for wanted in wanted_ports(settings):
        yield judge_port(wanted)
