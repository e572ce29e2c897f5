"""Where the weights of a model go: whole onto one device, or in part into main memory or onto disk, with accelerate.

Blocks that are kept elsewhere are brought to the device one at a time (residence.py), so that a model bigger than the
memory can be searched and pruned.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from neuroal.blocks import find_blocks
from neuroal.models.cache import data_path, require_space
from neuroal.models.facts import ModelFacts, check_fits, empty_model
from neuroal.models.memory import Memory, fits, machine_memory, needed_bytes, needed_offloaded
from neuroal.models.precision import DISK, SPREAD, has_cuda
from neuroal.residence import is_offloaded

WHOLE = "whole"


def choose_placement(facts: ModelFacts, device: str, memory: Memory, dtype_bytes: int) -> str:
    """ "whole", "offload" (as much as fits stays in memory) or "disk" (every decoder block is on disk).

    Args:
        device: as asked for. "auto" offloads only what does not fit as a whole; a device of torch never does.
        memory: of the device that blocks are run on.
        dtype_bytes: bytes of one weight.

    Raises:
        UserError: it does not fit that way either.
    """
    whole = needed_bytes(facts.parameters, dtype_bytes, facts.prunable / facts.parameters)
    if device not in (SPREAD, DISK) and (device != "auto" or fits(whole, memory)):
        check_fits(facts, memory, dtype_bytes)
        return WHOLE
    check_fits(facts, memory, dtype_bytes, offloaded=True)
    require_space(data_path(), facts.prunable * dtype_bytes, f"The pruned twin of {facts.name}")
    return DISK if device == DISK else SPREAD


def placement_options(placement: str, facts: ModelFacts, config: Path, on: torch.device, dtype_bytes: int) -> dict:
    """The arguments of ``from_pretrained`` for a placement, but for the folder that offloaded weights may go to.

    Args:
        config: the model's config.json.
        on: the device that blocks are run on.
    """
    if placement == WHOLE:
        return {"device_map": None if on.type == "cpu" else {"": on}}
    if placement == SPREAD and on.type == "cuda":
        gpus = {i: machine_memory(f"cuda:{i}").free for i in range(torch.cuda.device_count())}
        return {
            "device_map": "auto",
            "max_memory": _budgets(facts, {**gpus, "cpu": machine_memory("cpu").free}, dtype_bytes),
        }
    kept = 0 if placement == DISK else _blocks_that_fit(facts, machine_memory(str(on)).free, dtype_bytes)
    return {"device_map": blocks_on_disk(empty_model(config, facts.name), on, kept)}


def blocks_on_disk(model: nn.Module, on: torch.device, kept: int = 0) -> dict[str, str]:
    """A device map: the decoder blocks are on disk but for the first few, all the rest is on ``on``.

    Args:
        model: on whatever device; only its names are looked at.
        kept: blocks that are not on disk.
    """
    path, blocks = find_blocks(model)
    names, places, above = path.split("."), {}, model
    for depth, name in enumerate(names):
        prefix = "".join(f"{part}." for part in names[:depth])
        beside = [*(n for n, _ in above.named_children() if n != name)]
        beside += [n for n, _ in (*above.named_parameters(recurse=False), *above.named_buffers(recurse=False))]
        places |= {prefix + n: str(on) for n in beside}
        above = above.get_submodule(name)
    return places | {f"{path}.{b}": str(on) if b < kept else "disk" for b in range(len(blocks))}


def offload_notice(model: Any, name: str) -> tuple[str, ...]:
    """One sentence where weights of the decoder blocks are kept elsewhere; none for a model that is all there."""
    _, blocks = find_blocks(model)
    away = sum(is_offloaded(block) for block in blocks)
    if not away:
        return ()
    places = set(model.hf_device_map.values())
    where = "on disk" if "cpu" not in places or not has_cuda() else "in main memory"
    if where == "in main memory" and "disk" in places:
        where = "in main memory or on disk"
    return (
        f"{away} of the {len(blocks)} decoder blocks of {name} are kept {where} and brought in one at a time, "
        "which takes longer.",
    )


def _blocks_that_fit(facts: ModelFacts, free: int, dtype_bytes: int) -> int:
    """Blocks that can stay in memory: each counts twice, because the twin has its own copy of what is not offloaded."""
    left = free - needed_offloaded(facts.parameters, facts.prunable, facts.blocks, dtype_bytes)
    return max(0, int(left // (2 * dtype_bytes * facts.prunable / facts.blocks)))


def _budgets(facts: ModelFacts, free: dict[int | str, int], dtype_bytes: int) -> dict[int | str, int]:
    """Bytes of weights that each GPU, and the main memory beside them, may hold.

    Room is left for the work, for what is outside the blocks (it may be put anywhere), for the largest layer, which
    accelerate sets aside itself, and on GPUs for the twin's own copy. What is in main memory is offloaded: the twin has
    its copy of that on disk.
    """
    needed = needed_offloaded(facts.parameters, facts.prunable, facts.blocks, dtype_bytes)
    outside = (facts.parameters - facts.prunable) * dtype_bytes
    largest = max(outside, round(facts.prunable * dtype_bytes / facts.blocks))
    left = {place: max(0, there - needed) for place, there in free.items()}
    return {place: outside + largest + (n if place == "cpu" else n // 2) for place, n in left.items()}
