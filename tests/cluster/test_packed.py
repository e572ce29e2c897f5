"""Packed models: equal to the bit, tied where they were, and around the very arrays that they came with."""

from __future__ import annotations

import pickle
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from neuroal.cluster.packed import Packed, pack, unpack
from neuroal.cluster.worker import WorkerPool
from neuroal.models.loading import load
from neuroal.runs.run import run
from neuroal.runs.spec import RunSpec
from tests.runs.helpers import SMALL, weights_digest

if TYPE_CHECKING:
    from neuroal.models.loading import LanguageModel


@pytest.fixture(scope="module")
def lm(model_folder: Path) -> LanguageModel:
    return load(str(model_folder), device="cpu", dtype="float32")


def stored(packed: Packed) -> Packed:
    """As it comes out of an object store: the arrays apart from the rest, and read-only."""
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(packed, protocol=5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=[memoryview(bytes(b.raw())) for b in buffers])


def test_a_packed_model_is_equal_to_the_bit(lm: LanguageModel) -> None:
    far, ids = unpack(stored(pack(lm))), torch.arange(3, 40)[None]
    assert weights_digest(far.model) == weights_digest(lm.model)
    assert torch.equal(far.model(ids).logits, lm.model(ids).logits)
    assert far.info == lm.info and not far.model.training
    assert far.tokenizer("Once upon a time").input_ids == lm.tokenizer("Once upon a time").input_ids


def test_tied_weights_stay_tied_and_all_are_what_was_stored(lm: LanguageModel) -> None:
    packed = stored(pack(lm))
    assert not any(array.flags.writeable for array in packed.arrays)
    far = unpack(packed).model
    assert far.lm_head.weight is far.model.embed_tokens.weight
    where = {array.ctypes.data for array in packed.arrays}
    assert {t.data_ptr() for t in chain(far.parameters(), far.buffers())} <= where


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_passes(model_folder: Path, dtype: str) -> None:
    half = load(str(model_folder), device="cpu", dtype=dtype)
    far = unpack(stored(pack(half)))
    for (name, p), q in zip(half.model.named_parameters(), far.model.parameters(), strict=True):
        assert p.dtype == q.dtype == getattr(torch, dtype) and torch.equal(p, q), name


def test_each_tensor_is_packed_once_and_the_stack_is_not(lm: LanguageModel) -> None:
    assert lm.stack
    packed = pack(lm)
    assert "stack" not in vars(unpack(packed))
    tensors = {id(t): t for t in chain(lm.model.parameters(), lm.model.buffers())}.values()
    assert sum(array.nbytes for array in packed.arrays) < 1.01 * sum(t.numel() * t.element_size() for t in tensors)


@pytest.mark.parametrize("settings", [{"step": "both"}, {"pruner": "sparsegpt", "reconstruct": True}], ids=str)
def test_a_run_writes_to_none_of_the_arrays(lm: LanguageModel, settings: dict[str, object]) -> None:
    packed = stored(pack(lm))
    before = [array.copy() for array in packed.arrays]
    spec, pool = RunSpec(model="far", **{**SMALL, **settings}), WorkerPool()
    pool.offer((spec.model, spec.revision, spec.dtype), packed)
    assert type(list(run(spec, pool=pool))[-1]).__name__ == "RunFinished"
    assert all(np.array_equal(a, b) for a, b in zip(packed.arrays, before, strict=True))


def test_a_worker_builds_a_model_once_and_again_where_another_one_comes_by_its_name(lm: LanguageModel) -> None:
    pool, key = WorkerPool(), ("far", None, "auto")
    first = pack(lm)
    pool.offer(key, first)
    built = pool.get("far")
    pool.offer(key, first)
    assert pool.get("far") is built
    pool.offer(key, pack(lm))
    assert pool.get("far") is not built
