"""The model card and the allocation: what they say of a run, and what they keep to themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import neuroal
from neuroal.api import drain
from neuroal.export import Source, export, of_model
from neuroal.export.card import model_card
from neuroal.export.provenance import iter_provenance
from neuroal.models.loading import LanguageModel
from neuroal.runs.events import (
    AllocationReady,
    CandidateFinished,
    LambdaChosen,
    Measured,
    RunFinished,
    TokensCompared,
)
from neuroal.runs.spec import RunSpec
from tests.export.conftest import zeros_of
from tests.runs.helpers import records_of, started

DIARY = "The secret of the third drawer is a pair of green socks. " * 20


def log(spec: RunSpec) -> list[dict[str, Any]]:
    """What is told of a run of three blocks."""
    return records_of(
        [
            started(spec),
            CandidateFinished("block", 0, 0.02, 3.5, 0.1),
            CandidateFinished("block", 1, 0.2, 2.5, 0.1),
            LambdaChosen("block", 1, 0.2, 2.5, ()),
            AllocationReady("neuroal", (0.6, 0.7, 0.8)),
            Measured("dense", "perplexity", "prose", 12.25, 0.5, 400, 64, 0.1),
            Measured("chosen", "perplexity", "prose", 34.5, 1.5, 400, 64, 0.1, {"worst": [{"text": DIARY}]}),
            Measured("chosen", "zeroshot/rte", "rte", 0.5, 0.05, 100, 0, 0.1),
            TokensCompared("chosen", 0, 1, (DIARY,), (None,), (None,), (None,), ((),), ((),)),
            Measured("chosen", "perplexity", "prose", 34.75, 1.5, 400, 64, 0.1),
            RunFinished(1.0, 10**9),
        ]
    )


@pytest.fixture
def run(pruned: Any, source_of: Callable[..., Source]) -> Source:
    spec = RunSpec(model="SmolLM2-135M-Instruct", lambdas=(0.02, 0.2), sparsity=0.7)
    return source_of(pruned, name="SmolLM2-135M-Instruct", records=log(spec), notices=("Weights are a copy.",))


def test_the_card_says_what_was_asked_chosen_and_measured(run: Source) -> None:
    card = model_card(run, known := drain(iter_provenance(run)))
    assert "0.2 (block)" in card and "by Wanda with the ratios of NeuroAL" in card
    assert f"{known.overall:.2%} of the weights" in card and "neither smaller nor faster" in card
    for b, asked in enumerate(("60.00%", "70.00%", "80.00%")):
        assert f"| {b} | {asked} | {known.blocks[b]:.2%} |" in card
    assert "| dense | 12.25 ± 0.5 | prose | 400 |" in card and "| this model | 34.75 ± 1.5 | prose | 400 |" in card
    assert "34.5 " not in card, "the last figure counts"
    assert "rte | this model | 0.5 ± 0.05" in card
    assert "python -m neuroal prune spec.json" in card and "2411.07066" in card and "Weights are a copy." in card
    front = yaml.safe_load(card.split("---")[1])
    assert front["license"] == "apache-2.0" and front["base_model"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert front["library_name"] == "transformers" and "pruning" in front["tags"]


def test_the_spec_beside_it_asks_the_same_question(run: Source, tmp_path: Path) -> None:
    made = export(run, "folder", tmp_path / "out")
    spec = RunSpec.from_dict(json.loads((made.path / "spec.json").read_text()))
    assert spec == RunSpec(model="SmolLM2-135M-Instruct", lambdas=(0.02, 0.2), sparsity=0.7)


def test_the_allocation_of_a_run(run: Source, tmp_path: Path) -> None:
    found = json.loads((export(run, "folder", tmp_path / "out").path / "allocation.json").read_text())
    assert found["lambdas"] == {"block": 0.2} and found["scores"] == {"block": [[0.02, 3.5], [0.2, 2.5]]}
    assert (found["pruner"], found["top_up"], found["target"]) == ("wanda", "neuroal", 0.7)
    assert [block["requested"] for block in found["blocks"]] == [0.6, 0.7, 0.8]
    zeros = zeros_of(run.model)
    assert {path: each["zeros"] for path, each in found["linears"].items()} == zeros
    assert set(found["linears"][next(iter(zeros))]) == {"block", "weights", "zeros", "requested", "sparsity"}
    assert all(each["sparsity"] == each["zeros"] / each["weights"] for each in found["linears"].values())
    total = sum(each["weights"] for each in found["linears"].values())
    assert found["achieved"] == pytest.approx(sum(zeros.values()) / total)


def test_the_allocation_of_a_model_of_ones_own(tiny: LanguageModel, model: Any, tokens: Any) -> None:
    made = neuroal.allocate(model, tokens, top_up="neuroal", step="both", lambdas=(0.02, 0.2), sparsity=0.5)
    neuroal.prune(model, tokens, made)
    known = drain(iter_provenance(of_model(model, tiny.tokenizer, allocation=made)))
    assert known.lambdas == {"block": made.block_lambda, "row": made.row_lambda}
    assert dict(known.scores["row"]) == made.row_scores
    assert known.requested == pytest.approx(made.per_block(neuroal.blocks.DecoderStack(model)))
    assert all(each.requested is not None for each in known.linears)
    json.dumps(known.to_dict())


@pytest.mark.parametrize("which", [{"source": "own", "text": DIARY}, {"eval_source": "own", "eval_text": DIARY}])
def test_nothing_of_an_own_text_is_in_any_file(
    which: dict[str, str], pruned: Any, source_of: Callable[..., Source], tmp_path: Path
) -> None:
    spec = RunSpec(model="tiny", **which)
    source = source_of(pruned, name="tiny", records=log(spec))
    assert source.private
    digest = next(v for name, v in spec.card().items() if name in ("text", "eval_text") and v)
    made = export(source, "folder", tmp_path / "out")
    for path in made.path.iterdir():
        content = path.read_bytes()
        assert b"green socks" not in content and digest.encode() not in content, path.name
    assert "on a text that its owner keeps" in (made.path / "README.md").read_text()


def test_a_folder_of_this_machine_is_called_by_its_name(
    pruned: Any, source_of: Callable[..., Source], tmp_path: Path
) -> None:
    folder = tmp_path / "private place" / "my-model"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n# Mine\n")
    source = source_of(pruned, name=str(folder), folder=folder, records=log(RunSpec(model=str(folder))))
    assert source.base == "my-model" and source.licence == "cc-by-4.0" and source.title == "my-model-wanda-neuroal-60"
    made = export(source, "folder", tmp_path / "out")
    assert not any(b"private place" in path.read_bytes() for path in made.path.iterdir())
    front = yaml.safe_load((made.path / "README.md").read_text().split("---")[1])
    assert front["license"] == "other" and front["license_name"] == "cc-by-4.0" and "base_model" not in front


@pytest.mark.parametrize("text", ["", "no front matter", "---\nlicense: [\n---\n", "---\nlicense: 5\n---\n"])
def test_a_licence_that_is_not_said_is_not_made_up(
    text: str, pruned: Any, source_of: Callable[..., Source], tmp_path: Path
) -> None:
    (tmp_path / "README.md").write_text(text)
    source = source_of(pruned, name="own", folder=tmp_path)
    assert source.licence == ""
    card = model_card(source, drain(iter_provenance(source)))
    assert "license" not in yaml.safe_load(card.split("---")[1]) and "which is not known here" in card
