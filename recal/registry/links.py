"""What ties a version to the evaluation that speaks for it: hashes and runs, by their tags."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recal.evaluation.behaviour import LanguageResult

REPORT_TAG = "evaluation_report"
"""sha256 of the report's file, which lies in the run of the version."""
DATA_TAG = "evaluation_data"
"""sha256 over the digests and labels of the held-out prompts."""
EXAMPLES_TAG = "examples_data"
"""sha256 over the digests of the examples that a calibration was made from."""

HELD_OUT_INPUT, EXAMPLES_INPUT = "held-out", "examples"
"""What the run of a version calls its data sets."""


def links_of(
    evaluation: LanguageResult | None, report: Path | None, example_hashes: Sequence[str]
) -> dict[str, str]:
    """Tags of a version that say what was measured on what."""
    tags = {}
    if evaluation is not None:
        tags[DATA_TAG] = evaluation.data_digest
        if report is not None:
            tags[REPORT_TAG] = hashlib.sha256(report.read_bytes()).hexdigest()
    if example_hashes:
        joined = "\n".join(sorted(example_hashes))
        tags[EXAMPLES_TAG] = hashlib.sha256(joined.encode()).hexdigest()
    return tags


def inputs_of(tags: Mapping[str, str]) -> dict[str, str]:
    """Digest of each data set that went into a version, by what its run calls it."""
    named = {HELD_OUT_INPUT: DATA_TAG, EXAMPLES_INPUT: EXAMPLES_TAG}
    return {name: tags[tag] for name, tag in named.items() if tag in tags}
