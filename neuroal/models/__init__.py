"""Where a model comes from, whether it fits, how it is loaded.

What the page needs at start-up (the menu, the memory, the data folder) is imported at once and is light; what needs
torch and transformers is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from neuroal.models.cache import data_folder
from neuroal.models.memory import Memory, fits, machine_memory, needed_bytes
from neuroal.models.menu import MENU, MenuEntry, describe, find_entry

if TYPE_CHECKING:
    from neuroal.models.facts import ModelFacts, check_fits, inspect, measure
    from neuroal.models.loading import LanguageModel, ModelInfo, load
    from neuroal.models.locate import Located, locate

_LAZY = {
    "Located": "locate",
    "locate": "locate",
    "ModelFacts": "facts",
    "check_fits": "facts",
    "inspect": "facts",
    "measure": "facts",
    "LanguageModel": "loading",
    "ModelInfo": "loading",
    "load": "loading",
}

__all__ = [
    "MENU",
    "LanguageModel",
    "Located",
    "Memory",
    "MenuEntry",
    "ModelFacts",
    "ModelInfo",
    "check_fits",
    "data_folder",
    "describe",
    "find_entry",
    "fits",
    "inspect",
    "load",
    "locate",
    "machine_memory",
    "measure",
    "needed_bytes",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
