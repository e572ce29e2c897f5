"""The page: panels built first, then wired. It holds no truth, only the id of the run that is looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import Dependency

from components.bundles import adopted
from components.compare import build_compare, wire_compare
from components.controls import OWN_TEXTS
from components.endpoints import Endpoints
from components.export_panel import ExportPanel, build_sign_in, wire_export
from components.form import Form, build_form, preset_of, spec_from, values_of, wire_form
from components.gallery import Gallery, look_at, replayed, wire_gallery
from components.history import build_history, wire_history
from components.hosting import build_host
from components.learn import LearnPath, wire_learn
from components.listing import Listing, whose_from_environment
from components.live import LiveRun, live_config
from components.matrix_panel import MatrixPanel, wire_matrix
from components.ratios import wire_ratios
from components.refusal import refusal
from components.sessions import share_settings
from components.sides import wire_sides
from components.starting import begin
from components.sweep import build_sweep, wire_sweep
from components.visitors import starting, visiting
from components.warmup import Warmup
from components.whereabouts import whereabouts
from neuroal.errors import UserError
from neuroal.hosting.profile import Profile
from neuroal.importing import import_engine
from neuroal.runs.examples import PREFIX, SWEEPS, load_examples
from neuroal.runs.workshop import Workshop
from neuroal.sweeps.sweeps import KIND

TITLE = "NeuroAL Explorer"
ASSETS = Path(__file__).resolve().parent.parent / "assets"

INTRODUCTION = """# NeuroAL Explorer
Set most weights of a small language model to zero, see **why each block keeps what it keeps**, and talk to the result.
NeuroAL compares the activations of every dense block with those of its pruned copy, for several slopes *lambda*; other
methods are there to compare it with."""

WAITING = "Press **Run** to prune, or look at a recorded run beside (on a phone: below) this form."

# What pressing Run led to.
ANSWERS = {
    "started": "A run goes on if you close this page; its link leads back to it.",
    "answered": "This question was answered before; you are looking at that run.",
    "under way": "This question is being answered already; you are looking at that run.",
}

# Keeps the link of the run in the address bar, so that reloading or sending it leads back to the run.
REMEMBER_RUN = """(run) => {
  const url = new URL(window.location);
  if (run) url.searchParams.set("run", run); else url.searchParams.delete("run");
  if (run) url.searchParams.delete("example");
  window.history.replaceState(null, "", url);
}"""

# Seconds between two looks of Gradio's queue for something to do. Left alone it looks a thousand times a second, and
# each time takes the interpreter from whoever computes: 5 % of a core, without any visitor.
QUEUE_SECONDS = 0.02

# And between two looks for the progress of handlers, which none of the page's tells that way: 95 times a second else.
PROGRESS_SECONDS = 1.0

# Seconds between two looks for files that visitors have uploaded, own texts among them, and until one is removed.
UPLOADS_KEPT = (3600, 86400)

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class Actions:
    """The buttons below the form and what they answer."""

    run: gr.Button
    cancel: gr.Button
    resume: gr.Button
    measure: gr.Button
    estimate: gr.Markdown
    answer: gr.Markdown
    bundle: gr.UploadButton


class Records:
    """Where the event route reads: recorded examples by their names, runs and sweeps by their ids."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop, self.examples, self.sweeps = workshop, load_examples(), load_examples(SWEEPS)

    def read(self, run_id: str, after: int) -> tuple[list[dict[str, Any]], bool]:
        """As ``Jobs.read``."""
        if run_id.startswith(PREFIX):
            return (self.examples | self.sweeps)[run_id].records[max(after, 0) :], True
        if run_id.startswith(f"{KIND}-"):
            return self.workshop.sweeps.jobs.read(run_id, after)
        return self.workshop.jobs.read(run_id, after)


def build_page(workshop: Workshop, records: Records, warmup: Warmup) -> gr.Blocks:
    """The whole page; launching it is the caller's."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=UPLOADS_KEPT) as page:
        gr.Markdown(INTRODUCTION)
        for notice in workshop.notices:
            gr.Markdown(f"⚠️ {notice}", elem_classes="notice")
        engine = gr.Markdown(warmup.sentence, elem_id="engine", elem_classes="quiet")
        clock = gr.Timer(1.0)
        run_id = gr.Textbox(visible=False, label="Run")
        with gr.Tabs() as tabs:
            with gr.Tab("Prune", id="prune"), gr.Row(equal_height=False):
                with gr.Column(scale=4, min_width=320):
                    form, actions = build_form(lambda: _build_actions(workshop.profile), workshop.limits)
                with gr.Column(scale=9, min_width=340):
                    gallery = Gallery(records.examples, live_config()["plotly"])
                    first = replayed(next(iter(records.examples.values()), None))
                    live = LiveRun(first)
                    matrix = MatrixPanel({"run": first.get("run", "")})
                    build_sign_in()
                    away = ExportPanel({"run": first.get("run", "")})
            with gr.Tab("Learn", id="learn"):
                LearnPath(elem_id="learn")
            with gr.Tab("Compare", id="compare") as compare_tab:
                compare = build_compare()
            with gr.Tab("Trade-offs", id="tradeoffs"):
                sweep = build_sweep(next(iter(records.sweeps.values()), None), workshop.limits)
            with gr.Tab("History", id="history"):
                history = build_history()
        wire_form(form)
        wire_ratios(form, live, records.read)
        wire_matrix(matrix, live)
        wire_export(away, live)
        _wire_engine(clock, engine, warmup)
        _wire_estimate(page, form, actions, workshop)
        started = _wire_run(form, actions, run_id, live, workshop)
        taken, *shown = _wire_arrival(page, form, actions, run_id, live, records)
        wire_gallery(gallery, records.examples, [run_id, live, actions.answer])
        swept = wire_sweep(sweep, workshop, page, form, tabs, live, *shown)
        own = [(each, run_id, actions.answer) for each in (started, taken)]
        own += [(each, sweep.sweep_id, sweep.answer) for each in swept]
        wire_history(history, page, tabs, own, *shown)
        wire_learn(page, tabs)
        listing = Listing(workshop.jobs, whose_from_environment(), records.read)
        wire_compare(compare, workshop, run_id, live, listing)
        wire_sides(compare.sides, compare_tab, listing, run_id)
        Endpoints(workshop, records.read, listing).offer(page)
    page._queue.sleep_when_free = QUEUE_SECONDS
    page._queue.progress_update_sleep_when_free = PROGRESS_SECONDS
    share_settings(page)
    return page


def _build_actions(profile: Profile) -> Actions:
    build_host(profile)
    estimate = gr.Markdown(elem_id="estimate", elem_classes="quiet")
    run = gr.Button("Run", variant="primary", elem_id="run")
    with gr.Row():
        cancel = gr.Button("Cancel", size="sm", min_width=80, elem_id="cancel")
        resume = gr.Button("Resume", size="sm", min_width=80, elem_id="resume")
        measure = gr.Button("Measure", size="sm", min_width=80, elem_id="measure")
    answer = gr.Markdown(WAITING, elem_id="answer", container=False)
    bundle = gr.UploadButton("Open a bundle", file_types=[".zip"], size="sm", elem_id="bundle")
    return Actions(run, cancel, resume, measure, estimate, answer, bundle)


def _wire_engine(clock: gr.Timer, engine: gr.Markdown, warmup: Warmup) -> None:
    """The line about the model on its way, until it has arrived."""

    def look() -> tuple[Any, Any]:
        return warmup.sentence, gr.Timer(active=not warmup.ready)

    clock.tick(look, None, [engine, clock], concurrency_limit=None, **_QUIET)


def _wire_estimate(page: gr.Blocks, form: Form, actions: Actions, workshop: Workshop) -> None:
    """Time and memory, whenever a setting changes; a setting that cannot work is told here already."""

    def tell(request: gr.Request, *values: Any) -> str:
        import_engine()
        from neuroal.runs.estimate import estimate

        try:
            with visiting(request):
                spec = spec_from(*values)
                workshop.jobs.rules.refuse(spec)
                return estimate(spec).sentence
        except UserError as error:
            return refusal(error)

    changes = [control.change for name, control in form.controls.items() if name not in OWN_TEXTS]
    gr.on(
        [page.load, *changes],
        tell,
        form.inputs,
        actions.estimate,
        trigger_mode="always_last",
        concurrency_limit=4,
        **_QUIET,
    )


def _wire_run(form: Form, actions: Actions, run_id: gr.Textbox, live: LiveRun, workshop: Workshop) -> Dependency:
    """Run, Cancel, Resume: each answers in one sentence below the buttons. Returns what pressing Run does."""

    def start(request: gr.Request, *values: Any) -> tuple[Any, Any, Any]:
        try:
            with starting(workshop, request):
                begun = begin(workshop, spec_from(*values), request.session_hash or "")
        except UserError as error:
            return gr.skip(), gr.skip(), refusal(error)
        answer = ANSWERS[begun.how]
        if begun.how == "under way":
            answer = whereabouts(workshop.jobs, begun.run, answer)
        return begun.run, _look_at(begun.run), answer

    def cancel(run: str) -> str:
        if not run or run.startswith(PREFIX):
            return "⚠️ No run of yours is open; press Run to start one."
        if workshop.jobs.cancel(run):
            return "Asked to stop at the next block. What was found until then is kept, and the run can be resumed."
        return "⚠️ This run is not going, so there is nothing to cancel."

    def resume(run: str, request: gr.Request) -> tuple[Any, str]:
        try:
            with starting(workshop, request):
                workshop.jobs.resume(run, owner=request.session_hash or "")
        except UserError as error:
            return gr.skip(), refusal(error)
        except KeyError:
            return gr.skip(), "⚠️ No run of yours is open; press Run to start one."
        return _look_at(run), "Resumed from what was finished."

    def measure(run: str, request: gr.Request, *values: Any) -> tuple[Any, str]:
        try:
            with starting(workshop, request):
                workshop.measure(run, spec_from(*values), owner=request.session_hash or "")
        except UserError as error:
            return gr.skip(), refusal(error)
        except KeyError:
            return gr.skip(), "⚠️ No run of yours is open; press Run to start one."
        return _look_at(run), "Measuring what is ticked under Measuring."

    started = actions.run.click(start, form.inputs, [run_id, live, actions.answer], concurrency_limit=8, **_QUIET)
    actions.cancel.click(cancel, run_id, actions.answer, concurrency_limit=8, **_QUIET)
    measured = [run_id, *form.inputs]
    actions.measure.click(measure, measured, [live, actions.answer], concurrency_limit=8, **_QUIET)
    actions.resume.click(resume, run_id, [live, actions.answer], concurrency_limit=8, **_QUIET)
    run_id.change(None, run_id, None, js=REMEMBER_RUN)
    return started


def _wire_arrival(
    page: gr.Blocks, form: Form, actions: Actions, run_id: gr.Textbox, live: LiveRun, records: Records
) -> tuple[Dependency, Callable[[str], list[Any]], list[Any]]:
    """A link with ``?run=`` leads to that run, with the form as it was asked.

    Returns:
        what opening a bundle does; what leads to any run: a function of its id, and the components that its values are
        for.
    """

    def show(asked: str, answer: str = "") -> list[Any]:
        try:
            spec = records.workshop.jobs.spec(asked)
        except (KeyError, UserError):
            unknown = "⚠️ No run with this link is known here; it may have been removed."
            return [gr.skip(), gr.skip(), unknown, *[gr.skip()] * (1 + len(form.inputs))]
        told = whereabouts(records.workshop.jobs, asked, answer)
        return [asked, _look_at(asked), told, preset_of(spec), *values_of(spec)]

    def arrive(request: gr.Request) -> list[Any]:
        asked, example = (request.query_params.get(name, "") for name in ("run", "example"))
        if asked:
            return show(asked, "You are looking at the run of this link.")
        looked_at = look_at(records.examples, example) if example else [gr.skip()] * 3
        return [*looked_at, *[gr.skip()] * (1 + len(form.inputs))]

    def take_in(path: str) -> list[Any]:
        try:
            return show(adopted(records.workshop.jobs, path), "You are looking at the run of this bundle.")
        except UserError as error:
            return [gr.skip(), gr.skip(), refusal(error), *[gr.skip()] * (1 + len(form.inputs))]

    outputs = [run_id, live, actions.answer, form.preset, *form.inputs]
    page.load(arrive, None, outputs, concurrency_limit=None, **_QUIET)
    taken = actions.bundle.upload(take_in, actions.bundle, outputs, concurrency_limit=2, **_QUIET)
    return taken, show, outputs


def _look_at(run: str) -> dict[str, Any]:
    """What the live view is given to follow a run."""
    return {"run": run, "replay": False, "caption": ""}
