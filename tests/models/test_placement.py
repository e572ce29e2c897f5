"""Where weights go: device maps and budgets by hand, and models that are loaded in part."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
import torch

import neuroal
from neuroal.errors import UserError
from neuroal.models import facts as facts_module
from neuroal.models import loading, placement
from neuroal.models.cache import data_path
from neuroal.models.facts import inspect
from neuroal.models.loading import load
from neuroal.models.memory import ACTIVATIONS, Memory, needed_bytes, needed_offloaded
from neuroal.models.placement import DISK, SPREAD, WHOLE, blocks_on_disk, choose_placement, offload_notice
from neuroal.residence import is_offloaded
from tests.models.conftest import gpt2, llama, save
from tests.models.test_loading import as_pickle


def _memory(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """A machine with this much."""
    for module in (facts_module, loading, placement):
        monkeypatch.setattr(module, "machine_memory", lambda _: Memory("cpu", free, free))


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    """Twelve blocks: few enough to be tiny, enough for offloading to need less than keeping all."""
    return save(llama(12), tmp_path / "deep")


def test_offloaded_needs_what_is_outside_and_four_blocks() -> None:
    assert needed_offloaded(100, 80, 8, 2) == 2 * (20 + 4 * 10) + ACTIVATIONS


def test_the_choice(deep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = inspect(str(deep))
    whole = needed_bytes(facts.parameters, 4, facts.prunable / facts.parameters)
    least = needed_offloaded(facts.parameters, facts.prunable, facts.blocks, 4)
    assert least < whole

    def chosen(device: str, free: int) -> str:
        return choose_placement(facts, device, Memory("cpu", free, free), 4)

    assert [chosen("auto", free) for free in (whole, whole - 1, least)] == [WHOLE, SPREAD, SPREAD]
    assert [chosen(device, whole) for device in ("cpu", SPREAD, DISK)] == [WHOLE, SPREAD, DISK]
    for device, free in (("auto", least - 1), ("cpu", whole - 1), (DISK, least - 1)):
        with pytest.raises(UserError, match="choose a smaller model"):
            chosen(device, free)
    monkeypatch.setattr(placement, "require_space", lambda *_: (_ for _ in ()).throw(UserError("no disk")))
    with pytest.raises(UserError, match="no disk"):
        chosen("auto", least)


def test_a_map_names_everything_once() -> None:
    places = blocks_on_disk(llama(), torch.device("cpu"), kept=1)
    assert places == {
        "lm_head": "cpu",
        "model.embed_tokens": "cpu",
        "model.norm": "cpu",
        "model.rotary_emb": "cpu",
        "model.layers.0": "cpu",
        "model.layers.1": "disk",
    }


def test_budgets_leave_room(deep: Path) -> None:
    facts = inspect(str(deep))
    needed = needed_offloaded(facts.parameters, facts.prunable, facts.blocks, 2)
    outside = 2 * (facts.parameters - facts.prunable)
    largest = max(outside, round(2 * facts.prunable / facts.blocks))
    budgets = placement._budgets(facts, {0: needed + 100, 1: 0, "cpu": needed + 100}, 2)
    assert budgets == {0: outside + largest + 50, 1: outside + largest, "cpu": outside + largest + 100}


@pytest.mark.parametrize("make", [llama, gpt2])
@pytest.mark.parametrize("pickled", [False, True])
def test_every_block_on_disk(tmp_path: Path, make: object, pickled: bool) -> None:
    folder = save(make(), tmp_path / "model")
    if pickled:
        as_pickle(folder)  # transformers writes what is offloaded of these into the folder it is given
    whole, lm = load(str(folder), device="cpu"), load(str(folder), device="disk")
    assert all(is_offloaded(block) for block in lm.stack.blocks)
    assert lm.info.notices == (
        f"2 of the 2 decoder blocks of {folder} are kept on disk and brought in one at a time, which takes longer.",
    )
    facts = ("parameters", "prunable", "blocks", "tied", "linears", "device", "dtype")
    assert [getattr(lm.info, name) for name in facts] == [getattr(whole.info, name) for name in facts]
    tokens = torch.arange(40).view(4, 10)
    assert torch.equal(lm.model(tokens).logits, whole.model(tokens).logits)
    (aside,) = (data_path() / "offload").iterdir()
    assert any(aside.iterdir()) == pickled
    twin = lm.stack.model
    del lm
    gc.collect()
    assert aside.exists() and torch.equal(twin(tokens).logits, whole.model(tokens).logits)
    del twin
    gc.collect()
    assert not aside.exists()


def test_what_does_not_fit_is_offloaded(deep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for three of the twelve blocks and what the twin will have of them."""
    facts = inspect(str(deep))
    room = 3 * 2 * 4 * facts.prunable // facts.blocks
    _memory(monkeypatch, needed_offloaded(facts.parameters, facts.prunable, facts.blocks, 4) + room)
    assert inspect(str(deep)) == facts
    with pytest.raises(UserError, match="choose a smaller model"):
        inspect(str(deep), device="cpu")
    with pytest.raises(UserError, match="choose a smaller model"):
        load(str(deep), device="cpu")
    lm = load(str(deep))
    assert [is_offloaded(block) for block in lm.stack.blocks] == [False] * 3 + [True] * 9
    assert "9 of the 12 decoder blocks" in lm.info.notices[0]
    tokens = torch.arange(40).view(4, 10)
    monkeypatch.undo()
    whole = load(str(deep), device="cpu")
    assert whole.info.notices == ()
    ours, theirs = (neuroal.allocate(m.model, tokens, sparsity=0.5, lambdas=(0.1,)) for m in (whole, lm))
    assert ours.row_scores == theirs.row_scores
    assert neuroal.prune(whole.model, tokens, ours) == neuroal.prune(lm.model, tokens, theirs)
    assert torch.equal(whole.model(tokens).logits, lm.model(tokens).logits)


def test_nothing_is_said_where_all_is_there(llama_folder: Path) -> None:
    lm = load(str(llama_folder), device=SPREAD)
    assert not is_offloaded(lm.model)
    assert offload_notice(lm.model, "m") == lm.info.notices == ()
    assert not list((data_path() / "offload").iterdir())
