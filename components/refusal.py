"""A refusal as the page says it."""

from __future__ import annotations

import html


def refusal(error: Exception) -> str:
    """One sentence for a Markdown component. What a person typed stays text in it: no tag takes effect."""
    return f"⚠️ {html.escape(str(error), quote=False)}"
