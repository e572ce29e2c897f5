"""Figures of a text that has gone wrong: how often it repeats itself, how varied it is, how many of its words are none.

All of them are pure functions of token ids or of a text; no model is needed.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Collection, Sequence

from neuroal.errors import UserError

# Letters of any script, with apostrophes inside; digits and underscores end a word.
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
# No word has more letters; a longer run at the end of a text is not one that was cut.
_UNFINISHED = re.compile(r"(?<![^\W\d_])[^\W\d_]{1,24}\Z")

_APOSTROPHES = str.maketrans({"\N{RIGHT SINGLE QUOTATION MARK}": "'", "\N{MODIFIER LETTER APOSTROPHE}": "'"})


def repetition(ids: Sequence[int], n: int = 4) -> float | None:
    """Share of the n-grams of a text that occurred before in it, 0..1: seq-rep-n of Welleck et al. 2020
    (https://arxiv.org/abs/1908.04319, section 6.1), one minus the share of different ones.

    Args:
        ids: tokens of one text, without special ones.

    Returns:
        None for a text without any n-gram.
    """
    grams = _n_grams(ids, n)
    return 1 - len(set(grams)) / len(grams) if grams else None


def distinct(ids: Sequence[int], n: int) -> float | None:
    """Number of different n-grams over the number of tokens, 0..1: distinct-n of Li et al. 2016
    (https://arxiv.org/abs/1510.03055, section 5.1).

    A text has fewer n-grams than tokens, so for n > 1 it stays below 1, and far below in a text of a few tokens.

    Returns:
        None for a text without tokens.
    """
    return len(set(_n_grams(ids, n))) / len(ids) if ids else None


def newly_said(prompt: Sequence[int], answer: Sequence[int], n: int = 4) -> list[int]:
    """Positions in an answer of the tokens that end an n-gram of prompt and answer for the first time, in order.

    The others go on with what was said before: once a text loops, the next token is no news to any model.
    """
    seen, new = set(_n_grams(prompt, n)), []
    for end in range(len(answer)):
        gram = tuple([*prompt, *answer[: end + 1]][-n:])
        if gram not in seen:
            new.append(end)
        seen.add(gram)
    return new


def _n_grams(ids: Sequence[int], n: int) -> list[tuple[int, ...]]:
    if n < 1:
        raise UserError(f"An n-gram of {n} tokens was asked for; n must be at least 1.")
    return [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)]


def words(text: str) -> list[str]:
    """The words of a text in Latin letters, in order, in lower case with straight apostrophes.

    Other scripts are left out: the lexicon holds none of their words, so it could say nothing about them.
    """
    found = _WORD.findall(unicodedata.normalize("NFC", text).translate(_APOSTROPHES))
    return [
        word.lower() for word in found if all(unicodedata.name(c, "").startswith("LATIN") for c in word if c != "'")
    ]


def without_cut_word(text: str) -> str:
    """A text that was ended by a limit, without the letters at its end: they may be a part of a word."""
    return _UNFINISHED.sub("", text)


def non_words(text: str, known: Collection[str]) -> float | None:
    """Share of the words of a text that are not in a lexicon, 0..1.

    A possessive or contraction is known where what stands before its apostrophe is, and a plural where its singular
    is, so that a name the lexicon learned from elsewhere is known in all its forms.

    Args:
        known: words in lower case with straight apostrophes, such as :func:`english`.

    Returns:
        None for a text without words in Latin letters.
    """
    found = words(text)
    return sum(not _is_known(word, known) for word in found) / len(found) if found else None


def _is_known(word: str, known: Collection[str]) -> bool:
    stem = word.partition("'")[0]
    return word in known or stem in known or (len(stem) > 3 and stem.endswith("s") and stem[:-1] in known)


@functools.cache
def english() -> frozenset[str]:
    """About 160,000 English words with their inflected forms, common names among them: those of pyspellchecker.

    Chosen over wordfreq, which is eight times its size and no longer kept up to date. On the bundled prose 1 % of the
    words are missing: rare names and some British spellings.
    """
    from spellchecker import SpellChecker  # 0.3 s, for those who judge texts only

    return frozenset(SpellChecker(language="en").word_frequency.keys())
