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

# Those whose GGUF file was read back as the same model.
GGUF = {"llama", "qwen2", "gpt2"}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_checkpoint_of_any_family(name: str, source_of: Callable[..., Source], tmp_path: Path) -> None:
    family = FAMILIES[name]
    settings = {**family.settings, "vocab_size": 2048}
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
