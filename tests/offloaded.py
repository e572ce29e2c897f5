"""The random model of toys.py with its weights kept elsewhere, in every way that accelerate has."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from accelerate import cpu_offload, disk_offload
from accelerate.hooks import AlignDevicesHook
from transformers import AutoModelForCausalLM, PreTrainedModel

from tests.toys import random_llama

BESIDE = ("model.embed_tokens", "model.norm", "model.rotary_emb", "lm_head")
BLOCKS = {f"model.layers.{b}": "disk" for b in range(3)}


def blocks_on_disk(folder: Path) -> PreTrainedModel:
    """As transformers does it: what is offloaded stays in the checkpoint, ``folder / "checkpoint"``."""
    checkpoint = folder / "checkpoint"
    if not checkpoint.exists():
        random_llama().save_pretrained(checkpoint)
    places = dict.fromkeys(BESIDE, "cpu") | BLOCKS
    model = AutoModelForCausalLM.from_pretrained(checkpoint, device_map=places, offload_folder=str(folder / "aside"))
    return model.eval().requires_grad_(False)


def all_on_disk(folder: Path) -> PreTrainedModel:
    """The embedding too, in accelerate's own files."""
    return disk_offload(random_llama(), str(folder / "disk"), execution_device="cpu")


def all_in_memory(_: Path) -> PreTrainedModel:
    """Offloaded to main memory; here it also runs there."""
    return cpu_offload(random_llama(), execution_device="cpu")


def whole_blocks(folder: Path) -> PreTrainedModel:
    """One hook on each block loads all that is inside."""
    classes = ["LlamaDecoderLayer"]
    return disk_offload(random_llama(), str(folder / "disk"), execution_device="cpu", preload_module_classes=classes)


WAYS: dict[str, Callable[[Path], PreTrainedModel]] = {
    each.__name__: each for each in (blocks_on_disk, all_on_disk, all_in_memory, whole_blocks)
}


class Spy:
    """Counts how often the weights of each block are loaded, and of how many blocks some are there at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loads: Counter[int] = Counter()
        self.peak = 0
        self._there: Counter[int] = Counter()
        load, free = AlignDevicesHook.pre_forward, AlignDevicesHook.post_forward

        def pre_forward(hook: Any, module: Any, *args: Any, **kwargs: Any) -> Any:
            if (block := _block(hook)) is not None:
                self.loads[block] += hook.weights_map.prefix.endswith("q_proj.")
                self._there[block] += 1
                self.peak = max(self.peak, len(+self._there))
            return load(hook, module, *args, **kwargs)

        def post_forward(hook: Any, module: Any, output: Any) -> Any:
            if (block := _block(hook)) is not None:
                self._there[block] -= 1
            return free(hook, module, output)

        monkeypatch.setattr(AlignDevicesHook, "pre_forward", pre_forward)
        monkeypatch.setattr(AlignDevicesHook, "post_forward", post_forward)

    def since(self) -> set[int]:
        """How often the blocks were loaded since the last time, as a set: one number where it is the same for all."""
        loads, self.loads = self.loads, Counter()
        return {loads[b] for b in range(3)}


def _block(hook: Any) -> int | None:
    """The block whose weights this hook is going to move."""
    if not hook.offload:
        return None
    found = re.match(r"model\.layers\.(\d+)\.", hook.weights_map.prefix)
    return int(found[1]) if found else None
