"""What single settings are made of: kinds of values, and a part of the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def absolute(path: Path) -> Path:
    """Processes of one deployment do not share a working directory."""
    return path.expanduser().absolute()


LocalPath = Annotated[Path, AfterValidator(absolute)]
Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
ReadoutDigest = Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]
"""In hexadecimal; all of it, or its first 8 digits or more."""


class Section(BaseModel):
    """A frozen part of the settings; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
