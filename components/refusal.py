"""A refusal as the page says it."""

from __future__ import annotations

import html

# How each begins.
REFUSED = "⚠️ "


def refusal(error: Exception) -> str:
    """One sentence for a Markdown component. What a person typed stays text in it: no tag takes effect."""
    return f"{REFUSED}{html.escape(str(error), quote=False)}"
