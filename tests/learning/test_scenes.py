"""The scenes' figures: those of the public functions, or worked out here by other means."""

from __future__ import annotations

import base64
import json
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import neuroal
from neuroal.errors import UserError
from neuroal.learning.asked import Asked
from neuroal.learning.ground import WINDOW, WINDOWS
from neuroal.learning.scenes import SCENES, Classroom
from neuroal.models.loading import LanguageModel
from neuroal.twin import sparse_twin

O_PROJ = {"block": 3, "linear": "self_attn.o_proj"}


@pytest.fixture(scope="module")
def inputs(tiny: LanguageModel, tokens: Tensor) -> Tensor:
    """What o_proj of block 3 receives in the dense model, [samples, tokens, in]."""
    seen: list[Tensor] = []
    linear = tiny.model.get_submodule("model.layers.3.self_attn.o_proj")
    handle = linear.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        tiny.model(tokens)
    handle.remove()
    return seen[0]


def cells(scene: dict[str, Any]) -> np.ndarray:
    packed = np.frombuffer(base64.b64decode(scene["cells"]), np.uint8)
    return packed.reshape(scene["rows"], scene["columns"])


def test_a_matrix_with_the_norms_of_its_inputs(classroom: Classroom, tiny: LanguageModel, inputs: Tensor) -> None:
    scene = classroom.answer("matrix", O_PROJ)
    norms = inputs.square().sum(1).mean(0).sqrt()
    assert scene["norms"] == pytest.approx(norms.tolist(), rel=1e-4)
    assert scene["loudest"] == int(norms.argmax())
    assert scene["louder"] == pytest.approx(float(norms.max() / norms.median()), rel=1e-4)
    weight = tiny.model.get_submodule("model.layers.3.self_attn.o_proj").weight.detach().abs()
    assert np.array_equal(cells(scene), ((weight / weight.max()).sqrt() * 255).round().numpy().astype(np.uint8))


def test_two_metrics_and_what_they_do_to_the_outputs(classroom: Classroom, tiny: LanguageModel, inputs: Tensor) -> None:
    scene = classroom.answer("choice", {**O_PROJ, "sparsity": 0.5})
    weight = tiny.model.get_submodule("model.layers.3.self_attn.o_proj").weight.detach()
    norms, x = inputs.square().sum(1).mean(0).sqrt(), inputs.flatten(0, 1)
    for bit, name, metric in ((1, "magnitude", weight.abs()), (2, "wanda", weight.abs() * norms)):
        kept = torch.from_numpy((cells(scene) & bit) > 0)
        assert (kept.sum(1) == 64).all()
        assert (metric.masked_fill(kept, 0).amax(1) <= metric.masked_fill(~kept, math.inf).amin(1)).all()
        error = torch.linalg.norm(x @ (weight * ~kept).T) / torch.linalg.norm(x @ weight.T)
        assert scene["errors"][name] == pytest.approx(float(error), rel=1e-3)
    assert scene["rescued"] == int((cells(scene) == 2).sum())


def test_a_row_is_cut_at_a_whole_number_of_weights(classroom: Classroom) -> None:
    scene = classroom.answer("row", {**O_PROJ, "sparsity": 0.6, "row": 5})
    assert (scene["count"], scene["columns"], scene["kept"].count(False)) == (76, 128, 76)  # ⌊0.6 · 128⌋
    metric = [scene["metric"][j] for j in scene["order"]]
    assert metric == sorted(metric)
    assert not any(scene["kept"][j] for j in scene["order"][:76])


def test_a_row_that_is_not_there_is_the_last_one(classroom: Classroom) -> None:
    assert classroom.answer("row", {**O_PROJ, "row": 100_000})["row"] == 127


def test_what_the_next_linears_receive_gives_their_term(classroom: Classroom) -> None:
    scene = classroom.answer("received", {**O_PROJ, "sparsity": 0.7})
    dense, pruned = np.array(scene["dense"]), np.array(scene["pruned"])
    assert scene["readers"] == ["mlp.gate_proj", "mlp.up_proj"]
    assert (dense.sum(), pruned.sum()) == (pytest.approx(1, abs=1e-4), pytest.approx(1, abs=1e-4))
    assert scene["term"] == pytest.approx(np.linalg.norm(dense - pruned) / len(dense), rel=1e-3)
    assert scene["moved"][0] == int(np.abs(dense - pruned).argmax())
    terms = classroom.answer("score", {"sparsity": 0.7})
    assert terms["terms"][3][terms["linears"].index("mlp.up_proj")] == scene["term"]


def test_the_next_block_receives_the_same_in_both_passes(classroom: Classroom) -> None:
    scene = classroom.answer("received", {"block": 3, "linear": "mlp.down_proj"})
    assert (scene["block"], scene["again"], scene["term"], scene["lost"]) == (4, True, 0, 0)
    with pytest.raises(UserError, match="No block follows the last one"):
        classroom.answer("received", {"block": 7, "linear": "mlp.down_proj"})


@pytest.fixture(scope="module")
def searched(tiny: LanguageModel, tokens: Tensor) -> neuroal.Allocation:
    return neuroal.allocate(tiny.model, tokens, sparsity=0.7, step="both", mode="exact")


def test_the_race_is_the_search(classroom: Classroom, searched: neuroal.Allocation) -> None:
    race = classroom.answer("race", {"sparsity": 0.7})
    assert dict(zip(race["lambdas"], race["scores"], strict=True)) == searched.block_scores
    assert race["chosen"] == searched.block_lambda
    assert [sum(terms) for terms in race["terms"]] == pytest.approx(race["scores"], rel=1e-12)
    score = classroom.answer("score", {"sparsity": 0.7, "lam": race["chosen"]})
    assert score["score"] == pytest.approx(min(race["scores"]), rel=1e-12)
    assert score["uniform"]["score"] == race["uniform"]


def test_rows_are_those_of_the_search(classroom: Classroom, searched: neuroal.Allocation) -> None:
    given = {**O_PROJ, "sparsity": 0.7, "lam": searched.block_lambda, "row_lam": 0.05}
    scene = classroom.answer("rows", given)
    assert scene["score"] == pytest.approx(searched.row_scores[0.05], rel=1e-12)
    assert np.mean(scene["ratios"]) == pytest.approx(scene["base"], abs=1e-4)
    assert np.argmin(scene["ratios"]) == np.argmax(scene["driver"])
    last = classroom.answer("rows", {**given, "block": 7})
    assert (last["driven"], len(set(last["ratios"]))) == (False, 1)


def test_the_result_is_that_of_pruning(classroom: Classroom, tiny: LanguageModel, tokens: Tensor) -> None:
    scene = classroom.answer("result", {"sparsity": 0.7, "lam": 0.08})
    windows = neuroal.held_out_windows(tiny.tokenizer, windows=WINDOWS, length=WINDOW)
    twin = sparse_twin(tiny.model, [linear.path for linear in tiny.stack.all_linears()])
    report = neuroal.prune(twin, tokens, neuroal.allocate(tiny.model, tokens, top_up="uniform", sparsity=0.7))
    expected = {"dense": neuroal.perplexity(tiny.model, windows), "uniform": neuroal.perplexity(twin, windows)}
    assert {name: scene["perplexity"][name] for name in expected} == pytest.approx(expected, rel=1e-6)
    assert scene["achieved"]["uniform"] == report.overall
    assert scene["score"]["chosen"] == classroom.answer("score", {"sparsity": 0.7, "lam": 0.08})["score"]


def test_words_and_costs(classroom: Classroom) -> None:
    words = classroom.answer("words", {"sparsity": 0.7})["text"]
    assert words["chosen"] == words["uniform"] != words["dense"]  # lambda is 0
    cost = classroom.answer("cost", {"sparsity": 0.7})
    assert cost["bytes"]["dense"] == cost["bytes"]["zeros"] > cost["bytes"]["bitmask"]
    assert cost["zeros"] == pytest.approx(0.7, abs=0.01)
    rates = classroom.answer("speed", {"sparsity": 0.7})["rates"]
    assert rates != classroom.answer("speed", {"sparsity": 0.7})["rates"]  # measured anew


def test_ratios_by_hand(classroom: Classroom) -> None:
    ratios = [0.5, 0.55, 0.6, 0.65, 0.75, 0.8, 0.85, 0.9]
    scene = classroom.answer("score", {"ratios": ratios, "sparsity": 0.7})
    assert (scene["ratios"], scene["mean"]) == (ratios, pytest.approx(0.7))
    with pytest.raises(UserError, match="2 ratios were given; the teaching model has 8 blocks"):
        classroom.answer("score", {"ratios": [0.5, 0.6]})


def test_every_scene_is_json_and_is_remembered(classroom: Classroom) -> None:
    for name in SCENES:
        scene = classroom.answer(name, {})
        assert json.loads(json.dumps(scene, allow_nan=False)) == scene
        assert name == "speed" or classroom.answer(name, {}) is scene


@pytest.mark.parametrize(
    ("scene", "given", "says"),
    [
        ("matrx", {}, "did you mean 'matrix'"),
        ("matrix", {"block": 8}, "blocks 0 to 7"),
        ("matrix", {"linear": "lm_head"}, "block 3 has self_attn.q_proj"),
    ],
)
def test_what_is_not_there_is_said(classroom: Classroom, scene: str, given: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match="(?i)" + says.replace("'", ".")):
        classroom.answer(scene, given)


def test_defaults_are_one_question(classroom: Classroom) -> None:
    assert classroom.answer("score", {}) is classroom.answer("score", {"sparsity": Asked().sparsity})


def test_what_a_class_asks_at_the_same_moment_is_computed_once(
    classroom: Classroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, computed, race = threading.Barrier(8), [], SCENES["race"]
    monkeypatch.setitem(SCENES, "race", lambda ground, asked: computed.append(asked) or race(ground, asked))

    def ask(_: int) -> dict[str, Any]:
        together.wait()
        return classroom.answer("race", {"sparsity": 0.515})

    with ThreadPoolExecutor(8) as class_room:
        answers = list(class_room.map(ask, range(8)))
    assert len(computed) == 1
    assert all(answer is answers[0] for answer in answers)
