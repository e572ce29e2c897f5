"""Final pruning: counts, in place, on the pruned prefix; the public options."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config, LlamaForCausalLM

import neuroal
from neuroal.errors import UserError
from neuroal.runs.events import BlockPruned, PruningFinished


def test_uniform_magnitude_by_hand(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    """16 and 24 columns at 0.6: 9 and 14 zeros in every row."""
    dense = {n: m.weight.clone() for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
    allocation = neuroal.allocate(model, tokens, pruner="magnitude", top_up="uniform", sparsity=0.6)
    report = neuroal.prune(model, tokens, allocation)
    assert len(report.achieved) == 21
    for path, share in report.achieved.items():
        weight, columns = model.get_submodule(path).weight, dense[path].shape[1]
        count = {16: 9, 24: 14}[columns]
        assert ((weight == 0).sum(1) == count).all() and share == pytest.approx(count / columns)
        largest_lost = dense[path].abs().masked_fill(weight != 0, 0).amax(1)
        assert (largest_lost <= dense[path].abs().masked_fill(weight == 0, 9).amin(1)).all()
    assert torch.equal(model.lm_head.weight, dense["lm_head"])
    sizes = {path: dense[path].numel() for path in report.achieved}
    assert report.overall == pytest.approx(sum(report.achieved[p] * n for p, n in sizes.items()) / sum(sizes.values()))


def test_wanda_sees_the_outputs_of_the_pruned_blocks(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    """Pruning the first block only, then the rest, gives the same masks as pruning all at once."""
    whole, parts = model, _copy(model)
    allocation = neuroal.allocate(model, tokens, top_up="uniform", sparsity=0.5)
    neuroal.prune(whole, tokens, allocation)
    first = {p: s for p, s in allocation.sparsity.items() if ".0." in p}
    rest = {p: s for p, s in allocation.sparsity.items() if ".0." not in p}
    for part in (first, rest):
        neuroal.prune(parts, tokens, neuroal.Allocation("wanda", "uniform", None, 0.5, part))
    for mine, theirs in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.equal(mine == 0, theirs == 0)


def _copy(model: LlamaForCausalLM) -> LlamaForCausalLM:
    copied = LlamaForCausalLM(model.config).eval().requires_grad_(False)
    copied.load_state_dict(model.state_dict())
    return copied


def test_conv1d_is_pruned_along_its_outputs(tokens: torch.Tensor) -> None:
    gpt2 = AutoModelForCausalLM.from_config(GPT2Config(n_embd=16, n_layer=2, n_head=4, vocab_size=64)).eval()
    allocation = neuroal.allocate(gpt2, tokens, sparsity=0.5, lambdas=(0.0, 0.1))
    report = neuroal.prune(gpt2, tokens, allocation)
    assert report.overall == pytest.approx(0.5, abs=0.05)
    weight = gpt2.transformer.h[0].mlp.c_fc.weight  # stored [in, out]
    assert not weight.is_contiguous() or weight.shape == (16, 64)
    assert gpt2.generate(tokens[:1], max_new_tokens=4, do_sample=False).shape == (1, 16)


def test_events_count_the_zeros(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    allocation = neuroal.allocate(model, tokens, top_up="uniform", sparsity=0.5)
    events = list(neuroal.iter_prune(model, tokens, allocation, variant="uniform"))
    pruned = [e for e in events if isinstance(e, BlockPruned)]
    assert [(e.block, e.variant, e.requested, e.achieved) for e in pruned] == [
        (b, "uniform", 0.5, 0.5) for b in range(3)
    ]
    assert isinstance(events[-1], PruningFinished) and events[-1].overall == pytest.approx(0.5)


def test_an_allocation_for_another_model_is_refused(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    allocation = neuroal.Allocation("wanda", "uniform", None, 0.5, {"transformer.h.0.mlp": 0.5})
    with pytest.raises(UserError, match="another model"):
        neuroal.prune(model, tokens, allocation)


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"sparsity": 1.0}, ValueError, "between 0 and 1"),
        ({"sparsity": True}, ValueError, "between 0 and 1"),
        ({"pruner": "wandaa"}, ValueError, "Did you mean 'wanda'"),
        ({"top_up": "neural"}, ValueError, "Did you mean 'neuroal'"),
        ({"step": "rows"}, ValueError, "Did you mean 'row'"),
        ({"mode": "exactly"}, ValueError, "Did you mean 'exact'"),
        ({"gqa": "folded"}, ValueError, "Did you mean 'fold'"),
        ({"lamdas": (0.1,)}, TypeError, "did you mean 'lambdas'"),
        ({"lambdas": (2.0,)}, ValueError, "from 0 to 1"),
    ],
)
def test_wrong_settings_are_refused_at_the_call(
    model: LlamaForCausalLM, tokens: torch.Tensor, wrong: dict[str, object], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        neuroal.iter_allocate(model, tokens, **wrong)


@pytest.mark.parametrize("shape", [(12,), (0, 12), (2, 1)])
def test_tokens_of_a_wrong_shape_are_refused(model: LlamaForCausalLM, shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="samples, length"):
        neuroal.allocate(model, torch.zeros(shape, dtype=torch.int64), sparsity=0.5)


def test_ids_outside_the_vocabulary_are_refused(model: LlamaForCausalLM) -> None:
    with pytest.raises(UserError, match="0 to 63"):
        neuroal.allocate(model, torch.full((2, 8), 64), sparsity=0.5)
