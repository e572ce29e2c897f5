"""A press right at the end of the page's stream: the page reads late that it has ended, and still hears the answer; and
it is the page that reads the next stream."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect
from starlette.types import Receive, Scope, Send

from components.last_word import LISTENING, LastWord
from tests.e2e.server import Server
from tests.e2e.steps import choose, open_page
from tests.serving import serving

# A busy page: what the stream says last is read a while after the reply to what is pressed meanwhile. Run is pressed
# as soon as the estimate is there, with which the stream ends.
BUSY = """(() => {
  const fetched = window.fetch;
  window.lateWords = 0;
  window.fetch = async (...asked) => {
    const reply = await fetched(...asked);
    if (!String(asked[0].url ?? asked[0]).includes("/queue/data")) return reply;
    const late = new TransformStream({
      async transform(chunk, out) {
        if (new TextDecoder().decode(chunk).includes('"close_stream"')) {
          window.lateWords += 1;
          await new Promise((go) => setTimeout(go, 2000));
        }
        out.enqueue(chunk);
      },
    });
    return new Response(reply.body.pipeThrough(late), { status: reply.status, headers: reply.headers });
  };
})()"""

PRESS = """() => {
  const words = window.lateWords;
  const look = () => (window.lateWords > words ? document.querySelector("#run").click() : setTimeout(look, 1));
  look();
}"""


def test_a_press_at_the_end_of_the_stream_is_answered(page: Page, server: Server) -> None:
    page.add_init_script(BUSY)
    open_page(page, server)
    choose(page)
    expect(page.locator("#estimate")).to_contain_text("of memory")
    page.wait_for_timeout(1000)  # nothing is on its way any more, so that the next word is that of the estimate
    page.evaluate(PRESS)
    page.get_by_label("number input for Sparsity ratio").fill("0.31")
    page.wait_for_url(re.compile(r"\?run="))
    expect(page.locator("#answer")).not_to_contain_text("Press Run")


# The next stream is asked for while the browser still has the last one open.
NEXT = """async (url) => {
  const [last, next] = [new AbortController(), new AbortController()];
  await (await fetch(url, { signal: last.signal })).body.getReader().read();
  const asked = fetch(url, { signal: next.signal });
  last.abort();
  await (await asked).body.getReader().read();
  next.abort();
}"""


class Streams:
    """Streams that begin and do not end, and how often each was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        listens = scope["path"].endswith(LISTENING)
        kind = b"text/event-stream" if listens else b"text/html"
        if listens:
            self.asked.append(scope["query_string"].decode())
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": b"data: {}\n\n", "more_body": listens})
        while listens and (await receive())["type"] != "http.disconnect":
            pass


def test_a_browser_asks_for_a_stream_once(page: Page) -> None:
    app = Streams()
    with serving(LastWord(app), log_level="error") as (_, port):
        page.goto(f"http://127.0.0.1:{port}")
        for session in range(10):
            page.evaluate(NEXT, f"{LISTENING}?session_hash={session}")
    assert app.asked == [f"session_hash={session}" for session in range(10) for _ in range(2)]
