"""The file of the runs: damaged, on a full disk, in a folder that cannot be written, served by two at once."""

from __future__ import annotations

import dataclasses
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.page import Records, build_page
from components.warmup import Warmup
from neuroal.errors import DISK_FULL, UserError
from neuroal.runs import database
from neuroal.runs.instances import InUse
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from neuroal.runs.workshop import Workshop
from tests.runs.helpers import wait_for

ROOT = Path(__file__).resolve().parents[2]
Open = Callable[..., Workshop]


def fill(folder: Path, events: int = 400) -> None:
    """A store of some hundred kB, closed as it should be."""
    store = Store(folder)
    store.add_run("a", "key", RunSpec(model="a").to_json(), private=False)
    for n in range(1, events):
        store.append("a", n, 0.0, {"kind": "Notice", "message": "x" * 500})
    store.append("a", events, 0.0, {"kind": "RunCancelled"}, "cancelled")
    store.close()


def overwrite(file: Path) -> None:
    file.write_bytes(b"Dear diary, " * 1000)


def scribble(file: Path) -> None:
    """Bytes in the middle: the database still opens. In place, as a failing disk does it: never is the file empty."""
    with file.open("r+b") as stream:
        stream.seek(file.stat().st_size // 2)
        stream.write(random.Random(0).randbytes(5000))


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


@pytest.mark.parametrize("damage", [overwrite, scribble, cut])
def test_a_damaged_store_is_kept_aside_and_a_new_one_made_and_said(
    open_workshop: Open, tmp_path: Path, small_spec: RunSpec, damage: Callable[[Path], None]
) -> None:
    fill(tmp_path)
    damage(tmp_path / "runs.sqlite")
    before = (tmp_path / "runs.sqlite").read_bytes()

    workshop = open_workshop()
    (aside,) = tmp_path.glob("runs.damaged-*.sqlite")
    assert aside.read_bytes() == before
    (notice,) = workshop.notices
    assert f"kept aside as {aside.name}" in notice and str(tmp_path) not in notice
    page = build_page(workshop, Records(workshop), Warmup(workshop, "tiny"))
    assert [c["props"]["value"] for c in page.config["components"] if "damaged" in str(c["props"].get("value"))] == [
        f"⚠️ {notice}"
    ]
    assert workshop.jobs.store.history()[1] == 0
    run_id = workshop.jobs.start(small_spec)
    assert wait_for(workshop.jobs, run_id) == "finished"
    workshop.close()

    again = open_workshop()
    assert again.jobs.status(run_id) == "finished" and again.notices == ()
    assert list(tmp_path.glob("runs.damaged-*.sqlite")) == [aside]


def test_two_damaged_stores_of_one_moment_are_both_kept(open_workshop: Open, tmp_path: Path) -> None:
    for n in range(3):
        (tmp_path / "runs.sqlite").write_text(f"{n}" * 5000)
        open_workshop().close()
    assert sorted(file.read_text()[0] for file in tmp_path.glob("runs.damaged-*.sqlite")) == ["0", "1", "2"]


def test_what_a_killed_process_left_is_no_damage(open_workshop: Open, tmp_path: Path) -> None:
    """Its last events are in the file beside the database, from where SQLite takes them."""
    code = (
        "import os, sys; from pathlib import Path; from tests.faults.test_store import Store, RunSpec\n"
        "store = Store(Path(sys.argv[1])); store.add_run('a', 'key', RunSpec(model='a').to_json(), private=False)\n"
        "store.append('a', 1, 0.0, {'kind': 'Notice', 'message': 'x'}, 'running'); os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT).returncode == -9
    assert (tmp_path / "runs.sqlite-wal").stat().st_size > 0
    workshop = open_workshop()
    assert workshop.notices == ()
    assert [r["kind"] for r in workshop.jobs.read("a")[0]] == ["Notice", "RunInterrupted"]


def test_a_damaged_store_that_another_process_serves_stays_where_it_is(open_workshop: Open, tmp_path: Path) -> None:
    workshop = open_workshop()
    overwrite(tmp_path / "runs.sqlite")
    with pytest.raises(InUse):
        Workshop(tmp_path, patience=0.0)
    assert not list(tmp_path.glob("runs.damaged-*"))
    del workshop


def test_a_file_that_a_url_names_is_never_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overwrite(tmp_path / "diary.txt")
    monkeypatch.setenv("NEUROAL_STORE", f"sqlite:///{tmp_path / 'diary.txt'}")
    with pytest.raises(UserError, match="no SQLite database"):
        Workshop(tmp_path, patience=0.0)
    assert (tmp_path / "diary.txt").read_bytes().startswith(b"Dear diary")


def test_damage_that_is_met_later_is_a_sentence_and_mended_by_the_next_start(
    open_workshop: Open, tmp_path: Path
) -> None:
    fill(tmp_path)
    workshop = open_workshop()
    workshop.housekeeping.join()
    workshop.jobs.store.close()  # what was read is forgotten
    scribble(tmp_path / "runs.sqlite")
    with pytest.raises(UserError, match="is damaged; start the app again"):
        workshop.jobs.store.events("a")
    workshop.close()
    assert open_workshop().notices


def test_a_file_that_was_emptied_meanwhile_is_damaged(tmp_path: Path) -> None:
    """For SQLite it is a database without tables."""
    fill(tmp_path)
    store = Store(tmp_path)
    store.close()
    os.truncate(tmp_path / "runs.sqlite", 0)
    with pytest.raises(UserError, match="is damaged; start the app again"):
        store.events("a")


# --- a disk that is full --------------------------------------------------------------------------------------------


# Enough candidates for a log of a dozen pages.
LAMBDAS = tuple(n / 100 for n in range(1, 13))


def limit(store: Store, pages: int | None) -> None:
    """SQLite's own limit stands in for the disk: it fails where a full one would, with the same error."""
    with store.engine.connect() as connection:
        used = connection.exec_driver_sql("PRAGMA page_count").scalar()
    wanted = 2**30 if pages is None else used + pages
    store.engine.dispose()
    database.event.listen(
        store.engine, "connect", lambda raw, _: raw.execute(f"PRAGMA max_page_count={wanted}"), insert=False
    )


@pytest.mark.parametrize("pages", [0, 2, 6])
def test_a_run_on_a_disk_that_fills_up_fails_in_a_sentence_and_goes_on_to_the_same_result(
    open_workshop: Open, small_spec: RunSpec, pages: int
) -> None:
    workshop, small_spec = open_workshop(), dataclasses.replace(small_spec, lambdas=LAMBDAS, mode="exact")
    whole = workshop.jobs.start(small_spec)
    assert wait_for(workshop.jobs, whole) == "finished"
    workshop.housekeeping.join()
    limit(workshop.jobs.store, pages)
    said = ""
    try:
        run_id = workshop.jobs.start(small_spec, again=True)
        assert wait_for(workshop.jobs, run_id) == "failed"
        said = workshop.jobs.read(run_id)[0][-1]["message"]
    except UserError as refusal:
        said = str(refusal)
    assert said == DISK_FULL
    with pytest.raises(UserError, match="disk of this machine is full"):
        for n in range(50):
            workshop.jobs.store.edit(whole, name=f"{n}" * 60)
            workshop.jobs.store.summarise(whole, {"x": "y" * 4000 * n})

    limit(workshop.jobs.store, None)
    if pages == 0:
        run_id = workshop.jobs.start(small_spec, again=True)
    else:
        workshop.jobs.resume(run_id)
    assert wait_for(workshop.jobs, run_id) == "finished"
    assert figures(workshop, run_id) == figures(workshop, whole)


def figures(workshop: Workshop, run_id: str) -> dict[Any, float]:
    records = workshop.jobs.read(run_id)[0]
    found = {(r["step"], r["lam"]): r["score"] for r in records if r["kind"] == "CandidateFinished"}
    return found | {r["variant"]: r["value"] for r in records if r["kind"] == "Measured"}
