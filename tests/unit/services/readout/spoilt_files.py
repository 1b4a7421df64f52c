"""What whoever stores or carries artefacts may do to their files: the digests tell."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import socket
from pathlib import Path
from random import Random

from services.readout.manifest import MANIFEST

JSON_NAMES = frozenset({"readout.json", "calibration.json"})
TENSOR_NAMES = frozenset({"readout.safetensors", "calibration.safetensors"})


def files_of(directory: Path) -> list[Path]:
    return sorted(directory.iterdir())


def json_of(directory: Path) -> Path:
    return next(path for path in files_of(directory) if path.name in JSON_NAMES)


def tensors_of(directory: Path) -> Path:
    return next(path for path in files_of(directory) if path.name in TENSOR_NAMES)


def flip_a_bit(at: Path, other: Path, random: Random) -> None:
    path = random.choice(files_of(at))
    raw = bytearray(path.read_bytes())
    raw[random.randrange(len(raw))] ^= 1 << random.randrange(8)
    path.write_bytes(raw)


def overwrite_bytes(at: Path, other: Path, random: Random) -> None:
    path = random.choice(files_of(at))
    raw = bytearray(path.read_bytes())
    start = random.randrange(len(raw))
    noise = random.randbytes(random.randint(2, 64))
    raw[start : start + len(noise)] = noise
    path.write_bytes(raw)


def cut_short(at: Path, other: Path, random: Random) -> None:
    path = random.choice(files_of(at))
    raw = path.read_bytes()
    path.write_bytes(raw[: random.randrange(len(raw))])


def append(at: Path, other: Path, random: Random) -> None:
    path = random.choice(files_of(at))
    path.write_bytes(path.read_bytes() + random.choice([b"\n", b" ", b"\0", b"{}", b"\xff" * 9]))


def reformat(at: Path, other: Path, random: Random) -> None:
    """The same JSON in other bytes."""
    path = random.choice([json_of(at), at / MANIFEST])
    path.write_text(json.dumps(json.loads(path.read_bytes()), indent=random.choice([None, 1, 4])))


def take_a_file_away(at: Path, other: Path, random: Random) -> None:
    random.choice(files_of(at)).unlink()


def exchange_with_another_set(at: Path, other: Path, random: Random) -> None:
    path = random.choice([p for p in files_of(at) if p.name != MANIFEST])
    shutil.copyfile(other / path.name, path)


def exchange_manifests(at: Path, other: Path, random: Random) -> None:
    shutil.copyfile(other / MANIFEST, at / MANIFEST)


def exchange_two_files(at: Path, other: Path, random: Random) -> None:
    first, second = random.sample(files_of(at), 2)
    raw = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(raw)


# What a directory may hold instead of plain files.


def link(at: Path, other: Path, random: Random) -> None:
    """A link to the very same content."""
    path = random.choice(files_of(at))
    kept = at.parent / f".{at.name}-{path.name}"
    path.rename(kept)
    path.symlink_to(kept)


def link_the_whole(at: Path, other: Path, random: Random) -> None:
    kept = at.parent / f".{at.name}-kept"
    at.rename(kept)
    at.symlink_to(kept, target_is_directory=True)


def put_something_else(at: Path, other: Path, random: Random) -> None:
    path = random.choice(files_of(at))
    path.unlink()
    what = random.choice(["directory", "pipe", "socket", "dangling link", "loop"])
    if what == "directory":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "socket":
        # its address may have 107 bytes
        with socket.socket(socket.AF_UNIX) as listener:
            here = os.open(at, os.O_RDONLY)
            listener.bind(f"/proc/self/fd/{here}/{path.name}")
            os.close(here)
    else:
        path.symlink_to(path.name if what == "loop" else "nowhere")


def add_a_file(at: Path, other: Path, random: Random) -> None:
    name = random.choice(["model.pkl", ".hidden", "readout.pt", "a\nb", "MANIFEST.json", "x" * 255])
    (at / name).write_bytes(pickle.dumps({"never": "read"}))


def empty_the_whole(at: Path, other: Path, random: Random) -> None:
    for path in files_of(at):
        path.unlink()


def blow_up(at: Path, other: Path, random: Random) -> None:
    """A file of gigabytes that takes no space."""
    os.truncate(random.choice(files_of(at)), random.choice([5, 65, 10_000]) * 2**20)
