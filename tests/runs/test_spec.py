"""The question of a run: what is allowed, what each refusal says, and the key that makes two questions one."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroal.errors import UserError
from neuroal.evaluation.zeroshot import SEVEN
from neuroal.runs.spec import DTYPES, GQA, MODES, PRESETS, SOURCES, STEPS, RunSpec
from neuroal.topups import TOP_UPS

NAMES = [f.name for f in dataclasses.fields(RunSpec)]
OWN = "The quick brown fox jumps over the lazy dog, and then it rests. "

EXPLICIT: dict[str, Any] = {
    "model": "SmolLM2-135M-Instruct", "revision": None, "pruner": "wanda", "top_up": "neuroal", "step": "both",
    "mode": "exact", "sparsity": 0.6, "pattern": None, "exclude": (), "reconstruct": False, "continuations": 3,
    "block_sparsity": None,
    "owl_m": 5.0, "owl_lambda": 0.08, "alpha_epsilon": 0.3, "dsnot_cycles": 50, "dsnot_threshold": 0.1,
    "renormalise": False, "exact_budget": False, "exact_statistics": False, "lambdas": (0.02, 0.1), "gqa": "fold",
    "source": "prose", "text": "",
    "samples": 8, "length": 256, "prune_samples": None, "seed": 0, "dtype": "auto", "evaluations": ("perplexity",),
    "eval_source": "prose", "eval_windows": 16, "eval_length": 512, "tasks": SEVEN, "task_limit": 100, "eval_text": "",
    "sensitivity_seeds": 2,
}  # fmt: skip

OTHER: dict[str, Any] = {
    "model": "tiny", "revision": "main", "pruner": "magnitude", "top_up": "uniform", "step": "row", "sparsity": 0.5,
    "lambdas": (0.1, 0.02), "gqa": "base", "source": "c4", "samples": 9, "length": 255, "prune_samples": 8, "seed": 1,
    "dtype": "float32", "evaluations": (), "eval_source": "c4", "eval_windows": 17, "eval_length": 511,
    "pattern": "2:4", "exclude": ("*.down_proj",), "reconstruct": True, "renormalise": True, "exact_budget": True,
    "exact_statistics": True,
}  # fmt: skip

# Settings that one evaluation looks at.
OF_AN_EVALUATION: dict[str, tuple[str, Any]] = {
    "tasks": ("zeroshot", ("rte",)),
    "task_limit": ("zeroshot", 7),
    "sensitivity_seeds": ("sensitivity", 5),
}

# Settings that one top-up looks at, and another value than the default.
OF_A_TOP_UP: dict[str, tuple[str, Any]] = {
    "mode": ("neuroal", "exact"),
    "lambdas": ("neuroal", (0.1, 0.02)),
    "gqa": ("neuroal", "base"),
    "owl_m": ("owl", 4.0),
    "owl_lambda": ("owl", 0.1),
    "alpha_epsilon": ("alphapruning", 0.2),
    "dsnot_cycles": ("dsnot", 49),
    "dsnot_threshold": ("dsnot", 0.2),
    "block_sparsity": ("custom", (0.5, 0.7)),
}

# What was a setting before the top-ups had options of their own: stored runs hold no others.
FIRST = (
    "model", "revision", "pruner", "top_up", "step", "mode", "sparsity", "lambdas", "gqa", "source", "text", "samples",
    "length", "prune_samples", "seed", "dtype", "evaluations", "eval_source", "eval_windows", "eval_length",
)  # fmt: skip


def refusal(**values: Any) -> str:
    """What a person is told; always one line."""
    with pytest.raises(UserError) as caught:
        RunSpec(**values)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def test_the_defaults_are_allowed_and_complete() -> None:
    spec = RunSpec()
    assert (spec.pruner, spec.top_up, spec.step, spec.sparsity) == ("wanda", "neuroal", "both", 0.6)
    assert set(NAMES) == set(EXPLICIT), "a new setting needs a line in these tests"


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_allowed(preset: str) -> None:
    spec = RunSpec(**PRESETS[preset])
    assert {name: getattr(spec, name) for name in PRESETS[preset]} == PRESETS[preset]


def test_every_setting_knows_how_to_ask_for_itself() -> None:
    for f in dataclasses.fields(RunSpec):
        assert f.metadata["label"] and f.metadata["help"].endswith("."), f.name


# --- the key --------------------------------------------------------------------------------------------------------


def test_the_key_is_the_same_today_as_it_was() -> None:
    """Answers are found again by this key; it may only change together with what a setting means.

    The first 32 digits of the SHA-256 of the sorted, compact JSON of the values above, without those that were added
    later and are at their defaults: an answer from before is still the answer.
    """
    first = json.dumps({name: EXPLICIT[name] for name in FIRST}, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(first.encode()).hexdigest()[:32] == "cd0c1ba5ba685a24b6175340b2fc80ec"
    assert RunSpec(**EXPLICIT).key() == "cd0c1ba5ba685a24b6175340b2fc80ec"


def test_equal_questions_have_equal_keys_however_they_are_written() -> None:
    key = RunSpec(**EXPLICIT).key()
    assert RunSpec(**dict(reversed(EXPLICIT.items()))).key() == key
    assert RunSpec(**{**EXPLICIT, "lambdas": [0.02, 0.1, 0.02], "evaluations": ["perplexity"] * 2}).key() == key
    assert RunSpec(**{**EXPLICIT, "model": " SmolLM2-135M-Instruct\n", "revision": " "}).key() == key
    assert RunSpec(**{**EXPLICIT, "text": "pasted, but not used"}).key() == key
    assert RunSpec(lambdas=(0, 1)).key() == RunSpec(lambdas=(0.0, 1.0)).key()


@pytest.mark.parametrize("name", sorted(OTHER))
def test_the_key_changes_with_each_setting(name: str) -> None:
    assert RunSpec(**{**EXPLICIT, name: OTHER[name]}).key() != RunSpec(**EXPLICIT).key()


def test_the_key_changes_with_the_own_text() -> None:
    assert RunSpec(source="own", text=OWN).key() != RunSpec(source="own", text=OWN + "!").key()
    assert RunSpec(source="own", text=OWN).key() != RunSpec().key()


def test_every_setting_is_part_of_the_key() -> None:
    """``text`` is covered above and ``continuations`` below."""
    assert set(OTHER) | set(OF_A_TOP_UP) | set(OF_AN_EVALUATION) | {"text", "eval_text", "continuations"} == set(NAMES)
    for name, (evaluation, value) in OF_AN_EVALUATION.items():
        assert RunSpec(evaluations=(evaluation,), **{name: value}).key() != RunSpec(evaluations=(evaluation,)).key()
        assert RunSpec(**{name: value}) == RunSpec(), "nothing looks at it"


def test_what_nothing_looks_at_is_no_part_of_the_question() -> None:
    """Continuations without refitting, a step of a top-up that has none, a ratio beside ratios of one's own."""
    assert RunSpec(continuations=5) == RunSpec()
    assert RunSpec(reconstruct=True, continuations=5).key() != RunSpec(reconstruct=True).key()
    assert RunSpec(top_up="owl", step="row") == RunSpec(top_up="owl")
    own = {"top_up": "custom", "block_sparsity": (0.5, 0.7)}
    assert RunSpec(**own, sparsity=0.3) == RunSpec(**own)
    assert RunSpec(lambdas=(0.1, 0.2), mode="exact") == RunSpec(lambdas=(0.1, 0.2)), "an own grid is scored in full"


@pytest.mark.parametrize("name", OF_A_TOP_UP)
def test_settings_of_a_top_up_belong_to_its_question_only(name: str) -> None:
    """Nothing looks at them with another one, so it is the same question and has the same key."""
    top_up, value = OF_A_TOP_UP[name]
    needed = {"block_sparsity": (0.5, 0.6)} if top_up == "custom" else {}
    asked = RunSpec(**{"top_up": top_up, **needed, name: value})
    assert getattr(asked, name) == value and asked.key() != RunSpec(top_up=top_up, **needed).key()
    for other in TOP_UPS.labels:
        if other not in (top_up, "custom"):
            assert RunSpec(top_up=other, **{name: value}) == RunSpec(top_up=other)
            assert RunSpec(top_up=other, **{name: value}).key() == RunSpec(top_up=other).key()


def test_every_setting_that_a_top_up_claims_is_tried() -> None:
    claimed = {name: top_up.name for top_up in TOP_UPS.entries for name in top_up.settings}
    assert claimed == {name: top_up for name, (top_up, _) in OF_A_TOP_UP.items()}


@pytest.mark.parametrize(("name", "top_up"), [("owl_m", "owl"), ("dsnot_threshold", "dsnot"), ("owl_lambda", "owl")])
def test_a_whole_number_is_the_same_number(name: str, top_up: str) -> None:
    whole = RunSpec(top_up=top_up, **{name: 0 if name == "owl_lambda" else 3})
    assert whole.key() == RunSpec(top_up=top_up, **{name: float(getattr(whole, name))}).key()


# --- patterns, exclusions and own ratios ----------------------------------------------------------------------------


def test_a_pattern_decides_the_sparsity() -> None:
    spec = RunSpec(pattern=" 1 : 4 ", sparsity=0.6, step="block")
    assert (spec.pattern, spec.sparsity) == ("1:4", 0.75)
    assert spec.key() == RunSpec(pattern="1:4", sparsity=0.5, step="block").key()
    assert RunSpec(pattern="").pattern is None and RunSpec(pattern="").sparsity == 0.6


@pytest.mark.parametrize("pattern", ["2:4", "1:16", "15:16", "1:128"])
def test_whatever_pattern_is_allowed_survives_json_and_a_change(pattern: str) -> None:
    """A run is read back from the store, and its windows are counted, long after it was asked for."""
    spec = RunSpec(pattern=pattern, step="block")
    assert RunSpec.from_json(spec.to_json()) == spec
    assert dataclasses.replace(spec, eval_windows=3).pattern == pattern


def test_one_exclusion_may_be_a_text() -> None:
    assert RunSpec(exclude="*.down_proj").exclude == ("*.down_proj",)
    assert RunSpec(exclude=[" 0", "", "0 ", "mlp"]).exclude == ("0", "mlp")
    assert RunSpec(exclude="").exclude == ()


def test_the_custom_top_up_needs_ratios_that_prune_something() -> None:
    assert "needs your ratios" in refusal(top_up="custom")
    assert RunSpec(top_up="custom", block_sparsity=[0, 0.5]).block_sparsity == (0.0, 0.5)
    assert "from 0 to below 1" in refusal(top_up="custom", block_sparsity=(0.0, 0.0))


def test_settings_from_before_there_were_options_still_load() -> None:
    stored = json.dumps({name: EXPLICIT[name] for name in FIRST})
    assert RunSpec.from_json(stored) == RunSpec(**EXPLICIT)


# --- own text -------------------------------------------------------------------------------------------------------


def test_a_card_shows_own_text_as_its_digest_only() -> None:
    """SHA-256 of "abc" is in FIPS 180-2, appendix B.1."""
    card = RunSpec(source="own", text="abc").card()
    assert card["text"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert OWN.strip() not in json.dumps(RunSpec(source="own", text=OWN).card())


def test_text_that_is_not_used_is_not_kept() -> None:
    """A public run is shared by everyone who asks its question; what one of them had pasted before is not."""
    spec = RunSpec(source="prose", text=OWN)
    assert spec.text == "" and spec.card()["text"] == ""
    assert OWN.strip() not in spec.to_json()


def test_a_card_of_own_text_cannot_be_run_on_its_digest() -> None:
    card = RunSpec(source="own", text=OWN).card()
    with pytest.raises(UserError, match="paste the text itself"):
        RunSpec.from_dict(card)
    with pytest.raises(UserError, match="paste the text itself"):
        RunSpec.from_dict({**card, "text": f" {card['text']}\n"})


# --- round trips ----------------------------------------------------------------------------------------------------

SPECS = [
    RunSpec(),
    RunSpec(**EXPLICIT),
    RunSpec(**{**EXPLICIT, **OTHER}),
    RunSpec(source="own", text="Grüße, 世界 \U0001f600 \x00"),
    RunSpec(evaluations=(), lambdas=(1 / 3,)),
    RunSpec(top_up="custom", block_sparsity=[1 / 3, 0], exclude="0"),
    RunSpec(top_up="owl", owl_m=7.5, pattern="4:8", exact_statistics=True),
]


@pytest.mark.parametrize("spec", SPECS, ids=range(len(SPECS)))
def test_a_spec_survives_json(spec: RunSpec) -> None:
    again = RunSpec.from_json(spec.to_json())
    assert again == spec and hash(again) == hash(spec) and again.key() == spec.key()
    assert RunSpec.from_dict(json.loads(spec.to_json())) == spec


@pytest.mark.parametrize("spec", [s for s in SPECS if s.source != "own"], ids=str)
def test_a_card_can_be_run_again(spec: RunSpec) -> None:
    assert RunSpec.from_dict(spec.card()) == spec
    assert json.loads(json.dumps(spec.card())) == spec.card()


def test_a_spec_of_sequences_is_hashable_and_equal_to_one_of_lists() -> None:
    assert RunSpec(lambdas=[0.1, 0.2], evaluations=["perplexity"]) == RunSpec(lambdas=(0.1, 0.2))


@pytest.mark.parametrize("text", ["", "{", "nonsense", '{"sparsity": 0.6'])
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="not JSON"):
        RunSpec.from_json(text)


@pytest.mark.parametrize("values", [[], None, "wanda", 3, [["sparsity", 0.5]]])
def test_what_is_not_an_object_is_refused(values: Any) -> None:
    with pytest.raises(UserError, match="JSON object"):
        RunSpec.from_json(json.dumps(values))


# --- refusals -------------------------------------------------------------------------------------------------------

RANGES = [
    ("sparsity", 0.1, 0.9, (0.0, 0.0999, 0.9001, 1, 60, -0.5)),
    ("samples", 1, 256, (0, 257, -1, 2.0, 2.5)),
    ("length", 16, 8192, (15, 8193, 10**400)),
    ("prune_samples", 1, 512, (0, 513)),
    ("seed", 0, 2**31 - 1, (-1, 2**31)),
    ("eval_windows", 1, 4096, (0, 4097)),
    ("eval_length", 16, 8192, (15, 8193)),
    ("owl_m", 0.1, 1000, (0, 1001)),
    ("owl_lambda", 0, 0.5, (-0.01, 0.51)),
    ("alpha_epsilon", 0, 0.99, (-0.01, 1.0)),
    ("dsnot_cycles", 1, 10_000, (0, 10_001, 1.5)),
    ("dsnot_threshold", 0, 1e6, (-1, 1e7)),
]


@pytest.mark.parametrize(("name", "low", "high", "wrong"), RANGES)
def test_numbers_are_held_to_their_range(name: str, low: float, high: float, wrong: tuple[float, ...]) -> None:
    top_up = OF_A_TOP_UP.get(name, ("neuroal",))[0]
    assert getattr(RunSpec(top_up=top_up, **{name: low}), name) == low
    assert getattr(RunSpec(top_up=top_up, **{name: high}), name) == high
    not_numbers = (float("nan"), float("inf"), float("-inf"), True, "8", "", [8], {}, 1j)
    for value in (*wrong, *not_numbers):
        assert f"from {low} to {high}" in refusal(**{name: value}), value


@pytest.mark.parametrize("name", ["sparsity", "samples", "length", "seed", "eval_windows", "model", "dtype", "text"])
def test_only_some_settings_may_be_empty(name: str) -> None:
    refusal(**{name: None})


CHOICES = [
    ("pruner", "wnda", "wanda", ("magnitude", "wanda")),
    ("top_up", "neural", "neuroal", ("uniform", "neuroal")),
    ("step", "blocks", "block", tuple(STEPS)),
    ("mode", "exakt", "exact", tuple(MODES)),
    ("gqa", "bas", "base", tuple(GQA)),
    ("source", "wikitext", "wikitext2", tuple(SOURCES)),
    ("eval_source", "pros", "prose", tuple(SOURCES)),
    ("dtype", "float23", "float32", DTYPES),
]


@pytest.mark.parametrize(("name", "typo", "meant", "known"), CHOICES)
def test_an_unknown_choice_names_the_near_miss_and_all_that_is_known(
    name: str, typo: str, meant: str, known: tuple[str, ...]
) -> None:
    message = refusal(**{name: typo})
    assert repr(typo) in message and f"Did you mean {meant!r}?" in message
    assert all(word in message.partition("Known: ")[2] for word in known)
    for value in (7, True, [meant], {meant: 1}, {}, [[]], meant.upper() + "?"):
        assert "Known: " in refusal(**{name: value})


@pytest.mark.parametrize("name", NAMES)
def test_no_refusal_repeats_an_endless_value(name: str) -> None:
    """What is pasted into the wrong box must not come back as a message of its own length."""
    try:
        RunSpec.from_dict({name: "x" * 50_000})
    except UserError as error:
        assert len(str(error)) < 500


def test_an_unknown_evaluation_names_the_near_miss() -> None:
    assert "Did you mean 'perplexity'?" in refusal(evaluations=("perplexty",))
    for value in ("perplexity", 5, None, {"perplexity": 1}, (1, "x"), ({},), ([],), True):
        assert "perplexity" in refusal(evaluations=value)


@pytest.mark.parametrize(
    "lambdas",
    [(), [], 0.1, 1, True, "0.1", "0.1, 0.2", {}, (True,), ("0.1",), (None,), (-0.01,), (1.01,), (0.1, 2),
     (float("nan"),), (float("inf"),), (10**400,), ((0.1,),), tuple(i / 200 for i in range(101))],
)  # fmt: skip
def test_lambdas_are_one_to_a_hundred_numbers_from_0_to_1(lambdas: Any) -> None:
    assert "from 0 to 1" in refusal(lambdas=lambdas)


def test_lambdas_keep_their_order_and_come_once() -> None:
    """The first one wins a tie, so the order is part of the question."""
    assert RunSpec(lambdas=[0.25, 0, 0.25, 1]).lambdas == (0.25, 0.0, 1.0)
    assert len(RunSpec(lambdas=[i / 100 for i in range(100)]).lambdas or ()) == 100


@pytest.mark.parametrize("text", ["", " ", "\n\t "])
def test_own_text_must_not_be_empty(text: str) -> None:
    assert "paste some text" in refusal(source="own", text=text)


@pytest.mark.parametrize("model", ["", "  ", "\n"])
def test_a_model_must_be_given(model: str) -> None:
    assert "No model is given" in refusal(model=model)


def test_own_held_out_text_is_part_of_the_question_and_kept_only_where_it_is_used() -> None:
    spec = RunSpec(eval_source="own", eval_text=OWN)
    assert spec.key() != RunSpec(eval_source="own", eval_text=OWN + "!").key() != RunSpec().key()
    assert RunSpec(eval_text=OWN) == RunSpec()
    assert OWN not in json.dumps(spec.card()) and len(spec.card()["eval_text"]) == 64
    assert RunSpec.from_json(spec.to_json()) == spec
    assert "held-out text is empty" in refusal(eval_source="own")
    assert "digest of the held-out text" in refusal(eval_source="own", eval_text=spec.card()["eval_text"])


def test_held_out_text_must_not_be_the_calibration_text() -> None:
    assert "another held-out text" in refusal(eval_source="own", source="own", text=OWN, eval_text=f" {OWN} ")


@pytest.mark.parametrize("name", ["model", "revision", "text"])
@pytest.mark.parametrize("value", [5, True, ["main"], {}, 1.5])
def test_texts_must_be_text(name: str, value: Any) -> None:
    assert "must be text" in refusal(**{name: value})


@pytest.mark.parametrize("name", ["model", "revision", "text"])
def test_half_a_surrogate_pair_is_refused_before_it_can_fail_elsewhere(name: str) -> None:
    values: dict[str, Any] = {"source": "own", "text": OWN, name: json.loads('"\\ud800 and more"')}
    assert "not valid Unicode" in refusal(**values)


def test_an_unknown_setting_names_the_near_miss() -> None:
    with pytest.raises(UserError, match="'sparsty' is not known. Did you mean 'sparsity'?"):
        RunSpec.from_dict({"sparsty": 0.5})
    with pytest.raises(UserError, match="is not known"):
        RunSpec.from_dict({5: 0.5})  # type: ignore[dict-item]


# --- whatever comes -------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from([0.5, 16, "own"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=6,
)


@settings(max_examples=400, deadline=None, database=None)
@given(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=6), JSON, max_size=3))
def test_whatever_comes_is_a_spec_or_a_sentence(values: dict[str, Any]) -> None:
    try:
        spec = RunSpec.from_dict(values)
    except UserError as error:
        assert str(error).endswith(".")
        return
    assert len(spec.key()) == 32
    assert RunSpec.from_json(spec.to_json()) == spec


@settings(max_examples=200, deadline=None, database=None)
@given(
    st.fixed_dictionaries(
        {"sparsity": st.floats(0.1, 0.9)},
        optional={
            "lambdas": st.none() | st.lists(st.floats(0, 1), min_size=1, max_size=5),
            "samples": st.integers(1, 256),
            "seed": st.integers(0, 2**31 - 1),
            "model": st.text(min_size=1).filter(str.strip),
            "revision": st.none() | st.text(),
        },
    )
)
def test_whatever_is_allowed_survives_json_with_its_key(values: dict[str, Any]) -> None:
    try:
        spec = RunSpec(**values)
    except UserError as error:
        assert "Unicode" in str(error) or "control characters" in str(error)
        return
    assert RunSpec.from_json(spec.to_json()).key() == spec.key() == RunSpec.from_dict(spec.card()).key()
