"""Masks on disk: bit-exact, never half there, and never of another model."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from neuroal.errors import UserError
from neuroal.runs import masks_file
from neuroal.runs.masks_file import apply_masks, save_masks
from neuroal.twin import sparse_twin

NAMES = ["first", "block.odd", "last"]


class Model(nn.Module):
    """Linears of 12, 35 and 8 weights: one that fills whole bytes, two that do not."""

    def __init__(self, shapes: tuple[tuple[int, int], ...] = ((3, 4), (5, 7), (1, 8)), dtype: Any = None) -> None:
        super().__init__()
        self.first = nn.Linear(shapes[0][1], shapes[0][0], bias=True, dtype=dtype)
        self.block = nn.ModuleDict({"odd": nn.Linear(shapes[1][1], shapes[1][0], bias=False, dtype=dtype)})
        self.last = nn.Linear(shapes[2][1], shapes[2][0], bias=False, dtype=dtype)
        self.requires_grad_(False)


def pruned(dense: nn.Module, *, moved: str = "") -> nn.Module:
    """A twin with random zeros; the kept weights of ``moved`` are changed as SparseGPT would."""
    twin = sparse_twin(dense, NAMES)
    for name in NAMES:
        weight = twin.get_submodule(name).weight
        weight.masked_fill_(torch.rand(weight.shape) < 0.6, 0)
        if name == moved:
            weight.mul_(1.25)
    return twin


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(one.get_submodule(n).weight, other.get_submodule(n).weight) for n in NAMES)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("moved", ["", "block.odd"])
def test_a_pruned_model_comes_back_bit_exact(tmp_path: Path, dtype: torch.dtype, moved: str) -> None:
    dense = Model(dtype=dtype)
    twin, again = pruned(dense, moved=moved), sparse_twin(dense, NAMES)
    path = tmp_path / "pruned" / "run.safetensors"
    save_masks(path, twin, dense, NAMES)
    assert not same(again, twin)
    apply_masks(path, again, NAMES)
    assert same(again, twin)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_values_are_stored_only_where_pruning_changed_them(tmp_path: Path) -> None:
    """12, 35 and 8 weights make 2, 5 and 1 bytes; the middle one was moved and its kept weights are stored besides."""
    dense = Model()
    twin = pruned(dense, moved="block.odd")
    kept = int(twin.get_submodule("block.odd").weight.count_nonzero())
    assert 0 < kept < 35
    save_masks(tmp_path / "m", twin, dense, NAMES)
    stored = {name: tuple(tensor.shape) for name, tensor in load_file(str(tmp_path / "m")).items()}
    assert stored == {"first.mask": (2,), "block.odd.mask": (5,), "last.mask": (1,), "block.odd.kept": (kept,)}


def test_a_mask_is_its_bits_in_order(tmp_path: Path) -> None:
    dense = Model()
    twin = sparse_twin(dense, NAMES)
    twin.last.weight[0, [0, 2, 7]] = 0
    save_masks(tmp_path / "m", twin, dense, NAMES)
    assert load_file(str(tmp_path / "m"))["last.mask"].tolist() == [0b01011110]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_nothing_pruned_and_everything_pruned(tmp_path: Path, share: float) -> None:
    dense = Model()
    twin, again = sparse_twin(dense, NAMES), sparse_twin(dense, NAMES)
    for name in NAMES:
        twin.get_submodule(name).weight.mul_(1 - share)
    save_masks(tmp_path / "m", twin, dense, NAMES)
    apply_masks(tmp_path / "m", again, NAMES)
    assert same(again, twin)


def test_the_dense_model_is_neither_written_nor_shared(tmp_path: Path) -> None:
    dense = Model()
    before = {name: tensor.clone() for name, tensor in dense.state_dict().items()}
    save_masks(tmp_path / "m", pruned(dense), dense, NAMES)
    apply_masks(tmp_path / "m", sparse_twin(dense, NAMES), NAMES)
    assert all(torch.equal(before[name], tensor) for name, tensor in dense.state_dict().items())


# --- what can be wrong with the file --------------------------------------------------------------------------------


def refused(path: Path, twin: nn.Module | None = None) -> None:
    with pytest.raises(UserError, match="gone or damaged; run it again") as caught:
        apply_masks(path, twin or sparse_twin(Model(), NAMES), NAMES)
    assert str(path) not in str(caught.value), "a path of the server's is nobody's business"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    dense = Model()
    save_masks(tmp_path / "m", pruned(dense, moved="last"), dense, NAMES)
    return tmp_path / "m"


def test_a_missing_file(tmp_path: Path) -> None:
    refused(tmp_path / "nothing")
    refused(tmp_path)


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 9, 100, -1])
def test_a_file_cut_short(saved: Path, kept: int) -> None:
    saved.write_bytes(saved.read_bytes()[:kept])
    refused(saved)


@pytest.mark.parametrize("junk", [b"\xff" * 64, b"{}" * 20, b"\x02\0\0\0\0\0\0\0{}", b"PK\x03\x04" + b"\0" * 90])
def test_a_file_of_something_else(saved: Path, junk: bytes) -> None:
    saved.write_bytes(junk)
    refused(saved)


def rewritten(path: Path, **changes: torch.Tensor | None) -> None:
    tensors = {**load_file(str(path)), **{name.replace("__", "."): tensor for name, tensor in changes.items()}}
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, str(path))


@pytest.mark.parametrize(
    "changes",
    [
        {"first__mask": None},
        {"last__mask": None},
        {"first__mask": torch.zeros(1, dtype=torch.uint8)},
        {"first__mask": torch.zeros(3, dtype=torch.uint8)},
        {"first__mask": torch.zeros(2)},
        {"first__mask": torch.zeros(2, 1, dtype=torch.uint8)},
        {"last__kept": torch.zeros(9)},
        {"last__kept": torch.zeros(1, 1)},
        {"stranger__mask": torch.zeros(2, dtype=torch.uint8)},
        {"block__mask": torch.zeros(2, dtype=torch.uint8)},
        {"mask": torch.zeros(2, dtype=torch.uint8)},
    ],
    ids=lambda c: f"{next(iter(c))}-{getattr(next(iter(c.values())), 'shape', None)}",
)
def test_a_file_whose_tensors_do_not_fit(saved: Path, changes: dict[str, torch.Tensor | None]) -> None:
    rewritten(saved, **changes)
    refused(saved)


@pytest.mark.parametrize(
    "shapes", [((6, 4), (5, 7), (1, 8)), ((3, 4), (5, 9), (1, 8)), ((2, 4), (3, 3), (1, 7))], ids=str
)
def test_masks_of_a_model_with_other_widths_are_refused(saved: Path, shapes: tuple[tuple[int, int], ...]) -> None:
    """Same names, other shapes: missing bits would read as zeros, and prune what nobody chose."""
    refused(saved, sparse_twin(Model(shapes), NAMES))


# --- no half file ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left"), MemoryError(), KeyboardInterrupt()],
                         ids=lambda f: type(f).__name__)  # fmt: skip
@pytest.mark.parametrize("existing", [True, False])
def test_a_failure_while_writing_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException, existing: bool
) -> None:
    dense, path = Model(), tmp_path / "pruned" / "m"
    earlier = pruned(dense)
    if existing:
        save_masks(path, earlier, dense, NAMES)

    def half(tensors: dict[str, torch.Tensor], file: str) -> None:
        Path(file).write_bytes(np.zeros(10, np.uint8).tobytes())
        raise fault

    monkeypatch.setattr(masks_file, "save_file", half)
    with pytest.raises((UserError, type(fault))):
        save_masks(path, pruned(dense), dense, NAMES)
    assert [p.name for p in path.parent.iterdir()] == (["m"] if existing else []), "nothing half written is left"
    if existing:
        again = sparse_twin(dense, NAMES)
        apply_masks(path, again, NAMES)
        assert same(again, earlier)
