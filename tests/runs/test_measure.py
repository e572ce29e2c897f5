"""Measuring a finished run once more: the figures of a run asked at once, and finished it stays whatever comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from neuroal.errors import UserError
from neuroal.evaluation.kinds import Divergence
from neuroal.runs.spec import RunSpec
from neuroal.runs.workshop import Workshop
from tests.runs.helpers import SMALL, wait_for
from tests.runs.test_workshop import finished, stop_after

Open = Callable[..., Workshop]
FIGURES = ("kind", "variant", "metric", "value", "stderr", "tokens", "details")


def spec(*evaluations: str, **settings: Any) -> RunSpec:
    return RunSpec(model="random", **{**SMALL, "evaluations": evaluations, **settings})


def figures(workshop: Workshop, run_id: str) -> list[dict[str, Any]]:
    records, _ = workshop.jobs.read(run_id)
    found = [{name: r[name] for name in FIGURES} for r in records if r["kind"] == "Measured"]
    return sorted(found, key=lambda f: (f["metric"], f["variant"]))


def last_notice(workshop: Workshop, run_id: str) -> str:
    records, _ = workshop.jobs.read(run_id)
    assert records[-1]["kind"] == "RunFinished"
    return records[-2]["message"]


@pytest.mark.parametrize(
    "settings",
    [{"top_up": "owl"}, {"top_up": "custom", "block_sparsity": (0.5, 0.6, 0.4)}, {"top_up": "uniform"}],
    ids=lambda settings: settings["top_up"],
)
def test_measured_later_is_measured_the_same(open_workshop: Open, settings: dict[str, Any]) -> None:
    workshop = open_workshop()
    at_once = finished(workshop, evaluations=("perplexity", "divergence"), **settings)
    later = finished(workshop, evaluations=("perplexity",), **settings)
    before = len(workshop.jobs.read(later)[0])
    workshop.measure(later, spec("divergence"))
    assert wait_for(workshop.jobs, later) == "finished"
    assert later != at_once
    assert figures(workshop, later) == figures(workshop, at_once)
    fresh = {r["kind"] for r in workshop.jobs.read(later, before)[0]}
    assert not {"BlockRated", "AllocationReady"} & fresh, "nothing is searched again"


def test_after_a_restart_and_with_what_was_asked_kept(open_workshop: Open) -> None:
    before = open_workshop()
    run_id = finished(before, top_up="uniform")
    before.close()
    workshop = open_workshop()
    workshop.measure(run_id, spec("divergence"))
    assert wait_for(workshop.jobs, run_id) == "finished"
    assert [(f["metric"], f["variant"]) for f in figures(workshop, run_id)] == [("divergence", "chosen")]
    assert workshop.jobs.spec(run_id).evaluations == ("divergence",)
    records = workshop.jobs.read(run_id)[0]
    first, last = (r["seconds"] for r in records if r["kind"] == "RunFinished")
    assert last > first, "the seconds of both parts"
    with pytest.raises(UserError, match="has all of these figures"):
        workshop.measure(run_id, spec("divergence"))


def test_the_answer_to_the_question_that_it_began_with_is_still_found(open_workshop: Open) -> None:
    workshop = open_workshop()
    run_id = finished(workshop, top_up="uniform")
    workshop.measure(run_id, spec("divergence"))
    wait_for(workshop.jobs, run_id)
    assert workshop.start(spec(top_up="uniform")) == run_id


def test_a_measurement_that_fails_leaves_the_run_finished(open_workshop: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop = open_workshop()
    run_id = finished(workshop)

    def fail(*_: Any) -> Any:
        raise UserError("The questions cannot be fetched.")

    monkeypatch.setattr(Divergence, "measure", fail)
    workshop.measure(run_id, spec("divergence"))
    assert wait_for(workshop.jobs, run_id) == "finished"
    assert last_notice(workshop, run_id) == "Measuring failed. The questions cannot be fetched."
    workshop.pair(run_id)


def test_cancelled_measuring_keeps_the_run_and_can_go_on(open_workshop: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop = open_workshop()
    run_id = finished(workshop)
    with monkeypatch.context() as patch:
        stop_after(workshop, patch, "Evaluated")
        workshop.measure(run_id, spec("divergence"))
        assert wait_for(workshop.jobs, run_id) == "finished"
    assert "cancelled" in last_notice(workshop, run_id)
    assert figures(workshop, run_id) == []
    workshop.measure(run_id, spec("divergence"))
    assert wait_for(workshop.jobs, run_id) == "finished"
    assert {f["variant"] for f in figures(workshop, run_id)} == {"chosen", "uniform"}


def test_a_server_that_stops_meanwhile_leaves_the_run_finished(open_workshop: Open) -> None:
    before = open_workshop()
    run_id = finished(before)
    before.jobs.store.append(run_id, 10_000, 1.0, {"kind": "RunResumed"}, "running")  # and then it was gone
    before.close()
    after = open_workshop()
    assert after.jobs.status(run_id) == "finished"
    assert "The server stopped" in last_notice(after, run_id)
    after.pair(run_id)


def test_only_a_finished_run_with_its_model_can_be_measured(open_workshop: Open) -> None:
    workshop = open_workshop()
    with pytest.raises(KeyError):
        workshop.measure("nobody", spec("divergence"))
    run_id = finished(workshop)
    workshop._masks(run_id).unlink()
    with pytest.raises(UserError, match="is gone"):
        workshop.measure(run_id, spec("divergence"))
    with pytest.raises(UserError, match="tick another"):
        workshop.measure(run_id, spec())
