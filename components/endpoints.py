"""What other programs may ask: named endpoints of Gradio, which are the tools over MCP as well.

They stand on the objects that the page stands on; an id of a run is all that a caller needs to keep. Their docstrings
are what the page "Use via API" and MCP show.
"""

# Without annotations from __future__: of what is returned Gradio reads the annotation as it stands, not as a text.

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import gradio as gr

from components import endpoints_values as told
from components.answers import paired
from components.controls import OWN_TEXTS, TEXT_BYTES
from components.endpoints_callers import as_text, as_whole, asked_by, visitor
from components.endpoints_docs import describe, shown
from components.listing import Listing, Read
from components.sides import DENSE
from components.starting import begin
from components.stream import finite
from components.visitors import starting, stranger
from neuroal.errors import UserError
from neuroal.importing import import_engine
from neuroal.runs.history import Query
from neuroal.runs.spec import RunSpec
from neuroal.runs.workshop import Workshop
from neuroal.sweeps.sweeps import KIND

UNKNOWN = "No run has the id {!r} here; start_run gives one, and list_runs has those that there are."
HOW = {
    "started": "The run goes on by itself; run_status says how far it is.",
    "answered": "This question was answered before; this is the run that did.",
    "under way": "This question is being answered already; this is the run that does.",
}

# Questions that are checked at the same time, as on the page.
STARTS_AT_ONCE = 8

# Runs that are compared at a time: each has a line style of its own.
MOST_COMPARED = 4


class Endpoints:
    """The endpoints of a server.

    Args:
        read: the records of a run, or of a recorded one, after a number, as ``Jobs.read``.
        listing: knows which runs may be listed.
    """

    def __init__(self, workshop: Workshop, read: Read, listing: Listing) -> None:
        self.workshop, self.read, self.listing = workshop, read, listing

    def offer(self, page: gr.Blocks) -> None:
        """Adds the endpoints to the page that is being built."""
        # Past the queue where a client can: MCP then says who asks, and nobody waits for those who generate.
        gr.api(self.start_run, api_name="start_run", queue=False, concurrency_limit=STARTS_AT_ONCE)
        for quick in (self.run_status, self.cancel_run, self.run_result, self.list_runs, self.compare):
            gr.api(quick, api_name=quick.__name__, queue=False, concurrency_limit=None)
        # They take turns with the page's own (neuroal/runs/turns.py).
        gr.api(self.generate, api_name="generate", concurrency_limit=None)
        for function in page.fns.values():
            if getattr(function.fn, "__self__", None) is self:
                describe(function)

    @shown
    def start_run(self, request: gr.Request, spec: dict[str, Any] | str) -> dict[str, Any]:
        """Starts a run: search, pruning and measuring as asked. It goes on by itself; follow it with run_status. A
        question that was asked before is not asked again: its run is given. Each caller may have a few runs waiting:
        three, unless the host says otherwise.

        Args:
            spec: Settings of the run, an object or its JSON text, such as {"model": "tiny", "pruner": "wanda",
                "top_up": "neuroal", "sparsity": 0.6}. What is left out has its default; the config card of any run is a
                complete example.

        Returns:
            An object: run (the id), how (started, answered or under way), sentence, and link (to be put behind the
            address of the app).
        """
        with asked_by(request):
            asked = RunSpec.from_json(spec) if isinstance(spec, str) else RunSpec.from_dict(spec)
            if any(len(getattr(asked, name)) > TEXT_BYTES for name in OWN_TEXTS):
                raise UserError(f"A text of your own may have {TEXT_BYTES:,} characters; give a shorter one.")
            with starting(self.workshop, request):
                begun = begin(self.workshop, asked, visitor(request))
            return {"run": begun.run, "how": begun.how, "sentence": HOW[begun.how], "link": f"?run={begun.run}"}

    @shown
    def run_status(
        self, request: gr.Request, run: str, after: int = 0, events: bool = True, state: bool = True
    ) -> dict[str, Any]:
        """How far a run is, and what has happened since the caller last asked. Ask again, with the number that last
        has, until done is true. Without events and state the answer is short.

        Args:
            run: Id of the run.
            after: Number of the last event that is known already; 0 for all of them.
            events: Whether the events after that are wanted; of a long search they are many.
            state: Whether the state is wanted that all events amount to: scores, allocation, figures.

        Returns:
            An object: run, status (queued, running, finished, failed, cancelled or interrupted), sentence, progress (0
            to 1), seconds_left, done (no event will come), last (number of the newest event), events, and state.
        """
        with asked_by(request):
            records, done = self._log(run)
            known, wanted = as_whole("after", after), {"events": bool(events), "state": bool(state)}
            return finite(told.status(run, records, done, known, **wanted))

    @shown
    def cancel_run(self, request: gr.Request, run: str) -> dict[str, Any]:
        """Cancels a run at its next block, or takes it out of the queue. What was found is kept.

        Args:
            run: Id of the run.

        Returns:
            An object: run, cancelled (false where the run was not going), status and sentence.
        """
        with asked_by(request):
            self._log(run)
            cancelled = self.workshop.jobs.cancel(run)
            now = told.status(run, *self._log(run))
            said = "Cancelling at the next block; what was found so far is kept."
            idle = "This run is not going, so there is nothing to cancel."
            sentence = said if cancelled else idle
            return {"run": run, "cancelled": cancelled, "status": now["status"], "sentence": sentence}

    @shown
    def run_result(self, request: gr.Request, run: str) -> dict[str, Any]:
        """What came of a finished run.

        Args:
            run: Id of the run.

        Returns:
            An object: run, title, summary (its figures in short), searched (the score of every lambda that was tried,
            and which one was chosen), allocation (sparsity of each block), pruned (what was achieved), measured (every
            figure with its standard error), spec (the config card), versions, hardware, and more.
        """
        with asked_by(request):
            records, done = self._log(run)
            now = told.status(run, records, done)
            if now["status"] != "finished":
                raise UserError(f"This run is {now['status']}, so it has no result yet. {now['sentence']}")
            return finite(told.result(run, records))

    @shown
    def list_runs(
        self,
        request: gr.Request,
        text: str = "",
        status: str = "",
        order: str = "created",
        descending: bool = True,
        page: int = 0,
        own: list[str] | None = None,
    ) -> dict[str, Any]:
        """The runs of this server, 50 to a page, pinned ones first. Where strangers share the server only those are
        listed whose ids the caller gives.

        Args:
            text: Words that all occur in model, pruner, top-up, name or tags; empty for all runs.
            status: queued, running, finished, failed, cancelled or interrupted; empty for any.
            order: What they are sorted by: created, status, name, model, pruner, top_up, sparsity, or a figure such as
                perplexity.
            descending: The largest, or newest, first.
            page: From 0.
            own: Ids that the caller has kept.

        Returns:
            An object: rows (id, title, model, status, created, achieved sparsity, perplexities of the run, the dense
            model and the uniform control), total, page, pages, and whose (all, or own: only those asked for by their
            ids).
        """
        with asked_by(request):
            query = Query(text=text, status=as_text("status", status), order=order, descending=bool(descending))
            found = self.listing.page(query, as_whole("page", page), own or ())
            return finite({name: found[name] for name in ("rows", "total", "page", "pages", "whose")})

    @shown
    def compare(self, request: gr.Request, runs: list[str]) -> dict[str, Any]:
        """Two to four runs beside each other.

        Args:
            runs: Their ids.

        Returns:
            An object: runs (id, title, status and figures of each), settings (those that differ, with the value of each
            run), not_comparable (why perplexities are not on one scale, as sentences), and figures (allocations, rows
            and perplexity as Plotly figures).
        """
        with asked_by(request):
            if not isinstance(runs, (list, tuple)) or not 2 <= len(runs) <= MOST_COMPARED:
                raise UserError(f"Two to {MOST_COMPARED} runs can be compared; give their ids as a list.")
            logs = [self._log(run)[0] for run in runs]
            return finite(told.compared(runs, logs, self.listing.named(runs)))

    @shown
    def generate(
        self,
        request: gr.Request,
        run: str,
        prompt: str,
        against: str = DENSE,
        max_tokens: int = 96,
        temperature: float = 0.0,
        top_p: float = 0.95,
        seed: int = 0,
        chat: bool = True,
    ) -> Iterator[dict[str, Any]]:
        """One prompt, answered by the pruned model of a finished run and by another model side by side, with the same
        seed. The answers come about ten times a second, longer each time; the last one is complete.

        Args:
            run: Id of the run.
            prompt: What both models are asked, or a text to go on from.
            against: dense for the model as it came, or the id of another finished run of the same model.
            max_tokens: At most so many new tokens, 1 to 1024.
            temperature: 0 for the likeliest token each time, up to 2.
            top_p: Sampled are only the likeliest tokens that have this probability together, 0.05 to 1.
            seed: Of the sampling; both models see the same noise.
            chat: Whether the prompt is put into the model's chat template, where it has one.

        Returns:
            An object: run and against (each with text, tokens, seconds, tokens_per_second and error), parted_at (index
            of the first token that differs, or null), verdict (where they part, in a sentence), note, and done.
        """
        with asked_by(request):
            import_engine()
            from neuroal.generation import Pair, Side

            run, against, prompt = as_text("run", run), as_text("against", against), as_text("prompt", prompt)
            who = {"owner": visitor(request), "address": stranger(request)}
            given = {"max_tokens": max_tokens, "temperature": temperature, "top_p": top_p, "seed": seed}
            with closing(paired(self.workshop, (against, run), prompt, chat=bool(chat), **who, **given)) as found:
                for note, pair in found:
                    yield finite(told.answered(pair or Pair(Side(), Side(), None), note, against == DENSE))

    def _log(self, run: Any) -> tuple[Sequence[told.Record], bool]:
        """All records of a run, and whether no more will come."""
        if as_text("run", run).startswith(f"{KIND}-"):
            raise UserError("This is the id of a sweep; give that of one of its runs.")
        try:
            return self.read(run, 0)
        except KeyError:
            raise UserError(UNKNOWN.format(run[:40])) from None
