"""What a benchmark is given on its command line, refused before anything runs if it cannot do."""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path


def count(text: str) -> int:
    """A whole number, at least 1.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"`{text}` is no number of at least 1")
    return int(text)


def positive(text: str) -> float:
    """A finite number above 0.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"`{text}` is no number above 0")
    return number


def writable(text: str) -> Path:
    """A file that can be written; its folder is made. What was measured for an hour needs a place.

    Raises:
        ArgumentTypeError: it is none.
    """
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"`{text}` is a folder; name a file")
    is_new = not os.path.lexists(path)  # a link to a file that is not there yet stays
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()  # to ask for permission is no answer: root has it, and may not
    except OSError as error:
        raise argparse.ArgumentTypeError(f"`{text}` cannot be written: {error.strerror}") from None
    if is_new:
        path.unlink()
    return path
