"""The live view in a real browser: a small Gradio app, a source fed by the test, and what Plotly then holds."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
import pytest
from playwright.sync_api import Page, expect

from components.charts import DARK, figures, fold_all
from components.live import LiveRun
from components.repeat_route import add_repeat_route
from components.stream import add_event_route
from neuroal.runs import events as ev
from neuroal.runs.spec import RunSpec
from tests.components.logs import Record, numbered, rated, realistic, started
from tests.e2e.steps import drawn
from tests.sharing.test_repeat import TEXT, parsed

CAPTION = "You are looking at: <img src=x onerror=alert(1)> ${document.title}"

# The traces of a figure as the browser holds them, JSON only.
TRACES = """name => JSON.parse(JSON.stringify(
    document.querySelector(`.na-card-${name} .js-plotly-plot`).data, ["z", "x", "y", "name", "type"]))"""


# What part of the plane it shows.
RANGES = """name => { const full = document.querySelector(`.na-card-${name} .js-plotly-plot`)._fullLayout;
                      return [full.xaxis.range, full.yaxis.range]; }"""


@dataclass
class Memory:
    """Logs in memory; a test appends to them."""

    logs: dict[str, list[Record]] = field(default_factory=dict)
    over: set[str] = field(default_factory=set)

    def read(self, run_id: str, after: int) -> tuple[list[Record], bool]:
        over = run_id in self.over  # first: the test may end the run meanwhile
        return self.logs[run_id][after:], over

    def end(self, run_id: str, records: list[Record]) -> None:
        self.logs[run_id].extend(records)
        self.over.add(run_id)


@dataclass(frozen=True)
class App:
    url: str
    source: Memory

    def over(self, run: str, log: list[Record]) -> None:
        """Has a run whose log is complete."""
        self.source.logs[run] = log
        self.source.over.add(run)


@pytest.fixture(scope="module")
def app() -> Iterator[App]:
    """A page that shows the run of its address: ``?run=...&replay=1``."""
    with gr.Blocks() as demo:
        live = LiveRun()
        told = gr.Textbox(label="Told")
        again = gr.Button("Again")

        def look(request: gr.Request) -> dict[str, Any]:
            query = request.query_params
            return {"run": query.get("run", ""), "replay": "replay" in query, "caption": CAPTION}

        def tell(event: gr.EventData) -> str:
            return f"{event.run}: {event.status}"

        gr.on([demo.load, again.click], look, None, live)
        live.finished(tell, None, told)
    source = Memory()
    launched, url, _ = demo.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False)
    add_event_route(launched, source)
    add_repeat_route(launched, source)
    yield App(url, source)
    demo.close(verbose=False)


@pytest.fixture
def page(page: Page) -> Page:
    """A smaller one, where what moves does so."""
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(reduced_motion="no-preference")
    return page


@pytest.fixture(scope="module")
def log() -> list[Record]:
    return realistic(blocks=6)


def look_at(page: Page, app: App, query: str) -> None:
    page.goto(f"{app.url}?{query}")
    page.wait_for_selector(".na-live:not([hidden])", state="attached")


def traces(page: Page, name: str) -> list[dict[str, Any]]:
    drawn(page, name)
    return page.evaluate(TRACES, name)


def expected(records: list[Record], name: str) -> list[dict[str, Any]]:
    """What Python would draw, cut to the same fields."""
    drawn = figures(fold_all(records), palette=DARK)[name]["data"]
    return [{key: trace[key] for key in ("z", "x", "y", "name", "type") if key in trace} for trace in drawn]


def ranges(page: Page, name: str) -> list[list[float]]:
    """What part of the plane a figure shows."""
    drawn(page, name)
    return page.evaluate(RANGES, name)


def zoom(page: Page, name: str) -> list[list[float]]:
    """Drag a box over the middle of a figure, as a person does."""
    traces(page, name)
    plane = page.locator(f".na-card-{name} .nsewdrag")
    plane.scroll_into_view_if_needed()
    box = plane.bounding_box()
    assert box is not None
    before = ranges(page, name)
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.7 * box["height"], steps=4)
    page.mouse.up()
    page.wait_for_function(
        f"([name, before]) => JSON.stringify(({RANGES})(name)) !== JSON.stringify(before)", arg=[name, before]
    )
    return ranges(page, name)


def settled(page: Page, text: str) -> None:
    """Wait for the sentence, then for the frames that draw what belongs to it."""
    expect(page.locator(".na-sentence")).to_contain_text(text)
    page.wait_for_timeout(350)


def test_figures_follow_the_events_and_agree_with_python(page: Page, app: App, log: list[Record]) -> None:
    half = len(log) // 2
    app.source.logs["follow"] = log[:half]
    look_at(page, app, "run=follow")
    settled(page, "Row step: trying lambda")
    assert traces(page, "heatmap") == expected(log[:half], "heatmap")
    assert page.locator(".na-card-rows").is_hidden()
    app.source.end("follow", log[half:])
    settled(page, "Finished in")
    for name in ("heatmap", "scores", "sparsity", "rows", "damage"):
        assert traces(page, name) == expected(log, name)
    expect(page.get_by_label("Told")).to_have_value("follow: finished")
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "100")
    expect(page.locator(".na-live [role=status]")).to_contain_text("Finished in")
    expect(page.locator(".na-card-damage table")).to_contain_text("NeuroAL")
    expect(page.locator(".na-notices")).to_contain_text("keep the block's ratio")


def test_ratings_fill_in_while_blocks_are_rated(page: Page, app: App) -> None:
    log = rated()
    app.source.logs["rated"] = log[:6]
    look_at(page, app, "run=rated")
    assert traces(page, "ratings") == expected(log[:6], "ratings")
    expect(page.locator(".na-card-ratings h3")).to_have_text("Weights beyond M times the mean, %")
    app.source.logs["rated"].append(log[6])
    expect(page.locator(".na-sentence")).to_contain_text("3 of 4 blocks")
    page.wait_for_function(f"({TRACES})('ratings')[0].y.length === 3")
    assert traces(page, "ratings") == expected(log[:7], "ratings")
    app.source.end("rated", log[7:])
    expect(page.locator(".na-card-ratings table")).to_contain_text("2.750")  # the text alternative comes at the end
    assert page.locator(".na-card-heatmap").is_hidden()


def test_zoom_and_the_step_looked_at_survive_updates(page: Page, app: App, log: list[Record]) -> None:
    rows_begun = next(i for i, r in enumerate(log) if r["kind"] == "CandidateFinished" and r["step"] == "row") + 1
    app.source.logs["zoom"] = log[:rows_begun]
    look_at(page, app, "run=zoom")
    zoomed = {name: zoom(page, name) for name in ("scores", "sparsity")}
    page.get_by_role("button", name="Blocks").click()
    app.source.end("zoom", log[rows_begun:])
    settled(page, "Finished in")
    assert ranges(page, "scores") == zoomed["scores"]
    assert ranges(page, "sparsity") == zoomed["sparsity"]
    assert len(traces(page, "heatmap")[0]["y"]) == 14
    page.get_by_role("button", name="Rows").click()
    page.wait_for_function(f"() => ({TRACES})('heatmap')[0].y.length === 15")


def test_reload_attaches_again(page: Page, app: App, log: list[Record]) -> None:
    app.source.logs["reload"] = log[:60]
    look_at(page, app, "run=reload")
    before = traces(page, "heatmap")
    page.reload()
    assert traces(page, "heatmap") == before


def test_an_interrupted_run_that_is_resumed_goes_on_in_the_same_view(page: Page, app: App, log: list[Record]) -> None:
    cut = numbered([ev.RunInterrupted(), ev.RunResumed()], start=41)
    app.over("resumed", [*log[:40], cut[0]])
    look_at(page, app, "run=resumed")
    settled(page, "can be resumed")
    app.source.over.discard("resumed")
    rest = [{**record, "n": n} for n, record in enumerate(log[40:], 43)]
    app.source.end("resumed", [cut[1], *rest])
    page.get_by_role("button", name="Again").click()
    settled(page, "Finished in")
    assert traces(page, "damage") == expected(log, "damage")


def test_a_lost_connection_is_said_and_mended(page: Page, app: App, log: list[Record]) -> None:
    app.source.logs["lost"] = log[:40]
    page.route("**/runs/lost/events*", lambda route: route.abort())
    look_at(page, app, "run=lost")
    expect(page.locator(".na-problem")).to_have_text("The connection is lost, trying again.")
    page.unroute("**/runs/lost/events*")
    traces(page, "heatmap")
    expect(page.locator(".na-problem")).to_be_hidden()


def test_an_unknown_run_is_said_plainly(page: Page, app: App) -> None:
    look_at(page, app, "run=nowhere")
    expect(page.locator(".na-problem")).to_have_text("This run is not known here; it may have been removed.")
    assert page.locator(".js-plotly-plot").count() == 0


def test_text_from_outside_is_never_markup(page: Page, app: App) -> None:
    evil = "<img src=x onerror=alert(1)> {{value}} ${alert(1)}"
    app.over("evil", numbered([started(model=evil), ev.Notice(evil), ev.RunFailed(evil)]))
    look_at(page, app, "run=evil")
    expect(page.locator(".na-sentence")).to_have_text(evil)
    expect(page.locator(".na-notices")).to_have_text(evil)
    expect(page.locator(".na-facts")).to_contain_text(evil)
    expect(page.locator(".na-caption")).to_have_text(CAPTION)
    assert page.locator(".na-live img").count() == 0


def test_a_replay_plays_pauses_and_shows_the_end(page: Page, app: App, log: list[Record]) -> None:
    app.over("replay", log)
    look_at(page, app, "run=replay&replay=1")
    traces(page, "heatmap")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    page.wait_for_timeout(350)
    paused = page.locator(".na-sentence").text_content()
    page.wait_for_timeout(300)
    assert page.locator(".na-sentence").text_content() == paused
    page.get_by_role("button", name="Show the end").click()
    settled(page, "Finished in")
    assert traces(page, "damage") == expected(log, "damage")
    page.get_by_label("Speed").select_option("0.5")  # so that what follows is not over before it is looked for
    page.get_by_role("button", name="Restart").click()
    expect(page.locator(".na-card-damage")).to_be_hidden()
    expect(page.locator(".na-sentence")).to_contain_text("step: trying lambda")  # it plays again
    expect(page.get_by_label("Told")).to_have_value("")


def test_reduced_motion_shows_the_end_of_a_replay(page: Page, app: App, log: list[Record]) -> None:
    app.over("still", log)
    page.emulate_media(reduced_motion="reduce")
    look_at(page, app, "run=still&replay=1")
    settled(page, "Finished in")
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_a_run_is_stepped_through_while_it_goes_on(page: Page, app: App, log: list[Record]) -> None:
    """Steps, by button and by key, scrubs, goes back; meanwhile the log grows, and nothing of it is lost."""
    cut = next(i for i, record in enumerate(log) if record["kind"] == "LambdaChosen") + 1
    app.source.logs["steps"] = log[:cut]
    look_at(page, app, "run=steps")
    traces(page, "heatmap")
    line, says, place = page.get_by_label("Time line of the run"), page.locator(".na-step"), page.locator(".na-place")
    expect(line).to_be_hidden()
    page.get_by_role("button", name="Step through").click()
    expect(line).to_be_focused()
    expect(says).to_contain_text("The slope over the blocks is chosen: lambda 0.06")
    page.keyboard.press("Shift+ArrowLeft")
    expect(says).to_contain_text("Lambda 0.25 is scored")
    page.get_by_role("button", name="One block back").click()
    expect(says).to_contain_text("Block 5 under lambda 0.25: its activations drift by")
    expect(says).to_have_attribute("aria-live", "polite")
    shapes = "document.querySelector('.na-card-heatmap .js-plotly-plot').layout.shapes"
    page.wait_for_function(f"{shapes}.some((s) => s.x0 === 4.5 && s.x1 === 5.5 && s.y0 === 12.5)")
    app.source.end("steps", log[cut:])
    expect(page.get_by_label("Told")).to_have_value("steps: finished")  # though the cursor lags behind
    expect(place).to_have_text(f"{cut - 2} of {len(log)}")
    line.fill("40")  # scrubbed
    expect(place).to_have_text(f"40 of {len(log)}")
    page.wait_for_timeout(350)
    assert traces(page, "heatmap") == expected(log[:40], "heatmap")
    line.press("Home")
    expect(page.locator(".na-card-heatmap")).to_be_hidden()
    page.get_by_role("button", name="Leave step mode").click()
    settled(page, "Finished in")
    assert traces(page, "damage") == expected(log, "damage")
    expect(line).to_be_hidden()


def test_dark_mode_redraws_and_a_phone_does_not_scroll_sideways(page: Page, app: App, log: list[Record]) -> None:
    app.over("dark", log)
    page.set_viewport_size({"width": 390, "height": 844})
    look_at(page, app, "run=dark")
    settled(page, "Finished in")
    drawn(page, "scores")
    color = "document.querySelector('.na-card-scores .js-plotly-plot').data[0].line.color"
    light = page.evaluate(color)
    page.evaluate("document.body.classList.add('dark')")
    page.wait_for_function(f"{color} !== '{light}'")
    assert page.evaluate(color) == DARK["block"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    layout = page.evaluate("document.querySelector('.na-card-scores .js-plotly-plot').layout")
    assert layout["paper_bgcolor"] == "rgba(0,0,0,0)"


def test_what_repeats_a_run_asks_the_same_question(page: Page, app: App) -> None:
    """By keys alone, on a phone; what is copied is what the command line takes."""
    spec = RunSpec(model="tiny", top_up="owl", owl_m=4.5, exclude=("*.down_proj", "0"), seed=7)
    app.over("again", numbered([started(**dataclasses.asdict(spec)), ev.RunFinished(1.0, 1)]))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=app.url)
    page.set_viewport_size({"width": 390, "height": 844})
    look_at(page, app, "run=again")
    card = page.locator(".na-card-repeat")
    expect(card.locator("pre").first).to_be_visible()
    card.get_by_role("button", name="Copy: Command").focus()
    page.keyboard.press("Enter")
    expect(card.get_by_role("button", name="Copied: Command")).to_be_visible()
    assert parsed(page.evaluate("navigator.clipboard.readText()")).key() == spec.key()
    card.locator("summary", has_text="Spec").focus()
    page.keyboard.press("Enter")
    shown = card.get_by_label("Spec", exact=True).inner_text()
    assert RunSpec.from_json(shown).key() == spec.key()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_own_text_is_not_shown_where_a_run_is_repeated(page: Page, app: App) -> None:
    app.over("mine", numbered([started(source="own", text=TEXT), ev.RunFinished(1.0, 1)]))
    look_at(page, app, "run=mine")
    card = page.locator(".na-card-repeat")
    expect(card).to_contain_text("its owner saves it as own-text.txt first")
    assert "--text-file own-text.txt" in card.inner_text() and "quotes" not in card.text_content()


def test_measuring_more_of_a_run_is_another_question(page: Page, app: App) -> None:
    first, later = started(), started(evaluations=("perplexity", "probes"))
    app.source.logs["more"] = numbered([first, ev.RunFinished(1.0, 1)])
    look_at(page, app, "run=more")
    command = page.locator(".na-card-repeat pre").first
    expect(command).to_contain_text("prune --model")
    app.source.end("more", numbered([first, ev.RunFinished(1.0, 1), later, ev.RunFinished(2.0, 1)])[2:])
    expect(command).to_contain_text("--evaluations perplexity,probes")


def test_figures_keep_their_height_when_the_window_changes(page: Page, app: App, log: list[Record]) -> None:
    app.over("resize", log)
    page.set_viewport_size({"width": 1280, "height": 6000})
    look_at(page, app, "run=resize")
    settled(page, "Finished in")
    tall = "[...document.querySelectorAll('.js-plotly-plot')].map(p => p.offsetHeight)"
    expect(page.locator(".js-plotly-plot:not([aria-busy])")).to_have_count(5)
    before = page.evaluate(tall)
    narrow = "() => [...document.querySelectorAll('.main-svg')].every(s => s.getBoundingClientRect().right <= 700)"
    page.set_viewport_size({"width": 700, "height": 6000})
    page.wait_for_function(narrow)
    assert page.evaluate(tall) == before and min(before) > 200


def test_a_figure_is_drawn_when_it_is_near_and_keeps_its_place_before(page: Page, app: App, log: list[Record]) -> None:
    app.over("far", log)
    page.set_viewport_size({"width": 390, "height": 300})
    look_at(page, app, "run=far")
    settled(page, "Finished in")
    figure, placed = page.locator(".na-card-damage .na-plot"), page.locator(".na-card-config")
    expect(figure).to_have_attribute("aria-busy", "true")
    assert "js-plotly-plot" not in figure.get_attribute("class")
    top = placed.evaluate("(node) => node.getBoundingClientRect().top + window.scrollY")
    assert traces(page, "damage") == expected(log, "damage")
    assert placed.evaluate("(node) => node.getBoundingClientRect().top + window.scrollY") == pytest.approx(top, abs=1)


def test_a_hidden_page_keeps_folding(page: Page, app: App, log: list[Record]) -> None:
    app.source.logs["hidden"] = log[:40]
    look_at(page, app, "run=hidden")
    traces(page, "heatmap")
    page.evaluate("window.requestAnimationFrame = () => 0")  # what a hidden tab is like
    threading.Timer(0.1, app.source.end, ("hidden", log[40:])).start()
    expect(page.get_by_label("Told")).to_have_value("hidden: finished")
