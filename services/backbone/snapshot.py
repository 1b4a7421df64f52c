"""A hub id or a local path to a directory that holds the whole checkpoint."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from services.errors import ArtefactRefused

_WANTED = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]
_UNWANTED = ["original/*", "consolidated*", "onnx/*"]

Download = Callable[..., str]
"""`huggingface_hub.snapshot_download`, or what a test puts in its place."""


def resolve(
    name_or_path: str, *, revision: str | None = None, download: Download = snapshot_download
) -> Path:
    """The directory of a checkpoint, downloaded where it has to be.

    Args:
        name_or_path: an existing directory, or a hub id such as `Qwen/Qwen2.5-7B-Instruct`.
        revision: commit, tag or branch of a hub id.
        download: fetches a snapshot.

    Raises:
        ArtefactRefused: there is no such directory, or the hub does not give it.
    """
    path = Path(name_or_path).expanduser()
    if (path / "config.json").is_file():
        return path
    if path.exists():
        raise ArtefactRefused(
            f"`{name_or_path}` holds no config.json; give the directory of a Hugging Face model"
        )
    if _is_path(name_or_path):
        raise ArtefactRefused(f"there is no directory `{name_or_path}`; check the backbone's path")
    return Path(_download(name_or_path, revision, download))


def _is_path(name_or_path: str) -> bool:
    return (
        name_or_path.startswith((".", "~", os.sep))
        or name_or_path.count("/") > 1
        or os.sep in name_or_path.replace("/", "")
    )


def _download(name: str, revision: str | None, download: Download) -> str:
    wanted = f"`{name}`" + (f" at revision `{revision}`" if revision else "")
    try:
        return download(name, revision=revision, allow_patterns=_WANTED, ignore_patterns=_UNWANTED)
    except HFValidationError:
        raise ArtefactRefused(
            f"{wanted} is neither a directory nor a hub id of the form `owner/model`"
        ) from None
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ArtefactRefused(
            f"the hub does not give {wanted} ({type(error).__name__}); check the name, the network "
            "and HF_TOKEN, or give a local directory"
        ) from None
