"""One classroom for all lessons: it loads the teaching model once, and remembers what it has answered."""

from __future__ import annotations

import pytest
from torch import Tensor

import neuroal
from neuroal.learning.ground import LENGTH, SAMPLES
from neuroal.learning.scenes import Classroom
from neuroal.models.loading import LanguageModel


@pytest.fixture(scope="session")
def classroom() -> Classroom:
    return Classroom()


@pytest.fixture(scope="session")
def tokens(tiny: LanguageModel) -> Tensor:
    """The calibration samples of the classroom, int64 [samples, length]."""
    return neuroal.calibration_tokens(tiny.tokenizer, source="prose", samples=SAMPLES, length=LENGTH, seed=0)
