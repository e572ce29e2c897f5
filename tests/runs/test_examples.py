"""The recorded runs that ship: small, whole, and described truly."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.gallery import card
from neuroal.runs.examples import FOLDER, Example, load_examples, save_example
from neuroal.runs.summary import summary
from tests.benchmarks.record_examples import RECORDINGS, caption

EXAMPLES = load_examples()
LOGS = {example.name: example.records for example in EXAMPLES.values()}


def test_there_are_the_recordings_and_no_others() -> None:
    assert [path.stem for path in sorted(FOLDER.glob("*.jsonl"))] == [recording.file for recording in RECORDINGS]
    assert len(EXAMPLES) == len(RECORDINGS) >= 6


def test_they_are_small() -> None:
    sizes = [path.stat().st_size for path in FOLDER.glob("*.jsonl")]
    assert max(sizes) <= 200_000 and sum(sizes) <= 700_000


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.file)
def test_each_is_a_whole_run_of_its_question(recording: object) -> None:
    records = LOGS[recording.file[3:]]
    assert [record["n"] for record in records] == list(range(1, len(records) + 1))
    assert records[-1]["kind"] == "RunFinished"
    (asked,) = (record["spec"] for record in records if record["kind"] == "RunStarted")
    for name, value in recording.spec.items():
        assert asked[name] == (list(value) if isinstance(value, tuple) else value)
    assert summary(records)["perplexity"] is not None


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.file)
def test_a_caption_says_what_the_logs_say(recording: object) -> None:
    example = EXAMPLES[f"example-{recording.file[3:]}"]
    assert example.caption == caption(recording, LOGS)
    assert (example.title, example.line) == (recording.title, recording.line)


def figures(name: str) -> dict[str, float]:
    return summary(LOGS[name])


def scores(name: str) -> dict[float, float]:
    """Of the search over blocks, by lambda."""
    found = [r for r in LOGS[name] if r["kind"] == "CandidateFinished" and r["step"] == "block"]
    return {record["lam"]: record["score"] for record in found}


def test_what_captions_say_without_a_figure_holds() -> None:
    neuroal, owl, flat = figures("smollm2-wanda-neuroal"), figures("smollm2-wanda-owl"), figures("tiny-flat")
    assert neuroal["perplexity"] < neuroal["perplexity_uniform"]
    assert owl["perplexity_uniform"] == pytest.approx(neuroal["perplexity_uniform"], rel=0.01)  # "for both"
    assert owl["perplexity"] > owl["perplexity_uniform"]  # "above"
    ratings = [record["value"] for record in LOGS["smollm2-wanda-owl"] if record["kind"] == "BlockRated"]
    assert min(ratings[0], *ratings[20:]) > max(ratings[1:16])  # "the late ones and the first"
    (asked,) = (r["sparsity"] for r in LOGS["smollm2-wanda-neuroal"] if r["kind"] == "AllocationReady")
    assert asked == sorted(asked)  # "the early blocks should be spared"
    assert abs(flat["perplexity"] - flat["perplexity_uniform"]) < flat["perplexity_stderr"]
    magnitude, wanda = figures("outliers-magnitude"), figures("outliers-wanda")
    assert magnitude["perplexity_dense"] == wanda["perplexity_dense"] == flat["perplexity_dense"]  # "exactly the same"
    assert wanda["perplexity"] == pytest.approx(flat["perplexity"], rel=1e-3)
    assert magnitude["perplexity"] > 1.2 * wanda["perplexity"]
    mended, other = figures("tiny-sparsegpt"), figures("tiny-wanda")
    assert mended["perplexity_uniform"] < other["perplexity_uniform"]
    for name in ("tiny-flat", "tiny-wanda", "tiny-sparsegpt"):  # "the last of its lambdas", "the far end"
        totals = scores(name)
        assert max(totals, key=totals.get) == max(totals) == 0.25
    assert figures("smollm2-collapse")["verdict"] == "collapsed"


def test_a_card_says_model_method_and_sparsity() -> None:
    said = card(EXAMPLES["example-tiny-flat"])
    assert said["about"] == "tiny, Wanda, NeuroAL block, 50 %"
    assert said["name"] == "tiny-flat" and said["line"] and said["title"]


def test_an_example_is_read_as_it_was_saved(tmp_path: Path) -> None:
    records = [{"n": 1, "t": 0.0, "kind": "Queued", "position": 1}]
    save_example("07-a-name", "Title", "What to notice: 5 µm.", records, tmp_path, line="Why.")
    assert load_examples(tmp_path) == {
        "example-a-name": Example("example-a-name", "Title", "What to notice: 5 µm.", records, "Why.")
    }
