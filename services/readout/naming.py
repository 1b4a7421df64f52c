"""Names of registered models, tags and aliases in the registry: one list for writer and reader."""

from __future__ import annotations

import re

CHAMPION = "champion"
"""Alias of the version that serves."""
CHALLENGER = "challenger"
"""Alias of the version that decides for a share of the traffic beside the champion."""
SHADOW = "shadow"
"""Alias of the version that is scored and counted beside the champion and never acts."""
CANARY_SHARE_TAG = "canary_share"
"""Tag of a registered model: the challenger's share of the traffic, in (0, 1]. A challenger
without it decides nothing."""
REVOKED_TAG = "revoked"
"""Tag of a version that must never serve again; its value says why."""

ARTEFACT_PATH = "artefact"
"""Folder of a run under which the artefact's files lie."""

BACKBONE_TAG = "backbone"
"""Tag of a registered model: slug of its backbone's name; one search finds all its models."""
KIND_TAG = "kind"
LANGUAGE_TAG = "language"
DIGEST_TAG = "digest"
READOUT_DIGEST_TAG = "readout_digest"
WEIGHTS_DIGEST_TAG = "weights_digest"
K_TAG = "k"
ESTIMATOR_TAG = "estimator"
SIGNED_BY_TAG = "signed_by"
"""Id of the key by which a version is signed, for people: servers verify the signature itself."""
VACUOUS_TAG = "vacuous"
"""`true` on a calibration whose bound was asked for and cannot be given."""
OWN_READOUT_TAG = "own_readout"
"""How a calibration's own readout was fitted; not there where the frozen one scores."""
DISAGREEMENT_TAG = "disagreement"
"""Share of unlabelled prompts that frozen and direction readout decide differently, in [0, 1].
A calibration's evidence has it under the same name; not there where nobody looked."""

READOUT = "readout"
"""Value of the kind tag, and last part of the model's name."""
CALIBRATION = "calibration"
"""Value of the kind tag."""


def backbone_slug(backbone_name: str) -> str:
    """A backbone's name as registered models carry it: `Qwen/Qwen2.5-7B` → `qwen-qwen2-5-7b`.

    Raises:
        ValueError: nothing is left of the name.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", backbone_name.lower()).strip("-")
    if not slug:
        raise ValueError(f"the backbone name `{backbone_name}` has no letter or digit")
    return slug


def readout_model(backbone_name: str) -> str:
    """Name of the registered model that holds a backbone's readouts."""
    return f"recal.{backbone_slug(backbone_name)}.{READOUT}"


def calibration_model(backbone_name: str, language: str) -> str:
    """Name of the registered model that holds a language's calibrations of one backbone."""
    return f"recal.{backbone_slug(backbone_name)}.{language}"


def version_label(model: str, version: int) -> str:
    """How a version is called everywhere else: `readout@3`, `sw@7`."""
    return f"{model.rsplit('.', 1)[-1]}@{version}"
