"""Inside the matrices of runs: the figures are those of the alignment evaluation, found once, and kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroal.errors import UserError
from neuroal.inspection import inspector as inspectors
from neuroal.inspection import walk as walks
from neuroal.inspection.inspector import FAULT, NO_MASKS, RECORDED
from neuroal.inspection.record import Inspected
from neuroal.runs.events import Evaluated
from neuroal.runs.spec import RunSpec
from neuroal.runs.workshop import Workshop
from tests.runs.helpers import SMALL, eventually, wait_for

Open = Callable[..., Workshop]


def finished(workshop: Workshop, **settings: Any) -> str:
    run_id = workshop.jobs.start(RunSpec(model="random", **{**SMALL, "evaluations": (), **settings}))
    assert wait_for(workshop.jobs, run_id) == "finished"
    return run_id


def seen(workshop: Workshop, run_id: str) -> Inspected:
    """What is known of a run once its walk is over."""
    eventually(lambda: isinstance(workshop.inspector.look(run_id), Inspected))
    return workshop.inspector.look(run_id)


def test_the_figures_are_those_of_the_alignment_evaluation(open_workshop: Open) -> None:
    """Term by term, of a run whose rows differ; each block's terms add up to what the evaluation told of it."""
    workshop = open_workshop()
    run_id = finished(workshop, step="both", evaluations=("alignment",))
    [told] = [r for r in workshop.jobs.read(run_id)[0] if r["kind"] == "Measured" and r["variant"] == "chosen"]
    found = seen(workshop, run_id)
    terms = [sum(s.term for s in found.linears if s.block == b) for b in range(3)]
    assert terms == pytest.approx(told["details"]["blocks"], rel=1e-12)
    assert sum(terms) == pytest.approx(told["value"], rel=1e-12)
    for s in found.linears:
        shares = [norms / norms.sum() for norms in (s.dense.astype(float), s.pruned.astype(float))]
        assert np.linalg.norm(shares[0] - shares[1]) / s.columns == pytest.approx(s.term, rel=1e-5, abs=1e-9)


def test_bits_rows_and_drivers_are_those_of_the_model(open_workshop: Open) -> None:
    workshop = open_workshop()
    run_id = finished(workshop, step="row")
    found = seen(workshop, run_id)
    lm, twin = workshop.pair(run_id)
    assert [s.path for s in found.linears] == [linear.path for linear in lm.stack.all_linears()]
    down, up = found.at("1.mlp.down_proj"), found.at("1.mlp.up_proj")
    kept = twin.get_submodule(down.path).weight.numpy() != 0
    bits = workshop.inspector.cells(run_id, down.place, top=0, left=0, rows=32, columns=48, cell=1)
    assert bits == np.packbits(kept, axis=1).tobytes()
    figures = workshop.inspector.figures(run_id, down.place)
    assert figures.zeros.tolist() == (48 - kept.sum(1)).tolist() and figures.histogram.counts.sum() == 32
    assert up.reader == down.path and up.driver == pytest.approx(down.dense - down.pruned, abs=1e-6)
    last = found.at("2.mlp.down_proj")
    assert last.driver is None and last.reader == ""


def test_one_walk_for_each_run_also_after_a_restart(
    open_workshop: Open, loads: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = open_workshop()
    run_id = finished(before, top_up="uniform")
    first = seen(before, run_id)
    figures = before.inspector.figures(run_id, "0.mlp.gate_proj")
    before.close()
    loads.clear()
    monkeypatch.setattr(walks, "iter_inspect", None)
    after = open_workshop()
    again = after.inspector.look(run_id)
    assert isinstance(again, Inspected) and (again.samples, again.length) == (first.samples, first.length) == (2, 32)
    for one, other in zip(first.linears, again.linears, strict=True):
        assert repr(one) == repr(other)
        assert all(np.array_equal(getattr(one, n), getattr(other, n)) for n in ("dense", "pruned") if one.term)
    assert after.inspector.figures(run_id, "0.mlp.gate_proj").damaged == figures.damaged
    assert not loads, "no model is needed for what is known"
    assert [p.name for p in (tmp_path / "inspected").iterdir()] == [f"{run_id}.safetensors"]
    after._forget(run_id)
    assert not list((tmp_path / "inspected").iterdir())
    with pytest.raises(UserError, match="Only the log of this run is here"):
        after.inspector.look(run_id)


@pytest.mark.parametrize("damage", [b"", b"nonsense"])
def test_what_cannot_be_read_is_found_out_again(open_workshop: Open, tmp_path: Path, damage: bytes) -> None:
    workshop = open_workshop()
    run_id = finished(workshop, top_up="uniform")
    (tmp_path / "inspected").mkdir()
    (tmp_path / "inspected" / f"{run_id}.safetensors").write_bytes(damage)
    assert seen(workshop, run_id).linears


def test_a_weight_that_its_module_has_transposed_is_shown_as_it_is_used(open_workshop: Open) -> None:
    """Rows are outputs, whichever way round the module keeps them."""
    workshop = open_workshop()
    run_id = finished(workshop, top_up="uniform")
    found = seen(workshop, run_id)
    there = found.at("0.mlp.up_proj")
    turned = inspectors.Seen(**{**vars(there), "rows": 32, "columns": 48, "transposed": True, "path": "other"})
    stored = workshop.inspector._mask(run_id, there)  # [48, 32]
    reads = lambda path, name, shape: stored if shape == (48, 32) else None  # noqa: E731
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neuroal.runs.masks_file.read_mask", reads)
        assert np.array_equal(workshop.inspector._mask(run_id, turned), stored.T)


# --- refusals -------------------------------------------------------------------------------------------------------


def test_what_has_no_weights_says_what_can_be_done(open_workshop: Open, tmp_path: Path) -> None:
    workshop = open_workshop()
    store, look = workshop.jobs.store, workshop.inspector.look
    for status, kind in (("running", "RunStarted"), ("cancelled", "RunCancelled"), ("finished", "RunFinished")):
        store.add_run(status, "key", RunSpec(model="random").to_json(), private=False)
        store.append(status, 1, 0.0, {"kind": kind}, status)
    with pytest.raises(UserError, match="This run is running; its matrices can be shown once it has finished."):
        look("running")
    with pytest.raises(UserError, match="has been cancelled, so nothing is pruned yet; press Resume"):
        look("cancelled")
    for run_id, sentence in (("finished", NO_MASKS), ("example-01", RECORDED)):
        with pytest.raises(UserError) as refused:
            look(run_id)
        assert str(refused.value) == sentence
    for unknown in ("nobody", "", "../pruned/x", "sweep-1"):
        with pytest.raises(KeyError):
            look(unknown)


def test_a_linear_that_is_not_there_is_named_with_one_that_is(open_workshop: Open) -> None:
    workshop = open_workshop()
    run_id = finished(workshop, top_up="uniform")
    seen(workshop, run_id)
    for place in ("9.mlp.down_proj", "", "0", "0.mlp.down_proj.mask", "../x"):
        with pytest.raises(UserError, match=r"blocks are 0 to 2, and '0.self_attn.q_proj' is one"):
            workshop.inspector.figures(run_id, place)


class Held:
    """A walk that waits in the middle."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.go, self.fault, self.closed = threading.Event(), fault, False

    def __call__(self, *_: Any) -> Generator[Evaluated, None, Any]:
        try:
            yield Evaluated("chosen", 1, 3, "inspection")
            assert self.go.wait(20)
            if self.fault:
                raise self.fault
            yield Evaluated("chosen", 2, 3, "inspection")
        finally:
            self.closed = True


@pytest.mark.parametrize(
    ("fault", "sentence"), [(UserError("This text is too short."), "This text is too short."), (OSError("x"), FAULT)]
)
def test_progress_is_told_and_a_failure_once(
    open_workshop: Open, monkeypatch: pytest.MonkeyPatch, fault: Exception, sentence: str
) -> None:
    workshop, held = open_workshop(), Held(fault)
    run_id = finished(workshop, top_up="uniform")
    monkeypatch.setattr(walks, "iter_inspect", held)
    eventually(lambda: str(workshop.inspector.look(run_id)).endswith("block 1 of 3."))
    with pytest.raises(UserError, match="This run is still being looked into. Comparing"):
        workshop.inspector.figures(run_id, "0.mlp.up_proj")
    held.go.set()
    with pytest.raises(UserError) as told:
        eventually(lambda: not workshop.inspector.look(run_id))
    assert str(told.value) == sentence
    monkeypatch.undo()
    monkeypatch.setattr(inspectors, "MOST_WAITING", 0)
    with pytest.raises(UserError, match="already; try again in a minute"):  # asked again, it begins anew
        eventually(lambda: not workshop.inspector.look(run_id))


def test_a_server_that_stops_ends_its_walks(open_workshop: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop, held = open_workshop(), Held()
    run_id = finished(workshop, top_up="uniform")
    monkeypatch.setattr(walks, "iter_inspect", held)
    eventually(lambda: "block 1" in str(workshop.inspector.look(run_id)))
    workshop.close()
    held.go.set()
    eventually(lambda: held.closed)
