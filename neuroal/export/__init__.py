"""Take it away: a pruned model as a checkpoint, a zip, a sparse file or a GGUF file, each checked before it is there.

    source = neuroal.export.of_run(workshop, run_id)            # or of_model(model, tokenizer)
    exported = neuroal.export.export(source, "sparse", "SmolLM2-60.sparse.zip")
    neuroal.export.decode(exported.path, "SmolLM2-60")          # the very same files, anywhere

``iter_export``, ``iter_decode`` and ``iter_push`` are the same as generators of events; closing one leaves nothing
behind. Everything is loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from neuroal.export.forms import FORMS, ONNX, Form, find_form

if TYPE_CHECKING:
    from neuroal.export.decoding import decode, iter_decode
    from neuroal.export.make import Exported, export, iter_export
    from neuroal.export.pushing import Pushed, iter_push, push
    from neuroal.export.source import Source, of_model, of_run

_HOMES = {
    "Exported": "make",
    "Pushed": "pushing",
    "Source": "source",
    "decode": "decoding",
    "export": "make",
    "iter_decode": "decoding",
    "iter_export": "make",
    "iter_push": "pushing",
    "of_model": "source",
    "of_run": "source",
    "push": "pushing",
}

__all__ = [
    "FORMS",
    "ONNX",
    "Exported",
    "Form",
    "Pushed",
    "Source",
    "decode",
    "export",
    "find_form",
    "iter_decode",
    "iter_export",
    "iter_push",
    "of_model",
    "of_run",
    "push",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'neuroal.export' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"neuroal.export.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
