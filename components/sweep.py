"""The Trade-offs tab: sets of settings to ask together, what that will cost, and the map of what came of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.events import Dependency

from components.bundles import adopted_sweep
from components.controls import UNLIMITED, model_choices
from components.form import Form, spec_from
from components.live import LiveRun
from components.refusal import refusal
from components.tradeoff_map import TradeoffMap
from components.visitors import starting, visiting
from components.whereabouts import whereabouts
from neuroal.errors import UserError
from neuroal.hosting.limits import Limits
from neuroal.importing import import_engine
from neuroal.pruners import PRUNERS
from neuroal.runs.examples import Example
from neuroal.runs.spec import RunSpec
from neuroal.runs.workshop import Workshop
from neuroal.sweeps.spec import SweepSpec
from neuroal.topups import TOP_UPS

# Between its numbers, "name step"; no name of a top-up has a blank.
METHODS = [
    (" ".join([top_up.label.partition(":")[0], step]).strip(), f"{top_up.name} {step}".strip())
    for top_up in TOP_UPS.entries
    if top_up.name != "custom"
    for step in (top_up.steps or ("",))
]

START = "Everything else is as it is set under **Prune**: calibration, measuring, advanced settings."

# Keeps the link of the sweep in the address bar.
REMEMBER_SWEEP = """(sweep) => {
  const url = new URL(window.location);
  if (sweep) url.searchParams.set("sweep", sweep); else url.searchParams.delete("sweep");
  window.history.replaceState(null, "", url);
}"""

NO_SWEEP = "⚠️ No sweep is open; press Start to begin one."

ON_MAP = "You are looking at your run on the map of a sweep."
ON_ITS_OWN = (
    "No sweep has figures that compare with this run's, so it is on a map of single runs; press Start for a sweep."
)

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class Sweep:
    """The components of the tab. ``choices``: the controls that :func:`sweep_from` reads, in its order."""

    choices: tuple[Any, ...]
    estimate: gr.Markdown
    start: gr.Button
    pause: gr.Button
    cancel: gr.Button
    resume: gr.Button
    answer: gr.Markdown
    sweep_id: gr.Textbox
    map: TradeoffMap
    bundle: gr.UploadButton


def build_sweep(example: Example | None = None, limits: Limits = UNLIMITED) -> Sweep:
    """The tab's components, created where the caller is; ``wire_sweep`` brings them to life.

    Args:
        example: the recorded sweep that a new visitor sees at once.
        limits: of the host; where it has no sweeps, there is only the map.
    """
    default = RunSpec()
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320, visible=limits.profile.sweep != 0):
            models = gr.Dropdown(
                model_choices(limits), value=[default.model], multiselect=True, allow_custom_value=True, label="Models",
                info="One or more; each combination with what is chosen below is a run.",
            )  # fmt: skip
            pruners = gr.Dropdown(
                [(label, name) for name, label in PRUNERS.labels.items()], value=[default.pruner], multiselect=True,
                label="Base pruners", info="Which weights are the least important.",
            )  # fmt: skip
            methods = gr.Dropdown(
                METHODS, value=["uniform", "owl", "neuroal block", "neuroal both"], multiselect=True,
                label="Top-ups", info="How the sparsity is spread. Uniform is the control and always among them.",
            )  # fmt: skip
            sparsities = gr.Textbox(
                "0.5, 0.6, 0.7", label="Sparsity ratios", info="Shares of the prunable weights set to zero.",
            )  # fmt: skip
            with gr.Accordion("Patterns and seeds", open=False):
                patterns = gr.Textbox(
                    "", label="N:M patterns", placeholder="2:4, 4:8", info="Asked beside the sparsity ratios."
                )
                seeds = gr.Textbox("0", label="Calibration seeds", info="Repeats every run on other calibration text.")
            gr.Markdown(START, elem_classes="quiet")
            estimate = gr.Markdown(elem_id="sweep-estimate", elem_classes="quiet")
            start = gr.Button("Start", variant="primary", elem_id="sweep-start")
            with gr.Row():
                pause = gr.Button("Pause", size="sm", min_width=80, elem_id="sweep-pause")
                cancel = gr.Button("Cancel", size="sm", min_width=80, elem_id="sweep-cancel")
                resume = gr.Button("Resume", size="sm", min_width=80, elem_id="sweep-resume")
            answer = gr.Markdown(elem_id="sweep-answer", container=False)
            bundle = gr.UploadButton("Open a bundle", file_types=[".zip"], size="sm", elem_id="sweep-bundle")
        with gr.Column(scale=9, min_width=340):
            shown = TradeoffMap({"sweep": example.id, "caption": example.caption} if example else None)
    sweep_id = gr.Textbox(visible=False, label="Sweep")
    choices = (models, pruners, methods, sparsities, patterns, seeds)
    return Sweep(choices, estimate, start, pause, cancel, resume, answer, sweep_id, shown, bundle)


def sweep_from(base: RunSpec, *chosen: Any) -> SweepSpec:
    """The sweep that the controls ask for.

    Args:
        base: what is set under Prune; what the sweep varies is taken from it.
        chosen: the values of :attr:`Sweep.choices`.

    Raises:
        UserError: nothing is chosen somewhere, or numbers cannot be read.
    """
    models, pruners, methods, sparsities, patterns, seeds = chosen
    for values, what in ((models, "model"), (pruners, "base pruner")):
        if not values:
            raise UserError(f"No {what} is chosen; choose at least one.")
    amounts = [{"sparsity": value} for value in _numbers("Sparsity ratios", sparsities, float, "0.5, 0.6, 0.7")]
    amounts += [{"pattern": part} for part in _parts(patterns)]
    if not amounts:
        raise UserError("No sparsity ratio and no pattern is given; write some, such as 0.5, 0.6, 0.7.")
    axes = (
        tuple({"model": model} for model in models),
        tuple({"pruner": pruner} for pruner in pruners),
        tuple(_method(method) for method in methods or ["uniform"]),
        tuple(amounts),
        tuple({"seed": seed} for seed in _numbers("Calibration seeds", seeds, int, "0, 1, 2") or [0]),
    )
    varied = {name for axis in axes for alternative in axis for name in alternative} | {"pattern", "step"}
    settings = {field.name: getattr(base, field.name) for field in dataclasses.fields(base)}
    defaults = dataclasses.asdict(RunSpec())
    kept = {name: value for name, value in settings.items() if name not in varied and value != defaults[name]}
    return SweepSpec({name: list(v) if isinstance(v, tuple) else v for name, v in kept.items()}, axes)


def wire_sweep(
    sweep: Sweep,
    workshop: Workshop,
    page: gr.Blocks,
    form: Form,
    tabs: gr.Tabs,
    live: LiveRun,
    show: Callable[[str], list[Any]],
    outputs: list[Any],
) -> list[Dependency]:
    """Connects the tab.

    Args:
        form: whose settings all runs of a sweep have.
        tabs: of the page; the ids ``prune`` and ``tradeoffs`` are opened.
        live: its event ``mapped`` leads to the map.
        show: values for ``outputs`` that lead to a run.

    Returns:
        what brings in a sweep that is the visitor's own: its start, and opening a bundle.
    """
    own = [_wire_asking(sweep, workshop, page, form), _wire_going(sweep, workshop)]

    def open_run(event: gr.EventData) -> list[Any]:
        return [*show(str(event.run)), gr.Tabs(selected="prune")]

    def arrive(request: gr.Request) -> list[Any]:
        """A link with ``?sweep=`` leads here."""
        wanted = request.query_params.get("sweep", "")
        if not wanted:
            return [gr.skip()] * 4
        try:
            answer = whereabouts(workshop.sweeps.jobs, wanted, "You are looking at the sweep of this link.")
        except KeyError:
            unknown = "⚠️ No sweep with this link is known here; it may have been removed."
            return [gr.skip(), gr.skip(), unknown, gr.Tabs(selected="tradeoffs")]
        return [wanted, {"sweep": wanted}, answer, gr.Tabs(selected="tradeoffs")]

    def to_map(event: gr.EventData) -> list[Any]:
        """A run is to be seen on the map of a sweep, or of single runs."""
        wanted, told = str(event.sweep), ON_MAP if event.sweep else ON_ITS_OWN
        return [wanted, {"sweep": wanted, "run": str(event.run)}, told, gr.Tabs(selected="tradeoffs")]

    live.mapped(to_map, None, [sweep.sweep_id, sweep.map, sweep.answer, tabs], concurrency_limit=None, **_QUIET)
    sweep.map.opened(open_run, None, [*outputs, tabs], concurrency_limit=None, **_QUIET)
    page.load(arrive, None, [sweep.sweep_id, sweep.map, sweep.answer, tabs], concurrency_limit=None, **_QUIET)
    return own


def _wire_asking(sweep: Sweep, workshop: Workshop, page: gr.Blocks, form: Form) -> Dependency:
    """What the sweep would cost, whenever a choice changes, and its start, which is returned."""
    asked = [*sweep.choices, *form.inputs]

    def spec_of(values: tuple[Any, ...]) -> SweepSpec:
        count = len(sweep.choices)
        return sweep_from(spec_from(*values[count:]), *values[:count])

    def tell(request: gr.Request, *values: Any) -> str:
        import_engine()
        from neuroal.sweeps.estimate import estimate_sweep

        try:
            with visiting(request):
                asked = spec_of(values)
                workshop.sweeps.jobs.rules.refuse(asked)
                return estimate_sweep(asked, workshop.jobs.answered, *workshop.workers()).sentence
        except UserError as error:
            return refusal(error)

    def start(request: gr.Request, *values: Any) -> tuple[Any, Any, str]:
        try:
            spec = spec_of(values)
            import_engine()
            from neuroal.sweeps.estimate import check_sweep

            with starting(workshop, request):
                workshop.sweeps.jobs.rules.refuse(spec)  # before its models are looked up
                check_sweep(spec)
                started = workshop.sweeps.start(spec, owner=request.session_hash or "")
        except UserError as error:
            return gr.skip(), gr.skip(), refusal(error)
        return started, {"sweep": started}, "A sweep goes on if you close this page; its link leads back to it."

    changes = [page.load, *(choice.change for choice in sweep.choices)]
    gr.on(changes, tell, asked, sweep.estimate, trigger_mode="always_last", concurrency_limit=4, **_QUIET)
    started = sweep.start.click(start, asked, [sweep.sweep_id, sweep.map, sweep.answer], concurrency_limit=8, **_QUIET)
    sweep.sweep_id.change(None, sweep.sweep_id, None, js=REMEMBER_SWEEP)
    return started


def _wire_going(sweep: Sweep, workshop: Workshop) -> Dependency:
    """Pause, Cancel, Resume, and opening a bundle, which is returned: each answers in a sentence below the buttons."""

    def pause(sweep_id: str) -> str:
        return _stop(workshop.sweeps.pause, sweep_id, "Pausing: the run at hand is finished, no other one is started.")

    def cancel(sweep_id: str) -> str:
        return _stop(workshop.sweeps.cancel, sweep_id, "Cancelling; what is finished is kept, and Resume goes on.")

    def resume(sweep_id: str, request: gr.Request) -> tuple[Any, str]:
        try:
            with starting(workshop, request):
                workshop.sweeps.resume(sweep_id, owner=request.session_hash or "")
        except UserError as error:
            return gr.skip(), refusal(error)
        except KeyError:
            return gr.skip(), NO_SWEEP
        return {"sweep": sweep_id}, "Going on with what is left."

    looked = {"concurrency_limit": 8, **_QUIET}

    def take_in(path: str) -> tuple[Any, Any, str]:
        try:
            taken = adopted_sweep(workshop.sweeps, path)
        except UserError as error:
            return gr.skip(), gr.skip(), refusal(error)
        return taken, {"sweep": taken}, "You are looking at the sweep of this bundle."

    shown = [sweep.sweep_id, sweep.map, sweep.answer]
    taken = sweep.bundle.upload(take_in, sweep.bundle, shown, concurrency_limit=2, **_QUIET)
    sweep.pause.click(pause, sweep.sweep_id, sweep.answer, **looked)
    sweep.cancel.click(cancel, sweep.sweep_id, sweep.answer, **looked)
    sweep.resume.click(resume, sweep.sweep_id, [sweep.map, sweep.answer], **looked)
    return taken


def _stop(act: Callable[[str], bool], sweep_id: str, done: str) -> str:
    try:
        return done if act(sweep_id) else "⚠️ This sweep is not going, so there is nothing to stop."
    except KeyError:
        return NO_SWEEP


def _method(chosen: str) -> dict[str, Any]:
    name, _, step = chosen.partition(" ")
    return {"top_up": name, **({"step": step} if step else {})}


def _parts(text: str) -> list[str]:
    return list(dict.fromkeys((text or "").replace(",", " ").replace(";", " ").split()))


def _numbers(label: str, text: str, kind: type, example: str) -> list[Any]:
    try:
        return [kind(part) for part in _parts(text)]
    except ValueError:
        raise UserError(f"{label} {text[:40]!r} cannot be read; write them like {example}.") from None
