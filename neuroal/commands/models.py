"""``models``: the menu, and what of it is on this machine."""

from __future__ import annotations

from neuroal.commands.output import Code, Output
from neuroal.models.memory import AUTO_BYTES, fits, gigabytes, machine_memory, needed_bytes
from neuroal.models.menu import MENU, MenuEntry, short

MODELS_EXAMPLES = ("models", "models --json")


def models(out: Output) -> Code | None:
    """Lists the models of the menu: their sizes, whether they fit here, and where they come from."""
    found = [_described(entry) for entry in MENU]
    out.document = found
    head = ["model", "parameters", "blocks", "context", "needs", "fits", "here", "licence", "comes from"]
    out.table(
        head,
        [
            [
                each["name"],
                short(each["parameters"]),
                str(each["blocks"]),
                f"{each['context']:,}",
                gigabytes(each["needed_bytes"]),
                "yes" if each["fits"] else "no",
                each["cached"] or "no",
                each["licence"],
                ", or ".join(each["sources"]) + (" (gated)" if each["gated"] else ""),
            ]
            for each in found
        ],
    )
    if not out.as_json:
        out.say("Any decoder-only model of the Hugging Face Hub, or a local folder, can be named too.")


def _described(entry: MenuEntry) -> dict[str, object]:
    memory = machine_memory("cpu")
    needed = needed_bytes(entry.parameters, AUTO_BYTES[memory.kind])
    sources = ["the app itself"] if entry.folder else [f"the Hugging Face Hub ({entry.repo_id})"]
    sources += [entry.package.label] if entry.package else []
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
        return "the app itself" if (entry.folder / "config.json").is_file() else ""
    if entry.package and package.converted(entry.package):
        return "the data folder"
    return "the Hub's cache" if entry.repo_id and hub.cached(entry.repo_id) else ""
