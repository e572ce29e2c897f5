"""What is exported: a pruned model, its tokenizer, and what is known of how it came about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from neuroal.allocation import Allocation
from neuroal.models.menu import find_entry

if TYPE_CHECKING:
    from neuroal.runs.workshop import Workshop

Record = Mapping[str, Any]

# Settings whose content, or whose digest, says something about a person's own text.
OWN_TEXTS = ("text", "eval_text")


@dataclass(frozen=True)
class Source:
    """A pruned model to be exported; nothing here is written to.

    Attributes:
        model: a causal language model of transformers, pruned.
        tokenizer: of the model.
        base: what the dense model is called: a Hub id where it has one, else a name without a path.
        repo_id: on the Hugging Face Hub; empty where it is not there.
        licence: in short, such as "Apache-2.0"; empty where it is not known.
        records: the log of the run that pruned it; empty for a model of one's own.
        allocation: the ratios it was pruned by, where they are at hand.
        notices: what a person should know about the dense weights.
    """

    model: nn.Module
    tokenizer: Any
    base: str
    repo_id: str = ""
    licence: str = ""
    records: tuple[Record, ...] = ()
    allocation: Allocation | None = None
    notices: tuple[str, ...] = field(default=())

    @property
    def spec(self) -> dict[str, Any]:
        """The question of the run as its card, without anything about someone's own text; empty without a run."""
        started = [r for r in self.records if r["kind"] == "RunStarted"]
        card = dict(started[-1]["spec"]) if started else {}
        if card and not self.repo_id:
            card["model"] = self.base  # a folder's path is this machine's own matter
        return card | {name: "" for name in OWN_TEXTS if name in card}

    @property
    def private(self) -> bool:
        """Whether someone's own text was asked about."""
        return "own" in (self.spec.get("source"), self.spec.get("eval_source"))

    @property
    def title(self) -> str:
        """A name for files: letters, digits, dots and hyphens, such as "SmolLM2-135M-Instruct-wanda-neuroal-60"."""
        spec = self.spec
        parts = [self.base.rpartition("/")[2] or "model"]
        if spec:
            share = spec.get("pattern") or round(100 * float(spec.get("sparsity") or 0))
            parts += [spec.get("pruner"), spec.get("top_up"), str(share).replace(":", "-")]
        else:
            parts.append("pruned")
        return re.sub(r"[^A-Za-z0-9.-]+", "-", "-".join(str(p) for p in parts if p)).strip("-.") or "model"


def of_run(workshop: Workshop, run_id: str) -> Source:
    """The pruned model of a finished run.

    Raises:
        UserError: the run is not known, has not finished, or its pruned weights are gone.
    """
    lm, twin = workshop.pair(run_id)
    records, _ = workshop.jobs.read(run_id)
    return of_model(
        twin, lm.tokenizer, name=lm.info.name, folder=lm.info.folder, records=records, notices=lm.info.notices
    )


def of_model(
    model: nn.Module,
    tokenizer: Any,
    *,
    name: str = "",
    folder: str | Path | None = None,
    licence: str = "",
    records: Iterable[Record] = (),
    allocation: Allocation | None = None,
    notices: Iterable[str] = (),
) -> Source:
    """Any pruned model of transformers.

    Args:
        name: of the dense model, as ``neuroal.load`` takes it; what its configuration says where it is not given.
        folder: where the dense checkpoint is; its model card is asked for the licence.
        licence: in short; found out where it is not given.
        records: the log of the run that pruned it; allocation: what ``neuroal.allocate`` returned.
        notices: what a person should know about the dense weights.
    """
    asked = name or str(getattr(model.config, "name_or_path", "") or "") or "a model"
    entry = find_entry(asked)
    repo_id = (entry.repo_id or "") if entry else asked if re.fullmatch(r"[\w.-]+/[\w.-]+", asked) else ""
    if repo_id and not entry and Path(asked).expanduser().is_dir():  # a folder beside the program, not a repository
        repo_id = ""
    base = repo_id or (entry.name if entry else Path(asked).name)
    licence = licence or (entry.licence if entry else "") or _licence_in(folder)
    return Source(model, tokenizer, base, repo_id, licence, tuple(records), allocation, tuple(notices))


def _licence_in(folder: str | Path | None) -> str:
    """What the model card beside a checkpoint says; empty where there is none or it does not say."""
    from huggingface_hub import ModelCard

    try:
        data = ModelCard.load(Path(folder or "") / "README.md", ignore_metadata_errors=True).data
    except Exception:  # a file that anybody may have written
        return ""
    said = data.get("license_name") or data.get("license")
    return said if isinstance(said, str) else ""
