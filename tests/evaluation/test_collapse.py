"""Figures of a text, counted by hand, and by a plain loop."""

from __future__ import annotations

import random

import pytest

from neuroal.errors import UserError
from neuroal.evaluation.collapse import distinct, english, newly_said, non_words, repetition, without_cut_word, words
from neuroal.texts import held_out_text

CURLY = "\N{RIGHT SINGLE QUOTATION MARK}"
ACUTE, UMLAUT = "\N{LATIN SMALL LETTER E WITH ACUTE}", "\N{LATIN SMALL LETTER A WITH DIAERESIS}"
CHINESE = "\N{CJK UNIFIED IDEOGRAPH-4E2D}\N{CJK UNIFIED IDEOGRAPH-6587}"
KNOWN = {"the", "dog", "saw", "a", "cat", "and", "don't", "it"}


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_repetition_counts_n_grams_that_occurred_before() -> None:
    # 123 234 341 412 123 234: four different ones, two that were there already
    assert repetition([1, 2, 3, 4, 1, 2, 3, 4], n=3) == pytest.approx(2 / 6)
    assert repetition([1, 2, 3, 4, 5, 6]) == 0
    assert repetition([7] * 11) == pytest.approx(7 / 8)  # eight 4-grams, one of them new


def test_a_text_without_n_grams_has_no_repetition() -> None:
    assert repetition([]) is None
    assert repetition([1, 1, 1]) is None
    assert repetition([1, 1], n=1) == 0.5


def test_distinct_is_over_tokens() -> None:
    assert distinct([1, 2, 1, 2, 3], 1) == pytest.approx(3 / 5)
    assert distinct([1, 2, 1, 2, 3], 2) == pytest.approx(3 / 5)  # 12 21 12 23
    assert distinct([5], 2) == 0  # a token and no pair
    assert distinct([], 1) is None


def test_equal_to_a_plain_loop() -> None:
    ids = random.Random(0).choices(range(4), k=60)
    for n in (1, 2, 3, 4):
        seen: list[list[int]] = []
        repeated = 0
        for start in range(60 - n + 1):
            gram = ids[start : start + n]
            repeated += gram in seen
            seen += [] if gram in seen else [gram]
        assert repetition(ids, n) == pytest.approx(repeated / (60 - n + 1))
        assert distinct(ids, n) == pytest.approx(len(seen) / 60)


def test_what_is_newly_said() -> None:
    # prompt 1 2 3; answer 4 1 2 3 4 5: only its fifth token ends a pair, and a triple, that was there before
    assert newly_said([1, 2, 3], [4, 1, 2, 3, 4, 5], n=4) == [0, 1, 2, 3, 5]
    assert newly_said([1, 2], [1, 2, 1, 3], n=2) == [0, 3]  # 21 12 21 13, after 12
    assert newly_said([5], [5, 5, 5, 5, 5], n=4) == [0, 1, 2]  # 55 and 555 are shorter, and new; one 5555
    assert newly_said([1, 2, 3, 4], [], n=4) == []


def test_n_grams_of_no_token_are_refused() -> None:
    with pytest.raises(UserError, match="at least 1"):
        repetition([1, 2], 0)


# --- words ------------------------------------------------------------------------------------------------------------


def test_words_of_a_text() -> None:
    text = f"The dogs' bowl, it{CURLY}s 3 o'clock: rock_salt, well-known, caf{ACUTE}2."
    wanted = ["the", "dogs", "bowl", "it's", "o'clock", "rock", "salt", "well", "known", f"caf{ACUTE}"]
    assert words(text) == wanted


def test_letters_of_two_code_points_are_one_word() -> None:
    assert words("cafe\N{COMBINING ACUTE ACCENT}s") == [f"caf{ACUTE}s"]


def test_share_of_non_words() -> None:
    assert non_words("The dog saw a glimp and xq 42 times", KNOWN) == pytest.approx(3 / 8)  # glimp, xq, times


@pytest.mark.parametrize("word", ["Dog", "DOG", "dogs", "dog's", "dogs'", "Don't", f"Don{CURLY}t", "it'll"])
def test_forms_of_a_known_word_are_known(word: str) -> None:
    assert non_words(word, KNOWN) == 0


@pytest.mark.parametrize("word", ["as", "dogging", "its", "xs", "dogss"])
def test_a_short_word_with_an_s_is_no_plural(word: str) -> None:
    assert non_words(word, KNOWN) == 1


@pytest.mark.parametrize("text", ["", "12 + 30 = 42", CHINESE, "..."])
def test_a_text_without_latin_words_has_no_share(text: str) -> None:
    assert non_words(text, KNOWN) is None


def test_other_scripts_are_not_counted() -> None:
    cyrillic = "\N{CYRILLIC SMALL LETTER DE}\N{CYRILLIC SMALL LETTER A}"
    assert non_words(f"{cyrillic} dog {cyrillic} glimp", KNOWN) == 0.5


def test_a_word_cut_by_the_limit_is_left_out() -> None:
    assert without_cut_word("the dog sa") == "the dog "
    assert without_cut_word("the dog.") == "the dog."
    assert without_cut_word("don't") == "don'"
    assert without_cut_word("dog") == ""


def test_a_run_longer_than_any_word_was_not_cut() -> None:
    assert without_cut_word("the " + "be" * 20) == "the " + "be" * 20
    assert non_words(without_cut_word("be" * 20), KNOWN) == 1


# --- the lexicon ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["house", "Houses", "Paris", "doesn't", "I'm", "children's", "French", "ran"])
def test_english_words(word: str) -> None:
    assert non_words(word, english()) == 0


@pytest.mark.parametrize("word", ["fronc", "cenently", "yyyyen", "withggmbd", "verymas"])
def test_what_collapsed_models_write_is_not_english(word: str) -> None:
    assert non_words(word, english()) == 1


def test_well_written_prose_has_few_non_words() -> None:
    share = non_words(held_out_text("prose"), english())
    assert share is not None and share < 0.02


def test_another_language_is_told_from_english() -> None:
    german = f"Der alte W{UMLAUT}rter ging langsam zum Fenster und sah hinaus auf das weite Meer."
    share = non_words(german, english())
    assert share is not None and share > 0.5
