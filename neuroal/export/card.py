"""The model card: what the model is, how sparse, how damaged, and how to make it again. In Markdown, for the Hub."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from huggingface_hub import ModelCardData

from neuroal.evaluation.kinds import EVALUATIONS
from neuroal.export.provenance import Provenance
from neuroal.export.source import Source
from neuroal.pruners import PRUNERS
from neuroal.topups import TOP_UPS

# Licences that the Hub knows by a name of its own; the rest is "other", with what it is called.
LICENCES = {"Apache-2.0": "apache-2.0", "apache-2.0": "apache-2.0", "MIT": "mit", "mit": "mit", "Gemma": "gemma"}

VARIANTS = {"dense": "dense", "uniform": "uniform control", "chosen": "this model"}

CITATION = """@misc{neuroal,
  title         = {Zeroth-Order Adaptive Neuron Alignment Based Pruning without Re-Training},
  author        = {Cunegatti, Elia and Custode, Leonardo Lucio and Iacca, Giovanni},
  year          = {2024},
  eprint        = {2411.07066},
  archivePrefix = {arXiv}
}"""


def model_card(source: Source, known: Provenance) -> str:
    """README.md of the checkpoint."""
    parts = [
        f"---\n{_front_matter(source)}\n---",
        f"# {source.title}",
        _introduction(source, known),
        _use(source),
        _sparsity(known),
        _damage(known),
        _again(source, known),
        _licence(source),
        "## Citation\n\nThe search for the ratios is NeuroAL "
        f"([arXiv 2411.07066](https://arxiv.org/abs/2411.07066)).\n\n```bibtex\n{CITATION}\n```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(source: Source) -> str:
    licence: dict[str, Any] = {}
    if source.licence:
        licence = {"license": LICENCES.get(source.licence, "other")}
        if licence["license"] == "other":
            licence |= {"license_name": source.licence}
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["pruning", "sparsity", "neuroal"],
        **licence,
        **({"base_model": source.repo_id} if source.repo_id else {}),
    )
    return data.to_yaml().strip()


def _introduction(source: Source, known: Provenance) -> str:
    base = f"[{source.base}](https://huggingface.co/{source.repo_id})" if source.repo_id else f"`{source.base}`"
    how = _how(known)
    text = (
        f"{base} with {known.overall:.2%} of the weights of its decoder blocks set to zero{how}. The zeros are stored "
        "in ordinary tensors: the model is neither smaller nor faster by itself."
    )
    if source.private:
        text += " It was pruned or measured on a text that its owner keeps."
    return "\n".join([text, *(f"\n{notice}" for notice in source.notices)])


def _how(known: Provenance) -> str:
    settings = known.settings
    if not settings.get("pruner"):
        return ""
    pruner = _label(PRUNERS.labels, settings["pruner"])
    top_up = _label(TOP_UPS.labels, settings.get("top_up"))
    chosen = " and ".join(f"{lam:g} ({step})" for step, lam in known.lambdas.items())
    parts = [f", by {pruner} with the ratios of {top_up}"]
    if chosen:
        parts.append(f", whose search chose lambda {chosen}")
    if settings.get("pattern"):
        parts.append(f", in the pattern {settings['pattern']}")
    if settings.get("reconstruct"):
        parts.append("; kept weights were refitted")
    return "".join(parts)


def _label(labels: Any, name: Any) -> str:
    return labels.get(name, str(name or "")).partition(":")[0]


def _use(source: Source) -> str:
    return (
        "## Use\n\n```python\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        'model = AutoModelForCausalLM.from_pretrained("PATH OR REPOSITORY")\n'
        'tokenizer = AutoTokenizer.from_pretrained("PATH OR REPOSITORY")\n```\n\n'
        f"It was saved by transformers {version('transformers')}; another major version may misread its configuration."
    )


def _sparsity(known: Provenance) -> str:
    rows = []
    for b, achieved in enumerate(known.blocks):
        asked = _percent(known.requested[b]) if b < len(known.requested) else ""
        rows.append((b, asked, _percent(achieved)))
    table = _table(("block", "ratio asked", "zeros"), rows)
    return f"## Sparsity\n\nBy decoder block; `allocation.json` has it for each linear.\n\n{table}"


def _damage(known: Provenance) -> str:
    if not known.measured:
        return ""
    rows = []
    for each in known.measured:
        label = EVALUATIONS.labels.get(each["metric"].partition("/")[0], each["metric"])
        name = label if "/" not in each["metric"] else f"{label}: {each['metric'].partition('/')[2]}"
        error = f" ± {each['stderr']:.2g}" if each["stderr"] else ""
        variant = VARIANTS.get(each["variant"], each["variant"])
        rows.append((name, variant, f"{_figure(each['value'])}{error}", each["source"], each["tokens"]))
    head = ("figure", "of", "value", "text", "tokens or questions")
    return f"## Measured damage\n\n{_table(head, rows)}"


def _again(source: Source, known: Provenance) -> str:
    if not source.spec:
        return ""
    text = json.dumps(source.spec, indent=1)
    caution = ""
    if source.private:
        caution = "\n\nThe text it asks about is not in here, so only its owner can ask the same."
    versions = ", ".join(f"{name} {found}" for name, found in _versions(source).items())
    return (
        "## Make it again\n\nWith NeuroAL Explorer, on the command line or in Python, from `spec.json`, which lies "
        "beside this file:\n\n```bash\npython -m neuroal prune spec.json\n```\n\n"
        "```python\nimport json\n\nimport neuroal\n\n"
        'spec = neuroal.RunSpec.from_dict(json.load(open("spec.json")))\nfor event in neuroal.run(spec):\n'
        f"    print(event)\n```{caution}\n\n<details><summary>spec.json</summary>\n\n```json\n{text}\n```\n\n</details>"
        + (f"\n\nIt was made with {versions}." if versions else "")
    )


def _versions(source: Source) -> dict[str, str]:
    """Of the run where there was one."""
    started = [r for r in source.records if r["kind"] == "RunStarted"]
    if started:
        return dict(started[-1]["versions"])
    found = {}
    for name in ("torch", "transformers"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _licence(source: Source) -> str:
    if source.licence:
        return f"## Licence\n\nThat of the base model: {source.licence}."
    where = f"see [its page](https://huggingface.co/{source.repo_id})" if source.repo_id else "see where it comes from"
    return f"## Licence\n\nThat of the base model, which is not known here; {where}."


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _percent(share: float) -> str:
    return f"{share:.2%}" if math.isfinite(share) else ""


def _figure(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
