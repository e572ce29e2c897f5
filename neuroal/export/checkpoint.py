"""The checkpoint: what ``save_pretrained`` writes, without this machine's traces; card and allocation beside it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from neuroal.background import in_background, mapped
from neuroal.errors import UserError
from neuroal.evaluation.footprint import parameter_names
from neuroal.export.card import model_card
from neuroal.export.events import ExportStep
from neuroal.export.provenance import Provenance
from neuroal.export.source import Source
from neuroal.residence import is_offloaded, read_parameter
from neuroal.twin import skeleton

# A save cannot be stopped within a file, and one is in memory as a whole where weights are offloaded.
SHARD = "2GB"

CARD, ALLOCATION, SPEC = "README.md", "allocation.json", "spec.json"

# What transformers notes in tokenizer_config.json about the machine that it was saved on.
TRACES = ("name_or_path", "is_local", "local_files_only")

WRITING = "Writing the checkpoint."


def iter_checkpoint(source: Source, provenance: Provenance, folder: Path) -> Generator[ExportStep, None, None]:
    """Writes the checkpoint into ``folder``, which is there and empty. Closing this waits for the file being written.

    Raises:
        UserError: its weights are quantised, or transformers cannot save this model.
    """
    total = checkpoint_bytes(source.model)
    yield ExportStep("write", WRITING, 0, total)

    def tell(_: Any) -> ExportStep:
        written = sum(file.stat().st_size for file in folder.iterdir())
        return ExportStep("write", WRITING, min(written, total), total)

    yield from mapped(in_background("export", lambda *_: save(source, folder), join=True), tell)
    (folder / CARD).write_text(model_card(source, provenance), encoding="utf-8")
    (folder / ALLOCATION).write_text(json.dumps(provenance.to_dict(), indent=1), encoding="utf-8")
    if source.spec:
        (folder / SPEC).write_text(json.dumps(source.spec, indent=1), encoding="utf-8")
    yield ExportStep("write", WRITING, total, total)


@torch.no_grad()
def save(source: Source, folder: Path) -> None:
    """``save_pretrained`` of model and tokenizer; the model itself is left as it is.

    Raises:
        UserError: as :func:`iter_checkpoint`.
    """
    model = unmarked(source.model)
    model.config._name_or_path = source.repo_id or source.base
    try:
        model.save_pretrained(folder, max_shard_size=SHARD, **offloaded_state(model))
        source.tokenizer.save_pretrained(folder)
    except OSError:
        raise  # a full disk is told by whoever made the folder
    except Exception as error:
        raise UserError(f"transformers cannot save this model as a checkpoint: {_brief(error)}") from error
    clean_tokenizer(folder)
    for weights in folder.glob("*.safetensors"):  # written for this account alone, unlike the rest
        shutil.copymode(folder / "config.json", weights)


def unmarked(model: nn.Module) -> Any:
    """The model around the same weights, no longer marked as quantised where its weights are plain numbers.

    What transformers reads from a GGUF file is full numbers, but marked, and a marked model cannot be saved.

    Raises:
        UserError: its weights are really quantised.
    """
    found: Any = skeleton(model).eval()
    if getattr(found, "is_quantized", False) or getattr(found, "hf_quantizer", None) is not None:
        if any(type(p) is not nn.Parameter or not p.is_floating_point() for p in found.parameters()):
            raise UserError("This model is quantised; only full-precision weights can be exported. Load its original.")
        found.is_quantized, found.hf_quantizer = False, None
        for name in ("quantization_config", "_pre_quantization_dtype"):
            if hasattr(found.config, name):
                delattr(found.config, name)
    return found


class _Fetched(dict):  # type: ignore[type-arg]
    """A state dict that fetches a weight that is kept elsewhere when it is taken out to be written."""

    model: nn.Module

    def pop(self, name: str, *otherwise: Any) -> Any:
        """As of a dict."""
        found = super().pop(name, *otherwise)
        return read_parameter(self.model, name) if found.device.type == "meta" else found


def offloaded_state(model: Any) -> dict[str, Any]:
    """Arguments of ``save_pretrained`` for a model whose weights are kept elsewhere; none for any other.

    transformers itself looks at one kind of hook, not at all that accelerate has, and takes tied weights for two.
    """
    if not is_offloaded(model):
        return {}
    model.hf_device_map = {"": "disk"}  # of our own copy; it makes transformers write file by file
    names = set(parameter_names(model)) | {name for name, _ in model.named_buffers()}
    state = _Fetched((name, tensor) for name, tensor in model.state_dict().items() if name in names)
    state.model = model
    return {"state_dict": state}


def checkpoint_bytes(model: nn.Module) -> int:
    """Bytes of the parameters, tied ones once; small files and headers come on top."""
    parameters = dict(model.named_parameters())
    return sum(parameters[name].numel() * parameters[name].element_size() for name in parameter_names(model))


def clean_tokenizer(folder: Path) -> None:
    """Takes what the tokenizer's configuration says about this machine out of it."""
    path = folder / "tokenizer_config.json"
    if not path.exists():
        return
    values = json.loads(path.read_text(encoding="utf-8"))
    kept = {name: value for name, value in values.items() if name not in TRACES}
    path.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _brief(error: Exception) -> str:
    """The first line of what a library says, ended by a full stop."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return line if line.endswith(".") else f"{line}."
