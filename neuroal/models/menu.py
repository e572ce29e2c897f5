"""The menu: models known to work here, with the figures a person chooses by. Light: the page reads it at start-up."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path

from neuroal.errors import did_you_mean
from neuroal.models.memory import AUTO_BYTES, Memory, fits, gigabytes, needed_bytes
from neuroal.models.package import SMOLLM2, Package

TINY_FOLDER = Path(__file__).resolve().parents[2] / "assets" / "tiny"


@dataclass(frozen=True)
class MenuEntry:
    """One model of the menu. Figures are approximate until the model's own configuration is read (``inspect``).

    Attributes:
        name: what the menu shows.
        repo_id: on the Hugging Face Hub; None for a model that is not there.
        parameters: weights, tied ones once.
        blocks, hidden, context: decoder blocks, hidden size, longest context in tokens.
        licence: in short.
        gated: whether the Hub asks for an accepted licence and a token.
        note: what is special about it, for a person.
        folder: where it is, for the model that ships with the app.
        package: the package that carries it, if any.
    """

    name: str
    repo_id: str | None
    parameters: int
    blocks: int
    hidden: int
    context: int
    licence: str
    gated: bool = False
    note: str = ""
    folder: Path | None = None
    package: Package | None = None


def describe(entry: MenuEntry, memory: Memory) -> str:
    """One line for the menu, such as "GPT-2 · 124M parameters · 12 blocks · context 1,024 · fits this machine"."""
    needed = needed_bytes(entry.parameters, AUTO_BYTES[memory.kind])
    parts = [
        entry.name,
        f"{short(entry.parameters)} parameters",
        f"{entry.blocks} blocks",
        f"context {entry.context:,}",
        "gated: needs a Hugging Face token" if entry.gated else "",
        "fits this machine"
        if fits(needed, memory, whole=True)
        else f"too large for this machine (needs {gigabytes(needed)} of memory, has {gigabytes(memory.total)})",
    ]
    return " · ".join(part for part in parts if part)


def find_entry(name: str) -> MenuEntry | None:
    """The entry with this menu name or Hub id (its owner may be left out), upper or lower case."""
    wanted = name.strip().casefold()
    return next((entry for entry in MENU if wanted in _names(entry)), None)


def same(name: str) -> str:
    """One form for all names of a model, to compare them by."""
    entry = find_entry(name)
    return (entry.name if entry else name.strip()).casefold()


def near_misses(name: str) -> str:
    """The tail of an error about a model that was not found: what was probably meant, and the menu."""
    names = {entry.name.casefold(): entry.name for entry in MENU}
    # difflib counts a different case as a different letter, so the comparison is in the menu's own spelling.
    tail = name.strip().split("/")[-1].casefold()
    return did_you_mean(names.get(tail, name.strip().split("/")[-1]), names.values())


def _names(entry: MenuEntry) -> set[str]:
    """What an entry answers to."""
    repo_id = entry.repo_id or entry.name
    return {entry.name.casefold(), repo_id.casefold(), repo_id.split("/")[-1].casefold()}


def short(count: int) -> str:
    """A number of parameters for people: 135M, 1.7M, 1.1B."""
    if count >= 10**9:
        return f"{count / 10**9:.1f}B"
    return f"{count / 10**6:.0f}M" if count >= 10**7 else f"{count / 10**6:.1f}M"


def _tiny(folder: Path) -> MenuEntry:
    """The shipped model, with the numbers of its own files; it is retrained now and then."""
    try:
        config = json.loads((folder / "config.json").read_text())
        with (folder / "model.safetensors").open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            tensors = json.loads(file.read(length))
        parameters = sum(math.prod(t["shape"]) for name, t in tensors.items() if name != "__metadata__")
        figures = config["num_hidden_layers"], config["hidden_size"], config["max_position_embeddings"]
    except (OSError, ValueError, KeyError, struct.error):
        parameters, figures = 1_738_880, (8, 128, 512)
    note = "Trained for this app on public-domain novels; loads at once, needs no download."
    return MenuEntry("tiny", None, parameters, *figures, "Apache-2.0", note=note, folder=folder)


_APACHE = "Apache-2.0"
_OPT = "OPT licence (research)"
_CONV1D = "Its linears store their weights transposed."

MENU: tuple[MenuEntry, ...] = (
    MenuEntry(
        "SmolLM2-135M-Instruct",
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        134_515_008,
        30,
        576,
        8192,
        _APACHE,
        note="The default: small, and answers questions.",
        package=SMOLLM2,
    ),
    _tiny(TINY_FOLDER),
    MenuEntry("SmolLM2-360M", "HuggingFaceTB/SmolLM2-360M", 362_000_000, 32, 960, 8192, _APACHE),
    MenuEntry("Qwen2.5-0.5B", "Qwen/Qwen2.5-0.5B", 494_000_000, 24, 896, 32768, _APACHE),
    MenuEntry("Qwen3-0.6B", "Qwen/Qwen3-0.6B", 596_000_000, 28, 1024, 40960, _APACHE),
    MenuEntry("OPT-125m", "facebook/opt-125m", 125_000_000, 12, 768, 2048, _OPT),
    MenuEntry("OPT-350m", "facebook/opt-350m", 331_000_000, 24, 1024, 2048, _OPT),
    MenuEntry("Pythia-70m", "EleutherAI/pythia-70m", 70_000_000, 6, 512, 2048, _APACHE),
    MenuEntry("Pythia-160m", "EleutherAI/pythia-160m", 162_000_000, 12, 768, 2048, _APACHE),
    MenuEntry("Pythia-410m", "EleutherAI/pythia-410m", 405_000_000, 24, 1024, 2048, _APACHE),
    MenuEntry("GPT-2", "openai-community/gpt2", 124_000_000, 12, 768, 1024, "MIT", note=_CONV1D),
    MenuEntry("TinyLlama-1.1B", "TinyLlama/TinyLlama-1.1B-Chat-v1.0", 1_100_000_000, 22, 2048, 2048, _APACHE),
    MenuEntry("Phi-1.5", "microsoft/phi-1_5", 1_400_000_000, 24, 2048, 2048, "MIT"),
    MenuEntry("Phi-2", "microsoft/phi-2", 2_800_000_000, 32, 2560, 2048, "MIT"),
    MenuEntry(
        "Gemma-3-270m",
        "google/gemma-3-270m",
        268_000_000,
        18,
        640,
        32768,
        "Gemma",
        gated=True,
        note="Accept its licence on its Hugging Face page first.",
    ),
)
