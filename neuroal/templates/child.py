"""The process in which chat templates run: one JSON object a line in, one out.

It is started with next to no environment and bounded memory, and killed when it takes too long. transformers' own
sandbox keeps a template from Python's objects, but not from ``'a' * 10**10`` or a loop of 10**10 turns.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

# Bytes of memory beside what Python and the imports have taken, and letters of what a template makes of a prompt.
MEMORY = 512 * 2**20
MOST_LETTERS = 200_000


def main() -> None:
    """Serves until its input ends."""
    from transformers.utils.chat_template_utils import render_jinja_template

    _bound_memory()
    _say({"ready": True})
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        try:
            rendered, _ = render_jinja_template(
                conversations=[asked["messages"]],
                chat_template=asked["template"],
                add_generation_prompt=True,
                **asked["tokens"],
            )
            answer = {"text": rendered[0]} if len(rendered[0]) <= MOST_LETTERS else {"error": "The text is too long."}
        except BaseException as error:  # a template is a program: it can fail in any way
            answer = {"error": f"{type(error).__name__}: {str(error)[:500]}"}
        _say(answer)


def _say(answer: dict[str, object]) -> None:
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    sys.stdout.buffer.flush()


def _bound_memory() -> None:
    """Where the system can: not on Windows, and macOS does not keep to it."""
    try:
        import resource

        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))
    except (ImportError, OSError, ValueError):
        return


if __name__ == "__main__":
    main()
