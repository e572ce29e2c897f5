"""The landscapes of lambda, recorded; and how the search that scores only some candidates fares on them.

    python tests/benchmarks/bench_auto.py record [--cases N] [--model tiny]     adds curves to assets/landscapes
    python tests/benchmarks/bench_auto.py quick [--model tiny]          adds the scores in bfloat16 to them
    python tests/benchmarks/bench_auto.py           cross-validates: each kind of case against what all others taught
    python tests/benchmarks/bench_auto.py rows [--model tiny]   runs the row steps, and scores their choices exactly

Recording runs the exact search; a case is a model, pruner, sparsity and calibration seed, and a step. Where there are
scores in bfloat16, these are what the search is told, and the exact ones what its choice is judged by. "rows" does not
rely on what was recorded of the choice: it runs the row step after the exact search's blocks, as the page would, and
scores in float32 what was chosen.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from neuroal import landscape

Curve = dict[str, Any]

# A chosen lambda is good whose exact score lies within this share of the lowest.
GOOD = 0.01


def cases() -> Iterator[tuple[str, float, int, str]]:
    """(pruner, sparsity, seed, step) in the order in which they are recorded."""
    for seed, sparsity, pruner in itertools.product((0, 1), (0.6, 0.7, 0.5, 0.8), ("wanda", "multiflow", "magnitude")):
        yield pruner, sparsity, seed, "both"
        yield pruner, sparsity, seed, "row"
    for seed, sparsity in itertools.product((0, 1), (0.6, 0.7, 0.5)):
        yield "sparsegpt", sparsity, seed, "both"
    for sparsity, pruner in itertools.product((0.65, 0.55, 0.75), ("wanda", "multiflow", "magnitude", "sparsegpt")):
        yield pruner, sparsity, 0, "both"


def record(model: str, count: int) -> None:
    """Runs the exact search on the first cases that are not recorded yet."""
    import neuroal

    lm = neuroal.load(model, device="cpu", dtype="float32")
    for pruner, sparsity, seed, step in itertools.islice(cases(), count):
        case = {"model": model, "pruner": pruner, "sparsity": sparsity, "seed": seed, "asked": step}
        curves = read()
        if any(all(c[k] == v for k, v in case.items()) for c in curves):
            continue
        tokens = neuroal.calibration_tokens(lm.tokenizer, samples=8, length=64, seed=seed)
        found = neuroal.allocate(lm.model, tokens, pruner=pruner, step=step, sparsity=sparsity, mode="exact")
        for name, scores in (("block", found.block_scores), ("row", found.row_scores)):
            if scores:
                curves.append({**case, "step": name, "lambdas": list(scores), "scores": list(scores.values())})
        write(curves)
        print(case, flush=True)


def record_quick(model: str) -> None:
    """Scores the recorded grids in bfloat16, the rows on the same blocks' ratios as the exact ones."""
    import neuroal

    lm = neuroal.load(model, device="cpu", dtype="float32")
    for curve in read():
        if curve["model"] != model or "quick" in curve:
            continue
        tokens = neuroal.calibration_tokens(lm.tokenizer, samples=8, length=64, seed=curve["seed"])
        known = _known_blocks(curve) if curve["step"] == "row" else {}
        with mock.patch("neuroal.search.following", _next), mock.patch("neuroal.api.fast_bfloat16", lambda: True):
            found = neuroal.allocate(
                lm.model, tokens, pruner=curve["pruner"], sparsity=curve["sparsity"], mode="auto", known=known,
                step="block" if curve["step"] == "block" else curve["asked"],
            )  # fmt: skip
        scores = found.block_scores if curve["step"] == "block" else found.row_scores
        curves = read()
        same = next(c for c in curves if _case(c) == _case(curve) and c["step"] == curve["step"])
        same["quick"] = [scores[lam] for lam in curve["lambdas"]]
        write(curves)
        print(_case(curve), curve["step"], flush=True)


def judged_rows(model: str) -> Iterator[tuple[Curve, float]]:
    """(curve, how much the exact score of the rows that a search chooses lies above the lowest recorded one) of every
    recorded row curve."""
    import neuroal
    from neuroal.api import drain
    from neuroal.scoring import Candidate, Problem, Scorer

    lm = neuroal.load(model, device="cpu", dtype="float32")
    for curve in (c for c in read() if c["model"] == model and c["step"] == "row"):
        tokens = neuroal.calibration_tokens(lm.tokenizer, samples=8, length=64, seed=curve["seed"])
        problems: list[Problem] = []

        def remembering(problem: Problem, problems: list[Problem] = problems) -> Scorer:
            problems.append(problem)
            return Scorer(problem)

        with mock.patch("neuroal.search.following", _rows_only), mock.patch("neuroal.api.fast_bfloat16", lambda: True):
            found = neuroal.allocate(
                lm.model, tokens, pruner=curve["pruner"], sparsity=curve["sparsity"], mode="auto", step=curve["asked"],
                known=_known_blocks(curve), scorer=remembering,
            )  # fmt: skip
        chosen = Candidate(0, found.row_lambda, found.sparsity)
        ((score, _),) = drain(Scorer(problems[0]).score("row", [chosen], exact=True))
        yield curve, score / min(curve["scores"]) - 1


def _known_blocks(curve: Curve) -> dict[tuple[str, float], float]:
    """The exact scores of the block step that came before a row step."""
    blocks = [c for c in read() if _case(c) == _case(curve) and c["step"] == "block"]
    return {("block", lam): score for c in blocks for lam, score in zip(c["lambdas"], c["scores"], strict=True)}


def _next(step: str, lambdas: Sequence[float], scores: Mapping[float, float], at_zero: float | None) -> Sequence[float]:
    """In the place of ``landscape.following``: every lambda, in order."""
    return [lam for lam in lambdas if lam not in scores][:1]


def _rows_only(
    step: str, lambdas: Sequence[float], scores: Mapping[float, float], zero: float | None
) -> Sequence[float]:
    """In the place of ``landscape.following``: itself for rows, every lambda for blocks, whose scores are known."""
    return landscape.following(step, lambdas, scores, zero) if step == "row" else _next(step, lambdas, scores, zero)


def read() -> list[Curve]:
    """The recorded curves."""
    return json.loads(landscape.RECORDED.read_text())["curves"] if landscape.RECORDED.exists() else []


def write(curves: list[Curve]) -> None:
    """One curve to a line."""
    about = "Exact alignment scores over the grids of lambda, 8x64 calibration tokens; tests/benchmarks/bench_auto.py."
    lines = ",\n".join(
        json.dumps({k: _rounded(v) if k in ("scores", "quick") else v for k, v in c.items()}) for c in curves
    )
    landscape.RECORDED.parent.mkdir(parents=True, exist_ok=True)
    landscape.RECORDED.write_text(f'{{"about": {json.dumps(about)}, "curves": [\n{lines}\n]}}\n')


def _rounded(scores: Sequence[float]) -> list[float]:
    return [float(f"{score:.6g}") for score in scores]


def replayed(curve: Curve, at_zero: float | None) -> dict[float, float]:
    """What the search would score, and the scores it is told, having learnt from everything but this kind of case."""
    kind = ("model", "pruner", "sparsity")
    others = [c for c in read() if c["step"] == curve["step"] and any(c[k] != curve[k] for k in kind)]
    whole = max(len(c["lambdas"]) for c in others)
    known = landscape.learnt([(c["lambdas"], c["scores"]) for c in others if len(c["lambdas"]) == whole])
    told, scores = dict(zip(curve["lambdas"], curve.get("quick", curve["scores"]), strict=True)), {}
    with mock.patch.object(landscape, "recorded", lambda _: known):
        while wanted := landscape.following(curve["step"], curve["lambdas"], scores, at_zero):
            scores |= {lam: told[lam] for lam in wanted}
    return scores


def outcomes() -> Iterator[tuple[Curve, float, int]]:
    """(curve, how much the chosen score lies above the lowest, how many were scored) of every recorded curve."""
    curves = read()
    blocks = {_case(c): min(c["scores"]) for c in curves if c["step"] == "block"}
    for curve in curves:
        scored = replayed(curve, blocks.get(_case(curve)) if curve["step"] == "row" else None)
        exact = dict(zip(curve["lambdas"], curve["scores"], strict=True))
        yield curve, exact[min(scored, key=scored.__getitem__)] / min(curve["scores"]) - 1, len(scored)


def _case(curve: Curve) -> tuple[Any, ...]:
    return tuple(curve[k] for k in ("model", "pruner", "sparsity", "seed", "asked"))


def _print_rows(model: str) -> None:
    above = []
    for curve, share in judged_rows(model):
        above.append(share)
        print(
            f"{curve['pruner']} {curve['sparsity']:.0%}, seed {curve['seed']}, {curve['asked']}: {share:+.2%}",
            flush=True,
        )
    good = sum(share <= GOOD for share in above)
    print(f"{good} of {len(above)} within 1 %, mean {sum(above) / len(above):+.2%}, furthest {max(above):+.2%}")


def main() -> None:
    """Records, or prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("record", "quick", "rows", "validate"), default="validate")
    parser.add_argument("--model", default="SmolLM2-135M-Instruct")
    parser.add_argument("--cases", type=int, default=100)
    arguments = parser.parse_args()
    if arguments.what == "record":
        record(arguments.model, arguments.cases)
        return
    if arguments.what == "quick":
        record_quick(arguments.model)
        return
    if arguments.what == "rows":
        _print_rows(arguments.model)
        return
    rows: dict[tuple[str, str], list[tuple[float, int]]] = defaultdict(list)
    for curve, above, count in outcomes():
        for key in ((curve["model"], curve["step"]), ("all", "all")):
            rows[key].append((above, count))
    print("| model | step | cases | within 1 % | furthest | scored, mean |\n|---|---|---|---|---|---|")
    for (model, step), found in sorted(rows.items()):
        good = sum(above <= GOOD for above, _ in found) / len(found)
        worst, mean = max(above for above, _ in found), sum(count for _, count in found) / len(found)
        print(f"| {model} | {step} | {len(found)} | {good:.1%} | {worst:.1%} | {mean:.2f} |")


if __name__ == "__main__":
    main()
