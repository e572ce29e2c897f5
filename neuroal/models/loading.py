"""Loading: a name becomes a model that is complete, frozen, and where it should be; or a sentence why not."""

from __future__ import annotations

import logging
import pickle
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from neuroal.errors import UserError, is_out_of_memory
from neuroal.models.building import BUILDING
from neuroal.models.cache import data_folder, scratch
from neuroal.models.checkpoint import Unreadable
from neuroal.models.containment import refuse_what_leads_out
from neuroal.models.facts import ModelFacts, inspect, measure
from neuroal.models.locate import Located, discard_damaged, locate
from neuroal.models.memory import machine_memory
from neuroal.models.placement import WHOLE, choose_placement, offload_notice, placement_options
from neuroal.models.precision import pick_device, pick_dtype
from neuroal.models.progress import Say, quiet
from neuroal.residence import is_offloaded, when_gone

if TYPE_CHECKING:
    from neuroal.blocks import DecoderStack

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelInfo(ModelFacts):
    """The facts, counted on the loaded model, and how it was loaded.

    Attributes:
        source: a phrase for a person, as in :class:`neuroal.models.locate.Located`.
        folder: the checkpoint's folder on this machine; not for showing to strangers.
        dtype, device: such as "float32" and "cpu".
        seconds: from the call to the model, a download included.
        notices: what a person should know: weights that were ignored, or come from a quantised copy.
    """

    source: str
    folder: str
    dtype: str
    device: str
    seconds: float
    notices: tuple[str, ...]


@dataclass(frozen=True)
class LanguageModel:
    """A loaded model with its tokenizer. The model is in eval mode and takes no gradients; treat it as read-only.

    Attributes:
        model, tokenizer: of transformers.
        info: facts about it, such as ``blocks``, ``parameters``, ``dtype`` and ``notices``.

    Example:
        >>> lm = neuroal.load("tiny")
        >>> len(lm.stack) == lm.info.blocks, lm.info.dtype
        (True, 'float32')
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    info: ModelInfo

    @cached_property
    def stack(self) -> DecoderStack:
        """The model as a stack of decoder blocks, made when first asked for."""
        from neuroal.blocks import DecoderStack

        return DecoderStack(self.model)


def load(
    name: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    revision: str | None = None,
    say: Say | None = None,
    token: str | None = None,
    attn_implementation: str | None = None,
) -> LanguageModel:
    """Loads a causal language model; code that comes with a model is never run.

    Args:
        name: a name of the menu, a Hub id, or a local folder.
        device: "auto" (CUDA, then MPS, then CPU; what does not fit is offloaded), a device of torch, "offload" (spread
            by accelerate over GPUs, main memory and disk), or "disk" (every decoder block is on disk).
        dtype: "auto" (float32, on CUDA half precision), "float32", "bfloat16" or "float16".
        revision: branch, tag or commit on the Hub.
        say: takes plain sentences about downloads and conversions.
        token: for the Hub; None for HF_TOKEN or the login of huggingface_hub.
        attn_implementation: of transformers; None for its default.

    Returns:
        The model, its tokenizer, and facts about it.

    Raises:
        UserError: it cannot be had, is not a causal language model, is incomplete or damaged, or does not fit.

    Example:
        >>> lm = neuroal.load("tiny", device="cpu", dtype="float32")
        >>> type(lm.model).__name__, lm.info.blocks
        ('LlamaForCausalLM', 8)
    """
    say = say or quiet

    def once() -> LanguageModel:
        return _load(name, device, dtype, revision, say, token, attn_implementation)

    try:
        return once()
    except Unreadable as refusal:
        if not discard_damaged(name, revision):
            raise
        log.warning("%s", refusal)
    say(f"The copy of {name} on this machine is damaged; it is fetched again.")
    lm = once()
    notice = f"The copy of {name} on this machine was damaged, so it was fetched again."
    return replace(lm, info=replace(lm.info, notices=(*lm.info.notices, notice)))


def _load(
    name: str,
    device: str,
    dtype: str,
    revision: str | None,
    say: Say,
    token: str | None,
    attn_implementation: str | None,
) -> LanguageModel:
    started = time.perf_counter()
    on = pick_device(device)
    precision = pick_dtype(dtype, on)
    facts = inspect(name, revision, token, must_fit=False)
    placement = choose_placement(facts, device, machine_memory(str(on)), precision.itemsize)
    located = locate(name, revision, token=token, say=say)
    located.check()
    refuse_what_leads_out(located.folder, name)
    tokenizer = _load_tokenizer(located, name)
    where = placement_options(placement, facts, located.folder / "config.json", on, precision.itemsize)
    options = {"attn_implementation": attn_implementation} if attn_implementation else {}
    with ExitStack() as aside:
        if placement != WHOLE:
            where["offload_folder"] = str(aside.enter_context(scratch(data_folder() / "offload")))
        model, report = _load_model(located, name, precision, where, options)
        if is_offloaded(model):
            when_gone(model, aside.pop_all().close)
    model.eval().requires_grad_(False)
    counted = measure(model, name, located.revision or revision, gated=facts.gated)
    info = ModelInfo(
        **vars(counted),
        source=located.source,
        folder=str(located.folder),
        dtype=str(precision).removeprefix("torch."),
        device=str(on),
        seconds=time.perf_counter() - started,
        notices=(*located.notices, *_refuse_incomplete(report, name), *offload_notice(model, name)),
    )
    return LanguageModel(model, tokenizer, info)


def _load_tokenizer(located: Located, name: str) -> PreTrainedTokenizerBase:
    try:
        return AutoTokenizer.from_pretrained(located.folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a tokenizer's files can be wrong in as many ways as there are tokenizers
        raise Unreadable(
            f"The tokenizer of {name} cannot be loaded; save it beside the weights, or choose another model."
        ) from error


def _load_model(
    located: Located, name: str, dtype: torch.dtype, where: Mapping[str, Any], options: Mapping[str, Any]
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """The model and transformers' report of the keys that did not match.

    Weights go straight to an accelerator, without a copy in main memory first. Sizes that differ are let through here
    because the report names them, which the exception would not.
    """
    try:
        with BUILDING:
            return AutoModelForCausalLM.from_pretrained(
                located.folder,
                dtype=dtype,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                local_files_only=True,
                trust_remote_code=False,
                weights_only=True,
                **where,
                **options,
            )
    except UserError:
        raise
    except Exception as error:  # safetensors, torch and transformers each have their own; all are told apart below
        log.warning("Loading %s failed", name, exc_info=error)
        kind = UserError if is_out_of_memory(error) else Unreadable
        raise kind(_sentence(error, name, options)) from error


def _sentence(error: BaseException, name: str, options: Mapping[str, Any]) -> str:
    """Why the weights could not be loaded."""
    said = str(error).lower()
    if is_out_of_memory(error):
        return f"There is not enough memory for {name}; choose a smaller model or half precision, or free some memory."
    if isinstance(error, pickle.UnpicklingError) or "weights_only" in said or "weights only" in said:
        return (
            f"The weights of {name} are a pickle that is damaged or wants to run code, which is never done here; "
            "choose a copy with safetensors."
        )
    if options and ("attn" in said or "attention" in said):
        return f"{name} cannot run with attention {options['attn_implementation']!r}; leave it at the default."
    return f"The weights of {name} are damaged or incomplete and cannot be read; download or save them again."


def _refuse_incomplete(report: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Refuses a model with weights made up at random; returns a notice about weights that were not used.

    transformers itself only warns of missing weights, and goes on with random ones. Tied weights are not missing.
    """
    missing = sorted(report["missing_keys"])
    if missing:
        raise Unreadable(
            f"{name} is incomplete: {len(missing)} weights are missing, the first is {missing[0]}; "
            "download or save the model again."
        )
    wrong = sorted(str(key[0] if isinstance(key, tuple) else key) for key in report["mismatched_keys"])
    if wrong:
        raise Unreadable(
            f"{name} does not match its config.json: {len(wrong)} weights have another shape, the first is {wrong[0]}; "
            "download or save the model again."
        )
    unused = sorted(report["unexpected_keys"])
    if not unused:
        return ()
    return (f"{len(unused)} tensors of the checkpoint do not belong to the model and were ignored: {unused[0]} ...",)
