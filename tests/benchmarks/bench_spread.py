"""One search on a Ray cluster of nodes on this machine, with its candidates spread and without, one processor each.

    python tests/benchmarks/bench_spread.py [model] [nodes] [times]

Prints one line of JSON: seconds of the search (every lambda of blocks and rows, 8x128 tokens), each time with helpers
and without, by turns; how many candidates helpers scored; and whether all figures and masks are equal. Without a
model it is a random one of 8 blocks, 6.3M parameters in them, which the tiny one's tokenizer reads for.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import neuroal  # noqa: F401  (before torch and numpy)

# isort: split
from neuroal.cluster import spread
from neuroal.runs.spec import RunSpec
from neuroal.runs.workshop import Workshop
from tests.cluster.local import local_cluster


def random_model(folder: Path) -> str:
    """A Llama, half as wide as SmolLM2."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(Path(__file__).resolve().parents[2] / "assets" / "tiny")
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=256, intermediate_size=768, num_hidden_layers=8,
        num_attention_heads=8, num_key_value_heads=4, max_position_embeddings=1024,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def searched(workshop: Workshop, model: str, helped: bool, seed: int) -> tuple[float, int, Any]:
    """Seconds of a search, candidates that helpers scored, and what was found."""
    spread.is_worth = lambda seconds, size: helped
    spec = RunSpec(model=model, mode="exact", samples=8, length=128, evaluations=(), seed=seed)
    run_id = workshop.jobs.start(spec, again=True)
    while workshop.jobs.status(run_id) in ("queued", "running"):
        time.sleep(0.05)
    records = workshop.jobs.read(run_id)[0]
    assert records[-1]["kind"] == "RunFinished", records[-1]
    began = next(r["t"] for r in records if r["kind"] == "SearchStarted")
    ended = max(r["t"] for r in records if r["kind"] == "LambdaChosen")
    notices = [r["message"] for r in records if r["kind"] == "Notice" and "spread over" in r["message"]]
    by_helpers = sum(int(message.split(": ")[1].split()[0]) for message in notices)
    figures = [(r["step"], r["lam"], r["score"]) for r in records if r["kind"] == "CandidateFinished"]
    return ended - began, by_helpers, (figures, workshop._masks(run_id).read_bytes())


def main(model: str = "", nodes: str = "2", times: str = "2") -> None:
    """Both, by turns; a first one, in which the workers import torch, is left out."""
    with tempfile.TemporaryDirectory() as folder, local_cluster(int(nodes)) as cluster:
        os.environ |= {**cluster.environment, "NEUROAL_ENGINE": "ray", "RAY_ADDRESS": cluster.address}
        model = model or random_model(Path(folder) / "model")
        workshop = Workshop(Path(folder) / "data")
        searched(workshop, model, True, 0)
        told = [(searched(workshop, model, False, i), searched(workshop, model, True, i)) for i in range(int(times))]
        workshop.close()
    alone, spread_s = ([round(pair[i][0], 1) for pair in told] for i in (0, 1))
    figures: dict[str, Any] = {"model": Path(model).name, "processors": os.cpu_count(), "nodes": int(nodes)}
    figures |= {"alone_s": alone, "spread_s": spread_s, "by_helpers": [pair[1][1] for pair in told]}
    figures |= {"ratio": round(statistics.median(a / b for a, b in zip(alone, spread_s, strict=True)), 2)}
    print(json.dumps(figures | {"equal": all(a[2] == b[2] for a, b in told), "load": os.getloadavg()[0]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
