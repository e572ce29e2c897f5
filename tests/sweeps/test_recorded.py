"""The recorded sweep that ships: whole, small, and described truly."""

from __future__ import annotations

import pytest

from neuroal.runs.examples import SWEEPS, load_examples
from tests.benchmarks.bench_map import TOP_UPS, caption

(EXAMPLE,) = load_examples(SWEEPS).values()
RUNS = [record["summary"] for record in EXAMPLE.records if record["kind"] == "MemberFinished"]


def test_it_is_small_and_whole() -> None:
    assert sum(path.stat().st_size for path in SWEEPS.iterdir()) <= 100_000
    assert [record["n"] for record in EXAMPLE.records] == list(range(1, len(EXAMPLE.records) + 1))
    assert EXAMPLE.records[-1]["kind"] == "RunFinished"
    assert {record["status"] for record in EXAMPLE.records if record["kind"] == "MemberFinished"} == {"finished"}


def test_every_pruner_meets_every_top_up_at_every_sparsity() -> None:
    asked = [(run["pruner"], run["top_up"], run["step"], run["sparsity"]) for run in RUNS]
    pruners, sparsities = {run["pruner"] for run in RUNS}, {run["sparsity"] for run in RUNS}
    assert len(set(asked)) == len(asked) == len(pruners) * len(TOP_UPS) * len(sparsities) == 50
    assert sparsities == {0.4, 0.5, 0.6, 0.7, 0.8}


def test_each_was_measured_beside_its_control() -> None:
    control = {(run["pruner"], run["sparsity"]): run["perplexity"] for run in RUNS if run["top_up"] == "uniform"}
    for run in RUNS:
        assert run["perplexity_dense"] == pytest.approx(33.8, abs=0.1)
        if run["top_up"] != "uniform":
            assert run["perplexity_uniform"] == control[run["pruner"], run["sparsity"]]


def test_the_caption_says_what_the_log_says() -> None:
    assert EXAMPLE.caption == caption(EXAMPLE.records)
