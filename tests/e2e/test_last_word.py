"""A press right at the end of the page's stream: the page reads late that it has ended, and still hears the answer."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.e2e.server import Server
from tests.e2e.steps import choose, open_page

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
