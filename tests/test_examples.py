"""The examples in the docstrings of the public face run, and show what they say they show."""

from __future__ import annotations

import doctest
import functools
import inspect
from typing import Any

import pytest

import neuroal
from neuroal.models import loading
from neuroal.models.loading import LanguageModel
from neuroal.runs import pool


@pytest.fixture
def shared_model(tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """``tiny`` is loaded once; every other name is looked for as ever."""
    load = loading.load

    @functools.wraps(load)
    def loaded(name: str, **settings: Any) -> LanguageModel:
        return tiny if name == "tiny" else load(name, **settings)

    monkeypatch.setattr(neuroal, "load", loaded, raising=False)
    monkeypatch.setattr(pool, "load", loaded)


@pytest.mark.parametrize("name", neuroal.__all__)
def test_every_public_name_has_an_example_that_runs(name: str, shared_model: None) -> None:
    parsed = doctest.DocTestParser().get_doctest(
        inspect.getdoc(getattr(neuroal, name)), {"neuroal": neuroal}, name, None, None
    )
    assert parsed.examples
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    runner.run(parsed, out=said.append)
    assert not runner.failures, "".join(said)


@pytest.mark.parametrize("name", [n for n in neuroal.__all__ if inspect.isfunction(getattr(neuroal, n))])
def test_every_parameter_of_a_public_function_is_explained(name: str) -> None:
    function = getattr(neuroal, name)
    text = inspect.getdoc(function)
    assert "Returns:" in text
    explained = text.partition("Args:\n")[2]
    for parameter in inspect.signature(function).parameters:
        if parameter not in ("model", "spec"):  # the summary line is about these
            assert f"{parameter}:" in explained or f"{parameter}, " in explained or f", {parameter}:" in explained
