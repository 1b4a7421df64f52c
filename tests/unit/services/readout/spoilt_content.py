"""What somebody may do to an artefact who writes a manifest to match: its content tells."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import torch

from services.readout.manifest import MANIFEST, canonical_json, sha256
from tests.unit.services.readout.spoilt_files import json_of, tensors_of


def vouch(directory: Path) -> None:
    """Write a manifest that names the files as they are now, as an attacker would."""
    manifest = json.loads((directory / MANIFEST).read_bytes())
    manifest["files"] = {n: sha256((directory / n).read_bytes()) for n in manifest["files"]}
    (directory / MANIFEST).write_bytes(canonical_json(manifest))


def _vouched(change: Callable[[dict[str, Any], Random], None], at: Path, random: Random) -> None:
    record = json.loads(json_of(at).read_bytes())
    change(record, random)
    json_of(at).write_text(json.dumps(record))
    vouch(at)


def _leaves(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _leaves(value, (*path, key))
    elif node is not None:
        yield path, node


def _put(record: Any, path: tuple[Any, ...], value: Any) -> None:
    for key in path[:-1]:
        record = record[key]
    record[path[-1]] = value


def wrong_type(at: Path, other: Path, random: Random) -> None:
    def change(record: dict[str, Any], random: Random) -> None:
        path, value = random.choice(list(_leaves(record)))
        wrong = [[], {}, {"a": 1}, [value], 7 if isinstance(value, str) else str(value)]
        _put(record, path, random.choice(wrong))

    _vouched(change, at, random)


def absurd_number(at: Path, other: Path, random: Random) -> None:
    def change(record: dict[str, Any], random: Random) -> None:
        numbers = [path for path, v in _leaves(record) if isinstance(v, int | float)]
        absurd = [float("nan"), float("inf"), -float("inf"), 1e300, -1e300, 10**60, -(10**400)]
        path = random.choice([path for path in numbers if path != ("vacuous",)])
        _put(record, path, random.choice(absurd))

    _vouched(change, at, random)


def negative_or_absurd_layer(at: Path, other: Path, random: Random) -> None:
    def change(record: dict[str, Any], random: Random) -> None:
        places = [record[part][0] for part in ("parts",) if part in record]
        places += [record["own"]["parts"][0]] if record.get("own") else []
        places += [record["steering"]] if "steering" in record else []
        if not places:
            record["backbone"]["n_layers"] = random.choice([0, -4, 2.5])
        else:
            random.choice(places)["layer"] = random.choice([-1, 4, 10**9, 1.5, True])

    _vouched(change, at, random)


def wrong_field(at: Path, other: Path, random: Random) -> None:
    """One that is not known, one that is missing, one under another name."""

    def change(record: dict[str, Any], random: Random) -> None:
        optional = {"evidence", "vacuous", "own", "fallback"}
        name = random.choice([name for name in record if name not in optional])
        kind = random.randrange(3)
        if kind == 0:
            record[random.choice(["code", "__class__", "x\n\x1b[31m" * 50])] = 1
        else:
            value = record.pop(name)
            record |= {f"{name} ": value} if kind == 1 else {}

    _vouched(change, at, random)


def say_twice(at: Path, other: Path, random: Random) -> None:
    """One name with two values, of which readers take one or the other."""
    raw = json_of(at).read_bytes()
    name, value = random.choice(list(json.loads(raw).items()))
    again = json.dumps({name: value}).encode()
    json_of(at).write_bytes(raw[:-1] + b"," + again[1:])
    vouch(at)


def other_schema(at: Path, other: Path, random: Random) -> None:
    _vouched(lambda record, r: record.update(schema_version=r.choice(SCHEMAS)), at, random)


SCHEMAS: list[object] = [0, 1, 4, 99, -2, "2", None, True, [2], 2.5, 10**20]


def broken_sense(at: Path, other: Path, random: Random) -> None:
    """Each value is of its type, and together they make no sense."""

    def change(record: dict[str, Any], random: Random) -> None:
        histogram = record["histogram"]
        ways: list[Callable[[], object]] = [
            lambda: histogram.update(edges=[0.0, 0.0, 1.0]),
            lambda: histogram["harmful"].append(1),
            lambda: record["backbone"].update(weights_digest="0" * 64),
            lambda: record["backbone"].update(d_model=9) if "steering" in record else _nan(record),
            lambda: record.update(
                created=random.choice(["yesterday", "2026-01-02", "", "x" * 201])
            ),
            lambda: record["provenance"].update({"note": "x" * 2001}),
            lambda: record["provenance"].update({"\u0007": "bell"}),
        ]
        if "thresholds" in record:
            ways += [
                lambda: record["thresholds"].update(release=record["thresholds"]["steer"] + 1),
                lambda: record.update(routing=random.choice(["two_way", "none"])),
                lambda: record.update(language=random.choice(["swahili", "../yo", "sw\n", ""])),
                lambda: record.update(example_hashes=["How do I …"]),
                lambda: record.update(reference_refusal={"harmful": 1.5}),
                lambda: record.update(estimator="conformal", vacuous=True),
            ]
        random.choice(ways)()

    _vouched(change, at, random)


def _nan(record: dict[str, Any]) -> None:
    record["thresholds"]["steer"] = float("nan")


def bad_json(at: Path, other: Path, random: Random) -> None:
    """No record at all, or more of it than can be."""
    path = random.choice([json_of(at), at / MANIFEST])
    raw = path.read_bytes()
    path.write_bytes(random.choice(BAD_JSON)(raw))
    if path.name != MANIFEST:
        vouch(at)


BAD_JSON: list[Callable[[bytes], bytes]] = [
    lambda raw: b"",
    lambda raw: b"null",
    lambda raw: b"[]",
    lambda raw: b'"' + b"x" * 1000,
    lambda raw: b"\xef\xbb\xbf" + raw,
    lambda raw: raw.decode().encode("utf-16"),
    lambda raw: b"[" * 200_000,
    lambda raw: b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    lambda raw: raw[:-1] + b',"provenance":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    lambda raw: raw[:-1] + b',"schema_version":2}',
    lambda raw: raw[:-1] + b',"kind":"readout","language":"sw","created":"2026-01-02T03:04:05Z"}',
    lambda raw: raw.replace(b'"backbone"', b'"\\ud800"').replace(b'"kind"', b'"k\\u0000"'),
    lambda raw: raw.replace(b'"schema_version":', b'"schema_version":' + b"1" * 5_000),
    lambda raw: raw.replace(b":2", b":NaN").replace(b":3", b":Infinity"),
    lambda raw: b"{" + b",".join(b'"%d":"a"' % i for i in range(100_000)) + b"}",
    lambda raw: raw.replace(b'"', b"'"),
    lambda raw: b"!!python/object/apply:os.getcwd []",
    pickle.dumps,
]


def bad_manifest(at: Path, other: Path, random: Random) -> None:
    manifest = json.loads((at / MANIFEST).read_bytes())
    random.choice(BAD_MANIFEST)(manifest, random)
    (at / MANIFEST).write_bytes(canonical_json(manifest))


def _name(name: str) -> Callable[[dict[str, Any], Random], None]:
    return lambda manifest, random: manifest["files"].update({name: "0" * 64})


BAD_MANIFEST: list[Callable[[dict[str, Any], Random], None]] = [
    *map(
        _name, ["../readout/readout.json", "/etc/passwd", ".", "", "a/b", "a\0b", MANIFEST, "x\n"]
    ),
    lambda manifest, random: manifest["files"].popitem(),
    lambda manifest, random: manifest["files"].clear(),
    lambda manifest, random: manifest.update(files=[]),
    lambda manifest, random: manifest.update(kind=random.choice(["model", "Readout", "", 1])),
    lambda manifest, random: manifest.update(schema_version=random.choice(SCHEMAS)),
    lambda manifest, random: manifest.update(code="import os"),
    lambda manifest, random: manifest.pop(random.choice(["kind", "files", "schema_version"])),
    lambda manifest, random: manifest["files"].update(
        {name: value.upper() + "A" for name, value in manifest["files"].items()}
    ),
    lambda manifest, random: manifest["files"].update(
        {str(i): "0" * 64 for i in range(random.choice([1, 20_000]))}
    ),
]


def wrong_place(at: Path, other: Path, random: Random) -> None:
    """A whole, sound artefact where another belongs: only its neighbours tell."""
    wrong = {"readout": other, "sw": at.with_name("yo"), "yo": at.with_name("sw")}[at.name]
    if at.name != "readout" and random.random() < 0.5:
        wrong = other  # of the same language, made for another readout
    if at.name == "readout":
        wrong = at.parent / "calibrations" / "sw"
    shutil.rmtree(at)
    shutil.copytree(wrong, at)


# Tensors under a manifest to match.


def _tensor_file(header: object, data: bytes) -> bytes:
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def _taken_apart(path: Path) -> tuple[dict[str, Any], bytes]:
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def bad_header(at: Path, other: Path, random: Random) -> None:
    header, data = _taken_apart(tensors_of(at))
    name = random.choice([name for name in header if name != "__metadata__"])
    random.choice(BAD_HEADER)(header, name, random)
    tensors_of(at).write_bytes(_tensor_file(header, data))
    vouch(at)


BAD_HEADER: list[Callable[[dict[str, Any], str, Random], object]] = [
    lambda header, name, random: header[name].update(
        dtype=random.choice(
            ["F16", "BF16", "F64", "I32", "I64", "U8", "BOOL", "F8_E4M3", "C64", "X"]
        )
    ),
    lambda header, name, random: header[name].update(
        shape=random.choice([[], [7], [2**62], [2**32, 2**32], [-8], [0], [8, 1, 1], "8", [8.0]])
    ),
    lambda header, name, random: header[name].update(
        data_offsets=random.choice([[0, 0], [32, 0], [0, 2**63], [-32, 0], [1, 33], [0], "x"])
    ),
    lambda header, name, random: header.pop(name),
    lambda header, name, random: header.update({f"{name} ": header.pop(name)}),
    lambda header, name, random: header.update(extra=dict(header[name])),
    lambda header, name, random: header.update(__metadata__={"a": 1}),
]


def bad_frame(at: Path, other: Path, random: Random) -> None:
    """What frames the header: its length, and what stands where it should."""
    path = tensors_of(at)
    path.write_bytes(random.choice(BAD_FRAME)(path.read_bytes()))
    vouch(at)


BAD_FRAME: list[Callable[[bytes], bytes]] = [
    lambda raw: b"",
    lambda raw: b"\0" * 8,
    lambda raw: raw[:7],
    lambda raw: struct.pack("<Q", 2**63) + raw[8:],
    lambda raw: struct.pack("<Q", 99_000_000) + raw[8:],
    lambda raw: struct.pack("<Q", 2**64 - 1) + raw[8:],
    lambda raw: raw[:-1],
    lambda raw: raw + b"\0\0\0\0",
    lambda raw: struct.pack("<Q", 4_000_000) + b"[" * 4_000_000,
    lambda raw: _tensor_file({str(i): {} for i in range(50_000)}, b""),
    lambda raw: b"\x80\x04" + raw,
    lambda raw: pickle.dumps(raw),
    lambda raw: b"PK\x03\x04" + raw,
]


def not_finite(at: Path, other: Path, random: Random) -> None:
    header, data = _taken_apart(tensors_of(at))
    numbers = torch.frombuffer(bytearray(data), dtype=torch.float32)
    numbers[random.randrange(len(numbers))] = random.choice([float("nan"), float("inf")])
    tensors_of(at).write_bytes(_tensor_file(header, numbers.numpy().tobytes()))
    vouch(at)
