"""Models of every family: their checkpoint is what they are, and a GGUF file is made rightly or refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from neuroal.errors import UserError
from neuroal.export import Source, export
from tests.export.conftest import zeroed
from tests.families.table import FAMILIES

# Those whose GGUF file is read back as the same model; of other shapes than those of the table there are more.
GGUF = {"llama", "qwen2", "phi3", "starcoder2"}

VOCABULARIES = ("vocab_size", "vocab_size_per_layer_input")

# One of each kind: experts, shared keys, fused projections, odd heads, no attention at all, a name of gguf's own.
KINDS = (
    "llama", "qwen2", "phi3", "starcoder2", "stablelm", "bloom", "falcon-new", "opt-350m", "mixtral", "qwen2-moe",
    "gpt-oss", "gemma4-shared-keys", "deepseek-v3", "lfm2", "mamba",
)  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_a_checkpoint_of_any_family(name: str, source_of: Callable[..., Source], tmp_path: Path) -> None:
    family = FAMILIES[name]
    settings = {**family.settings, **{name: 2048 for name in VOCABULARIES if name in family.settings}}
    model = zeroed(dataclasses.replace(family, settings=settings).build().requires_grad_(False))
    source = source_of(model)
    assert "equal bit for bit" in export(source, "folder", tmp_path / "out").told.checked
    try:
        made = export(source, "gguf", tmp_path / "model.gguf")
    except UserError as refusal:
        assert name not in GGUF and "cannot be exported as GGUF" in str(refusal)
        assert [p.name for p in tmp_path.iterdir()] == ["out"]
    else:
        assert name in GGUF and "equal bit for bit" in made.told.checked
