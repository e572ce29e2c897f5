"""What a state says to a person: how far the run is, and one plain sentence of what happens now."""

from __future__ import annotations

import math
from typing import Any

from neuroal.folding.fold import State, work

STEP_NAMES = {"alignment": "Alignment at uniform sparsity", "block": "Block step", "row": "Row step"}
TOP_UP_NAMES = {"neuroal": "NeuroAL", "owl": "OWL", "alphapruning": "AlphaPruning", "dsnot": "DSnoT"}


def progress(state: State) -> tuple[float, float | None]:
    """Share of the planned work that is done (0..1), and seconds left at the pace so far; None while unknown."""
    if state["status"] == "finished":
        return 1.0, None
    total, done = work(state)
    if total <= 0:
        return 0.0, None
    pace = state["pace"]
    paced = 0 if pace is None else done - pace["work"]
    # The first few events after a start say little about the pace: wait for 2 % of the work.
    if state["status"] != "running" or paced < 0.02 * total or paced <= 0:
        return done / total, None
    return done / total, (total - done) * (state["t"] - pace["t"]) / paced


def sentence(state: State) -> str:
    """One plain line: what happens now, or how the run ended."""
    status = state["status"]
    if status == "queued":
        return _queued(state["position"])
    if status == "failed":
        return state["failure"]
    if status == "cancelled":
        return "Cancelled. What was found until then is shown."
    if status == "interrupted":
        return state["failure"] or "The server stopped while this run was going. It can be resumed."
    return _finished(state) if status == "finished" else _running(state)


def active_step(state: State) -> str | None:
    """The search step going on or, later, the last that scored anything. Alignment alone is no search."""
    return next((name for name in ("row", "block", "alignment") if name in state["steps"]), None)


def target(state: State) -> float | None:
    """The sparsity asked of the whole model; None where a person gave each block its own, whose mean it then is."""
    return None if state["spec"].get("block_sparsity") else state["spec"].get("sparsity")


def _queued(position: int | None) -> str:
    if position is None:
        return "Waiting to start."
    return "Waiting for a free worker: next in line." if position <= 1 else f"Waiting: number {position} in line."


def _running(state: State) -> str:
    """The stage's own sentence, and how far it is."""
    stage = state["stage"]
    name, _, variant = stage.partition(":")
    step = active_step(state)
    if stage in ("search", step) and step is not None and state["steps"][step]["chosen"] is None:
        detail = _searching(state["steps"][step], state["spec"].get("mode") == "auto")
        return f"{STEP_NAMES.get(step, step)}: {detail}" if detail else _ended(state["message"])
    if name == "rate" and state["ratings"]:
        return _blocks(state, len(state["ratings"]["values"]))
    if name == "prune" and variant in state["pruned"]:
        return _blocks(state, len(state["pruned"][variant]["achieved"]))
    if name == "evaluate" and variant in state["evaluated"]:
        seen = state["evaluated"][variant]
        return _ended(f"{_bare(state['message'])}: {seen['done']} of {seen['total']}")
    return _ended(state["message"] or "Starting")


def _blocks(state: State, done: int) -> str:
    """The stage's own sentence, with the blocks that are done."""
    blocks = state["model"]["blocks"] if state["model"] else done
    return _ended(f"{_bare(state['message'])}: {done} of {blocks} blocks")


def _searching(step: dict[str, Any], some: bool) -> str:
    """Which candidate is being scored, and where; empty before the first.

    Args:
        some: that not every candidate of the grid will be.
    """
    index = step["current"]
    if index is None:
        return ""
    scored = sum(total is not None for i, total in enumerate(step["totals"]) if i != index)
    place = f"candidate {scored + 1}" if some else f"{index + 1} of {len(step['lambdas'])}"
    candidate = f"trying lambda {lambda_text(step['lambdas'][index])} ({place})"
    return f"{candidate}." if step["block"] is None else f"{candidate}, {step['block'] + 1} of {step['blocks']} blocks."


def _finished(state: State) -> str:
    took = f"Finished in {duration_text(state['seconds'])}"
    perplexity = state["measured"].get("perplexity", {})
    shown = [v for v in ("dense", "uniform", "chosen") if v in perplexity and perplexity[v]["value"] is not None]
    if not shown:
        return f"{took}."
    figures = ", ".join(f"{fixed(perplexity[v]['value'], 2)} {variant_name(state, v, False)}" for v in shown)
    return f"{took}. Perplexity: {figures}."


def variant_name(state: State, variant: str, capital: bool = True) -> str:
    """A person's word for a variant: the chosen one goes by the name of its top-up."""
    name = variant
    if variant == "chosen":
        name = state["allocation"]["top_up"] if state["allocation"] else state["spec"].get("top_up", variant)
    if name in TOP_UP_NAMES:
        return TOP_UP_NAMES[name]
    return name[:1].upper() + name[1:] if capital else name


def _bare(message: str) -> str:
    return message[:-1] if message.endswith(".") else message


def _ended(message: str) -> str:
    return message if message.endswith((".", "!", "?", "…")) else f"{message}."


# --- numbers as text: rules simple enough to be the same in JavaScript ----------------------------------------------


def fixed(value: float, digits: int) -> str:
    """``value`` with that many decimals, halves rounded up."""
    scale = 10**digits
    return f"{math.floor(value * scale + 0.5) / scale:.{digits}f}"


def lambda_text(lam: float) -> str:
    """Two decimals, more (up to four) only where they are needed: 0.05, 0.10, 0.025."""
    text = fixed(lam, 4)
    while text.endswith("0") and len(text) > 4:
        text = text[:-1]
    return text


def duration_text(seconds: float) -> str:
    """``41 s``, ``2 min 41 s``, ``1 h 05 min``."""
    whole = math.floor(seconds + 0.5)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = whole // 60
    return f"{minutes // 60} h {minutes % 60:02d} min"
