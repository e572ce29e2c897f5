"""The cost card as a whole: its figures are those of its parts, and its sentence follows from facts."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import LlamaForCausalLM

import neuroal
from neuroal.allocation import Allocation
from neuroal.api import drain
from neuroal.blocks import DecoderStack
from neuroal.errors import UserError
from neuroal.evaluation import cost
from neuroal.evaluation.cost import Cost, Memory, explained, iter_cost
from neuroal.evaluation.footprint import Footprint, iter_footprint
from neuroal.evaluation.semi_structured import Products
from neuroal.evaluation.throughput import Rate, Throughput
from neuroal.models.loading import LanguageModel
from neuroal.runs.events import Evaluated
from neuroal.twin import sparse_twin
from tests.offloaded import blocks_on_disk

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


def _pruned(lm: LanguageModel, **settings: Any) -> nn.Module:
    tokens = torch.randint(0, 2048, (2, 16))
    allocation: Allocation = neuroal.allocate(lm.model, tokens, pruner="magnitude", top_up="uniform", **settings)
    twin = sparse_twin(lm.model, allocation.sparsity)
    neuroal.prune(twin, tokens, allocation)
    return twin


@pytest.fixture(scope="module")
def twin(tiny: LanguageModel) -> nn.Module:
    return _pruned(tiny, sparsity=0.6)


@pytest.fixture(scope="module")
def card(tiny: LanguageModel, twin: nn.Module) -> Cost:
    return drain(iter_cost(tiny.model, twin, tiny.tokenizer, repeats=2))


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tokens read, one written."""
    monkeypatch.setattr(cost, "READ", 2)
    monkeypatch.setattr(cost, "WRITE", 1)


def test_the_parts(card: Cost, tiny: LanguageModel, twin: nn.Module) -> None:
    assert card.sizes == drain(iter_footprint(tiny.model, DecoderStack(twin)))
    assert (card.read, card.write) == (128, 32)
    for each in (card.dense, card.pruned):
        assert len(each.reading.trials) == len(each.writing.trials) == 2
    assert card.products == ()


def test_the_memory_by_arithmetic(card: Cost, tiny: LanguageModel) -> None:
    prunable = tiny.info.prunable
    buffers = sum(b.nbytes for b in tiny.model.buffers())
    both = 4 * tiny.info.parameters + buffers
    encoded = prunable // 8 + 4 * card.sizes.prunable_nonzeros + 4 * (tiny.info.parameters - prunable)
    assert card.memory == Memory(dense=both, pruned=both, twin=4 * prunable, encoded=encoded)


def test_the_card_is_plain_json(card: Cost) -> None:
    assert json.loads(json.dumps(dataclasses.asdict(card)))["sizes"]["weights"] == card.sizes.weights


def test_events_count_groups_trials_and_the_product(tiny: LanguageModel, twin: nn.Module, short: None) -> None:
    total = (1 + 8 + 1) + 2 * (1 + 1) + 1  # embedding, blocks, norm; a warm-up and a trial of both; the product
    events = list(iter_cost(tiny.model, twin, tiny.tokenizer, variant="chosen", repeats=1))
    assert events == [Evaluated("chosen", n, total) for n in range(1, total + 1)]


def test_what_the_card_says_was_read_and_written_was(
    tiny: LanguageModel, twin: nn.Module, short: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []
    forward = LlamaForCausalLM.forward

    def counted(model: LlamaForCausalLM, input_ids: torch.Tensor, **arguments: Any) -> Any:
        lengths.append(input_ids.shape[1])
        return forward(model, input_ids, **arguments)

    monkeypatch.setattr(LlamaForCausalLM, "forward", counted)
    found = drain(iter_cost(tiny.model, twin, tiny.tokenizer, repeats=1))
    assert (found.read, found.write) == (2, 1)
    assert lengths == 4 * [2, 1]  # a warm-up and a trial of both; after the token that reading ends with, one more


def test_closing_stops_everything(tiny: LanguageModel, twin: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "iter_throughput", lambda *_, **__: pytest.fail("it went on"))
    events = iter_cost(tiny.model, twin, tiny.tokenizer)
    for _ in range(3):
        next(events)
    events.close()
    assert list(events) == []


def test_neither_model_is_written_to(tiny: LanguageModel, twin: nn.Module, short: None) -> None:
    before = [[p.clone() for p in m.parameters()] for m in (tiny.model, twin)]
    drain(iter_cost(tiny.model, twin, tiny.tokenizer, repeats=1))
    after = [list(m.parameters()) for m in (tiny.model, twin)]
    assert all(torch.equal(a, b) for x, y in zip(before, after, strict=True) for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize("repeats", [0, 101, 2.0, True, "5"])
def test_repeats_out_of_range_are_refused(repeats: Any, tiny: LanguageModel) -> None:
    with pytest.raises(UserError, match="from 1 to 100"):
        next(iter_cost(tiny.model, tiny.model, tiny.tokenizer, repeats=repeats))


def test_another_model_is_refused(tiny: LanguageModel, model: LlamaForCausalLM) -> None:
    with pytest.raises(UserError, match="not a pruned copy"):
        drain(iter_cost(tiny.model, model, tiny.tokenizer))


def test_a_short_context_is_told_or_refused(
    model: LlamaForCausalLM, tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = torch.randint(0, 64, (1, 31), generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(cost, "held_out_windows", lambda _, **asked: windows[:, : asked["length"]])
    found = drain(iter_cost(model, model, None, repeats=1))
    assert found.read == 64 - 32 - 1
    assert any("31 tokens are read instead of 128" in notice for notice in found.notices)
    model.config.max_position_embeddings = 33
    with pytest.raises(UserError, match="context is 33 tokens"):
        drain(iter_cost(model, model, None))


def test_an_offloaded_model_says_so(tmp_path: Path, tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    dense = blocks_on_disk(tmp_path)
    monkeypatch.setattr(cost, "held_out_windows", lambda _, **asked: torch.ones(1, asked["length"], dtype=torch.long))
    found = drain(iter_cost(dense, dense, tiny.tokenizer, repeats=1))
    blocks = 4 * found.sizes.prunable + 4 * 6 * 16  # the linears and two norms of each block
    assert found.memory.dense == found.sizes.dense - blocks + sum(b.nbytes for b in dense.buffers())
    assert any("kept elsewhere" in notice for notice in found.notices)


# --- the sentence ----------------------------------------------------------------------------------------------------


def _sizes(**figures: Any) -> Footprint:
    plain = {"dense": 4_000_000, "dense_zstd": 3_600_000, "bitmask": 3_000_000, "bitmask_zstd": 2_900_000}
    counts = {"zstd": 3_100_000, "weights": 10**6, "nonzeros": 7 * 10**5, "prunable": 6 * 10**5}
    pruned = {"prunable_nonzeros": 3 * 10**5, "pruned_linears": 21, "two_four": 0, "largest": ""}
    return Footprint(**{**plain, **counts, **pruned, **figures})


DENSE = Throughput(Rate((100.0, 200.0, 100.0)), Rate((10.0, 10.0, 10.0)))
PRUNED = Throughput(Rate((110.0, 180.0, 100.0)), Rate((9.0, 10.0, 12.0)))
MEASURED = "the pruned model reads at 1.00 (0.90 to 1.10) and writes at 1.00 (0.90 to 1.20) times the dense speed."


@pytest.mark.parametrize("device", [CPU, GPU])
def test_unstructured_zeros_are_not_faster_on_any_device(device: torch.device) -> None:
    text = explained(_sizes(), DENSE, PRUNED, device, None)
    assert text.startswith("Unstructured zeros do not speed up dense kernels")
    assert "What would be faster: zeros in the pattern 2:4" in text
    assert MEASURED in text
    assert text.endswith("What gets smaller is the file: 3 MB instead of 4 MB.")


def test_no_gain_in_bytes_is_not_claimed() -> None:
    assert "smaller" not in explained(_sizes(bitmask=4_000_000), DENSE, PRUNED, CPU, None)


def test_a_model_without_zeros_has_nothing_to_gain() -> None:
    assert explained(_sizes(pruned_linears=0), DENSE, PRUNED, CPU, None).startswith("No linear has a zero")


def test_the_pattern_without_units_for_it() -> None:
    text = explained(_sizes(two_four=21), DENSE, PRUNED, CPU, None)
    assert text.startswith("All 21 pruned linears have their zeros in the pattern 2:4, but this CPU has no units")
    assert "compute capability 8.0" in text
    assert MEASURED in text
    assert "3 of 21 pruned linears" in explained(_sizes(two_four=3), DENSE, PRUNED, CPU, None)
    assert "this GPU has no units" in explained(_sizes(two_four=21), DENSE, PRUNED, GPU, None)
    assert "this device (mps)" in explained(_sizes(two_four=21), DENSE, PRUNED, torch.device("mps"), None)


def test_the_measured_product_and_a_refusal() -> None:
    products = (Products(128, (3.0, 2.0), (2.0, 2.0)), Products(1, (1.0, 1.0), (2.0, 4.0)))
    text = explained(_sizes(two_four=21), DENSE, PRUNED, GPU, products)
    assert "1.25 times as fast as the dense one for 128 tokens at once (1.00 to 1.50)" in text
    assert "0.38 times as fast as the dense one for 1 token at once (0.25 to 0.50)" in text
    assert "to_sparse_semi_structured" in text
    refused = explained(_sizes(two_four=21), DENSE, PRUNED, GPU, "torch does not do it for a weight of 3 x 4")
    assert "but torch does not do it for a weight of 3 x 4; dense kernels" in refused


def _with_units(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[int, ...], int]]:
    """A machine with the units: the weights that are converted, and how many tokens they are multiplied by."""
    seen: list[tuple[tuple[int, ...], int]] = []
    linear = torch.nn.functional.linear

    class Packed(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is linear:
                seen.append((tuple(args[1].shape), args[0].shape[0]))
            return super().__torch_function__(func, types, args, kwargs or {})

    monkeypatch.setattr("torch.sparse.to_sparse_semi_structured", lambda weight: weight.as_subclass(Packed))
    monkeypatch.setattr(cost, "has_units", lambda device: device == CPU)
    monkeypatch.setattr("neuroal.evaluation.semi_structured.PRODUCTS", 1)
    return seen


def test_on_a_gpu_with_units_the_largest_linear_is_measured(
    tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch, short: None
) -> None:
    seen = _with_units(monkeypatch)
    found = drain(iter_cost(tiny.model, _pruned(tiny, pattern="2:4"), tiny.tokenizer, repeats=2))
    assert found.sizes.two_four == found.sizes.pruned_linears == 56
    assert [p.tokens for p in found.products] == [2, 1]
    assert [len(p.sparse) for p in found.products] == [2, 2]
    assert seen == [((352, 128), 2)] * 4 + [((352, 128), 1)] * 4  # each: a comparison, a warm-up and two trials
    assert "for 2 tokens at once" in found.sentence


def test_unstructured_zeros_are_not_tried_there(
    tiny: LanguageModel, twin: nn.Module, monkeypatch: pytest.MonkeyPatch, short: None
) -> None:
    seen = _with_units(monkeypatch)
    found = drain(iter_cost(tiny.model, twin, tiny.tokenizer, repeats=1))
    assert (found.products, seen) == ((), [])
    assert found.sentence.startswith("Unstructured zeros")


def test_what_torch_refuses_is_in_the_sentence(
    tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch, short: None
) -> None:
    monkeypatch.setattr(cost, "has_units", lambda _: True)  # but torch knows that this is no GPU
    found = drain(iter_cost(tiny.model, _pruned(tiny, pattern="2:4"), tiny.tokenizer, repeats=1))
    assert found.products == ()
    assert "torch does not do it for a weight of 352 x 128 in float32" in found.sentence


# --- the notices -----------------------------------------------------------------------------------------------------


def _notices(sizes: Footprint, **rates: Throughput) -> list[str]:
    return list(cost._notices({}, sizes, {"dense": DENSE, "pruned": DENSE, **rates}, 128))


def test_compression_that_is_not_prunings_is_told() -> None:
    steady = Throughput(Rate((1.0, 1.1)), Rate((1.0, 1.0)))
    assert _notices(_sizes(), dense=steady, pruned=steady) == []
    (notice,) = _notices(_sizes(dense_zstd=1_000_000), dense=steady, pruned=steady)
    assert notice.startswith("zstd alone takes the dense model to 25% of its bytes")


def test_a_machine_that_is_not_quiet_is_told() -> None:
    steady = Throughput(Rate((1.0, 1.4)), Rate((1.0, 1.0)))
    unsteady = Throughput(Rate((1.0, 1.0)), Rate((1.0, 1.6)))
    assert _notices(_sizes(), dense=steady, pruned=steady) == []
    (notice,) = _notices(_sizes(), dense=steady, pruned=unsteady)
    assert "measure again" in notice
