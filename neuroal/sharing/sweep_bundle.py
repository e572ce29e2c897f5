"""A sweep as one zip file, with every run of it.

    sweep.json        format, spec and key      events.jsonl   the sweep's own log, a record a line
    runs/12.jsonl     the log of its run 12     points.csv     every point of the map as a table; points.json the same
    reproduce.py      asks all of it again      charts/*       the map and the gains: .html, .png
    README.txt        what is in here, and what is not

Runs on someone's own text stay with their owner: they are left out, and the bundle says so. It is read with the care
that ``archive.py`` takes. What the sweep's log says of a run's figures is not believed but read from the run's own log,
and no run of it is an answer to anyone else's question.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from neuroal.errors import UserError
from neuroal.runs.log import ENDED, last_status
from neuroal.runs.summary import Summary, summary
from neuroal.sharing.archive import (
    FORMAT,
    NOT_ONE,
    OWN_TEXT,
    Archive,
    Record,
    as_lines,
    checked,
    opened,
    picture_note,
    write_archive,
)
from neuroal.sharing.bundle import Bundle, checked_run
from neuroal.sharing.own_text import public_part
from neuroal.sharing.shapes import fits
from neuroal.sharing.tables import point_tables
from neuroal.sweeps.spec import MOST_RUNS, SweepSpec

# Bytes of a bundle as it comes, and of what is read of it.
MOST_PACKED, MOST_READ = 100_000_000, 600_000_000

# Letters of the name of a method; ours have less than a hundred.
LONGEST_LABEL = 1000

_README = """A sweep of NeuroAL Explorer: {runs} runs, {logs} of them with their logs.

Open it in any instance of the app: Trade-offs, "Open a bundle". charts/*.html show the map without the app and
without a network; points.csv has every point; reproduce.py asks all of it again.
{left_out}"""

_LEFT_OUT = "\n{count} of its runs are not in here: they are about someone's own text, which stays with its owner.\n"

_SCRIPT = '''"""Asks every question of this sweep again: run it in the folder of NeuroAL Explorer's repository."""

import json

import neuroal
from neuroal.sweeps.spec import SweepSpec

SPEC = json.loads(r"""{spec}""")

for member in SweepSpec(**SPEC).members:
    print(member.settings)
    for event in neuroal.run(member.spec):
        print(event)
'''


def write_sweep(
    target: Path | IO[bytes],
    records: list[Record],
    read: Callable[[str], list[Record]],
    charts: Callable[[list[Record]], Mapping[str, str | bytes]] | None = None,
) -> None:
    """Writes the bundle of a sweep.

    Args:
        target: path or binary file.
        records: its log.
        read: the log of a run; KeyError where it is not known any more.
        charts: files of the folder charts by name, from the part of the log that goes into the bundle.

    Raises:
        UserError: the sweep is not over, or all of it is about someone's own text.
    """
    if last_status(records) not in ENDED or not _opening(records):
        raise UserError("This sweep is not over yet; a bundle can be made once it is.")
    spec, told, left_out = public_part(records)
    logs = {f"runs/{index}.jsonl": log for index, run in _latest(told).items() if (log := _whole(run, read))}
    drawn = dict(charts(told)) if charts else {}
    about = {"format": FORMAT, "kind": "sweep", "spec": spec.card(), "key": spec.key(), "left_out": left_out}
    said = _LEFT_OUT.format(count=left_out) if left_out else ""
    readme = _README.format(runs=len(_opening(told)["members"]), logs=len(logs), left_out=said)
    files: dict[str, str | bytes] = {
        "README.txt": readme + picture_note(drawn),
        "sweep.json": json.dumps(about, indent=1),
        "events.jsonl": as_lines(told),
        "reproduce.py": _SCRIPT.format(spec=json.dumps(spec.card(), indent=1)),
        **point_tables(told),
        **{f"charts/{name}": content for name, content in drawn.items()},
        **{name: as_lines(log) for name, log in logs.items()},
    }
    write_archive(target, files)


@dataclass(frozen=True)
class SweepBundle:
    """What is read from one. All of it has been looked at; the logs are read once more when they are taken in, so that
    not all of them are in memory at a time.

    Attributes:
        source: the file; ``log``: of the sweep, in which the runs have no ids; ``figures``: of the runs whose logs are
            there, by their place in the sweep.
    """

    source: Path | IO[bytes]
    spec: SweepSpec
    log: list[Record]
    figures: dict[int, Summary]

    def runs(self) -> Iterator[tuple[int, Bundle]]:
        """Every run that is there, with its place in the sweep."""
        with _opened(self.source) as archive:
            for index in self.figures:
                yield index, _run(archive, index)

    def records(self, ids: Mapping[int, str]) -> list[Record]:
        """The log of the sweep, in which its runs have these ids, by their place, and the figures of their own logs."""
        named = []
        for record in self.log:
            if record["kind"] in ("MemberStarted", "MemberFinished"):
                index = record["index"]
                record = {**record, "run": ids.get(index, "")}
                if record["kind"] == "MemberFinished":
                    record["summary"] = self.figures.get(index, {}) if record["status"] == "finished" else {}
            named.append(record)
        return named


def read_sweep(source: Path | IO[bytes]) -> SweepBundle:
    """The inverse, of what anybody may have made.

    Raises:
        UserError: not a bundle of a sweep, of a later version, too large, or logs that make no sense.
    """
    with _opened(source) as archive:
        spec = _spec(archive.about().get("spec"))
        records = checked(archive.text("events.jsonl"))
        _check_log(spec, records)
        names = archive.names()
        there = [index for index in _latest(records) if f"runs/{index}.jsonl" in names]
        return SweepBundle(source, spec, records, {index: summary(_run(archive, index).records) for index in there})


def _opened(source: Path | IO[bytes]) -> Any:
    return opened(source, "sweep", MOST_PACKED, MOST_READ)


def _run(archive: Archive, index: int) -> Bundle:
    return checked_run(archive.text(f"runs/{index}.jsonl"), f"the log of run {index}")


def _spec(card: Any) -> SweepSpec:
    try:
        spec = SweepSpec.from_json(json.dumps(card))
    except (TypeError, AttributeError, ValueError) as error:  # a UserError is a ValueError, with a better sentence
        raise error if isinstance(error, UserError) else UserError(NOT_ONE.format(kind="sweep")) from error
    if spec.private:
        raise UserError(OWN_TEXT)
    return spec


def _check_log(spec: SweepSpec, records: list[Record]) -> None:
    """Refuses a log that is not that of a sweep which is over, or that could not go on from where it stands."""
    opening = _opening(records)
    if opening is None or last_status(records) not in ENDED:
        raise UserError("The log in this bundle is not that of a sweep that is over.")
    members = opening["members"]
    if len(members) > MOST_RUNS or not all(map(_is_member, members)):
        raise UserError("The log in this bundle does not say what its runs are; make the bundle again.")
    if any(r["index"] >= len(members) for r in records if "index" in r):
        raise UserError("The log in this bundle tells of runs that the sweep does not have; make the bundle again.")
    asked = [json.loads(json.dumps(member.settings)) for member in spec.members]
    if last_status(records) != "finished" and asked != [member["settings"] for member in members]:
        raise UserError("This sweep is not finished, and this version of the app would ask other runs of it.")


def _is_member(member: Record) -> bool:
    hints = {"settings": dict[str, Any], "label": str, "sparsity": float, "control": bool}
    if member.keys() != hints.keys() or not all(fits(member[name], hint) for name, hint in hints.items()):
        return False
    return len(member["label"]) <= LONGEST_LABEL and 0 <= member["sparsity"] <= 1


def _opening(records: list[Record]) -> Record | None:
    return next((r for r in records if r["kind"] == "SweepStarted"), None)


def _latest(records: list[Record]) -> dict[int, str]:
    """The runs of a sweep by their place: the last one, where one was asked again."""
    return {r["index"]: r["run"] for r in records if r["kind"] in ("MemberStarted", "MemberFinished") and r["run"]}


def _whole(run: str, read: Callable[[str], list[Record]]) -> list[Record]:
    """The log of a run that is over; none where it is not, or is gone."""
    try:
        records = read(run)
    except KeyError:
        return []
    return records if last_status(records) in ENDED else []
