"""How much memory a device has left."""

from __future__ import annotations

from pathlib import Path

import torch

_CGROUP = Path("/sys/fs/cgroup")


def free_bytes(device: torch.device, *, cgroup: Path = _CGROUP) -> int:
    """Bytes that this process may still take on a device.

    Args:
        device: a GPU, or the CPU, whose memory a container may limit.
        cgroup: where the system says so (cgroup v2).
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    import psutil  # a machine that only serves from a GPU may not have it

    free = int(psutil.virtual_memory().available)
    limit, used = _number(cgroup / "memory.max"), _number(cgroup / "memory.current")
    return free if limit is None or used is None else max(0, min(free, limit - used))


def _number(path: Path) -> int | None:
    """None where there is no such file, or no limit: it says `max` then."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
