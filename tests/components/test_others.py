"""Which runs stand beside a sweep's on its map, which are left out, and what strangers may see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.listing import Listing
from components.listing_route import answer
from components.others import OWN_TEXT, Others
from neuroal.errors import UserError
from neuroal.runs.events import Measured, RunFinished
from neuroal.runs.jobs import Jobs
from neuroal.runs.log import RunLog
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from neuroal.sweeps.events import MemberFinished, SweepStarted
from tests.components.kept import keep
from tests.runs.helpers import records_of, started


class Kept:
    """A store with a sweep of one run, and the runs that a test adds."""

    def __init__(self, folder: Path) -> None:
        self.jobs = Jobs(Store(folder), lambda *_: iter(()))
        self.member = self.run()
        self.sweep = self.add_sweep(self.member)

    def run(self, perplexity: float = 50.0, length: int = 128, **settings: Any) -> str:
        spec = RunSpec(**{"model": "tiny", "top_up": "uniform", **settings})
        measured = Measured("chosen", "perplexity", spec.eval_source, perplexity, 1.0, 16 * length, length, 1.0, {})
        return keep(self.jobs.store, records_of([started(spec), measured, RunFinished(1.0, 1)]), spec)

    def add_sweep(self, *runs: str) -> str:
        sweep = f"sweep-{len(runs)}-{runs[0]}"
        self.jobs.store.add_run(sweep, "", "{}", private=False, kind="sweep")
        log = RunLog(sweep, self.jobs.store)
        log.append(SweepStarted({}, (), (), "2026"))
        for index, run in enumerate(runs):
            log.append(MemberFinished(index, run, "finished", False, {}))
        return sweep

    def read(self, run: str, after: int) -> tuple[list[dict[str, Any]], bool]:
        records = self.jobs.store.events(run)
        if not records:
            raise KeyError(run)
        return records[after:], True

    def others(self, whose: str = "all") -> Others:
        return Others(Listing(self.jobs, whose), self.read)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path)
    yield made
    made.jobs.close()
    made.jobs.store.close()


def test_runs_of_its_model_that_are_on_one_scale(kept: Kept) -> None:
    by_hand = kept.run(40.0, top_up="custom", block_sparsity=(0.5, 0.6))
    own = kept.run(44.0, pruner="magnitude", sparsity=0.5)
    kept.jobs.store.edit(own, name="<b>Mine</b>")
    kept.run(model="another")
    found = kept.others().around(kept.sweep, own=[own])
    points = {p["run"]: (p["label"], p["custom"], p["own"], p["focus"]) for p in found["points"]}
    assert points == {
        own: ("<b>Mine</b>", False, True, False),
        by_hand: ("Wanda, Custom", True, False, False),
    }
    assert found["points"][1]["summary"]["perplexity"] == 40.0 and found["left"] == 0 and found["why"] == []


def test_what_cannot_be_compared_is_left_out_and_told(kept: Kept) -> None:
    kept.run(length=256)
    kept.run(length=256, seed=1)
    kept.run(revision="v2")
    kept.run(eval_source="own", eval_text="Words of mine. " * 20)
    found = kept.others().around(kept.sweep)
    assert found["points"] == [] and found["left"] == 4
    assert found["why"] == [
        OWN_TEXT,
        "The model's revision differs: None and v2.",
        "The window length differs: 128 and 256. The number of tokens or questions differs: 2048 and 4096.",
    ]


def test_on_a_shared_host_only_ones_own(kept: Kept) -> None:
    mine, anothers = kept.run(seed=1), kept.run(seed=2)
    others = kept.others("own")
    assert [p["run"] for p in others.around(kept.sweep, own=[mine])["points"]] == [mine]
    assert [p["run"] for p in others.around(kept.sweep)["points"]] == []
    known = others.around(kept.sweep, anothers, [mine])["points"]
    assert {p["run"] for p in known} == {mine, anothers}, "whose id is known may be looked at"


def test_a_run_finds_its_map(kept: Kept) -> None:
    run, far = kept.run(seed=1), kept.run(length=64)
    newer = kept.add_sweep(kept.run(seed=2), kept.run(seed=3))
    others = kept.others()
    assert others.place(run) == {"sweep": newer}
    assert others.place(run, kept.sweep) == {"sweep": kept.sweep}, "the one that is shown"
    assert others.place(kept.member, newer) == {"sweep": newer}
    assert others.place(far, kept.sweep) == others.place("nobody") == {"sweep": ""}
    assert kept.others("own").place(run) == {"sweep": ""}
    assert kept.others("own").place(run, own=[kept.sweep]) == {"sweep": kept.sweep}


def test_without_a_sweep_it_is_a_map_of_single_runs(kept: Kept) -> None:
    far, near = kept.run(length=64), kept.run(length=64, seed=1)
    found = kept.others().around(run=far)
    assert {p["run"]: p["focus"] for p in found["points"]} == {far: True, near: False}
    assert found["left"] == 1


def test_a_run_of_the_sweep_is_marked_when_it_is_looked_for(kept: Kept) -> None:
    assert [p["focus"] for p in kept.others().around(kept.sweep, kept.member)["points"]] == [True]
    assert kept.others().around(kept.sweep)["points"] == kept.others().around("sweep-nobody")["points"] == []


def test_over_the_route(kept: Kept) -> None:
    listing = Listing(kept.jobs)
    asked = {"do": "around", "sweep": kept.sweep, "run": "", "own": []}
    assert answer(listing, asked, kept.others())["points"] == []
    assert answer(listing, {"do": "place", "run": kept.member}, kept.others()) == {"sweep": kept.sweep}
    for wrong in ({**asked, "own": "abc"}, {**asked, "own": 5}, {**asked, "else": 1}, {"do": "place"}):
        with pytest.raises(UserError):
            answer(listing, wrong, kept.others())
    with pytest.raises(UserError, match="not known"):
        answer(listing, asked)
