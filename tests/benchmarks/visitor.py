"""A visitor of the launched page without a browser: finds its handlers and asks them as the page's own scripts do."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

import httpx

from components.form import values_of
from neuroal.runs.spec import RunSpec


class Visitor:
    """One visit. The form's values are given as a RunSpec.

    Attributes:
        home: address of the page.
    """

    def __init__(self, home: str) -> None:
        self.home, self.session = home, secrets.token_hex(8)
        self.http = httpx.Client(base_url=home, timeout=120)
        config = self.http.get("/config").raise_for_status().json()
        self.handlers: list[dict[str, Any]] = config["dependencies"]
        # The first of a name: those of the endpoints come after the page's own.
        self.components = {_name(c["type"], c["props"]): c["id"] for c in reversed(config["components"])}

    def handler(self, component: str, event: str, answers: str | None = None) -> dict[str, Any]:
        """The handler of a component's event; ``answers`` names a component among its outputs, where it has several."""
        target = [self.components[component], event]
        output = self.components[answers] if answers else None
        return next(
            h
            for h in self.handlers
            if target in h["targets"] and h["backend_fn"] and (output is None or output in h["outputs"])
        )

    def ask(self, handler: dict[str, Any], values: list[Any]) -> list[Any]:
        """The handler's last answer, through the queue if that is its way."""
        body = {"data": values, "fn_index": handler["id"], "session_hash": self.session, "trigger_id": None}
        if handler["queue"] is False:
            return self.http.post("/gradio_api/run/predict", json=body).raise_for_status().json()["data"]
        self.http.post("/gradio_api/queue/join", json=body).raise_for_status()
        return self._answer()

    def _answer(self) -> list[Any]:
        with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.session}) as stream:
            for line in stream.iter_lines():
                message = json.loads(line[6:]) if line.startswith("data:") else {}
                if message.get("msg") == "process_completed":
                    if not message["success"]:
                        raise RuntimeError(f"The page answers with a fault: {message['output']}")
                    return message["output"]["data"]
        raise RuntimeError("The page ended the stream without an answer.")

    def estimate(self, spec: RunSpec) -> str:
        """The sentence below the form."""
        return self.ask(self.handler("Sparsity ratio", "change", "estimate"), values_of(spec))[0]

    def run(self, spec: RunSpec) -> str:
        """Presses Run; returns the id of the run."""
        return self.ask(self.handler("run", "click"), values_of(spec))[0]

    def events(self, run: str) -> str:
        """Address of a run's event stream."""
        return f"{self.home}/gradio_api/runs/{run}/events"

    def wait_for(self, run: str, kind: str, seconds: float = 170) -> None:
        """Returns once the run's log holds an event of that kind."""
        until = time.monotonic() + seconds
        with self.http.stream("GET", self.events(run)) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: [") and any(record["kind"] == kind for record in json.loads(line[6:])):
                    return
                if time.monotonic() > until:
                    break
        raise TimeoutError(f"The run has not come to {kind}.")


def _name(kind: str, props: dict[str, Any]) -> str:
    """What a component is called here: its id in the page, its label, or the text of a button."""
    return props.get("elem_id") or props.get("label") or (props["value"] if kind == "button" else "")
