"""A refusal as the page says it."""

from __future__ import annotations

import re

# How each begins.
REFUSED = "⚠️ "

# What means something in HTML, in Markdown, or in formulas within it; and what makes a link of an address.
MEANING = re.compile(r"[&<>\\`*_{}\[\]#|!~$]|:(?=//)|@")


def refusal(error: Exception) -> str:
    """One sentence for a Markdown component. What a person typed stays text in it: no tag, picture or link of it takes
    effect."""
    return REFUSED + MEANING.sub(lambda found: f"&#{ord(found[0])};", str(error))
