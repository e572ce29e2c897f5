"""What a run is called where it has no name of its own: its question in short."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neuroal.folding.status import fixed
from neuroal.pruners import PRUNERS
from neuroal.topups import TOP_UPS

UNKNOWN = "A run of an unknown question"


def title(asked: Mapping[str, Any]) -> str:
    """``SmolLM2-135M-Instruct, Wanda, NeuroAL both, 60 %``.

    Args:
        asked: settings by name, as in a run's summary or config card; what is not known is left out.
    """
    parts = [_model(asked), _label(PRUNERS.labels, asked.get("pruner")), _top_up(asked), _amount(asked)]
    if asked.get("reconstruct"):
        parts.append("refitted")
    if asked.get("seed"):
        parts.append(f"seed {asked['seed']}")
    return ", ".join(part for part in parts if part) or UNKNOWN


def _model(asked: Mapping[str, Any]) -> str:
    """Without the folder, or the account of the Hub, that it is in."""
    return str(asked.get("model") or "").rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1]


def _label(labels: Mapping[str, str], name: Any) -> str:
    """``"OWL: denser where outliers are"`` -> ``OWL``."""
    return labels.get(name, str(name or "")).split(": ")[0]


def _top_up(asked: Mapping[str, Any]) -> str:
    label = _label(TOP_UPS.labels, asked.get("top_up"))
    stepped = asked.get("top_up") in TOP_UPS.labels and TOP_UPS.get(asked["top_up"]).steps
    return f"{label} {asked['step']}" if stepped and asked.get("step") else label


def _amount(asked: Mapping[str, Any]) -> str:
    """An N:M pattern decides the sparsity; a person's own ratios have no single one."""
    if asked.get("pattern"):
        return str(asked["pattern"])
    ratio = asked.get("sparsity")
    if ratio is None or asked.get("top_up") == "custom":
        return ""
    text = fixed(100 * ratio, 1)
    return f"{text[:-2] if text.endswith('.0') else text} %"
