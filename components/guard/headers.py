"""What a browser is told with every answer: where scripts and pictures may come from, and who may frame the page.

The last line of defence: text that somebody else wrote is drawn as text, and should that fail once, the browser still
fetches nothing from another host and sends nothing there. ``unsafe-inline`` and ``unsafe-eval`` are Gradio's, which
writes its settings into the page and compiles templates in the browser.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Spaces are shown in a frame of the Hub's pages.
FRAMES = ("'self'", "https://huggingface.co", "https://*.huggingface.co", "https://*.hf.space")

POLICY = {
    "default-src": ("'self'",),
    "script-src": ("'self'", "'unsafe-inline'", "'unsafe-eval'", "blob:"),
    "style-src": ("'self'", "'unsafe-inline'"),
    "img-src": ("'self'", "data:", "blob:"),
    "font-src": ("'self'", "data:"),
    "media-src": ("'self'", "data:", "blob:"),
    "connect-src": ("'self'", "data:", "blob:"),
    "worker-src": ("'self'", "blob:"),
    "object-src": ("'none'",),
    "base-uri": ("'self'",),
    "form-action": ("'self'",),
    "frame-ancestors": FRAMES,
}


def _policy(*without: str) -> str:
    return "; ".join(" ".join((name, *sources)) for name, sources in POLICY.items() if name not in without)


# The same for the head of the page, which with server-side rendering another server sends, without headers of ours. Who
# may frame a page cannot be said there.
IN_THE_PAGE = f'<meta http-equiv="Content-Security-Policy" content="{_policy("frame-ancestors")}">'

HEADERS = {
    "Content-Security-Policy": _policy(),
    "X-Content-Type-Options": "nosniff",
    # The address of a run is what lets people look at it: it is told to no other site.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


class SecurityHeaders:
    """Adds HEADERS to every answer that does not bring its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, told if scope["type"] == "http" else send)
