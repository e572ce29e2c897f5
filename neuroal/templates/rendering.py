"""A prompt in a model's chat template, made by a process of its own that can be ended (``child.py``)."""

from __future__ import annotations

import atexit
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

# For a template; those in use take milliseconds. And once for Python and transformers, on a busy machine.
SECONDS, START_SECONDS = 5.0, 60.0

# What a Python needs to start. No token, no setting of the app.
KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "LANG", "LC_ALL")
SET = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "USE_TORCH": "0", "HF_HUB_OFFLINE": "1"}

CHILD = Path(__file__).with_name("child.py")


class TemplateFailed(Exception):
    """A template that does not work, or takes more time or memory than any template needs."""


class Renderer:
    """Keeps one process, which is started when it is first needed and anew after one that had to be ended."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def render(self, tokenizer: Any, messages: list[dict[str, str]]) -> str:
        """As the tokenizer's ``apply_chat_template``, with the beginning of an answer.

        Raises:
            TemplateFailed: whatever goes wrong with the template.
        """
        asked = {
            "template": tokenizer.get_chat_template(),
            "messages": messages,
            "tokens": {name: _plain(token) for name, token in tokenizer.special_tokens_map.items()},
        }
        with self._lock:
            answer = self._ask(json.dumps(asked).encode() + b"\n")
        if "text" not in answer:
            raise TemplateFailed(answer.get("error", "no answer"))
        return answer["text"]

    def close(self) -> None:
        """Ends the process, if there is one."""
        with self._lock:
            self._end()

    def _ask(self, line: bytes) -> dict[str, Any]:
        process = self._process
        try:
            if process is None or process.poll() is not None:
                process = self._start()
                self._lines.get(timeout=START_SECONDS)
            process.stdin.write(line)
            process.stdin.flush()
            answered = self._lines.get(timeout=self.seconds)
        except (OSError, queue.Empty) as error:
            self._end()
            raise TemplateFailed("It took too long, or too much memory.") from error
        if not answered:
            self._end()
            raise TemplateFailed("It ended the process it runs in.")
        return json.loads(answered)

    def _start(self) -> subprocess.Popen[bytes]:
        self._end()
        environment = {name: os.environ[name] for name in KEPT if name in os.environ} | SET
        self._process = process = subprocess.Popen(
            [sys.executable, str(CHILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=environment, cwd=tempfile.gettempdir(),
        )  # fmt: skip
        self._lines = lines = queue.SimpleQueue()

        def read() -> None:
            for line in process.stdout:
                lines.put(line)
            lines.put(b"")

        threading.Thread(target=read, name="chat-template", daemon=True).start()
        return process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        process.stdin.close()


def _plain(token: Any) -> Any:
    """A special token as text, or several."""
    return [str(each) for each in token] if isinstance(token, (list, tuple)) else str(token)


RENDERER = Renderer()
atexit.register(RENDERER.close)
