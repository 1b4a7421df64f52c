"""The backbone on disk, and what the registry has promoted for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recal.doctor.finding import Finding, fail, ok, warn
from recal.doctor.rollouts import judge_rollouts
from services.errors import ArtefactRefused, RegistryUnreachable
from services.readout.naming import (
    CALIBRATION,
    KIND_TAG,
    LANGUAGE_TAG,
    READOUT,
    READOUT_DIGEST_TAG,
    WEIGHTS_DIGEST_TAG,
)

if TYPE_CHECKING:
    from recal.registry import RegisteredVersion, Standing
    from services.settings import Settings

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class LocalBackbone:
    """A backbone whose files were read."""

    name: str
    """As artefacts are registered for it."""
    weights_digest: str
    dtype: str | None = None
    """That its weights are stored in, as its configuration says; None: it does not say."""


def backbone_name(name_or_path: str) -> str:
    """The name under which a backbone's artefacts are registered: the hub id or the directory's."""
    path = Path(name_or_path).expanduser()
    return path.resolve().name if path.exists() else name_or_path


def find_backbone(name_or_path: str, revision: str | None) -> tuple[Finding, LocalBackbone | None]:
    """Read the backbone's files; a hub id is looked for on this machine, never downloaded."""
    from huggingface_hub import snapshot_download
    from transformers import PretrainedConfig

    from services.backbone.identity import weights_digest
    from services.backbone.snapshot import resolve

    def offline(name: str, **options: Any) -> str:
        return str(snapshot_download(name, local_files_only=True, **options))

    name = backbone_name(name_or_path)
    try:
        directory = resolve(name_or_path, revision=revision, download=offline)
        digest = weights_digest(directory)
        config, _ = PretrainedConfig.get_config_dict(directory)
    except (ArtefactRefused, OSError) as error:
        return _unreadable(name, Path(name_or_path).expanduser().exists(), error), None
    says = f"`{name}` is on this machine, weights {digest[:_SHOWN]}"
    dtype = config.get("dtype") or config.get("torch_dtype")  # the latter: transformers 4
    return ok("backbone", says), LocalBackbone(name, digest, dtype)


def _unreadable(name: str, exists: bool, error: Exception) -> Finding:
    if name.count("/") == 1 and not exists:
        return warn(
            "backbone",
            f"`{name}` is not on this machine",
            f"`recal serve` will download it at its start; or run `hf download {name}` now",
        )
    return fail(
        "backbone",
        f"`{name}` cannot be read: {error}",
        "train the shipped organism again with `recal organism train`, or set "
        "`backbone.name_or_path` to a hub id or a directory",
    )


def promoted(settings: Settings, name: str, local: LocalBackbone | None) -> list[Finding]:
    """Whether the registry answers, and what it has promoted for the backbone."""
    if settings.registry.source == "directory":
        return [_directory(settings.registry.directory)]
    uri = settings.tracking_uri
    file = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:///") and not file.is_file():
        # Asking MLflow would make it.
        return [warn("registry", f"there is no registry at `{file}` yet", _FILL_IT)]
    try:
        standings, carriers = _carriers(uri, name)
    except RegistryUnreachable as error:
        remedy = "start it, or mend MLFLOW_TRACKING_URI; meanwhile the last good set serves"
        return [fail("registry", str(error), remedy)]
    days = settings.policy.max_calibration_age_days
    rollouts = judge_rollouts(
        standings,
        carriers,
        now=datetime.now(UTC),
        stale_after=timedelta(days=days) if days is not None else None,
    )
    champions = [version for version in carriers if version.is_champion]
    return [*judge_champions(champions, name, local), *(rollouts if carriers else [])]


_FILL_IT = (
    "run `make demo`, or `recal fit`, `recal recalibrate`, `recal register` and `recal promote`"
)


def _directory(directory: Path | None) -> Finding:
    if directory is None or not directory.is_dir():
        return fail("registry", f"there is no directory `{directory}`", "mend `registry.directory`")
    return ok("registry", f"artefacts come from the directory `{directory}`")


def _carriers(uri: str, name: str) -> tuple[Sequence[Standing], Sequence[RegisteredVersion]]:
    from services.readout.mlflow_environment import quieten_mlflow

    quieten_mlflow()
    from recal.registry import Registry
    from recal.registry.connection import Connection

    registry = Registry(Connection(uri))
    standings = registry.standings(name)
    return standings, registry.carriers(standings)


def judge_champions(
    champions: Sequence[RegisteredVersion], name: str, local: LocalBackbone | None
) -> list[Finding]:
    """Whether the promoted readout and calibrations belong together and to the backbone."""
    readouts = [v for v in champions if v.tags.get(KIND_TAG) == READOUT]
    calibrations = [v for v in champions if v.tags.get(KIND_TAG) == CALIBRATION]
    if not readouts:
        says = f"the registry answers; no readout of `{name}` is promoted"
        return [warn("registry", says, _FILL_IT)]
    readout = readouts[0]
    made_for = readout.tags.get(WEIGHTS_DIGEST_TAG, "")
    if local is not None and made_for != local.weights_digest:
        return [
            fail(
                "registry",
                f"`{readout.label}` was made for weights {made_for[:_SHOWN]}, the backbone here "
                f"has {local.weights_digest[:_SHOWN]}",
                "run `recal fit` for these weights and promote the result, or serve the others",
            )
        ]
    return _languages(readout, calibrations)


def _languages(
    readout: RegisteredVersion, calibrations: Sequence[RegisteredVersion]
) -> list[Finding]:
    fitting = [v for v in calibrations if v.tags.get(READOUT_DIGEST_TAG) == readout.digest]
    others = [v.label for v in calibrations if v not in fitting]
    findings = []
    if fitting:
        tags = " ".join(sorted(v.tags.get(LANGUAGE_TAG, "?") for v in fitting))
        says = f"`{readout.label}` is promoted with {len(fitting)} languages: {tags}"
        findings.append(ok("registry", says))
    else:
        says = f"`{readout.label}` is promoted without any calibration of its own"
        findings.append(warn("registry", says, "run `recal recalibrate` and `recal promote`"))
    if others:
        says = f"{', '.join(others)} belong to another readout than `{readout.label}`"
        findings.append(warn("registry", says, "recalibrate these languages and promote them"))
    return findings
