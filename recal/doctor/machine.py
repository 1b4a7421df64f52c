"""The memory and the disk that are left, and what the processor can multiply."""

from __future__ import annotations

from pathlib import Path

from recal.doctor.finding import Finding, fail, ok, warn

GIB = 1024**3

EMBEDDED_BYTES = 3 * GIB // 2
"""What the embedded runtime takes with the shipped model, with room to spare."""
RAY_BYTES = 4 * GIB
"""What Ray Serve takes with the shipped model; its processes alone were measured at 3.3 GiB."""
WANTED_DISK_BYTES = 5 * GIB
NEEDED_DISK_BYTES = GIB

_NOT_IN_AVX2 = frozenset({"bfloat16", "float16"})
"""`torch.nn.functional.linear` of 512 to 1,408 columns, torch 2.13 on an AMD EPYC: a row takes 1.5
to 2 times as long as in float32, 16 rows 5.5 to 7 times, 256 rows 7.5 to 8.5 times."""

_CGROUP = Path("/sys/fs/cgroup")


def memory(available: int) -> Finding:
    """Whether there is memory to serve the shipped model.

    Args:
        available: bytes that a new process can take.
    """
    says = f"{available / GIB:.1f} GiB of memory are free"
    if available < EMBEDDED_BYTES:
        return fail("memory", says, f"free at least {EMBEDDED_BYTES / GIB:.1f} GiB")
    if available < RAY_BYTES:
        remedy = "serve with `recal serve --embedded`, or free "
        return warn("memory", says, f"{remedy}{RAY_BYTES / GIB:.0f} GiB for Ray Serve")
    return ok("memory", says)


def disk(free: int, folder: Path) -> Finding:
    """Whether there is room for registry, caches and logs.

    Args:
        free: bytes free where `folder` lies.
        folder: for the message.
    """
    says = f"{free / GIB:.1f} GiB are free at `{folder}`"
    if free < NEEDED_DISK_BYTES:
        return fail("disk", says, f"free at least {NEEDED_DISK_BYTES / GIB:.0f} GiB there")
    if free < WANTED_DISK_BYTES:
        remedy = "Ray stops placing work on a disk that is 95 % full; free some, or move there"
        return warn("disk", says, remedy)
    return ok("disk", says)


def precision(dtype: str, capability: str) -> Finding:
    """Whether the processor multiplies in the dtype of the weights, where it serves them.

    Args:
        dtype: of the weights, e.g. `bfloat16`.
        capability: the widest instructions that torch uses, e.g. `AVX2`.
    """
    if dtype not in _NOT_IN_AVX2 or capability != "AVX2":
        return ok("dtype", f"{dtype} on a CPU with {capability}")
    says = f"the CPU ({capability}) does not multiply in {dtype}"
    return warn(
        "dtype",
        f"{says}: prompts and full batches take several times what they take in float32",
        "set `backbone.dtype: float32`, which takes twice the memory, or serve on a GPU",
    )


def container_room(cgroup: Path = _CGROUP) -> int | None:
    """Bytes left below this container's memory limit (cgroup v2), None when it has none."""
    try:
        limit = (cgroup / "memory.max").read_text(encoding="ascii").strip()
        used = (cgroup / "memory.current").read_text(encoding="ascii").strip()
    except OSError:
        return None
    return None if limit == "max" else max(0, int(limit) - int(used))
