"""The recorded runs that ship: what each was asked, what its caption says of it, and how to record it again.

    python tests/benchmarks/record_examples.py [NAME ...] [--captions]

Without a name all are recorded, which takes ten minutes or more on two processors. A caption names no figure by
itself: the blanks in its text are filled from the logs, of any of the examples. ``--captions`` only fills them again.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import neuroal  # before torch and numpy: it decides how they use the processor

# isort: split
from neuroal.models.cache import data_folder
from neuroal.models.menu import TINY_FOLDER
from neuroal.runs.examples import load_examples, save_example
from neuroal.runs.log import ENDED
from neuroal.runs.spec import PRESETS, RunSpec
from neuroal.runs.summary import summary
from neuroal.runs.workshop import Workshop

QUICK = PRESETS["Quick"]
OUTLIERS = "tiny-outliers"  # a folder, made by make_outliers


@dataclass(frozen=True)
class Recording:
    """One example.

    Attributes:
        file: name without ending; examples are shown in the order of these.
        line: for the card in the gallery.
        caption: what to notice, with blanks: ``{chosen}`` is a figure of this log (see ``figures``), ``{owl[chosen]}``
            one of the example that is called so in OTHERS.
        spec: what is asked.
    """

    file: str
    title: str
    line: str
    caption: str
    spec: dict[str, Any] = field(default_factory=dict)


SMOLLM2 = {"model": "SmolLM2-135M-Instruct", "length": 128}
TINY = {"model": "tiny", "mode": "exact", **QUICK}

RECORDINGS = (
    Recording(
        "01-smollm2-wanda-neuroal",
        "NeuroAL finds a better spread",
        "The full search, blocks then rows: a clear gain over the control.",
        "60 % of the weights in the blocks of SmolLM2-135M are set to zero by Wanda. Notice in the heat map how a"
        " larger lambda turns the early columns blue and the last ones orange: it spares early blocks at the cost of"
        " late ones. The best balance is at {block_lambda}; rows gain a little more. The same number of zeros, spread"
        " uniformly, gives a perplexity of {uniform}; spread by NeuroAL it is {chosen}. The dense model has {dense}.",
        {**SMOLLM2, "mode": "exact"},
    ),
    Recording(
        "02-smollm2-wanda-owl",
        "OWL, asked the same question",
        "Rates blocks instead of searching: cheap, and here the wrong way round.",
        "The question of the first example, with OWL: no search, but one look at each block of the dense model. It"
        " counts the weights that stand out and leaves more in blocks with many, which here are the late ones and the"
        " first. NeuroAL had found the opposite: it is the early blocks that should be spared. OWL ends at {chosen},"
        " above uniform sparsity with {uniform}; NeuroAL at {neuroal[chosen]}. What it saves is work: {rated} blocks"
        " rated instead of {neuroal[scored]} scored.",
        {**SMOLLM2, "top_up": "owl"},
    ),
    Recording(
        "03-tiny-flat",
        "A flat landscape",
        "More than half of the grid is as good as equal: which lambda wins means little.",
        "The search over blocks on the tiny model at 50 %. Of 14 candidates, {ties} more lie within 1 % of the best,"
        " ringed beside its star: compared on another text, one of them may win, and little would change. Notice that"
        " only the far end of the curve is clearly worse, by up to {worst}. Perplexity is {chosen}, and {uniform} with"
        " the same sparsity everywhere, a difference smaller than the standard error: there is little to gain here.",
        {**TINY, "step": "block", "sparsity": 0.5},
    ),
    Recording(
        "04-smollm2-collapse",
        "Collapse at 85 %",
        "Too much was taken: a better spread of it no longer saves the model.",
        "85 % of the weights in the blocks are gone, and with them the model: perplexity {chosen}, where the dense"
        " model has {dense} and uniform sparsity leaves {uniform}. The search still finds a lowest score, because it"
        " compares candidates with each other; it cannot tell that the best of them is broken too. The collapse probes"
        " can: their verdict on what the model writes is \u201c{verdict}\u201d. Read its answers below their table.",
        {
            **SMOLLM2,
            **QUICK,
            "step": "block",
            "sparsity": 0.85,
            "evaluations": ("perplexity", "probes"),
            "eval_windows": 8,
        },
    ),
    Recording(
        "05-outliers-magnitude",
        "Large inputs fool Magnitude",
        "A model made outlier-heavy: its most useful weights look small.",
        "This model was made for this example: the tiny model with some inputs of each block 64 times as large and the"
        " weights that they meet 64 times as small. It computes exactly the same (perplexity {dense}), but now"
        " Magnitude takes weights that look small and are not: {chosen}, and {uniform} without NeuroAL. Wanda, in the"
        " next example, multiplies each weight by the norm of its input and is not fooled: {wanda[chosen]}.",
        {**TINY, "model": OUTLIERS, "pruner": "magnitude", "step": "block", "sparsity": 0.5},
    ),
    Recording(
        "06-outliers-wanda",
        "Wanda looks at the inputs",
        "The same outlier-heavy model: here the inputs are counted.",
        "The model of the example before, made outlier-heavy on purpose. Wanda compares products of a weight and the"
        " norm of its input, which are as they were before large and small changed sides. So it prunes as if nothing"
        " had happened: perplexity {chosen}, where Magnitude has {magnitude[chosen]}. On the model as it was, the same"
        " question gives {flat[chosen]} (the example of the flat landscape).",
        {**TINY, "model": OUTLIERS, "step": "block", "sparsity": 0.5},
    ),
    Recording(
        "07-tiny-wanda",
        "Wanda at 70 %",
        "Blocks, then rows, step by step on a small model: a good one to step through.",
        "The tiny model has 8 blocks, so a whole search fits into few steps: press Step through, and go candidate by"
        " candidate. First the slope over the blocks is chosen ({block_lambda}), then how much the rows within them may"
        " differ ({row_lambda}). Together they bring the perplexity to {chosen}; uniform sparsity has {uniform}, the"
        " dense model {dense}. The next example asks the same of SparseGPT.",
        {**TINY, "sparsity": 0.7},
    ),
    Recording(
        "08-tiny-sparsegpt",
        "SparseGPT mends as it prunes",
        "Kept weights move to make up for those that go.",
        "SparseGPT, asked as Wanda was in the example before: column by column, what a pruned weight did is added to"
        " those that are kept. Uniformly it loses less than Wanda, {uniform} to {tiny_wanda[uniform]}. NeuroAL brings"
        " both down, to {chosen} and {tiny_wanda[chosen]}: where the weights are not mended, it matters more how the"
        " sparsity is spread. Notice how much steeper the curve of the blocks rises here: the last of its lambdas"
        " scores {worst} above the best, with Wanda {tiny_wanda[worst]}.",
        {**TINY, "pruner": "sparsegpt", "sparsity": 0.7},
    ),
)

# How captions call each other's examples.
OTHERS = {
    "neuroal": "smollm2-wanda-neuroal", "flat": "tiny-flat", "magnitude": "outliers-magnitude",
    "wanda": "outliers-wanda", "tiny_wanda": "tiny-wanda",
}  # fmt: skip


def figures(records: list[dict[str, Any]]) -> dict[str, str]:
    """What a caption may say of a log: perplexities, lambdas, near ties of the last choice, how far the worst slope
    scores above the best, blocks rated and scored, a verdict."""
    found = summary(records)
    perplexity = {"dense": "perplexity_dense", "uniform": "perplexity_uniform", "chosen": "perplexity"}
    said = {name: _written(found[key]) for name, key in perplexity.items() if found[key] is not None}
    said |= {name: f"{found[name]:g}" for name in ("block_lambda", "row_lambda") if found[name] is not None}
    said["verdict"] = found["verdict"] or ""
    choices = [record for record in records if record["kind"] == "LambdaChosen"]
    scores = [r["score"] for r in records if r["kind"] == "CandidateFinished" and r["step"] == "block"]
    if scores:
        said["worst"] = f"{100 * (max(scores) / min(scores) - 1):.0f} %"
    for name, kind in (("rated", "BlockRated"), ("scored", "BlockScored")):
        said[name] = str(sum(record["kind"] == kind for record in records))
    return said | {"ties": str(len(choices[-1]["near_ties"])) if choices else "0"}


def _written(perplexity: float) -> str:
    return f"{perplexity:.1f}" if perplexity < 1000 else f"{perplexity:,.0f}"


def caption(recording: Recording, logs: dict[str, list[dict[str, Any]]]) -> str:
    """The caption with its blanks filled.

    Args:
        logs: records of the examples, by name.
    """
    others = {short: figures(logs[name]) for short, name in OTHERS.items() if name in logs}
    return recording.caption.format(**others, **figures(logs[recording.file[3:]]))


def make_outliers(folder: Path, factor: float = 64.0, every: int = 8) -> None:
    """The tiny model with the same function and other weights: every ``every``-th output of each norm is ``factor``
    times as large, and the weights that take it in are as much smaller. A power of two in float32 loses nothing."""
    import torch

    shutil.copytree(TINY_FOLDER, folder, ignore=shutil.ignore_patterns("*.safetensors", "*.py", "*.md"))
    lm = neuroal.load("tiny", device="cpu", dtype="float32")
    model = lm.model
    with torch.no_grad():
        for block in lm.stack.blocks:
            attention, feed_forward = block.self_attn, block.mlp
            for norm, consumers in (
                (block.input_layernorm, (attention.q_proj, attention.k_proj, attention.v_proj)),
                (block.post_attention_layernorm, (feed_forward.gate_proj, feed_forward.up_proj)),
            ):
                norm.weight[::every] *= factor
                for linear in consumers:
                    linear.weight[:, ::every] /= factor
    model.config.dtype = torch.float32
    model.save_pretrained(folder)


def record(recording: Recording, workshop: Workshop, tell: Callable[[str], None] = print) -> list[dict[str, Any]]:
    """Runs what is asked, to its end, and gives its log."""
    started = time.monotonic()
    run = workshop.jobs.start(RunSpec(**recording.spec), again=True)
    while workshop.jobs.status(run) not in ENDED:
        time.sleep(0.5)
    records = workshop.jobs.read(run)[0]
    tell(f"{recording.file}: {workshop.jobs.status(run)}, {len(records)} records, {time.monotonic() - started:.0f} s")
    if records[-1]["kind"] != "RunFinished":
        raise SystemExit(f"{recording.file} was not recorded: {records[-1]}")
    return records


def main() -> None:
    """Records what is asked, then fills all captions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--captions", action="store_true")
    arguments = parser.parse_args()
    os.environ["NEUROAL_DATA"] = str(data_folder())  # which may have been named relative to this folder
    chosen = [r for r in RECORDINGS if not arguments.names or r.file[3:] in arguments.names]
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)  # where a model's name may be a folder
        workshop = Workshop(Path(scratch) / "runs")
        for recording in [] if arguments.captions else chosen:
            if recording.spec["model"] == OUTLIERS and not Path(OUTLIERS).exists():
                make_outliers(Path(OUTLIERS))
            save_example(recording.file, recording.title, "", record(recording, workshop), line=recording.line)
        workshop.close()
    logs = {example.name: example.records for example in load_examples().values()}
    for recording in RECORDINGS:
        if recording.file[3:] in logs:
            text = caption(recording, logs)
            save_example(recording.file, recording.title, text, logs[recording.file[3:]], line=recording.line)


if __name__ == "__main__":
    main()
