"""How llama.cpp keeps a model: names, settings and the order of the numbers, all looked up, none of it known here.

Names come from the tables of the package gguf, settings from those by which transformers reads a GGUF file, and the
order of the numbers from what transformers does to a tensor that it reads: the reader is given the tensor's places
instead of its values, and where each of them lands is then undone. What cannot be found out so is refused.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neuroal.errors import UserError
from neuroal.evaluation.footprint import parameter_names

REFUSED = "This model cannot be exported as GGUF: {}. Take the folder and convert it with llama.cpp's own script."

TRIED = Path(__file__).resolve().parents[2] / "assets" / "gguf" / "tried.json"

# Where transformers' tables have a name that a configuration lacks.
OTHERWISE = {"context_length": "max_position_embeddings"}

# Settings that llama.cpp reads and transformers' tables may leave out.
HEADS = ("attention.key_length", "attention.value_length")

# Settings that are real numbers, also where a configuration has a whole one.
REAL = ("epsilon", "freq_base")

GIVEN_UP = (ImportError, NotImplementedError, KeyError, ValueError, TypeError, AttributeError, IndexError)


@dataclass(frozen=True)
class Layout:
    """What a GGUF file of a model holds beside its tokenizer.

    Attributes:
        arch: as gguf calls it.
        settings: by key without the architecture in front.
        names: of each tensor, from its name in the file to its name in the model.
        reader: transformers' own, that undoes the order of the numbers.
    """

    arch: str
    settings: dict[str, Any]
    names: dict[str, str]
    reader: Any = field(repr=False)


def layout_of(model: Any) -> Layout:
    """The layout of a model of transformers.

    Raises:
        UserError: its architecture, a setting or a tensor is not known to gguf or to transformers' reader.
    """
    try:
        from transformers.integrations.ggml import GGUF_CONFIG_MAPPING
        from transformers.modeling_gguf_pytorch_utils import TENSOR_PROCESSORS, TensorProcessor, get_gguf_hf_weights_map
    except ImportError as error:
        raise UserError(
            "GGUF needs the package gguf and a version of transformers that reads it: pip install gguf"
        ) from error

    config = model.config
    kind = config.model_type
    arch = _architecture(kind)
    if kind not in GGUF_CONFIG_MAPPING:
        raise UserError(REFUSED.format(f"transformers cannot read back the type {kind!r}, so it could not be checked"))
    _refuse_special(config, GGUF_CONFIG_MAPPING[kind])
    asked = {key: name for key, name in GGUF_CONFIG_MAPPING[kind].items() if name}
    values = {key: _setting(config, name, key) for key, name in asked.items()}
    read = {asked[key]: value for key, value in values.items() if value is not None}
    reader = TENSOR_PROCESSORS.get(arch, TensorProcessor)(config=read)
    try:
        found = get_gguf_hf_weights_map(model, reader)
    except GIVEN_UP as error:
        raise UserError(REFUSED.format(f"gguf has no names for the type {kind!r}")) from error
    names = _complete(found, model)
    return Layout(arch, _settings(values, model, names), names, reader)


def tried() -> dict[str, dict[str, Any]]:
    """By architecture, how close llama.cpp itself came to transformers with a file made here.

    transformers reads a file back by its own tables, so that what llama.cpp needs beside them would not be missed. The
    record is made by tests/benchmarks/record_gguf.py.
    """
    return json.loads(TRIED.read_text(encoding="utf-8"))["architectures"]


def _architecture(kind: str) -> str:
    """gguf's name of a model type; the two differ in hyphens and underscores at most."""
    from gguf import MODEL_ARCH_NAMES

    plain = {re.sub(r"[^a-z0-9]", "", name): name for name in MODEL_ARCH_NAMES.values()}
    found = kind if kind in MODEL_ARCH_NAMES.values() else plain.get(re.sub(r"[^a-z0-9]", "", kind.lower()))
    if found is None:
        raise UserError(REFUSED.format(f"its type {kind!r} is not among the architectures of gguf"))
    if found not in tried():
        raise UserError(REFUSED.format(f"llama.cpp was not seen to answer alike for the type {kind!r}"))
    return found


def _refuse_special(config: Any, known: dict[str, Any]) -> None:
    """What changes long texts only would not be seen when a short prompt is compared."""
    rope = getattr(config, "rope_parameters", None) or {}
    if not isinstance(rope, dict) or rope.get("rope_type", "default") != "default":
        raise UserError(REFUSED.format("its rotary embedding is scaled, which could not be checked"))
    sliding = "sliding_attention" in (getattr(config, "layer_types", None) or ())
    if sliding and "attention.sliding_window" not in known:
        raise UserError(REFUSED.format("some of its layers see a window only, which could not be checked"))


def _setting(config: Any, name: str, key: str) -> Any:
    """The value of a setting by its name in transformers; None where the configuration has none."""
    found = getattr(config, name, None)
    if found is None and name == "rope_theta":
        found = (getattr(config, "rope_parameters", None) or {}).get(name)
    if found is None and key in OTHERWISE:
        found = getattr(config, OTHERWISE[key], None)
    return found


def _settings(values: dict[str, Any], model: Any, names: dict[str, str]) -> dict[str, Any]:
    """With what can be seen on the tensors where the configuration does not say it."""
    found = {key: float(v) if key.endswith(REAL) else v for key, v in values.items() if v is not None}
    if "feed_forward_length" not in found:
        up = names.get("blk.0.ffn_up.weight")
        if up:  # stored [in, out] or [out, in]: the other side is the hidden size
            hidden = model.get_input_embeddings().weight.shape[1]
            sides = [n for n in model.get_parameter(up).shape if n != hidden] or [hidden]
            found["feed_forward_length"] = sides[0]
    width = getattr(model.config, "head_dim", None)
    return found | (dict.fromkeys(HEADS, width) if isinstance(width, int) else {})


def _complete(found: dict[str, str], model: nn.Module) -> dict[str, str]:
    """Tensors of the file, one for each parameter of the model; tied ones once."""
    wanted = parameter_names(model)
    names = {name: parameter for name, parameter in found.items() if parameter in set(wanted)}
    several = [p for p, n in Counter(names.values()).items() if n > 1]
    missing = sorted(set(wanted) - set(names.values()))
    if missing or several:
        raise UserError(REFUSED.format(f"gguf has no name of its own for {(missing or several)[0]}"))
    return names


def stored(layout: Layout, name: str, weight: Tensor) -> Tensor:
    """A tensor as the file keeps it: what the reader will turn back into ``weight``, for the same numbers.

    Args:
        name: in the file.

    Raises:
        UserError: the reader computes with the numbers instead of only moving them.
    """
    for shape in dict.fromkeys((tuple(weight.shape), tuple(reversed(weight.shape)))):
        if _is_left_alone(layout, name, shape):
            return weight
        places = np.arange(weight.numel()).reshape(shape)
        read = _read(layout, name, places)
        if read is not None and read.shape == tuple(weight.shape) and _only_moves(read):
            flat = np.empty(weight.numel(), np.int64)
            flat[read.reshape(-1)] = np.arange(weight.numel())  # where each place of the file comes from
            return weight.reshape(-1)[torch.from_numpy(flat)].reshape(shape)
    raise UserError(REFUSED.format(f"llama.cpp keeps {name} as other numbers, which could not be checked bit for bit"))


def _is_left_alone(layout: Layout, name: str, shape: tuple[int, ...]) -> bool:
    """Whether the reader passes a tensor of this shape through; asked without memory for one."""
    probe = np.broadcast_to(np.int64(0), shape)
    return _read(layout, name, probe) is probe


def _read(layout: Layout, name: str, numbers: np.ndarray) -> np.ndarray | None:
    """What the reader makes of a tensor of the file; None where it cannot be one."""
    try:
        read = layout.reader.process(numbers, name, parsed_parameters={"tensors": {}}, tensor_key_mapping=layout.names)
    except GIVEN_UP:
        return None
    return read.weights


def _only_moves(places: np.ndarray) -> bool:
    """Whether each place is there exactly once."""
    flat = places.reshape(-1)
    if not np.issubdtype(flat.dtype, np.integer) or not flat.size or flat.min() < 0 or flat.max() >= flat.size:
        return False
    return bool(np.bincount(flat, minlength=flat.size).max() == 1)
