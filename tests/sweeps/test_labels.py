"""What the runs of a sweep are called."""

from __future__ import annotations

from neuroal.sweeps.labels import labels
from neuroal.sweeps.spec import SweepSpec


def named(base: dict, *axes: list[dict], control: bool = False) -> list[str]:
    return labels(SweepSpec(base, axes, control).members)


def test_the_top_up_alone_where_nothing_else_differs() -> None:
    top_ups = [{"top_up": "owl"}, {"top_up": "neuroal", "step": "row"}, {"top_up": "neuroal"}]
    assert named({}, top_ups) == ["OWL", "NeuroAL row", "NeuroAL both"]


def test_along_a_line_the_label_is_the_same() -> None:
    sparsities, seeds = [{"sparsity": 0.5}, {"sparsity": 0.6}], [{"seed": 0}, {"seed": 1}]
    assert named({"top_up": "owl"}, sparsities, seeds) == ["OWL"] * 4


def test_what_differs_is_in_the_label() -> None:
    assert named({"top_up": "owl"}, [{"pruner": "wanda"}, {"pruner": "sparsegpt"}]) == ["Wanda, OWL", "SparseGPT, OWL"]
    models = [{"model": "tiny"}, {"model": "someone/their-model"}, {"model": "/a/folder/"}]
    assert named({"top_up": "owl"}, models) == ["tiny, OWL", "their-model, OWL", "folder, OWL"]
    assert named({"top_up": "owl"}, [{"pattern": "2:4"}, {"sparsity": 0.5}]) == ["OWL, 2:4", "OWL"]
    assert named({"top_up": "owl"}, [{"reconstruct": True}, {"sparsity": 0.5}])[0].startswith("OWL, refitted")
    assert named({"top_up": "owl"}, [{"samples": 2}, {"samples": 4}]) == ["OWL, samples 2", "OWL, samples 4"]


def test_a_setting_of_another_top_up_is_not_named() -> None:
    top_ups = [{"top_up": "owl", "owl_m": 3.0}, {"top_up": "owl", "owl_m": 5.0}]
    assert named({}, top_ups, control=True) == ["Uniform", "OWL, owl's m 3.0", "OWL, owl's m 5.0"]
