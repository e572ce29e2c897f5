"""``sweep``: many questions as one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuroal.commands.asked import STDIN, as_setting, read_bytes, settings_from
from neuroal.commands.output import Code, Misuse, Output
from neuroal.commands.settings import EVERYTHING, FIELDS, Settings
from neuroal.errors import UserError, did_you_mean
from neuroal.folding.status import fixed
from neuroal.folding.sweep_fold import fold_sweep_all
from neuroal.runs.spec import OWN_TEXTS
from neuroal.sweeps.spec import SweepSpec

if TYPE_CHECKING:
    from neuroal.runs.workshop import Workshop

SWEEP_SETTINGS = EVERYTHING

# Between the settings of one alternative, and between alternatives.
TOGETHER, APART = "+", ","

SWEEP_EXAMPLES = (
    "sweep --model tiny --budget quick --axis sparsity=0.5,0.6,0.7 --axis top-up=owl,neuroal",
    "sweep --axis top-up=neuroal+step=block,neuroal+step=row --axis seed=0,1,2 --dry-run",
    "sweep sweep.json --json",
)

Document = dict[str, Any]


def sweep(
    out: Output,
    given: Settings,
    file: Annotated[
        str | None, typer.Argument(metavar="SWEEP", help="A sweep as JSON: a file, or - for stdin.")
    ] = None,
    axis: Annotated[
        list[str] | None,
        typer.Option(
            "--axis",
            metavar="NAME=VALUES",
            help="Values of a setting, apart by commas; every combination of all axes is a run. "
            f"A value can bring other settings: top-up=owl{APART}neuroal{TOGETHER}step=row.",
        ),
    ] = None,
    control: Annotated[
        bool, typer.Option("--control/--no-control", help="Ask the uniform top-up too, to compare with.")
    ] = True,
    no_store: Annotated[bool, typer.Option("--no-store", help="Keep nothing; works beside the app.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell the runs and the time, and do nothing.")] = False,
) -> Code | None:
    """Asks every combination of settings that has no answer yet. Runs and time are told first."""
    spec = sweep_from(given, file, axis or [], control)
    if dry_run:
        return _foresee(out, spec)
    from neuroal.commands.progress import SweepWatch
    from neuroal.commands.workplace import followed, working

    with working(not no_store) as workshop:
        out.say(_foreseen(spec, workshop.jobs.answered, workshop.workers())["message"])
        sweeps = workshop.sweeps
        sweep_id = sweeps.start(spec)
        code = followed(
            out, sweeps.jobs, sweep_id, SweepWatch(out), lambda: stop(workshop, sweep_id), stored=not no_store
        )
        records, _ = sweeps.jobs.read(sweep_id)
        tell_sweep(out, "" if no_store else sweep_id, records, workshop.jobs.status)
    return Code.FAILED if code == Code.OK and any(r["status"] != "finished" for r in out.document["runs"]) else code


def stop(workshop: Workshop, sweep_id: str) -> None:
    """Ends a sweep and the run that is going, and returns when both are over."""
    import time

    from neuroal.runs.log import ENDED

    at_hand = workshop.sweeps.at_hand(sweep_id)
    workshop.sweeps.cancel(sweep_id)
    while any(workshop.jobs.status(run_id) not in ENDED for run_id in at_hand):
        time.sleep(0.05)


def sweep_from(given: Settings, file: str | None, axes: Sequence[str], control: bool) -> SweepSpec:
    """What is asked.

    Args:
        given: settings that all runs have; over those of the file.

    Raises:
        Misuse: a part of it is not known or not allowed.
    """
    try:
        asked = _from_file(file) if file else {"base": {}, "axes": [], "control": True}
        base = {**asked.get("base", {}), **settings_from(given)}
        found = [*asked.get("axes", []), *map(_axis, axes)]
        if not found:
            raise UserError("A sweep needs an axis, such as --axis sparsity=0.5,0.6; for one run there is prune.")
        return SweepSpec.from_json(
            json.dumps({**asked, "base": base, "axes": found, "control": asked["control"] and control})
        )
    except UserError as error:
        raise Misuse(str(error)) from error


def _from_file(file: str) -> Document:
    if file != STDIN and not Path(file).is_file():
        raise Misuse(f"There is no file {file!r} with a sweep; give a path, or - for stdin.")
    try:
        found = json.loads(read_bytes(file).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Misuse(f"{file!r} is no JSON, so it is no sweep: an object with base, axes and control.") from error
    if isinstance(found, dict) and isinstance(found.get("spec"), dict):
        found = found["spec"]
    if not isinstance(found, dict):
        raise Misuse(f"{file!r} is no sweep: that is a JSON object with base, axes and control.")
    return {"control": True, **found}


def _axis(said: str) -> list[Settings]:
    """``top-up=owl,neuroal+step=row`` -> [{"top_up": "owl"}, {"top_up": "neuroal", "step": "row"}]."""
    name, equals, values = said.partition("=")
    if not equals or not values.strip():
        raise Misuse(f"An axis is a setting and its values, such as sparsity=0.5,0.6; not {said!r}.")
    return [_alternative(name, value) for value in values.split(APART)]


def _alternative(name: str, said: str) -> Settings:
    found: Settings = {}
    for part in (f"{name}={said}").split(TOGETHER):
        setting, equals, value = part.partition("=")
        setting = setting.strip().replace("-", "_")
        if setting not in FIELDS or setting in OWN_TEXTS or not equals:
            raise Misuse(f"{setting!r} is no setting of an axis.{did_you_mean(setting, FIELDS)}")
        found[setting] = as_setting(setting, value.strip())
    return found


def _foreseen(spec: SweepSpec, answered: Callable[[Any], str | None], workers: tuple[int, float]) -> Document:
    from neuroal.importing import import_engine

    import_engine()
    from neuroal.sweeps.estimate import estimate_sweep

    cost = estimate_sweep(spec, answered, *workers)
    told = {"runs": cost.runs, "answered": cost.answered, "refused": list(cost.refused), "seconds": cost.seconds}
    return {**told, "left_out": spec.refusals, "message": cost.sentence}


def _foresee(out: Output, spec: SweepSpec) -> None:
    from neuroal.commands.workplace import reading
    from neuroal.sweeps.labels import labels

    with reading() as shelf:
        told = _foreseen(spec, shelf.runs.answered, (1, 1.0))
    members = [
        {"label": label, "sparsity": member.spec.sparsity, "seed": member.spec.seed, "key": member.spec.key()}
        for label, member in zip(labels(spec.members), spec.members, strict=True)
    ]
    out.document = {"key": spec.key(), "spec": spec.card(), **told, "members": members}
    out.line(told["message"])
    for refusal in spec.refusals:
        out.say(refusal)
    out.table(
        ["run", "sparsity, %", "seed"],
        [[each["label"], f"{100 * each['sparsity']:.4g}", str(each["seed"])] for each in members],
    )


def tell_sweep(out: Output, sweep_id: str, records: Sequence[Document], status: Callable[[str], str]) -> None:
    """Every run of a sweep with its figures, and where it is kept.

    Args:
        status: of a run; KeyError where it is not known any more. A sweep that was stopped has not heard of its last.
    """
    state = fold_sweep_all(records)
    names = ("label", "sparsity", "settings", "run", "status", "reused", "message", "summary")
    members = [{name: member[name] for name in names} for member in state["members"]]
    for member in members:
        if member["status"] == "running":
            with suppress(KeyError):
                member["status"] = status(member["run"])
    out.document = {"sweep": sweep_id, "status": state["status"], "spec": state["spec"], "runs": members}
    out.document["left_out"] = state["refusals"]
    rows = []
    for member in members:
        figures = member["summary"]
        shown = [_shown(figures.get(name)) for name in ("perplexity", "perplexity_uniform", "seconds")]
        rows.append([member["label"], f"{100 * member['sparsity']:.4g}", member["status"], *shown, member["run"]])
    out.table(["method", "sparsity, %", "status", "perplexity", "uniform", "seconds", "run"], rows)
    if sweep_id:
        out.line(f"Sweep {sweep_id}")


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}" if value >= 1e6 else fixed(value, 2)
