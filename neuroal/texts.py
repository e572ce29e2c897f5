"""Where text comes from: the bundled prose, the benchmarks of the literature on the Hugging Face Hub, or one's own.

The bundled prose was written for this project (assets/prose) and is split by whole documents into a calibration and a
held-out part, so that nothing that prunes a model is later used to judge it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from neuroal.errors import UserError

PROSE = Path(__file__).resolve().parent.parent / "assets" / "prose"

# Repository and configuration of what is downloaded whole, as datasets keeps them.
DOWNLOADED = {"wikitext2": ("Salesforce/wikitext", "wikitext-2-raw-v1"), "ptb": ("ptb-text-only/ptb_text_only", "*")}

# Documents read from a streamed corpus before drawing: 200 times the usual number of samples.
STREAMED_DOCUMENTS = 2000


def calibration_documents(source: str, text: str = "", seed: int = 0) -> list[str]:
    """Documents to draw calibration sequences from.

    Args:
        source: "prose", "own", "wikitext2", "c4" or "ptb".
        text: the person's own text, for source "own".
        seed: decides which part of a streamed corpus is read.
    """
    readers: dict[str, Callable[[], list[str]]] = {
        "prose": lambda: _prose("calibration"),
        "own": lambda: [text],
        "wikitext2": lambda: [" ".join(_wikitext("train"))],
        "c4": lambda: _c4_train(seed),
        "ptb": lambda: [" ".join(_ptb("train"))],
    }
    return readers[source]()


def held_out_text(source: str, text: str = "") -> str:
    """One text to measure on, joined as the literature does (two newlines for WikiText-2, one space for C4 and PTB).

    Args:
        text: the person's own text, for source "own".
    """
    readers: dict[str, Callable[[], str]] = {
        "prose": lambda: "\n\n".join(_prose("heldout")),
        "wikitext2": lambda: "\n\n".join(_wikitext("test")),
        "c4": lambda: " ".join(itertools.islice(_c4("validation", "en/c4-validation.00000-of-00008.json.gz"), 1100)),
        "ptb": lambda: " ".join(_ptb("test")),
        "own": lambda: text,
    }
    if source not in readers:
        raise UserError(f"Held-out text {source!r} is not known; choose one of {', '.join(readers)}.")
    return readers[source]()


def at_hand(source: str) -> bool:
    """Whether calibration text of a source is on this machine, so that nothing need be downloaded for it.

    One's own text is not looked for: it belongs to its run. C4 is streamed and never is.
    """
    if source not in DOWNLOADED:
        return source == "prose"
    from huggingface_hub import constants

    cache = Path(os.getenv("HF_DATASETS_CACHE") or Path(constants.HF_HOME) / "datasets")
    repository, config = DOWNLOADED[source]
    return any((cache / repository.replace("/", "___")).glob(f"{config}/*/*/dataset_info.json"))


def _prose(part: str) -> list[str]:
    """The bundled documents of one part, in the order of their names."""
    documents = [path.read_text(encoding="utf-8").strip() for path in sorted((PROSE / part).glob("*.txt"))]
    if not documents:
        raise UserError("The bundled prose is missing from this installation; reinstall it, or choose another text.")
    return documents


def _wikitext(split: str) -> list[str]:
    return _dataset(*DOWNLOADED["wikitext2"], split=split)["text"]


def _ptb(split: str) -> list[str]:
    # The converted branch: the original repository is a loading script, which datasets 4 and later refuse.
    return _dataset(DOWNLOADED["ptb"][0], revision="refs/convert/parquet", split=split)["sentence"]


def _c4(split: str, file: str) -> Iterator[str]:
    """Streams one shard: a few hundred documents of it are wanted, not its 300 MB. No config name beside data_files."""
    rows = _dataset("allenai/c4", data_files={split: file}, split=split, streaming=True)
    return (row["text"] for row in rows)


def _c4_train(seed: int) -> list[str]:
    rows = _dataset(
        "allenai/c4", data_files={"train": "en/c4-train.00000-of-01024.json.gz"}, split="train", streaming=True
    )
    return [row["text"] for row in itertools.islice(rows.shuffle(seed=seed, buffer_size=1000), STREAMED_DOCUMENTS)]


def _dataset(path: str, *args: Any, **kwargs: Any) -> Any:
    """``datasets.load_dataset`` with every failure turned into a sentence."""
    from neuroal.models.hub import reachable

    try:
        from datasets import load_dataset
        from huggingface_hub import constants

        # Known in 3 s, instead of five retries. Declared offline, what was downloaded before can still be read.
        if not reachable() and (kwargs.get("streaming") or not constants.HF_HUB_OFFLINE):
            raise ConnectionError("the Hub does not answer")
        return load_dataset(path, *args, **kwargs)
    except Exception as error:
        raise UserError(
            f"The text {path} could not be loaded from the Hugging Face Hub ({type(error).__name__}); "
            "choose the bundled prose or paste your own text."
        ) from error
