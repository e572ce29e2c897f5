"""A model seen as a stack: micro-batches, groups, nothing left behind. The families are in tests/families."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM

from neuroal import blocks
from neuroal.blocks import DecoderStack, find_blocks
from neuroal.calls import Call
from neuroal.errors import UserError
from neuroal.rows import row_sparsity
from neuroal.statistics import InputNorm
from tests.families.toy_stack import WIDTH, Block, Toy


def _logits(stack: DecoderStack, tokens: torch.Tensor) -> list[torch.Tensor]:
    """Outputs of the last block by replaying all blocks one after the other."""
    captured = stack.capture(tokens)
    hidden = captured.hidden
    for b in range(len(stack)):
        hidden = stack.replay(b, hidden, captured)
    return hidden


def test_micro_batches_of_unequal_size(
    model: LlamaForCausalLM, tokens: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three sequences at a time, then the one that is left."""
    whole = torch.cat(_logits(DecoderStack(model), tokens))
    monkeypatch.setattr("neuroal.blocks.MICRO_BATCH_TOKENS", 3 * tokens.shape[1])
    parts = _logits(DecoderStack(model), tokens)
    assert [part.shape[0] for part in parts] == [3, 1]
    assert torch.allclose(torch.cat(parts), whole, atol=1e-6)


def test_groups_follow_the_order_of_execution(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    stack = DecoderStack(model)
    stack.capture(tokens)
    names = [[linear.name.rpartition(".")[2] for linear in group] for group in stack.groups[0]]
    assert names == [["q_proj", "k_proj", "v_proj"], ["o_proj"], ["gate_proj", "up_proj"], ["down_proj"]]
    assert len(stack.groups) == 3


def test_gathering_stops_before_the_last_group(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    """The last linear of a dense block feeds nothing that is compared, so its product is not computed."""
    stack = DecoderStack(model)
    captured = stack.capture(tokens)
    calls = []
    stack.blocks[0].mlp.down_proj.register_forward_hook(lambda *_: calls.append(1))
    statistics, outputs = stack.gather(0, captured.hidden, captured, InputNorm, outputs=False)
    assert (len(statistics), outputs, calls) == (4, [], [])
    full, outputs = stack.gather(0, captured.hidden, captured, InputNorm)
    assert len(outputs) == 1 and calls == [1]
    assert all(torch.equal(a.norm, b.norm) for a, b in zip(statistics, full, strict=True))


def test_the_callers_modules_are_left_without_hooks(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    stack = DecoderStack(model)
    captured = stack.capture(tokens)
    stack.gather(0, captured.hidden, captured, InputNorm)
    for module in [*model.modules(), *stack.model.modules()]:
        assert not module._forward_pre_hooks and not module._forward_hooks


def test_the_longest_list_serves_where_nothing_is_declared(model: LlamaForCausalLM) -> None:
    model._no_split_modules = None
    assert find_blocks(model)[0] == "model.layers"


def test_a_model_without_a_list_of_blocks_is_refused() -> None:
    with pytest.raises(UserError, match="No stack of decoder blocks"):
        find_blocks(torch.nn.Linear(2, 2))


def test_attention_of_a_block_that_owns_its_linears(tokens: torch.Tensor) -> None:
    """The first two consumer groups: what reads the block's input, and what reads their outcome."""

    class Deeper(Toy):
        class block(Block):
            def __init__(self, index: int) -> None:
                super().__init__(index)
                self.third = torch.nn.Linear(WIDTH, WIDTH)

            def forward(self, hidden: torch.Tensor) -> torch.Tensor:
                return self.third(self.add(hidden))

    stack = DecoderStack(Deeper())
    stack.capture(tokens % 16)
    assert [linear.name for linear in stack.attention(1)] == ["up", "down"]


def test_a_block_without_linears_is_passed_over(tokens: torch.Tensor) -> None:
    """What it lies between are consumers of each other; the last linear of all feeds nothing that is known."""

    class Norms(Toy):
        class block(Block):
            def __init__(self, index: int) -> None:
                super().__init__(index)
                if index:
                    del self.up, self.down
                    self.norm = torch.nn.LayerNorm(WIDTH)

            def forward(self, hidden: torch.Tensor) -> torch.Tensor:
                return self.norm(hidden) if self.index else self.add(hidden)

    stack = DecoderStack(Norms())
    captured = stack.capture(tokens % 16)
    assert [len(groups) for groups in stack.groups] == [2, 0, 0]
    assert stack.attention(1) == () and stack.gather(1, captured.hidden, captured, InputNorm)[0] == []
    alignment = {linear.path: torch.arange(linear.weight.shape[1]).double().numpy() for linear in stack.all_linears()}
    ratios = row_sparsity(stack, alignment, [0.5] * 3, 0.1, "fold")
    assert ratios["blocks.0.up"].std() > 0 and ratios["blocks.0.down"].std() == 0


@pytest.mark.parametrize("shape", [(6, 5), (2, 3, 5), (2, 1, 3, 5), (3, 2, 5)])
def test_inputs_of_any_shape_are_counted_by_sequence(shape: tuple[int, ...]) -> None:
    """2 sequences of 3 tokens, loose, as they are, or with a dimension more; what cannot be told apart is left."""
    from neuroal.blocks import _by_sequence

    inputs = torch.arange(30.0).reshape(shape)
    found = _by_sequence(inputs, 2, 3)
    assert found.shape == ((3, 2, 5) if shape == (3, 2, 5) else (2, 3, 5))
    assert torch.equal(found.flatten(), inputs.flatten())


def test_allocating_within_inference_mode(model: LlamaForCausalLM, tokens: torch.Tensor) -> None:
    with torch.inference_mode():
        DecoderStack(model).capture(tokens)


class _EveryToken(Toy):
    """Each block gets something of the tokens beside the hidden states, as in Gemma 3n."""

    class block(Block):
        def forward(self, hidden: Tensor, extra: Tensor) -> Tensor:
            return self.add(hidden) + extra

    def step(self, block: nn.Module, x: Tensor, shared: dict[str, Tensor]) -> Tensor:
        return block(x, extra=shared["extra"])

    def forward(self, input_ids: Tensor, use_cache: bool = False) -> Tensor:
        x = self.embed(input_ids)
        shared = {"extra": x.sin()}
        for block in self.blocks:
            x = self.step(block, x, shared)
        return x


@pytest.mark.parametrize("first", [[3, 1, 2, 2, 1, 3], [5] * 6, [0] * 6])
@torch.no_grad()
def test_a_palindrome_as_first_sequence_hides_nothing(first: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "MICRO_BATCH_TOKENS", 6)
    model, tokens = _EveryToken().eval(), torch.tensor([first, [1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]])
    stack = DecoderStack(model)
    captured = stack.capture(tokens)
    hidden = captured.hidden
    for b in range(3):
        hidden = stack.replay(b, hidden, captured)
    assert torch.equal(torch.cat(hidden), model(tokens))


def test_equal_masks_are_kept_once_also_as_positional_arguments() -> None:
    first, second = (Call((None, torch.ones(4)), {"mask": (torch.ones(4),), "window": (n, n)}, 0) for n in (1, 2))
    shared = second.sharing(first)
    assert shared.args[1] is first.args[1] and shared.kwargs["mask"] is first.kwargs["mask"]
    assert shared.kwargs["window"] == (2, 2)  # no tensors: nothing says that they are the same
