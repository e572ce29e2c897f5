"""When helpers are asked, of whom, and what is said of them; on a real cluster they are in test_ray.py."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from neuroal.cluster.engine import RayEngine
from neuroal.cluster.spread import SpreadScorer, is_worth
from neuroal.runs import estimate as estimates
from neuroal.runs.spec import RunSpec
from neuroal.scoring import Candidate
from tests.runs.helpers import SMALL

if TYPE_CHECKING:
    from neuroal.models.loading import LanguageModel

SIZE = {"num_cpus": 1, "num_gpus": 0}


@pytest.mark.parametrize(
    ("seconds", "size", "worth"),
    [(5, 4e6, False), (110, 538e6, True), (110, 14e9, False), (3600, 14e9, True), (0, 0, False)],
)
def test_helpers_are_worth_it_where_the_search_is_long_for_the_weights(seconds: float, size: int, worth: bool) -> None:
    """A tiny model; SmolLM2 with every lambda; as short a search of 7B parameters, which is none to speak of."""
    assert is_worth(seconds, size) == worth


@pytest.mark.parametrize(
    ("speed", "slots", "settings", "helped"),
    [
        (1e5, 2, {}, True),
        (1e11, 2, {}, False),
        (1e5, 1, {}, False),
        (1e5, 2, {"top_up": "owl"}, False),
        (1e5, 2, {"length": 4096}, False),
    ],
    ids=["long", "short", "one slot", "no search", "refused"],
)
def test_the_estimate_decides(
    model_folder: Path,
    language_model: LanguageModel,
    monkeypatch: pytest.MonkeyPatch,
    speed: float,
    slots: int,
    settings: dict[str, Any],
    helped: bool,
) -> None:
    monkeypatch.setattr(estimates, "machine_speed", lambda: speed)
    connection: Any = SimpleNamespace(slots=slots, size=SIZE)
    engine = RayEngine(connection, lambda: None, lambda run_id: model_folder)  # type: ignore[arg-type,return-value]
    spec = RunSpec(model=str(model_folder), **{**SMALL, **settings})
    assert engine._helpers(spec, language_model) == (SIZE if helped else None)


@pytest.mark.parametrize(("gpus", "cpus", "pace"), [(0, 1, 4.0), (0, 2, 2.0), (0, 8, 1.0), (1, 1, 1.0)])
def test_a_run_on_fewer_threads_takes_longer(
    monkeypatch: pytest.MonkeyPatch, gpus: int, cpus: int, pace: float
) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 4)
    connection: Any = SimpleNamespace(gpus=gpus, cpus=cpus)
    assert RayEngine(connection, lambda: None, Path).pace == pace  # type: ignore[arg-type,return-value]


class Room:
    """Room for so many helpers; remembers the lambdas that they were asked for."""

    def __init__(self, room: int) -> None:
        self.left, self.asked = room, []

    def room(self) -> str | None:
        self.left -= 1
        return "key" if self.left >= 0 else None

    def begin(self, key: str, asked: Any) -> str:
        self.asked.append(asked.candidate.lam)
        return "task"


def scorer(room: Room) -> SpreadScorer:
    unused: Any = None
    return SpreadScorer(room, unused, unused, unused)  # type: ignore[arg-type]


def candidate(lam: float) -> Candidate:
    return Candidate(round(lam * 10), lam, {})


def test_helpers_are_asked_for_what_comes_next_and_one_is_left_for_the_worker() -> None:
    room = Room(2)
    spread = scorer(room)
    spread.expect("row", [candidate(0.0)], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], candidate)
    assert room.asked == [0.1, 0.2]
    room.left = 1
    spread.expect("row", [candidate(0.1)], [0.2, 0.3, 0.4, 0.5, 0.6], candidate)
    assert room.asked == [0.1, 0.2, 0.4], "0.1 is a helper's, so 0.3 is the worker's"


def test_lambdas_for_which_there_is_no_room_are_not_even_made() -> None:
    def never(lam: float) -> Candidate:
        made.append(lam)
        return candidate(lam)

    made: list[float] = []
    scorer(Room(0)).expect("row", [candidate(0.0)], [0.1, 0.2, 0.3], never)
    assert made == []


def test_what_helpers_did_is_said_once() -> None:
    spread = scorer(Room(0))
    assert spread.report() is None
    spread._scored += ["one", "two", "one"]
    assert spread.report() == (
        "Candidates of this step were spread over 2 helpers on the cluster: "
        "3 of them were scored there, the others by the run's own worker."
    )
    assert spread.report() is None
