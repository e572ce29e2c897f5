"""Every family: what is found, replay equal to the full forward pass, consumer groups, and who drives which rows."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import neuroal
from neuroal.blocks import DecoderStack, find_blocks
from neuroal.rows import row_sparsity, undriven
from neuroal.schedules import row_schedule
from tests.families.conftest import Case
from tests.families.table import BLOCKS, FAMILIES


def _states(model: nn.Module, tokens: torch.Tensor) -> list[torch.Tensor]:
    """Hidden states entering each block and leaving the last one, as the model itself computes them."""
    seen: list[torch.Tensor] = []

    def entering(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        seen.append((args[0] if args else kwargs["hidden_states"]).clone())

    def leaving(_: nn.Module, __: Any, output: Any) -> None:
        seen.append(output[0] if isinstance(output, tuple) else output)

    blocks = find_blocks(model)[1]
    handles = [block.register_forward_pre_hook(entering, with_kwargs=True) for block in blocks]
    handles.append(blocks[-1].register_forward_hook(leaving))
    with torch.no_grad():
        model(input_ids=tokens, use_cache=False)
    for handle in handles:
        handle.remove()
    return seen


def test_every_prunable_linear_is_found(case: Case) -> None:
    assert len(case.stack) == BLOCKS
    for b, linears in enumerate(case.stack.linears):
        expected = {name for group in case.family.groups_of(b) for name in group} | set(case.family.unread)
        assert {linear.name for linear in linears} == expected
        assert len(linears) == len(expected)


def test_what_no_pruner_reaches_is_named(case: Case) -> None:
    left = dict(case.stack.left_dense())
    assert set(left) == set(case.family.left)
    linears = sum(linear.weight.numel() for linear in case.stack.all_linears())
    total = sum(p.numel() for block in case.stack.blocks for p in block.parameters() if p.dim() >= 2)
    assert sum(left.values()) == total - linears


def test_replay_equals_the_full_forward_pass(case: Case) -> None:
    states, hidden = _states(case.model, case.tokens), case.captured.hidden
    assert [x.shape[0] for x in hidden] == [3, 3, 1]
    for b in range(BLOCKS):
        assert torch.allclose(torch.cat(hidden), states[b], atol=1e-5, rtol=1e-5)
        hidden = case.stack.replay(b, hidden, case.captured)
        added = torch.cat(hidden) - states[b]
        assert float(added.abs().max()) > 1e-2, "the block must add something, or nothing is tested"
    assert torch.allclose(torch.cat(hidden), states[-1], atol=1e-5, rtol=1e-5)


def test_groups_follow_the_order_of_execution(case: Case) -> None:
    for b, groups in enumerate(case.stack.groups):
        assert [[linear.name for linear in group] for group in groups] == case.family.groups_of(b)


def test_attention_is_what_reads_the_input_and_its_outcome(case: Case) -> None:
    """The first two groups in these families, but for low-rank attention, mixers and linears that are never called."""
    for b in range(BLOCKS):
        groups = case.family.groups_of(b)
        owner = groups[0][0].rpartition(".")[0]
        names = [name for group in groups for name in group] + list(case.family.unread)
        assert {linear.name for linear in case.stack.attention(b)} == {n for n in names if n.startswith(f"{owner}.")}


def _consumer(case: Case, b: int, name: str) -> str:
    """Path of the first linear of the next group."""
    groups = case.family.groups_of(b)
    g = next(g for g, group in enumerate(groups) if name in group)
    if g + 1 < len(groups):
        return f"{case.stack.path}.{b}.{groups[g + 1][0]}"
    return f"{case.stack.path}.{b + 1}.{case.family.groups_of(b + 1)[0][0]}"


def _served(driver: np.ndarray, layout: str) -> np.ndarray:
    """The driver at the linear's rows: each chunk has the mean over the heads it serves."""
    chunks = [[int(head) for head in chunk] for chunk in layout.split()]
    heads = driver.reshape(1 + max(max(chunk) for chunk in chunks), -1)
    return np.concatenate([np.mean([heads[h] for h in chunk], axis=0) for chunk in chunks])


def _alignment(case: Case) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {linear.path: generator.random(linear.weight.shape[1]) for linear in case.stack.all_linears()}


def test_rows_are_driven_by_the_columns_they_feed(case: Case) -> None:
    alignment, base, family = _alignment(case), [0.5, 0.6, 0.7], case.family
    found = row_sparsity(case.stack, alignment, base, 0.1, "fold")
    for b, linears in enumerate(case.stack.linears):
        for linear in linears:
            if b == BLOCKS - 1 or linear.name in (*family.undriven, *family.unread):
                expected = np.full(linear.weight.shape[0], base[b])
            else:
                driver = alignment[_consumer(case, b, linear.name)]
                layout = family.layout.get(linear.name, "0")
                expected = row_schedule(_served(driver, layout), base[b], 0.1)
            assert found[linear.path] == pytest.approx(expected), linear.path
    assert sorted(undriven(case.stack, alignment, "fold")) == sorted(family.undriven)


def test_grouped_query_rows_are_left_alone_where_the_original_does(case: Case) -> None:
    """gqa="base": q, k and v of a grouped-query model are never varied by row, fused or not."""
    alignment, family = _alignment(case), case.family
    found = row_sparsity(case.stack, alignment, [0.5] * BLOCKS, 0.1, "base")
    shared = {name for name, layout in family.layout.items() if any(len(chunk) > 1 for chunk in layout.split())}
    for b in range(BLOCKS - 1):
        for group in family.groups_of(b):
            grouped = bool(shared & set(group))
            for name in group:
                varied = np.ptp(found[f"{case.stack.path}.{b}.{name}"]) > 0
                assert varied == (not grouped and name not in family.undriven), name
    assert not shared & set(undriven(case.stack, alignment, "base"))


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.layout])
def test_half_precision_shows_the_same_layouts(name: str) -> None:
    """In bfloat16, with parameters that a training run has left trainable or not."""
    family = FAMILIES[name]
    stack = DecoderStack(family.build().to(torch.bfloat16).requires_grad_(len(name) % 2 == 0))
    stack.capture(torch.randint(3, 64, (2, 10), generator=torch.Generator().manual_seed(1)))
    driver = {linear.path: np.arange(linear.weight.shape[1]) / 64 for linear in stack.all_linears()}
    found = row_sparsity(stack, driver, [0.5] * BLOCKS, 0.1, "fold")
    for linear in (linear for linears in stack.linears[:-1] for linear in linears if linear.name in family.layout):
        served = _served(
            np.arange(_width(family.layout[linear.name], linear.weight.shape[0])) / 64, family.layout[linear.name]
        )
        assert found[linear.path] == pytest.approx(row_schedule(served, 0.5, 0.1)), linear.path


def _width(layout: str, rows: int) -> int:
    """Columns of the consumer: heads of the layout times rows of one chunk."""
    chunks = layout.split()
    return (1 + max(int(head) for chunk in chunks for head in chunk)) * rows // len(chunks)


def test_no_family_is_named_in_code() -> None:
    """Nothing in the engine compares with the name of a family, its model type or its class."""
    types = {family.build().config.model_type for family in FAMILIES.values()}
    names = types | {family.config.removesuffix("Config").removesuffix("Text").lower() for family in FAMILIES.values()}
    for path in Path(neuroal.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            compared = node.comparators + [node.left] if isinstance(node, ast.Compare) else []
            texts = [c.value.lower() for c in compared if isinstance(c, ast.Constant) and isinstance(c.value, str)]
            assert not names & set(texts), f"{path}:{node.lineno}"
