"""The probes on the teaching model and on random ones of many families: texts, scores, events, faults."""

from __future__ import annotations

import copy
import logging
import math
import statistics
from typing import Any

import pytest
import torch
from torch import nn
from transformers import LlamaForCausalLM

from neuroal.api import drain
from neuroal.errors import UserError
from neuroal.evaluation import probes as module
from neuroal.evaluation.collapse import repetition
from neuroal.evaluation.probes import PROMPTS, Probes, iter_probes
from neuroal.models.loading import LanguageModel
from neuroal.runs.events import Evaluated
from neuroal.twin import skeleton, sparse_twin

SHORT = {"max_tokens": 12, "prompts": PROMPTS[:3]}


def thinned(lm: LanguageModel, share: float) -> nn.Module:
    """A twin without a share of its weights, taken at random."""
    random = torch.Generator().manual_seed(0)
    twin = sparse_twin(lm.model, [linear.path for linear in lm.stack.all_linears()])
    for linear in lm.stack.all_linears():
        weight = twin.get_submodule(linear.path).weight
        weight.data[torch.rand(weight.shape, generator=random) < share] = 0
    return twin


@pytest.fixture(scope="module")
def twin(tiny: LanguageModel) -> nn.Module:
    return thinned(tiny, 0.5)


@pytest.fixture(scope="module")
def found(tiny: LanguageModel, twin: nn.Module) -> Probes:
    return drain(iter_probes(tiny.model, twin, tiny.tokenizer, **SHORT))


def _recorded(events: Any, into: list[Evaluated]) -> Any:
    """The same generator; its events are kept."""
    while True:
        try:
            into.append(next(events))
        except StopIteration as end:
            return end.value
        yield into[-1]


# --- what is written --------------------------------------------------------------------------------------------------


def test_the_texts_are_each_model_s_own_greedy_answers(tiny: LanguageModel, twin: nn.Module, found: Probes) -> None:
    for model, answers in ((tiny.model, found.dense_answers), (twin, found.answers)):
        assert [answer.prompt for answer in answers] == list(SHORT["prompts"])
        for answer in answers:
            given = tiny.tokenizer(answer.prompt, return_tensors="pt")
            alone = model.generate(**given, max_new_tokens=12, do_sample=False)[0].tolist()
            new = alone[given.input_ids.shape[1] :]
            assert answer.prompt + answer.text == tiny.tokenizer.decode(alone, skip_special_tokens=True)
            assert answer.tokens == len(new) == 12 and not answer.ended
            assert answer.repetition == repetition(new)


def test_one_by_one_is_the_same_as_a_batch(
    tiny: LanguageModel, twin: nn.Module, found: Probes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len({len(tiny.tokenizer(prompt).input_ids) for prompt in SHORT["prompts"]}) > 1  # there is padding
    monkeypatch.setattr(module, "BATCH_PROMPTS", 1)
    alone = drain(iter_probes(tiny.model, twin, tiny.tokenizer, **SHORT))
    for a, b in zip(alone.answers + alone.dense_answers, found.answers + found.dense_answers, strict=True):
        assert a.text == b.text and a.loss == pytest.approx(b.loss, rel=1e-5)
    assert alone.verdict == found.verdict and alone.reasons == found.reasons


class Deaf(LlamaForCausalLM):
    """Overlooks which tokens are padding."""

    def forward(self, *args: Any, attention_mask: Any = None, position_ids: Any = None, **kwargs: Any) -> Any:
        return super().forward(*args, **kwargs)


def test_a_model_that_overlooks_the_mask_is_asked_one_by_one(tiny: LanguageModel, found: Probes) -> None:
    deaf = skeleton(tiny.model)
    deaf.__class__ = Deaf
    events, result = [], iter_probes(tiny.model, deaf, tiny.tokenizer, reference=found, **SHORT)
    answers = drain(_recorded(result, events)).answers
    assert [event.done for event in events] == [1, 2, 3]
    assert [answer.text for answer in answers] == [answer.text for answer in found.dense_answers]


def test_a_tokenizer_without_padding_gives_the_same(tiny: LanguageModel, found: Probes) -> None:
    tokenizer = copy.deepcopy(tiny.tokenizer)
    tokenizer.pad_token = None
    answers = drain(iter_probes(tiny.model, tiny.model, tokenizer, **SHORT)).answers
    assert answers == found.dense_answers


def test_the_models_own_stop_tokens_end_an_answer(tiny: LanguageModel, found: Probes) -> None:
    """Here the third token of the first answer is declared to be one."""
    given = tiny.tokenizer(PROMPTS[0], return_tensors="pt")
    new = tiny.model.generate(**given, max_new_tokens=12, do_sample=False)[0, given.input_ids.shape[1] :].tolist()
    model = skeleton(tiny.model)
    model.generation_config.eos_token_id = [tiny.tokenizer.eos_token_id, new[2]]
    answer = drain(iter_probes(tiny.model, model, tiny.tokenizer, **SHORT)).answers[0]
    assert answer.tokens == new.index(new[2]) and answer.ended
    assert found.answers[0].text and found.dense_answers[0].text.startswith(answer.text)


def test_a_repetition_penalty_of_the_model_is_switched_off(tiny: LanguageModel, found: Probes) -> None:
    model = skeleton(tiny.model)
    model.generation_config.update(repetition_penalty=1.8, no_repeat_ngram_size=2, do_sample=True, top_k=5)
    answers = drain(iter_probes(tiny.model, model, tiny.tokenizer, reference=found, **SHORT)).answers
    assert [answer.text for answer in answers] == [answer.text for answer in found.dense_answers]


def test_nothing_is_printed(tiny: LanguageModel, caplog: pytest.LogCaptureFixture, recwarn: Any) -> None:
    """Not even for a model whose own settings sample, as most published chat models' do."""
    model = skeleton(tiny.model)
    model.generation_config.update(do_sample=True, temperature=0.6, top_p=0.9, top_k=20, min_p=0.1, max_length=200)
    logger = logging.getLogger("transformers")
    logger.addHandler(caplog.handler)
    try:
        drain(iter_probes(tiny.model, model, tiny.tokenizer, **SHORT))
    finally:
        logger.removeHandler(caplog.handler)
    assert not caplog.records and not [w for w in recwarn if "generation" in str(w.message)]


# --- how it is scored -------------------------------------------------------------------------------------------------


def test_losses_are_those_of_a_plain_loop(tiny: LanguageModel, twin: nn.Module, found: Probes) -> None:
    losses, fresh = [], []
    for answer in found.answers:
        given = tiny.tokenizer(answer.prompt, return_tensors="pt")
        ids = twin.generate(**given, max_new_tokens=12, do_sample=False)[0]
        start, seen, of_all, of_new = given.input_ids.shape[1], set(), [], []
        with torch.no_grad():
            log_p = tiny.model(ids[None]).logits[0].double().log_softmax(-1)
        for at in range(len(ids)):
            gram = tuple(ids[max(0, at - 3) : at + 1].tolist())
            if at >= start:
                of_all.append(-float(log_p[at - 1, ids[at]]))
                of_new += [] if gram in seen else of_all[-1:]
            seen.add(gram)
        assert answer.loss == pytest.approx(sum(of_all) / 12, rel=1e-5)
        assert answer.loss_new == pytest.approx(sum(of_new) / len(of_new), rel=1e-5)
        losses.append(answer.loss)
        fresh.append(answer.loss_new)
    for mean, of in ((found.figures.perplexity, losses), (found.figures.perplexity_new, fresh)):
        assert mean.value == pytest.approx(math.exp(sum(of) / 3))
        assert mean.stderr == pytest.approx(mean.value * statistics.stdev(of) / math.sqrt(3))
        assert mean.n == 3


def test_figures_are_means_of_the_answers(found: Probes) -> None:
    for figures, answers in ((found.figures, found.answers), (found.dense, found.dense_answers)):
        for name in ("repetition", "distinct_1", "distinct_2", "non_words"):
            values = [value for answer in answers if (value := getattr(answer, name)) is not None]
            assert getattr(figures, name).value == pytest.approx(sum(values) / len(values))
            assert getattr(figures, name).n == len(values) >= 2
        assert figures.length.value == 12
        assert figures.empty.value == sum(not any(map(str.isalnum, answer.text)) for answer in answers) / 3


def test_a_model_that_ends_at_once_says_nothing_and_has_collapsed(tiny: LanguageModel, found: Probes) -> None:
    """All its tokens end an answer."""
    model = skeleton(tiny.model)
    model.generation_config.eos_token_id = list(range(model.config.vocab_size))
    silent = drain(iter_probes(tiny.model, model, tiny.tokenizer, reference=found, **SHORT))
    assert silent.verdict == "collapsed" and "no letter or digit" in silent.reasons[0]
    assert all(answer.text == "" and answer.tokens == 0 and answer.ended for answer in silent.answers)
    assert silent.figures.perplexity.value is None and silent.figures.empty.value == 1


def test_answers_of_one_token_have_a_loss_and_no_variety(tiny: LanguageModel) -> None:
    single = drain(iter_probes(tiny.model, tiny.model, tiny.tokenizer, max_tokens=1, prompts=PROMPTS[:2]))
    assert all(a.tokens == 1 and a.loss == a.loss_new and a.loss > 0 for a in single.answers)
    assert single.figures.repetition.value is None and single.figures.distinct_1.n == 0
    assert single.verdict == "healthy"


# --- the verdict ------------------------------------------------------------------------------------------------------


def test_the_dense_model_itself_is_healthy(tiny: LanguageModel) -> None:
    events: list[Evaluated] = []
    result = drain(_recorded(iter_probes(tiny.model, tiny.model, tiny.tokenizer, variant="dense", **SHORT), events))
    assert (result.verdict, result.reasons) == ("healthy", ())
    assert result.figures == result.dense and result.answers == result.dense_answers
    assert events == [Evaluated("dense", 3, 3)]


def test_a_model_without_most_of_its_weights_has_collapsed(tiny: LanguageModel) -> None:
    result = drain(iter_probes(tiny.model, thinned(tiny, 0.9), tiny.tokenizer))
    assert result.verdict == "collapsed"
    assert len(result.reasons) >= 2 and all(sentence.endswith(".") for sentence in result.reasons)


def test_names_that_the_dense_model_invents_are_no_damage(tiny: LanguageModel) -> None:
    """The same answers, of a model that is another object: what the lexicon lacked it has from the dense ones."""
    unknown = {"max_tokens": 12, "prompts": ("Mr. Quilmay Thornabee and Mrs. Quilmay Thornabee", *PROMPTS[:3])}
    result = drain(iter_probes(tiny.model, skeleton(tiny.model), tiny.tokenizer, **unknown))
    assert result.figures.non_words.value == 0
    assert result.verdict == "healthy"


# --- events, cancelling, a reference ----------------------------------------------------------------------------------


def test_events_and_a_reference(tiny: LanguageModel, twin: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_PROMPTS", 2)
    whole, rest = [], []
    first = drain(_recorded(iter_probes(tiny.model, twin, tiny.tokenizer, variant="chosen", **SHORT), whole))
    assert whole == [Evaluated("chosen", done, 6) for done in (2, 3, 5, 6)]
    again = iter_probes(tiny.model, twin, tiny.tokenizer, variant="chosen", reference=first, **SHORT)
    assert drain(_recorded(again, rest)) == first
    assert rest == [Evaluated("chosen", done, 3) for done in (2, 3)]


def test_closing_stops_after_a_batch(tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_PROMPTS", 1)
    batches, write = [], module.write
    monkeypatch.setattr(module, "write", lambda *a: batches.append(1) or write(*a))
    events = iter_probes(tiny.model, tiny.model, tiny.tokenizer, **SHORT)
    next(events)
    events.close()
    assert len(batches) == 1


def test_nothing_of_a_model_is_touched(tiny: LanguageModel, found: Probes) -> None:
    before = {name: tensor.clone() for name, tensor in tiny.model.state_dict().items()}
    settings = copy.deepcopy(tiny.model.generation_config.to_dict())
    assert drain(iter_probes(tiny.model, tiny.model, tiny.tokenizer, **SHORT)).answers == found.dense_answers
    assert all(torch.equal(before[name], tensor) for name, tensor in tiny.model.state_dict().items())
    assert tiny.model.generation_config.to_dict() == settings
    assert not torch.is_inference_mode_enabled()


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"prompts": ()}, "no prompts"),
        ({"prompts": ("Good.", " ")}, "empty"),
        ({"prompts": ("word " * 600,)}, "context"),
        ({"max_tokens": 0}, "Max tokens is 0"),
        ({"max_tokens": 4096}, "Max tokens is 4096"),
    ],
)
def test_bad_input_is_one_sentence_at_the_call(tiny: LanguageModel, wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        iter_probes(tiny.model, tiny.model, tiny.tokenizer, **wrong)


@pytest.mark.parametrize("other", [{"prompts": PROMPTS[:2]}, {"max_tokens": 13}])
def test_a_reference_to_something_else_is_refused(tiny: LanguageModel, found: Probes, other: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="The reference has other prompts"):
        iter_probes(tiny.model, tiny.model, tiny.tokenizer, reference=found, **{**SHORT, **other})


def broken(lm: LanguageModel) -> nn.Module:
    twin = sparse_twin(lm.model, [linear.path for linear in lm.stack.all_linears()])
    for linear in lm.stack.all_linears():
        twin.get_submodule(linear.path).weight.data.fill_(float("nan"))
    return twin


def test_a_pruned_model_that_predicts_nothing_finite_has_collapsed(tiny: LanguageModel, found: Probes) -> None:
    assert drain(iter_probes(tiny.model, broken(tiny), tiny.tokenizer, reference=found, **SHORT)).verdict == "collapsed"


def test_a_dense_model_that_predicts_nothing_finite_is_one_sentence(tiny: LanguageModel) -> None:
    with pytest.raises(UserError, match="not finite"):
        drain(iter_probes(broken(tiny), tiny.model, tiny.tokenizer, **SHORT))
