"""What a model is, from its configuration alone: before any weight is downloaded or loaded.

The model is built on the meta device, where tensors have shapes but no memory, and counted there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PretrainedConfig
from transformers import __version__ as transformers_version
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_MAPPING_NAMES,
)

from neuroal.blocks import find_blocks, find_linears
from neuroal.errors import UserError
from neuroal.models.building import BUILDING
from neuroal.models.checkpoint import Unreadable
from neuroal.models.containment import refuse_foreign_code
from neuroal.models.hub import CONFIG_BYTES
from neuroal.models.locate import discard_damaged, locate_config
from neuroal.models.memory import Memory, fits, gigabytes, machine_memory, needed_bytes, needed_offloaded
from neuroal.models.precision import DISK, SPREAD, pick_device, pick_dtype

_DECODERS = "choose a decoder-only text model such as SmolLM2 or GPT-2"
_CONTEXT_NAMES = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")


@dataclass(frozen=True)
class ModelFacts:
    """A causal language model in figures.

    Attributes:
        name: as it was asked for.
        revision: as it was asked for, or the commit once it is loaded; None for the newest.
        architecture: the class of transformers that runs it.
        parameters: all weights, tied ones once.
        prunable: weights of the linears inside the decoder blocks.
        blocks: decoder blocks.
        hidden: hidden size.
        context: longest context in tokens; None where the configuration does not say.
        tied: whether input and output embeddings are one tensor.
        gated: whether the Hub asks for an accepted licence.
        linears: names of the prunable linears within a block, in registration order.
    """

    name: str
    revision: str | None
    architecture: str
    parameters: int
    prunable: int
    blocks: int
    hidden: int
    context: int | None
    tied: bool
    gated: bool
    linears: tuple[str, ...]


def inspect(
    name: str,
    revision: str | None = None,
    token: str | None = None,
    *,
    device: str = "auto",
    dtype: str = "auto",
    must_fit: bool = True,
) -> ModelFacts:
    """The facts of a model, or a sentence why it cannot be used here. No weight is loaded or downloaded.

    Args:
        name: a name of the menu, a Hub id, or a local folder.
        revision, token: for the Hub.
        device, dtype: where and how it would be loaded; they decide whether it fits.
        must_fit: refuse a model that this machine could not hold even when nothing else runs.

    Raises:
        UserError: not found; not a causal language model; needs code of its own; quantised; too large.
    """
    described = locate_config(name, revision, token=token)
    try:
        model = empty_model(described.config, name)
    except Unreadable:
        if not discard_damaged(name, revision):
            raise
        described = locate_config(name, revision, token=token)
        model = empty_model(described.config, name)
    facts = measure(model, name, revision, gated=bool(described.gated))
    if must_fit:
        on = pick_device(device)
        bytes_each, memory = pick_dtype(dtype, on).itemsize, machine_memory(str(on))
        check_fits(facts, memory, bytes_each, whole=True, offloaded=device in ("auto", SPREAD, DISK))
    return facts


def measure(model: nn.Module, name: str, revision: str | None = None, *, gated: bool = False) -> ModelFacts:
    """Counts a model of transformers, on whatever device it is, meta included.

    Raises:
        UserError: it has no stack of decoder blocks with linears in it.
    """
    path, stack = find_blocks(model)
    linears = [find_linears(f"{path}.{b}", block) for b, block in enumerate(stack)]
    prunable = sum(linear.module.weight.numel() for block in linears for linear in block)
    if not prunable:
        raise UserError(f"No prunable linear was found in the decoder blocks of {name}; choose another model.")
    text = model.config.get_text_config()
    lengths = (getattr(text, attribute, None) for attribute in _CONTEXT_NAMES)
    return ModelFacts(
        name=name,
        revision=revision,
        architecture=type(model).__name__,
        parameters=sum(p.numel() for p in model.parameters()),
        prunable=prunable,
        blocks=len(stack),
        hidden=int(text.hidden_size),
        context=next((n for n in lengths if isinstance(n, int) and n > 0), None),
        tied=_is_tied(model),
        gated=gated,
        linears=tuple(dict.fromkeys(linear.name for block in linears for linear in block)),
    )


def check_fits(
    facts: ModelFacts, memory: Memory, dtype_bytes: int, *, whole: bool = False, offloaded: bool = False
) -> None:
    """Refuses a model for which there is no memory.

    Args:
        facts: what to hold: the dense model, its sparse twin, and room to work.
        memory: of the device it would be on.
        dtype_bytes: bytes of one weight.
        whole: compare with all there is rather than with what is free now.
        offloaded: its decoder blocks may be kept elsewhere.

    Raises:
        UserError: it does not fit.
    """
    needed = needed_bytes(facts.parameters, dtype_bytes, facts.prunable / facts.parameters)
    least = needed_offloaded(facts.parameters, facts.prunable, facts.blocks, dtype_bytes) if offloaded else needed
    if not fits(min(needed, least), memory, whole=whole):
        have = f"this machine has {gigabytes(memory.total)}" if whole else f"only {gigabytes(memory.free)} are free"
        half = " or half precision" if dtype_bytes > 2 else ""
        raise UserError(
            f"{facts.name} needs about {gigabytes(needed)} of memory with its pruned twin, but {have}; "
            f"choose a smaller model{half}."
        )


def _read_config(source: Path | Mapping[str, Any], name: str) -> PretrainedConfig:
    """The configuration as its class in transformers; code that comes with a model is never run."""
    if isinstance(source, Path):
        try:
            if source.stat().st_size > CONFIG_BYTES:
                raise ValueError("a configuration of many megabytes")
            source = json.loads(source.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise Unreadable(f"The config.json of {name} cannot be read; download or save the model again.") from error
    kind = source.get("model_type") if isinstance(source, Mapping) else None
    if not isinstance(kind, str):
        raise UserError(f"The config.json of {name} names no model type, so it cannot be loaded; choose another model.")
    if kind not in CONFIG_MAPPING:
        if source.get("auto_map"):
            raise UserError(f"{name} needs Python code that comes with it, which is never run here; {_DECODERS}.")
        raise UserError(
            f"Model type {kind!r} of {name} is unknown to transformers {transformers_version}; "
            "update transformers or choose another model."
        )
    if source.get("quantization_config"):
        raise UserError(f"{name} is quantised, and only full-precision weights can be pruned; choose its original.")
    refuse_foreign_code(source, name)
    try:
        return CONFIG_MAPPING[kind].from_dict(dict(source))
    except Exception as error:  # configuration classes validate in many ways
        raise UserError(f"The config.json of {name} is not valid for model type {kind!r}; choose another.") from error


def empty_model(source: Path | Mapping[str, Any], name: str) -> nn.Module:
    """The model of a config.json without memory, once it is sure that it is a causal language model.

    ``torch.device`` as a context holds for this thread only. accelerate's ``init_empty_weights`` would reach into the
    modules that other threads are making meanwhile, and float32 leaves their default precision as it is.
    """
    config = _read_config(source, name)
    if getattr(config, "is_encoder_decoder", False):
        raise UserError(f"{name} is an encoder-decoder model, not a causal language model; {_DECODERS}.")
    if not _is_causal(config):
        raise UserError(f"{name} is not a causal language model; {_DECODERS}.")
    try:
        with BUILDING, torch.device("meta"):
            return AutoModelForCausalLM.from_config(config, dtype=torch.float32, trust_remote_code=False)
    except UserError:
        raise
    except Exception as error:  # a configuration can be wrong in as many ways as there are model classes
        raise UserError(f"{name} cannot be built from its config.json by transformers; choose another.") from error


def _is_causal(config: PretrainedConfig) -> bool:
    """Whether transformers would load it as a causal language model and it was made as one.

    Encoders can be loaded as one as well, with a head of random weights; they are told by their other mapping, for
    masked language models, and by the class they were saved from.
    """
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        return False
    if config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(config, "is_decoder", False):
        return False
    mappings = (MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_MAPPING_NAMES)
    fitting = {_class_name(mapping.get(config.model_type)) for mapping in mappings}
    return not config.architectures or bool(fitting & set(config.architectures))


def _class_name(entry: str | tuple[str, ...] | None) -> str | None:
    """A mapping's entry is a class name, or several of which the first is meant."""
    return entry[0] if isinstance(entry, tuple) and entry else entry  # type: ignore[return-value]


def _is_tied(model: nn.Module) -> bool:
    read, written = model.get_input_embeddings(), model.get_output_embeddings()
    return read is not None and written is not None and read.weight is written.weight
