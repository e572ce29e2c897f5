"""Models whose blocks cannot be replayed one by one are refused in a sentence that says which block and why."""

from __future__ import annotations

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, T5Config, T5ForConditionalGeneration

import neuroal
from neuroal.blocks import DecoderStack
from neuroal.errors import UserError
from tests.families import toy_stack
from tests.families.toy_stack import Toy

TOKENS = torch.tensor([[1, 2, 3, 4, 5], [6, 7, 8, 9, 10], [3, 1, 4, 1, 5]])


@pytest.mark.parametrize("toy", ["Toy", "Keyword", "SecondPosition", "Filled", "OwnInputs"])
def test_unusual_blocks_that_can_be_replayed(toy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sequence at a time, so that what depends on the tokens must be kept for each."""
    model = getattr(toy_stack, toy)()
    monkeypatch.setattr("neuroal.blocks.MICRO_BATCH_TOKENS", 1)
    stack = DecoderStack(model)
    captured = stack.capture(TOKENS)
    hidden = captured.hidden
    for b in range(len(stack)):
        hidden = stack.replay(b, hidden, captured)
    assert torch.allclose(torch.cat(hidden), model(TOKENS), atol=1e-6)
    assert stack.examined.varying == (toy in ("Filled", "OwnInputs"))


def test_what_pruned_blocks_share_reaches_the_later_ones() -> None:
    """A stand-in of block 0 fills the mapping with its own values; block 1 then reads those, as in a pruned model."""
    model = toy_stack.Filled()
    stack = DecoderStack(model)
    captured = stack.capture(TOKENS)
    pruned = toy_stack.Filled()
    with torch.no_grad():
        pruned.blocks[0].up.weight.zero_()
    hidden = stack.replay(0, captured.hidden, captured, pruned.blocks[0])
    for b in (1, 2):
        hidden = stack.replay(b, hidden, captured)
    assert torch.allclose(torch.cat(hidden), pruned(TOKENS), atol=1e-6)


@pytest.mark.parametrize(
    ("toy", "says"),
    [
        ("Ambiguous", r"Block 0 \(blocks.0\) .*its arguments x and residual could each be the hidden states"),
        ("NoStates", r"Block 0 \(blocks.0\) .*of its arguments none of ids is the hidden states"),
        ("Mapping", r"Block 0 \(blocks.0\) .*it returns dict instead of hidden states"),
        ("WrongFirst", r"Block 0 \(blocks.0\) .*the argument 'hidden_states' of block 1 is not what it returns"),
        ("Between", r"Block 1 \(blocks.1\) .*the argument 'hidden_states' of block 2 is not what it returns"),
        ("State", r"Block 1 \(blocks.1\) .*with the same arguments \(hidden_states\) it returns something else"),
        ("Cleared", r"Block 1 \(blocks.1\) .*with the same arguments \(hidden_states\) it returns something else"),
        ("ByProduct", r"Block 1 \(blocks.1\) .*its argument 'first' comes from a block before it"),
        ("InPlace", r"Block 0 \(blocks.0\) .*it writes over its argument 'hidden_states'"),
        ("Twice", r"Block 1 \(blocks.1\) .*does not run its blocks once each, in the order of their list"),
        ("Skipping", r"Block 1 \(blocks.1\) .*does not run its blocks once each, in the order of their list"),
    ],
)
def test_blocks_that_cannot_be_replayed_are_refused(toy: str, says: str) -> None:
    model: Toy = getattr(toy_stack, toy)()
    with pytest.raises(UserError, match=says) as refused:
        DecoderStack(model).capture(TOKENS)
    assert str(refused.value).endswith("; choose another model.") and "\n" not in str(refused.value)
    hooks = [*model.modules()]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in hooks)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_rounding_is_no_reason_to_refuse(dtype: torch.dtype) -> None:
    """A block whose last bits differ from call to call, as sums on a GPU do, on a stream with a huge feature."""

    class Noisy(Toy):
        class block(toy_stack.Block):
            def forward(self, hidden: torch.Tensor) -> torch.Tensor:
                noise = torch.finfo(hidden.dtype).eps / 4 * torch.randn(hidden.shape)
                return (self.add(hidden).float() * (1 + noise)).to(hidden.dtype)

    model = Noisy().to(dtype)
    with torch.no_grad():
        model.embed.weight[:, 0] = 1000
    DecoderStack(model).capture(TOKENS)


def test_encoders_are_refused() -> None:
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 64}
    encoder = BertForMaskedLM(BertConfig(**small, intermediate_size=24))
    both = T5ForConditionalGeneration(T5Config(d_model=16, d_ff=24, num_layers=2, num_heads=2, d_kv=8, vocab_size=64))
    for wrong in (encoder, both):
        with pytest.raises(UserError, match="not a causal language model") as refused:
            neuroal.allocate(wrong, TOKENS)
        assert str(refused.value).count(". ") == 0
