"""The whole report card: every evaluation of one model, dense and pruned, along sparsity, and the seconds of each.

    python tests/benchmarks/bench_damage.py results.json [--model SmolLM2-135M-Instruct] [--sparsity 0.5 0.6 0.7]
        [--pruner wanda] [--top-ups uniform neuroal] [--evaluations perplexity divergence zeroshot probes cost]
        [--samples 8 --length 128] [--windows 16 --window-length 512] [--task-limit 100]
    python tests/benchmarks/bench_damage.py results.json --table       prints the figures as Markdown.

Each figure is written as soon as it is there, and what the file holds already is not measured again;
damage_smollm2.json beside this script holds those of the README.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import neuroal  # noqa: F401 (before torch and numpy: it decides how they use the processor)

# isort: split
from neuroal.evaluation.base import EVALUATIONS
from neuroal.runs.events import Measured
from neuroal.runs.pool import ModelPool
from neuroal.runs.run import Known, run
from neuroal.runs.spec import RunSpec

Figures = dict[str, dict[str, Any]]


def columns(arguments: argparse.Namespace) -> list[tuple[str, RunSpec]]:
    """(heading, run) of every pruned model."""
    found = []
    for sparsity in arguments.sparsity:
        for top_up in arguments.top_ups:
            spec = RunSpec(
                model=arguments.model, pruner=arguments.pruner, top_up=top_up, sparsity=sparsity,
                samples=arguments.samples, length=arguments.length, evaluations=tuple(arguments.evaluations),
                eval_windows=arguments.windows, eval_length=arguments.window_length, task_limit=arguments.task_limit,
            )  # fmt: skip
            found.append((f"{sparsity:.0%} {top_up}", spec))
    return found


def measure(arguments: argparse.Namespace) -> None:
    """Fills the file: the dense model's figures with the first run, of every run those that are not there."""
    path = Path(arguments.results)
    figures: Figures = json.loads(path.read_text()) if path.exists() else {}
    pool = ModelPool()
    for heading, spec in columns(arguments):
        known = {
            (name, variant): Measured(variant=variant, **figure)
            for variant, column in _places(heading)
            for name, figure in figures.get(column, {}).items()
        }
        wanted = [name for name in spec.evaluations if (name, "chosen") not in known]
        if not wanted:
            continue
        spec = dataclasses.replace(spec, evaluations=tuple(wanted))
        for event in run(spec, pool=pool, known=Known(measured=known)):
            if isinstance(event, Measured) and event.variant != "uniform":  # the control is a column of its own here
                column = figures.setdefault(dict(_places(heading))[event.variant], {})
                column[event.metric] = {k: v for k, v in dataclasses.asdict(event).items() if k != "variant"}
                path.write_text(json.dumps(figures, indent=1))
                print(heading, event.variant, event.metric, f"{event.value:.4g} ({event.seconds:.0f} s)", flush=True)


def _places(heading: str) -> tuple[tuple[str, str], ...]:
    """(variant, column): the dense model has one column for all runs."""
    return ("dense", "dense"), ("chosen", heading)


def rows(figures: Figures) -> Iterator[tuple[str, list[str]]]:
    """Every figure that some column has, with what each column says of it."""

    def of(label: str, metric: str, say: Any) -> tuple[str, list[str]]:
        return label, [say(column[metric]) if metric in column else "" for column in figures.values()]

    def value(digits: int) -> Any:
        return lambda f: f"{f['value']:,.{digits}f} ± {f['stderr']:,.{digits}f}"

    yield of("perplexity", "perplexity", value(1))
    yield of("KL divergence, nats", "divergence", value(3))
    for name, label in (("top1", "same first choice"), ("top5", "of the five likeliest tokens, the same")):
        yield of(label, "divergence", lambda f, name=name: f"{f['details'][name]:.1%}")
    yield of("loss difference, nats", "divergence", lambda f: f"{f['details']['loss_difference']:+.3f}")
    tasks = dict.fromkeys(m for column in figures.values() for m in column if m.startswith("zeroshot/"))
    for metric in tasks:
        yield of(metric.removeprefix("zeroshot/"), metric, lambda f: f"{f['value']:.1%} ± {f['stderr']:.1%}")
    yield of("mean of the tasks", "zeroshot", lambda f: f"{f['value']:.1%} ± {f['stderr']:.1%}")
    yield of("collapse probes", "probes", lambda f: f["details"]["verdict"])
    yield of("what it writes, perplexity under the dense model", "probes", value(1))
    for key, label in (("dense", "dense"), ("bitmask", "bitmask"), ("bitmask_zstd", "bitmask, zstd")):
        yield of(f"MB, {label}", "cost", lambda f, key=key: f"{f['details']['sizes'][key] / 1e6:,.0f}")
    for what in ("reading", "writing"):
        yield of(f"speed of {what} against dense", "cost", lambda f, what=what: _speed(f["details"]["speeds"], what))


def _speed(speeds: dict[str, dict[str, list[float]]], what: str) -> str:
    """Of the medians of both models' tokens per second."""
    return f"{speeds['pruned'][what][1] / speeds['dense'][what][1]:.2f}"


def table(figures: Figures) -> str:
    """Markdown: the figures, then the seconds that each evaluation took."""
    lines = ["| | " + " | ".join(figures) + " |", "|---" * (len(figures) + 1) + "|"]
    lines += [f"| {label} | " + " | ".join(cells) + " |" for label, cells in rows(figures) if any(cells)]
    for name in EVALUATIONS.labels:
        cells = [f"{column[name]['seconds']:.0f}" if name in column else "" for column in figures.values()]
        if any(cells):
            lines.append(f"| seconds: {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measures, or prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", help="the file to fill or to print")
    parser.add_argument("--model", default="SmolLM2-135M-Instruct")
    parser.add_argument("--sparsity", type=float, nargs="+", default=[0.5, 0.6, 0.7])
    parser.add_argument("--pruner", default="wanda")
    parser.add_argument("--top-ups", nargs="+", default=["uniform", "neuroal"])
    parser.add_argument("--evaluations", nargs="+", default=["perplexity", "divergence", "zeroshot", "probes", "cost"])
    parser.add_argument("--table", action="store_true")
    for name, default in (
        ("samples", 8), ("length", 128), ("windows", 16), ("window-length", 512), ("task-limit", 100),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    if not arguments.table:
        measure(arguments)
    print(table(json.loads(Path(arguments.results).read_text())))


if __name__ == "__main__":
    main()
