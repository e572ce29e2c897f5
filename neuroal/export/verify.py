"""Trusted only once tried: an exported model is loaded again, and compared bit for bit with the one it was made of."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neuroal.background import in_background, mapped
from neuroal.errors import UserError
from neuroal.evaluation.encoding import bits_of
from neuroal.evaluation.footprint import parameter_names
from neuroal.export.events import ExportStep
from neuroal.export.provenance import Provenance
from neuroal.export.source import Source
from neuroal.masks import true_entries
from neuroal.models.building import BUILDING
from neuroal.models.cache import scratch
from neuroal.models.memory import machine_memory
from neuroal.models.placement import blocks_on_disk
from neuroal.residence import execution_device, is_offloaded, read_parameter
from neuroal.twin import skeleton

log = logging.getLogger(__name__)

PROMPT = "The sea was calm that morning, and 12 boats lay in the harbour."
MOST_TOKENS = 16

CHECKING = "Loading it again and comparing every weight."

MISMATCH = "The exported model is not the one it was made of, so it is not offered: {}. Please report this."
UNREADABLE = "transformers cannot load it again"

# Of the free memory, what a second copy of the model may take; a larger one is compared with its blocks on disk.
SHARE = 0.8


def iter_verify(
    source: Source,
    known: Provenance,
    folder: Path,
    options: Mapping[str, Any] | None = None,
    refusal: str = MISMATCH,
) -> Generator[ExportStep, None, str]:
    """Loads ``folder`` through plain transformers and compares; returns a sentence about what was compared.

    Args:
        options: further ones of ``from_pretrained``.
        refusal: what is said where it differs, with a place for in what.

    Raises:
        UserError: it cannot be loaded, or differs.
    """

    def compare(*_: Any) -> str:
        try:
            with reloaded(source.model, folder, options or {}) as (model, report):
                return compared(source, known, model, report)
        except Differs as difference:
            raise UserError(refusal.format(difference)) from difference

    yield ExportStep("check", CHECKING)
    return (yield from mapped(in_background("verify", compare, join=True), lambda _: ExportStep("check", CHECKING)))


class Differs(Exception):
    """What was loaded is not the original; the message says in what, as a part of a sentence."""


@contextmanager
def reloaded(original: nn.Module, folder: Path, options: Mapping[str, Any]) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """What anybody who loads the checkpoint gets, on the device of the original, and transformers' report."""
    from transformers import AutoModelForCausalLM

    device = execution_device(original)
    with scratch(folder.parent) as aside:
        where = dict(options)
        if "gguf_file" not in where:
            where |= _placement(original, device, aside)
        try:
            with BUILDING:
                model, report = AutoModelForCausalLM.from_pretrained(
                    folder,
                    output_loading_info=True,
                    local_files_only=True,
                    trust_remote_code=False,
                    attn_implementation=getattr(original.config, "_attn_implementation", None),
                    **{"dtype": "auto"} | where,
                )
        except (OSError, ValueError, RuntimeError, KeyError, NotImplementedError) as error:
            log.warning("An export could not be loaded again", exc_info=error)
            raise Differs(UNREADABLE) from error
        if "device_map" not in where:
            model = model.to(device)
        yield model.eval(), report
        del model


def _placement(original: nn.Module, device: torch.device, aside: Path) -> dict[str, Any]:
    """Where the copy goes: to the device of the original; its blocks on disk where two do not fit."""
    needed = sum(p.numel() * p.element_size() for p in original.parameters())
    if is_offloaded(original) or needed > SHARE * machine_memory(str(device)).free:
        return {"device_map": blocks_on_disk(original, device), "offload_folder": str(aside)}
    return {} if device.type == "cpu" else {"device_map": {"": device}}


@torch.no_grad()
def compared(source: Source, known: Provenance, model: nn.Module, report: Mapping[str, Any]) -> str:
    """Compares what was loaded with the original.

    Raises:
        Differs: from it.
    """
    for name in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if found := sorted(map(str, report.get(name) or ())):
            raise Differs(f"{len(found)} {name.replace('_', ' ')}, the first is {found[0]}")
    names = parameter_names(source.model)
    if other := set(names) ^ set(parameter_names(model)):
        raise Differs(f"only one of them has {min(other)}")
    for name in names:
        before, after = (read_parameter(each, name) for each in (source.model, model))
        if not same_bits(before, after):
            raise Differs(f"the weight {name} differs")
    for each in known.linears:
        weight = read_parameter(model, f"{each.path}.weight")
        if weight.numel() - true_entries(weight != 0) != each.zeros:
            raise Differs(f"{each.path} has another number of zeros")
    ids = prompt_ids(source)
    if not same_bits(logits(source.model, ids), logits(model, ids)):
        raise Differs("it answers a prompt otherwise")
    return (
        f"Checked: loaded again through transformers with no weight missing or unexpected; all {len(names):,} tensors, "
        f"the zeros of all {len(known.linears):,} pruned linears and the logits of {ids.shape[1]} tokens are equal bit "
        "for bit."
    )


def prompt_ids(source: Source) -> Tensor:
    """int64 [1, tokens]: a short prompt, ids within the vocabulary."""
    vocabulary = source.model.get_input_embeddings().num_embeddings
    ids = [i for i in source.tokenizer(PROMPT)["input_ids"] if i < vocabulary][:MOST_TOKENS]
    return torch.tensor([ids or [0, min(1, vocabulary - 1)]])


@torch.no_grad()
def logits(model: nn.Module, ids: Tensor) -> Tensor:
    """[1, tokens, vocabulary], by module objects of our own: others may be using the model."""
    own = skeleton(model).eval()
    return own(input_ids=ids.to(execution_device(own)), use_cache=False).logits.cpu()


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors have the same shape, type and bits: a NaN is equal to itself, 0 is not -0."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return bool(np.array_equal(bits_of(a), bits_of(b)))
