"""``models``: the menu, and what of it is on this machine."""

from __future__ import annotations

from typing import Any

from neuroal.commands.output import Code, Output
from neuroal.models.memory import AUTO_BYTES, fits, gigabytes, machine_memory, needed_bytes
from neuroal.models.menu import MENU, MenuEntry, short

MODELS_EXAMPLES = ("models", "models --json")


def models(out: Output) -> Code | None:
    """Lists the models of the menu: their sizes, whether they fit here, and where they come from."""
    found = [_described(entry) for entry in MENU]
    out.document = found
    out.table(["model", "parameters", "needs", "fits", "here", "comes from"], map(_row, found))
    if not out.as_json:
        out.say("Any decoder-only model of the Hugging Face Hub, or a local folder, can be named too.")


def _row(each: dict[str, Any]) -> list[str]:
    sources = " or ".join(each["sources"]) + (" (gated)" if each["gated"] else "")
    fits_here = "yes" if each["fits"] else "no"
    needed = gigabytes(each["needed_bytes"])
    return [each["name"], short(each["parameters"]), needed, fits_here, each["cached"] or "no", sources]


def _described(entry: MenuEntry) -> dict[str, Any]:
    memory = machine_memory("cpu")
    needed = needed_bytes(entry.parameters, AUTO_BYTES[memory.kind])
    sources = ["the app"] if entry.folder else [f"Hub: {entry.repo_id}"]
    sources += [f"PyPI: {entry.package.distribution}"] if entry.package else []
    return {
        "name": entry.name,
        "repo_id": entry.repo_id,
        "parameters": entry.parameters,
        "blocks": entry.blocks,
        "hidden": entry.hidden,
        "context": entry.context,
        "licence": entry.licence,
        "gated": entry.gated,
        "needed_bytes": needed,
        "fits": fits(needed, memory, whole=True),
        "cached": _cached(entry),
        "sources": sources,
        "note": entry.note,
    }


def _cached(entry: MenuEntry) -> str:
    """Where it is on this machine, in words; "" where it has to be fetched."""
    from neuroal.models import hub, package

    if entry.folder:
        return "the app" if (entry.folder / "config.json").is_file() else ""
    if entry.package and package.converted(entry.package):
        return "data folder"
    return "Hub cache" if entry.repo_id and hub.cached(entry.repo_id) else ""
