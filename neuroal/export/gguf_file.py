"""A GGUF file for llama.cpp, through llama.cpp's own writer; read back in two ways before it is offered."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neuroal.background import in_background, mapped
from neuroal.errors import UserError
from neuroal.export.card import LICENCES
from neuroal.export.checkpoint import checkpoint_bytes, unmarked
from neuroal.export.events import ExportStep
from neuroal.export.gguf_layout import REFUSED, Layout, layout_of, stored
from neuroal.export.gguf_tokens import same_tokens, write_tokens
from neuroal.export.provenance import Provenance
from neuroal.export.source import Source
from neuroal.export.verify import UNREADABLE, iter_verify
from neuroal.residence import read_parameter

DIFFERENT = REFUSED.format("what is read back from the file is not the same, {}")

CONVERTING = "Writing the tensors in the order that llama.cpp keeps them in."

# gguf's names of types, and of the file of such tensors, by torch's.
TYPES = {
    torch.float32: ("F32", "ALL_F32"),
    torch.float16: ("F16", "MOSTLY_F16"),
    torch.bfloat16: ("BF16", "MOSTLY_BF16"),
}


def iter_gguf(source: Source, known: Provenance, aside: Path, target: Path) -> Generator[ExportStep, None, str]:
    """Writes and checks the file; returns a sentence about what was checked.

    Args:
        aside: an empty folder; ``target``: the file, its name ending in .gguf.

    Raises:
        UserError: llama.cpp has no such model, its tokenizer is of another kind, or what was written is not the same.
    """
    model = unmarked(source.model)
    layout = layout_of(model)
    if model.dtype not in TYPES:
        raise UserError(f"GGUF files of {model.dtype} weights are not made here; load the model in float32.")
    total, done = checkpoint_bytes(model), 0
    yield ExportStep("convert", CONVERTING, 0, total)
    with _writer(source, model, layout, aside, target) as writer:
        for name, parameter in layout.names.items():
            weight = read_parameter(model, parameter)
            writer.write_tensor_data(_numbers(stored(layout, name, weight.cpu())))
            done += weight.numel() * weight.element_size()
            yield ExportStep("convert", CONVERTING, done, total)
    count = yield from _iter_read(layout, target)
    checked = yield from iter_verify(source, known, target.parent, _reading(model, target), DIFFERENT)
    tokens = in_background("verify", lambda *_: _same_tokenizer(source, model, target), join=True)
    yield from mapped(tokens, lambda _: ExportStep("check", "Reading its tokenizer again."))
    return (
        f"{checked} gguf's own reader finds its {count} tensors; the tokenizer that is read from it cuts texts alike."
    )


@contextmanager
def _writer(source: Source, model: Any, layout: Layout, aside: Path, target: Path) -> Iterator[Any]:
    """A writer whose header is written, and that waits for the tensors in the order of the layout."""
    from gguf import GGUFWriter, LlamaFileType

    writer = GGUFWriter(target, layout.arch)
    try:
        writer.add_name(source.title)
        writer.add_file_type(LlamaFileType[TYPES[model.dtype][1]])
        if source.licence:
            writer.add_license(LICENCES.get(source.licence, source.licence))
        for key, value in layout.settings.items():
            _add(writer, f"{layout.arch}.{key}", value)
        write_tokens(writer, source.tokenizer, model.get_input_embeddings().num_embeddings, aside)
        for name, parameter in layout.names.items():
            _announce(writer, layout, name, model.get_parameter(parameter))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        yield writer
    finally:
        writer.close()


def _add(writer: Any, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, list(value))


def _announce(writer: Any, layout: Layout, name: str, parameter: Tensor) -> None:
    """Shape, type and bytes of a tensor; as ``_numbers`` will have them."""
    from gguf import GGMLQuantizationType

    shape = _shape(layout, name, parameter)
    dtype = torch.float32 if len(shape) < 2 else parameter.dtype
    kind = GGMLQuantizationType[TYPES[dtype][0]]
    plain = np.dtype(np.float32 if dtype == torch.float32 else np.float16)  # 2 bytes each, whatever they mean
    writer.add_tensor_info(name, shape, plain, parameter.numel() * dtype.itemsize, kind)


def _shape(layout: Layout, name: str, parameter: Tensor) -> tuple[int, ...]:
    """Of the tensor in the file: a matrix without content goes the same way as one with it."""
    if parameter.dim() < 2:
        return tuple(parameter.shape)
    return tuple(stored(layout, name, torch.empty(parameter.shape, dtype=torch.bool)).shape)


def _numbers(tensor: Tensor) -> np.ndarray:
    """Vectors in float32, which llama.cpp wants them in; matrices as they are, bfloat16 as its bits."""
    if tensor.dim() < 2:
        return tensor.float().contiguous().numpy()
    tensor = tensor.contiguous()
    return (tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _iter_read(layout: Layout, target: Path) -> Generator[ExportStep, None, int]:
    """What gguf's own reader finds; returns the number of tensors."""
    from gguf import GGUFReader

    reading = in_background("verify", lambda *_: {t.name for t in GGUFReader(target).tensors}, join=True)
    found = yield from mapped(reading, lambda _: ExportStep("check", "Reading the GGUF file again."))
    if found != set(layout.names):
        raise UserError(DIFFERENT.format("it holds other tensors"))
    return len(found)


def _reading(model: Any, target: Path) -> dict[str, Any]:
    """How transformers is told to read the file as ordinary weights."""
    from transformers import GgufConfig

    return {
        "gguf_file": target.name,
        "quantization_config": GgufConfig(dequantize=True),
        "dtype": model.dtype,
    }


def _same_tokenizer(source: Source, model: Any, target: Path) -> None:
    from transformers import AutoTokenizer

    try:
        read = AutoTokenizer.from_pretrained(target.parent, gguf_file=target.name, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(DIFFERENT.format(UNREADABLE)) from error
    same_tokens(source.tokenizer, read, model.get_input_embeddings().num_embeddings)
