"""What a profile refuses, at every door, and that the command line has none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.endpoints import Endpoints
from components.endpoints_callers import Refused
from components.listing import Listing
from components.page import Records
from components.starting import begin
from neuroal.errors import UserError
from neuroal.hosting.limits import Limits, sentence
from neuroal.hosting.profile import Profile, current, shipped
from neuroal.runs.events import RunInterrupted
from neuroal.runs.queue import WAITING_EACH
from neuroal.runs.spec import PRESETS, RunSpec
from neuroal.runs.workshop import Workshop
from neuroal.sweeps.spec import SweepSpec
from tests.components.test_endpoints import ME, TINY
from tests.runs.helpers import Script, wait_for

HOST = Profile(
    where="this host", more="ask for more", models=("tiny", "HuggingFaceTB/SmolLM2-135M-Instruct"), samples=8,
    length=256, windows=16, questions=50, text=500, sweep=2, waiting=1,
)  # fmt: skip

QUICK: dict[str, Any] = {"model": "tiny", **PRESETS["Quick"]}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"samples": 9}, "Samples is 9, but this host allows at most 8; choose less, or ask for more."),
        ({"prune_samples": 16}, "Samples to prune is 16, but this host allows at most 8;"),
        ({"length": 300}, "Length is 300, but this host allows at most 256;"),
        ({"eval_length": 300}, "Window length is 300, but this host allows at most 256;"),
        ({"eval_windows": 17}, "Held-out windows is 17, but this host allows at most 16;"),
        ({"evaluations": ("zeroshot",)}, "Questions is 100, but this host allows at most 50;"),
        ({"source": "own", "text": "a word " * 80}, "The calibration text has 560 characters, but this host allows"),
        ({"eval_source": "own", "eval_text": "word " * 101}, "The held-out text has 505 characters, but this host"),
        ({"model": "gpt2"}, "The model is gpt2, but this host allows only tiny, HuggingFaceTB/SmolLM2-135M-Instruct;"),
    ],
)
def test_each_limit_is_a_sentence_with_what_is_allowed(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as refusal:
        Limits(HOST).refuse(RunSpec(**{**QUICK, **asked}))
    assert str(refusal.value).startswith(said)


def test_a_model_is_known_by_each_of_its_names() -> None:
    for name in ("tiny", "SmolLM2-135M-Instruct", "huggingfacetb/smollm2-135m-instruct"):
        Limits(HOST).refuse(RunSpec(**{**QUICK, "model": name}))


def test_a_model_that_is_too_large_is_refused_by_its_own_configuration() -> None:
    Limits(Profile(parameters=1_800_000)).refuse(RunSpec(**QUICK))
    with pytest.raises(UserError, match=r"^tiny has 1\.7M parameters, but this host allows at most 1\.0M; choose a"):
        Limits(Profile(parameters=1_000_000)).refuse(RunSpec(**QUICK))


@pytest.mark.parametrize("name", shipped())
def test_what_the_form_offers_at_first_is_allowed_everywhere(name: str) -> None:
    profile = current({"NEUROAL_PROFILE": name})
    Limits(profile).refuse(RunSpec(**{**QUICK, "model": profile.default_model or "tiny"}))
    Limits(profile).refuse(RunSpec(model="tiny"))


def test_the_page_tells_the_limits_of_a_host_and_nothing_where_there_are_none() -> None:
    assert sentence(Profile()) == sentence(current({})) == ""
    assert sentence(current({"NEUROAL_PROFILE": "space-cpu"})) == (
        "On this Space: models up to 500M parameters, 32 samples of 512 tokens, 200,000 characters of own text, "
        "sweeps of 12 runs, 3 runs waiting each, 20 minutes a run, runs are kept 30 days at most; duplicate the "
        "Space and set NEUROAL_PROFILE there for more."
    )
    models = "On this host: the models tiny and HuggingFaceTB/SmolLM2-135M-Instruct; 8 samples of 256 tokens, 500"
    assert sentence(HOST).startswith(models)
    assert sentence(Profile(models=("tiny",))) == "On this host: the model tiny; 3 runs waiting each."


# --- the doors --------------------------------------------------------------------------------------------------------


@pytest.fixture
def hosted(tmp_path: Path) -> Iterator[tuple[Workshop, Script]]:
    """A workshop of a host with limits, whose runs do nothing."""
    opened, script = Workshop(tmp_path, profile=HOST), Script()
    opened.jobs.engine = script
    yield opened, script
    script.release()
    opened.close()


def test_the_page_and_the_endpoints_refuse_alike(hosted: tuple[Workshop, Script]) -> None:
    workshop, _ = hosted
    with pytest.raises(UserError, match="^Samples is 9, but this host allows at most 8;"):
        begin(workshop, RunSpec(**{**QUICK, "samples": 9}), "someone")
    records = Records(workshop)
    endpoints = Endpoints(workshop, records.read, Listing(workshop.jobs, "own", records.read))
    with pytest.raises(Refused) as refusal:
        endpoints.start_run(ME, {**TINY, "samples": 9})
    assert str(refusal.value).startswith("Samples is 9, but this host allows at most 8;")


def test_a_sweep_is_refused_for_its_size_and_for_any_of_its_runs(hosted: tuple[Workshop, Script]) -> None:
    workshop, _ = hosted
    base = {**QUICK, "top_up": "uniform"}
    with pytest.raises(UserError, match=r"^This sweep is 3 runs, but this host allows at most 2; leave some out"):
        workshop.sweeps.start(SweepSpec(base, ([{"sparsity": s} for s in (0.5, 0.6, 0.7)],)))
    with pytest.raises(UserError, match="^Samples is 9"):
        workshop.sweeps.start(SweepSpec(base, ([{"seed": 1, "samples": 8}, {"samples": 9}],)))
    off = Limits(replace(HOST, sweep=0))
    with pytest.raises(UserError, match=r"^Sweeps are switched off on this host; ask single runs, or ask for more\.$"):
        off.refuse_sweep(SweepSpec(base, ([{"samples": 8}],)))


def test_what_came_in_a_bundle_cannot_be_resumed_beyond_the_limits(hosted: tuple[Workshop, Script]) -> None:
    workshop, _ = hosted
    records = [{"n": 1, "t": 0.0, **RunInterrupted().to_dict()}]
    run = workshop.jobs.adopt(RunSpec(**{**QUICK, "samples": 64}), records)
    assert workshop.jobs.status(run) == "interrupted"
    with pytest.raises(UserError, match="^Samples is 64"):
        workshop.jobs.resume(run)


def test_as_many_runs_wait_as_the_host_says(hosted: tuple[Workshop, Script]) -> None:
    workshop, script = hosted
    script.hold("tiny")
    workshop.start(RunSpec(**QUICK), "someone")
    script.wait_inside("tiny")
    workshop.start(RunSpec(**QUICK, seed=1), "someone")
    with pytest.raises(UserError, match=r"^You already have 1 run waiting; let one finish, or cancel one\.$"):
        workshop.start(RunSpec(**QUICK, seed=2), "someone")


def test_a_workshop_without_a_profile_has_no_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So has the command line, also where the page is limited."""
    monkeypatch.setenv("NEUROAL_PROFILE", "classroom")
    workshop, script = Workshop(tmp_path), Script()
    workshop.jobs.engine = script
    try:
        run = workshop.start(RunSpec(**{**QUICK, "samples": 64}))
        assert wait_for(workshop.jobs, run) == "finished" and workshop.jobs.rules.waiting == WAITING_EACH
    finally:
        workshop.close()
