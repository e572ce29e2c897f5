"""Memory: how much this machine has, how much a model needs. Everything is in bytes.

Light on purpose: the page asks this at start-up, so torch is imported only where there may be an accelerator.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from neuroal.hosting import gpu

# Calibration activations, the scratch copy of one block and the logits of one batch: measured well below this for the
# models of the menu at the default settings, so it is a margin rather than an estimate.
ACTIVATIONS = 512 * 2**20

# Of a model whose blocks are kept elsewhere: one as it is, its pruned weights, and what a pruner needs for both.
BLOCKS_AT_ONCE = 4

# Bytes of one weight in the precision that "auto" picks on a kind of device.
AUTO_BYTES = {"cpu": 4, "mps": 4, "cuda": 2}

CGROUP_ROOT = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class Memory:
    """Memory of the place where a model would live.

    Attributes:
        kind: "cpu", "cuda" or "mps".
        free: bytes that can be had now.
        total: bytes there are, a container's limit included.
    """

    kind: str
    free: int
    total: int


def machine_memory(device: str = "auto") -> Memory:
    """The memory of ``device``; "auto" is the first of CUDA, MPS and CPU that is there.

    MPS shares the machine's memory, so it is reported with the CPU's figures.
    """
    kind = device.split(":")[0]
    if kind == "auto":
        kind = _best_kind()
    if kind == "cuda":
        import torch

        free, total = torch.cuda.mem_get_info(device if ":" in device else None)
        return Memory("cuda", free, total)
    return _host_memory(kind)


def needed_bytes(parameters: int, dtype_bytes: int, prunable_share: float = 1.0, activations: int = ACTIVATIONS) -> int:
    """Bytes for the dense model, its sparse twin and the work between them.

    The twin owns only its prunable weights and shares everything else with the dense model.

    Args:
        parameters: weights of the whole model, tied ones once.
        dtype_bytes: bytes of one weight: 4 for float32, 2 for half precision.
        prunable_share: fraction of the parameters that the twin owns, 0..1; 1 is the upper bound.
        activations: bytes for everything that is not a weight.
    """
    return round(parameters * dtype_bytes * (1 + prunable_share)) + activations


def needed_offloaded(parameters: int, prunable: int, blocks: int, dtype_bytes: int) -> int:
    """Bytes where the decoder blocks are kept elsewhere: everything outside them, a few blocks, and the work.

    Args:
        parameters, prunable: weights of the whole model, and of the linears in its blocks.
    """
    weights = parameters - prunable + BLOCKS_AT_ONCE * prunable / blocks
    return round(weights * dtype_bytes) + ACTIVATIONS


def fits(needed: int, memory: Memory, *, whole: bool = False) -> bool:
    """Whether ``needed`` bytes can be had now; with ``whole``, whether the machine could ever hold them."""
    return needed <= (memory.total if whole else memory.free)


def gigabytes(count: int) -> str:
    """A size for people: "512 MB", "2.4 GB", "14 GB" (decimal units)."""
    if count < 10**9:
        return f"{count / 10**6:.0f} MB"
    return f"{count / 10**9:.1f} GB" if count < 10**10 else f"{count / 10**9:.0f} GB"


def _best_kind() -> str:
    """The kind that "auto" picks, without importing torch on a machine that shows no trace of an accelerator."""
    if not gpu.is_usable():
        return "cpu"
    traces = "torch" in sys.modules or sys.platform == "darwin" or shutil.which("nvidia-smi")
    if not traces and not Path("/proc/driver/nvidia").exists() and not Path("/dev/kfd").exists():
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _host_memory(kind: str) -> Memory:
    """Main memory, cut to the tightest control group this process is in."""
    import psutil

    host = psutil.virtual_memory()
    free, total = host.available, host.total
    for limit, used in _cgroup_limits():
        total = min(total, limit)
        free = min(free, max(0, limit - used))
    return Memory(kind, free, total)


def _cgroup_limits() -> Iterator[tuple[int, int]]:
    """(limit, bytes in use) of every control group around this process that limits memory, v2 and v1.

    Pages of files that the kernel would give back (inactive_file) are not in use.
    """
    for folder in _cgroup_folders("", CGROUP_ROOT):
        yield from _read_group(folder, "memory.max", "memory.current", "inactive_file")
    for folder in _cgroup_folders("memory", CGROUP_ROOT / "memory"):
        yield from _read_group(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _cgroup_folders(controller: str, root: Path) -> Iterator[Path]:
    """The process's own group under ``root`` and the groups around it, as far as they are visible from here."""
    try:
        lines = OWN_CGROUP.read_text().splitlines()
    except OSError:
        lines = []
    parts = [line.split(":", 2) for line in lines]
    own = next((path for _, controllers, path in parts if controller in controllers.split(",")), "/")
    folder = root / own.lstrip("/")
    # Inside a container the path may be the host's; then only the root of what is mounted here exists.
    yield from (f for f in (folder, *folder.parents) if f == root or root in f.parents)


def _read_group(folder: Path, limit: str, used: str, inactive: str) -> Iterator[tuple[int, int]]:
    """The group's limit and use, or nothing where it sets none ("max", or v1's number near 2**63)."""
    try:
        most = (folder / limit).read_text().strip()
        if most == "max" or int(most) >= 2**60:
            return
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        yield int(most), int((folder / used).read_text()) - int(stat.get(inactive, 0))
    except (OSError, ValueError):
        return
