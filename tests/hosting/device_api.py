"""A stand-in for what lends GPUs on ZeroGPU: it grants every call, and notes what was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


class DeviceApi:
    """What was asked of it: (path, arguments), in order.

    Attributes:
        over: answers that the quota is used up.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.over = False
        self.url = ""

    def of(self, path: str) -> list[dict[str, str]]:
        return [arguments for asked, arguments in list(self.asked) if asked == path]

    def answer(self, path: str, arguments: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.asked.append((path, arguments))
        if path != "/schedule":
            return 200, {}
        if self.over:
            return 429, {"left": 3, "wait": 3600}
        number = len(self.of("/schedule"))
        return 200, {"idle": True, "nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": f"allow-{number}"}


@contextmanager
def device_api() -> Iterator[DeviceApi]:
    """Answers on a free port."""
    api = DeviceApi()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = urlsplit(self.path)
            status, body = api.answer(asked.path, dict(parse_qsl(asked.query)))
            sent = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
