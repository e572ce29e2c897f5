"""The server's state: pairs of dense and pruned models, also after a restart, and runs resumed through the store."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from neuroal.errors import UserError
from neuroal.runs import masks_file
from neuroal.runs import pool as pools
from neuroal.runs import workshop as workshop_module
from neuroal.runs.events import RunFinished
from neuroal.runs.spec import RunSpec
from neuroal.runs.workshop import Workshop
from neuroal.threads import NICENESS
from tests.runs.helpers import PATIENCE, SMALL, eventually, kinds, wait_for, weights_digest

if TYPE_CHECKING:
    from neuroal.models.loading import LanguageModel

Open = Callable[..., Workshop]

GONE = "The pruned weights of this run are gone or damaged; run it again."


def finished(workshop: Workshop, **settings: Any) -> str:
    run_id = workshop.jobs.start(RunSpec(model="random", **{**SMALL, "evaluations": (), **settings}))
    assert wait_for(workshop.jobs, run_id) == "finished", workshop.jobs.read(run_id)[0][-1]
    return run_id


def stop_after(workshop: Workshop, monkeypatch: pytest.MonkeyPatch, kind: str, nth: int = 1) -> None:
    """Cancels whatever run is the first to save its n-th event of a kind."""
    save, seen = workshop.jobs.store.append, [0]

    def append(run_id: str, n: int, t: float, payload: dict[str, Any], *more: Any) -> None:
        save(run_id, n, t, payload, *more)
        seen[0] += payload["kind"] == kind
        if seen[0] == nth and payload["kind"] == kind:
            workshop.jobs.cancel(run_id)

    monkeypatch.setattr(workshop.jobs.store, "append", append)


def test_a_finished_run_leaves_a_pair(open_workshop: Open, language_model: LanguageModel, tmp_path: Path) -> None:
    workshop = open_workshop()
    run_id = finished(workshop)
    lm, twin = workshop.pair(run_id)
    assert lm is language_model
    assert weights_digest(twin) != weights_digest(lm.model)
    assert workshop.pair(run_id)[1] is twin, "from memory"
    assert [p.name for p in (tmp_path / "pruned").iterdir()] == [f"{run_id}.safetensors"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a thread has a priority of its own on Linux only")
def test_a_run_takes_what_others_leave_over(open_workshop: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that computes stands back; one that only hears of what a cluster computes is not kept waiting."""
    if os.getpriority(os.PRIO_PROCESS, 0) >= NICENESS:
        pytest.skip("the tests themselves stand back here")
    workshop, told = open_workshop(), []
    append, engine = workshop.jobs.store.append, workshop.jobs.engine

    def heard(*args: Any) -> None:
        told.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        append(*args)

    monkeypatch.setattr(workshop.jobs.store, "append", heard)
    workshop.jobs.engine = lambda *_: (event for event in [RunFinished(0.1, 0)])
    finished(workshop, seed=1)
    assert NICENESS not in told
    workshop.jobs.engine = engine
    finished(workshop)
    assert told[-1] == NICENESS


@pytest.mark.parametrize("settings", [{"step": "both"}, {"top_up": "uniform"}, {"pruner": "magnitude", "step": "row"}])
def test_a_pair_is_bit_equal_after_a_restart(open_workshop: Open, settings: dict[str, Any]) -> None:
    before = open_workshop()
    run_id = finished(before, **settings)
    pruned = weights_digest(before.pair(run_id)[1])
    before.close()
    lm, twin = open_workshop().pair(run_id)
    assert weights_digest(twin) == pruned != weights_digest(lm.model)


def test_a_rebuilt_twin_shares_what_was_not_pruned(open_workshop: Open) -> None:
    before = open_workshop()
    run_id = finished(before)
    before.close()
    lm, twin = open_workshop().pair(run_id)
    linears = {f"{x.path}.weight" for x in lm.stack.all_linears()}
    dense = dict(lm.model.named_parameters())
    shared = {name for name, p in twin.named_parameters() if p.data_ptr() == dense[name].data_ptr()}
    assert shared == set(dense) - linears


def test_twins_that_left_the_memory_are_rebuilt(open_workshop: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workshop_module, "KEPT_TWINS", 1)
    workshop = open_workshop()
    first = finished(workshop, top_up="uniform")
    twin = workshop.pair(first)[1]
    second = finished(workshop, step="block")
    assert list(workshop._twins) == [second]
    again = workshop.pair(first)[1]
    assert again is not twin and weights_digest(again) == weights_digest(twin)
    assert list(workshop._twins) == [first]


@pytest.mark.parametrize("status", ["queued", "running", "failed", "cancelled", "interrupted"])
def test_a_run_that_has_not_finished_has_no_pair(open_workshop: Open, status: str) -> None:
    workshop = open_workshop()
    workshop.jobs.store.add_run("r", "key", RunSpec(model="random").to_json(), private=False)
    kind = {"queued": "Queued", "running": "RunStarted"}.get(status, f"Run{status.capitalize()}")
    workshop.jobs.store.append("r", 1, 0.0, {"kind": kind, "position": 1, "message": ""}, status)
    with pytest.raises(UserError, match=f"This run is {status}; the pruned model can be asked once it has finished."):
        workshop.pair("r")


@pytest.mark.parametrize("run_id", ["nobody", "", "../runs"])
def test_an_unknown_run_has_no_pair(open_workshop: Open, run_id: str) -> None:
    with pytest.raises(UserError, match="No run has this id"):
        open_workshop().pair(run_id)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"nonsense")], ids=["gone", "damaged"])
def test_a_lost_mask_is_said_and_does_no_harm(
    open_workshop: Open, damage: Callable[[Path], Any], tmp_path: Path
) -> None:
    before = open_workshop()
    run_id, other = finished(before), finished(before, step="row")
    before.close()
    damage(tmp_path / "pruned" / f"{run_id}.safetensors")
    workshop = open_workshop()
    for _ in range(2):
        with pytest.raises(UserError) as caught:
            workshop.pair(run_id)
        assert str(caught.value) == GONE
    assert workshop.pair(other)
    again = workshop.start(workshop.jobs.spec(run_id))
    assert again != run_id, "what is lost is no answer any more"
    assert wait_for(workshop.jobs, again) == "finished" and workshop.pair(again)


def test_a_run_whose_masks_cannot_be_saved_has_not_finished(
    open_workshop: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It failed with a sentence about the disk; once there is room, it is resumed and keeps its pair."""
    from safetensors import SafetensorError

    workshop = open_workshop()
    with monkeypatch.context() as patch:

        def full(*_: Any) -> None:
            raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

        patch.setattr(masks_file, "save_file", full)
        run_id = workshop.jobs.start(RunSpec(model="random", **SMALL))
        assert wait_for(workshop.jobs, run_id) == "failed"
    assert "disk of this machine is full" in workshop.jobs.read(run_id)[0][-1]["message"]
    assert list((tmp_path / "pruned").iterdir()) == []
    workshop.jobs.resume(run_id)
    assert wait_for(workshop.jobs, run_id) == "finished"
    assert kinds(workshop.jobs, run_id).count("Measured") == 3, "none was measured twice"
    assert workshop.pair(run_id)


def test_who_has_a_twin_in_memory_does_not_wait_for_anothers_rebuild(
    open_workshop: Open, language_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rebuild may have to download its model first; meanwhile others talk to theirs, and runs finish."""
    before = open_workshop()
    slow_run = finished(before, top_up="uniform")
    before.close()
    workshop = open_workshop()
    quick = finished(workshop, step="block")
    begun, gate, apply = threading.Event(), threading.Event(), masks_file.apply_masks
    released: list[bool] = []

    def slow(*args: Any) -> None:
        begun.set()
        released.append(gate.wait(PATIENCE))
        apply(*args)

    monkeypatch.setattr(masks_file, "apply_masks", slow)
    thread = threading.Thread(target=workshop.pair, args=(slow_run,))
    thread.start()
    assert begun.wait(PATIENCE)
    assert workshop.pair(quick)
    assert finished(workshop, step="row")
    gate.set()
    thread.join(PATIENCE)
    assert not thread.is_alive() and released == [True]


def test_a_twin_wanted_by_many_is_rebuilt_once(open_workshop: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_workshop()
    run_id = finished(before)
    before.close()
    workshop, apply, rebuilt = open_workshop(), masks_file.apply_masks, []

    def counted(*args: Any) -> None:
        rebuilt.append(args[0])
        apply(*args)

    monkeypatch.setattr(masks_file, "apply_masks", counted)
    twins: list[Any] = []
    threads = [threading.Thread(target=lambda: twins.append(workshop.pair(run_id)[1])) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(twins) == 5 and len({id(twin) for twin in twins}) == 1 and len(rebuilt) == 1


# --- cancelled and resumed through the store ------------------------------------------------------------------------


def results(workshop: Workshop, run_id: str) -> dict[str, Any]:
    """What a run found out: by candidate, by variant, and in the weights."""
    records = workshop.jobs.read(run_id)[0]
    return {
        "scores": {(r["step"], r["lam"]): r["score"] for r in records if r["kind"] == "CandidateFinished"},
        "chosen": {r["step"]: r["lam"] for r in records if r["kind"] == "LambdaChosen"},
        "measured": {r["variant"]: (r["value"], r["stderr"]) for r in records if r["kind"] == "Measured"},
        "twin": weights_digest(workshop.pair(run_id)[1]),
    }


@pytest.mark.parametrize(
    ("kind", "nth"),
    [
        ("RunStarted", 1),
        ("BlockScored", 4),
        ("BlockScored", 8),
        ("LambdaChosen", 2),
        ("BlockPruned", 2),
        ("Measured", 2),
    ],
)
@pytest.mark.parametrize("restart", [False, True], ids=["same server", "after a restart"])
def test_a_cancelled_run_goes_on_to_the_same_result(
    open_workshop: Open, monkeypatch: pytest.MonkeyPatch, kind: str, nth: int, restart: bool
) -> None:
    workshop = open_workshop()
    spec = RunSpec(model="random", **{**SMALL, "eval_windows": 3})
    with monkeypatch.context() as patch:
        stop_after(workshop, patch, kind, nth)
        run_id = workshop.jobs.start(spec)
        assert wait_for(workshop.jobs, run_id) == "cancelled"
    if restart:
        workshop.close()
        workshop = open_workshop()
    else:
        eventually(lambda: not workshop.jobs._going)
    workshop.jobs.resume(run_id)
    assert wait_for(workshop.jobs, run_id) == "finished"
    whole = workshop.jobs.start(spec, again=True)
    assert wait_for(workshop.jobs, whole) == "finished"
    assert results(workshop, run_id) == results(workshop, whole)


@pytest.mark.parametrize("where", ["BlockScored", "BlockPruned", "Evaluated"])
def test_cancelling_leaves_the_dense_model_bit_identical(
    open_workshop: Open, language_model: LanguageModel, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    before = weights_digest(language_model.model)
    workshop = open_workshop()
    stop_after(workshop, monkeypatch, where, 2)
    run_id = workshop.jobs.start(RunSpec(model="random", **SMALL))
    assert wait_for(workshop.jobs, run_id) == "cancelled"
    workshop.close()
    assert weights_digest(language_model.model) == before
    assert kinds(workshop.jobs, run_id)[-2:] == [where, "RunCancelled"]


@pytest.fixture
def loading(
    open_workshop: Open, language_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Workshop, str, threading.Event]]:
    """A workshop, a run whose model is being loaded there, and what lets the load come to its end."""
    begun, gate = threading.Event(), threading.Event()

    def load(name: str, **_: Any) -> LanguageModel:
        begun.set()
        assert gate.wait(PATIENCE)
        return language_model

    monkeypatch.setattr(pools, "load", load)
    workshop = open_workshop()
    run_id = workshop.jobs.start(RunSpec(model="random", **SMALL))
    assert begun.wait(PATIENCE)
    yield workshop, run_id, gate
    gate.set()


def test_closing_while_a_model_loads(
    loading: tuple[Workshop, str, threading.Event], open_workshop: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The load cannot be broken off, but the run stops waiting for it at the next sign of life."""
    from neuroal import background

    workshop, run_id, gate = loading
    monkeypatch.setattr(background, "HEARTBEAT", 0.01)
    workshop.close()
    assert workshop.jobs.status(run_id) == "interrupted"
    gate.set()
    assert open_workshop().jobs.status(run_id) == "interrupted"


def test_stopping_waits_once_for_a_run_that_says_nothing_and_then_hears_no_more_of_it(
    loading: tuple[Workshop, str, threading.Event], open_workshop: Open
) -> None:
    workshop, run_id, gate = loading
    started = time.monotonic()
    workshop.stop(0.05)
    told = workshop.jobs.read(run_id)[0]
    workshop.close()
    assert time.monotonic() - started < 1.5, "less than it takes to be heard of again"
    assert told[-1]["kind"] == "RunInterrupted"
    gate.set()
    for thread in workshop.jobs._threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    again = open_workshop()
    assert [r["kind"] for r in again.jobs.read(run_id)[0]] == [r["kind"] for r in told]


def test_opening_a_workshop_imports_nothing_heavy() -> None:
    """The page must be there before torch is."""
    import subprocess
    import sys

    code = "import sys, neuroal.runs.workshop as w; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, timeout=120).returncode == 0


def test_any_two_models_of_one_kind_stand_side_by_side(open_workshop: Open, small_spec: RunSpec) -> None:
    workshop = open_workshop()
    one = workshop.start(replace(small_spec, top_up="uniform"))
    two = workshop.start(replace(small_spec, top_up="uniform", sparsity=0.3))
    for run_id in (one, two):
        assert wait_for(workshop.jobs, run_id) == "finished"
    lm, left, right = workshop.sides(two, one)
    assert weights_digest(left) == weights_digest(workshop.pair(two)[1]) != weights_digest(right)
    assert workshop.sides("dense", one)[1] is lm.model and workshop.sides(one, "dense")[2] is lm.model
    with pytest.raises(UserError, match="Both sides are the dense model"):
        workshop.sides("dense", "dense")
    with pytest.raises(UserError, match="No run has this id"):
        workshop.sides(one, "nothing-here")
    other = replace(small_spec, top_up="uniform", dtype="float32")
    three = workshop.start(other)
    assert wait_for(workshop.jobs, three) == "finished"
    with pytest.raises(UserError, match="another precision"):
        workshop.sides(one, three)
